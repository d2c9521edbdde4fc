import { performance } from 'node:perf_hooks';
import type { Edge } from '../../distributor/edge.ts';
import type { EdgeAnswer, EdgePush, Edges } from '../../distributor/edge-push.ts';
import type { LocalSlots, SlotSizes } from '../../distributor/local-slots.ts';
import { DistributorService, type WriteCounts } from '../../distributor/service.ts';
import type { Logger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import type { Channel } from '../../kit/thread/channel.ts';
import { freeMoved, movable } from '../../kit/thread/movable.ts';
import { ThreadsRoom } from '../../kit/thread/threads-room.ts';
import { WorkerPool } from '../../kit/thread/worker-pool.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Room } from '../../lib/shared-room.ts';
import type { TenantLimits } from '../../limits/limits.ts';
import { bucketsFor } from '../../model/slot-sizes.ts';
import type { EdgeRole } from '../threads/edge-role.ts';
import { FrontLoads } from './front-loads.ts';
import type { FrontHostRole, FrontWritesData, TenantCounts } from './front-role.ts';

export interface FrontWritesOptions {
  readonly thread: number;
  readonly data: FrontWritesData;
  readonly edge: { readonly edge: Pick<Edge, 'push'> };
  readonly main: Channel<FrontHostRole>;
  readonly limits: (tenant: string) => TenantLimits;
  readonly log: Logger;
  readonly clock: Clock;
}

const COUNTED_MS = 1_000;
/** Age at which an answer of the main thread about a tenant is asked for again. */
const TOLD_MS = 10_000;
const TENANTS_TOLD_MAX = 16_384;
/** How often the load of this thread is measured. */
const LOAD_MS = 100;

/** Writes that come to a front thread: its own edge takes them, or that of another one where this one has too much to do. */
export class FrontWrites {
  readonly distributor: DistributorService;
  readonly #edges: FrontEdges;
  readonly #counts: CountsOfThread;

  constructor(options: FrontWritesOptions) {
    const { data, main, limits, clock } = options;
    this.#edges = new FrontEdges(options);
    this.#counts = new CountsOfThread(main);
    this.distributor = new DistributorService({
      edges: this.#edges,
      limits,
      ...(data.slotsVersion && { slots: new ToldSlots(main, data.slotsVersion, clock) }),
      ...(data.notesLate && { noteLate: (tenant, fromMs) => main.call('noteLate', { tenant, fromMs }) }),
      count: (tenant, counts) => this.#counts.add(tenant, counts),
      // the main thread counts for all
      registry: new Registry(),
      clock,
    });
    clock.every(COUNTED_MS, () => void this.#counts.send());
  }

  /** Takes a write that came elsewhere, judged by nobody yet. */
  async push(request: EdgePush): Promise<EdgeAnswer> {
    return this.#edges.take(request);
  }

  /** Resolves when the main thread has counted all writes that were answered until now. */
  counted(): Promise<void> {
    return this.#counts.send();
  }
}

/** The edge of this thread, and the way to those of others. */
class FrontEdges implements Edges {
  readonly #main: Channel<FrontHostRole>;
  readonly #loads: FrontLoads;
  readonly #thread: number;
  readonly #places: Told<number>;
  readonly #placesVersion: Int32Array;
  readonly #pool: WorkerPool<EdgeRole>;
  #underWay = 0;

  constructor({ thread, data, edge, main, log, clock }: FrontWritesOptions) {
    this.#main = main;
    this.#thread = thread;
    this.#loads = new FrontLoads(data.loads);
    this.#places = new Told((tenant) => main.call('ratePlace', { tenant }), TOLD_MS, clock);
    this.#placesVersion = new Int32Array(data.placesVersion);
    let before = performance.eventLoopUtilization();
    clock.every(LOAD_MS, () => {
      const now = performance.eventLoopUtilization();
      this.#loads.set(thread, performance.eventLoopUtilization(now, before).utilization);
      before = now;
    });
    const { edge: own } = edge;
    const waitingRoom: Room = new ThreadsRoom(data.waiting, thread);
    this.#pool = WorkerPool.start<EdgeRole>({
      name: 'edge',
      size: 1,
      callsPerWorkerMax: data.inflightPushes,
      queueMax: data.waiting.size,
      waitingRoom,
      log,
      clock,
      spawn: () => ({
        channel: {
          // the only call that there is
          call: ((_: 'push', request: EdgePush) => own.push(request, () => freeMoved(request.body))) as never,
        },
        gone: new Promise(() => {}),
        terminate: async () => {},
      }),
    });
  }

  async push(given: EdgePush): Promise<EdgeAnswer> {
    const body = movable(given.body);
    const request = { ...given, body };
    // of a tenant without a rate none is counted
    const isRated = given.limits.ingestionRate > 0;
    const place = isRated ? { ratePlace: await this.#placeOf(given.tenant) } : {};
    if (this.#underWay > 0 && this.#loads.lessLoaded(this.#thread) !== undefined) {
      return this.#main.call('push', { ...request, ...place }, { transfer: [body.buffer] });
    }
    return this.take({ ...request, ...place });
  }

  /** A place that was told before one changed hands is asked for again. */
  #placeOf(tenant: string): Promise<number> {
    return this.#places.of(tenant, Atomics.load(this.#placesVersion, 0));
  }

  async take(request: EdgePush): Promise<EdgeAnswer> {
    this.#underWay++;
    try {
      return await this.#pool.call('push', request, { tenant: request.tenant });
    } finally {
      this.#underWay--;
    }
  }
}

