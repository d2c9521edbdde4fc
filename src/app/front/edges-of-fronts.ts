import type { DistributorConfig } from '../../distributor/config.ts';
import type { EdgeAnswer, EdgePush, Edges } from '../../distributor/edge-push.ts';
import { type SlotSizes, WHOLE } from '../../distributor/local-slots.ts';
import type { DistributorService } from '../../distributor/service.ts';
import { RatePlaces, SharedRates } from '../../distributor/shared-rates.ts';
import type { Service } from '../../kit/service/service.ts';
import { movable } from '../../kit/thread/movable.ts';
import { ThreadsRoom, type ThreadsRoomMemory } from '../../kit/thread/threads-room.ts';
import type { WorkerThread } from '../../kit/thread/worker.ts';
import { systemBytes } from '../../lib/random.ts';
import type { ThreadLayout } from '../threads/layout.ts';
import type { ShardHost } from '../threads/shard-thread-role.ts';
import { FrontLoads } from './front-loads.ts';
import type { FrontHostRole, FrontRole, FrontWritesData } from './front-role.ts';
import type { FrontThreads } from './front-threads.ts';

export interface EdgesOfFrontsOptions {
  readonly fronts: FrontThreads;
  readonly config: DistributorConfig;
  readonly layout: ThreadLayout;
  readonly shards: ShardHost;
  /** How tenants are spread, where there are several shards. */
  readonly slots: SlotSizes | undefined;
  /** An i32 that goes up whenever a spread changes. */
  readonly slotsVersion: SharedArrayBuffer;
  readonly noteLate: ((tenant: string, fromMs: number) => Promise<void>) | undefined;
}

/** Part of a thread's time that a write counts as while it is on its way there. */
const WRITE_LOAD = 0.05;

/**
 * The edges of front threads, for writes that the main thread has itself (rules, own metrics) or is handed by a front thread that has too
 * much to do; and what front threads ask of the main thread for writes.
 */
export class EdgesOfFronts implements Service, Edges {
  readonly name = 'front-edges';
  readonly #options: EdgesOfFrontsOptions;
  readonly #rates = new SharedRates();
  readonly #placesVersion = new SharedArrayBuffer(4);
  readonly #places = new RatePlaces(this.#rates, undefined, () => {
    Atomics.add(new Int32Array(this.#placesVersion), 0, 1);
  });
  readonly #waiting: ThreadsRoomMemory;
  readonly #loadsMemory: SharedArrayBuffer;
  readonly #loads: FrontLoads;
  /** Writes on their way to each thread. */
  readonly #sent: number[];
  /** Counts writes of front threads. */
  distributor: Pick<DistributorService, 'count'> | undefined;

  constructor(options: EdgesOfFrontsOptions) {
    const {
      config,
      fronts: { threads },
    } = options;
    this.#options = options;
    this.#waiting = ThreadsRoom.memory(config.queuedPushes, threads, systemBytes);
    this.#loadsMemory = FrontLoads.memory(threads);
    this.#loads = new FrontLoads(this.#loadsMemory);
    this.#sent = Array.from({ length: threads }, () => 0);
  }

  async start(): Promise<void> {
    await this.#options.fronts.begin(this);
  }

  async stop(): Promise<void> {
    await this.#options.fronts.close();
  }

  async push(request: EdgePush): Promise<EdgeAnswer> {
    const { fronts } = this.#options;
    const thread = this.#loads.least((i) => (fronts.channel(i) === undefined ? 1e6 : WRITE_LOAD * this.#sent[i]!));
    const body = movable(request.body);
    const place =
      request.limits.ingestionRate > 0 && request.ratePlace === undefined
        ? { ratePlace: this.#places.of(request.tenant) }
        : {};
    this.#sent[thread]!++;
    try {
      return await fronts.call(thread, 'push', { ...request, ...place, body }, { transfer: [body.buffer] });
    } finally {
      this.#sent[thread]!--;
    }
  }

  /** Data of a front thread that takes writes. */
  get data(): FrontWritesData {
    const { config, shards, slots, slotsVersion, noteLate } = this.#options;
    return {
      rawBytesMax: config.maxRecvMsgSize,
      seriesSecret: shards.seriesSecret,
      rates: this.#rates.buffer,
      placesVersion: this.#placesVersion,
      inflightPushes: config.inflightPushes,
      waiting: this.#waiting,
      loads: this.#loadsMemory,
      slotsVersion: slots && slotsVersion,
      notesLate: noteLate !== undefined,
    };
  }

  /** Gives a front thread its ways to the shards. */
  connect({ channel, gone }: WorkerThread<FrontRole>): void {
    const { shards, layout } = this.#options;
    const connections = shards.connect((shard, connection) => {
      if (shard >= layout.shards) return connection.port.close();
      channel.call('reconnect', { shard, connection }, { transfer: [connection.port] }).catch(() => {});
    }, gone);
    const ports = connections.slice(0, layout.shards).map(({ port }) => port);
    for (const { port } of connections.slice(layout.shards)) port.close();
    channel.call('connectShards', { shards: ports }, { transfer: ports }).catch(() => {}); // it is gone
  }

  /** A front thread has ended. */
  ended(thread: number): void {
    ThreadsRoom.giveBack(this.#waiting, thread);
    // it has nothing to do until it has said otherwise
    this.#loads.set(thread, 0);
  }

  get role(): Pick<FrontHostRole, 'push' | 'ratePlace' | 'slots' | 'slotSize' | 'noteLate' | 'counted'> {
    const { slots, noteLate } = this.#options;
    return {
      push: (request) => this.push(request),
      ratePlace: ({ tenant }) => this.#places.of(tenant),
      slots: ({ tenant }) => slots?.of(tenant) ?? WHOLE,
      slotSize: ({ tenant, series }) => slots?.report(tenant, series),
      noteLate: async ({ tenant, fromMs }) => noteLate?.(tenant, fromMs),
      counted: ({ counts }) => {
        for (const [tenant, each] of counts) this.distributor?.count(tenant, each);
      },
    };
  }
}