/** Answers of the main thread about tenants, asked for now and then. */
class Told<T> {
  readonly #ask: (tenant: string) => Promise<T>;
  readonly #ageMsMax: number;
  readonly #clock: Clock;
  /** The one asked for longest ago is first. */
  readonly #known = new Map<string, { readonly value: Promise<T>; readonly atMs: number; readonly version: number }>();

  constructor(ask: (tenant: string) => Promise<T>, ageMsMax: number, clock: Clock) {
    this.#ask = ask;
    this.#ageMsMax = ageMsMax;
    this.#clock = clock;
  }

  /** @param version what was told at another one holds no more */
  of(tenant: string, version = 0): Promise<T> {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#known.get(tenant);
    if (known !== undefined && known.version === version && nowMs - known.atMs < this.#ageMsMax) return known.value;
    this.#known.delete(tenant);
    if (this.#known.size >= TENANTS_TOLD_MAX) this.#known.delete(this.#known.keys().next().value!);
    const value = this.#ask(tenant);
    value.catch(() => this.#known.delete(tenant));
    this.#known.set(tenant, { value, atMs: nowMs, version });
    return value;
  }
}

/** Spreads of tenants over shards as the main thread has them: one that changed is asked for again at once. */
class ToldSlots implements SlotSizes {
  readonly #main: Channel<FrontHostRole>;
  readonly #version: Int32Array;
  readonly #told: Told<LocalSlots>;
  readonly #clock: Clock;
  /** When a size was told, by tenant. */
  readonly #reported = new Map<string, { readonly buckets: number; readonly atMs: number }>();

  constructor(main: Channel<FrontHostRole>, version: SharedArrayBuffer, clock: Clock) {
    this.#main = main;
    this.#version = new Int32Array(version);
    this.#clock = clock;
    this.#told = new Told((tenant) => main.call('slots', { tenant }), TOLD_MS, clock);
  }

  of(tenant: string): Promise<LocalSlots> {
    return this.#told.of(tenant, Atomics.load(this.#version, 0));
  }

  /** Sizes that make no difference are told now and then. */
  report(tenant: string, series: number): void {
    const nowMs = this.#clock.monotonicMs();
    const buckets = bucketsFor(series);
    const before = this.#reported.get(tenant);
    if (before !== undefined && before.buckets === buckets && nowMs - before.atMs < TOLD_MS) return;
    this.#reported.delete(tenant);
    if (this.#reported.size >= TENANTS_TOLD_MAX) this.#reported.delete(this.#reported.keys().next().value!);
    this.#reported.set(tenant, { buckets, atMs: nowMs });
    this.#main.call('slotSize', { tenant, series }).catch(() => {}); // the next one tells again
  }
}

/** Counts by tenant, until the main thread is sent them. */
class CountsOfThread {
  readonly #main: Channel<FrontHostRole>;
  #counts = new Map<string, TenantCounts>();
  #sending: Promise<void> = Promise.resolve();

  constructor(main: Channel<FrontHostRole>) {
    this.#main = main;
  }

  add(tenant: string, counts: WriteCounts): void {
    const sum = this.#counts.get(tenant) ?? {
      samples: 0,
      series: 0,
      metadata: 0,
      rawBytes: 0,
      discarded: {},
      discardedMetadata: {},
    };
    this.#counts.set(tenant, sum);
    sum.samples += counts.samples;
    sum.series += counts.series;
    sum.metadata += counts.metadata;
    sum.rawBytes += counts.rawBytes;
    addReasons(sum.discarded, counts.discarded);
    addReasons(sum.discardedMetadata, counts.discardedMetadata);
  }

  send(): Promise<void> {
    if (this.#counts.size === 0) return this.#sending;
    const counts = [...this.#counts];
    this.#counts = new Map();
    this.#sending = this.#main.call('counted', { counts }).catch(() => {});
    return this.#sending;
  }
}

function addReasons(to: Record<string, number>, from: Readonly<Record<string, number>>): void {
  for (const [reason, count] of Object.entries(from)) to[reason] = (to[reason] ?? 0) + count;
}
