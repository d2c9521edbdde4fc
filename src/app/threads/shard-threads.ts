import path from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type { IngesterConfig } from '../../ingester/config.ts';
import { HeldRange } from '../../ingester/head/held-range.ts';
import type { ConnectedShard } from '../../ingester/shard/shard-client.ts';
import { shardFolders } from '../../ingester/shard/shard-folder.ts';
import type { ShardCalls } from '../../ingester/shard/shard-messages.ts';
import type { HoldToken } from '../../kit/folder/hold.ts';
import type { Logger } from '../../kit/observe/log.ts';
import { counter, metricTable, type Registry } from '../../kit/observe/metrics.ts';
import type { LoopSource } from '../../kit/service/loops.ts';
import type { Service } from '../../kit/service/service.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { Link } from '../../kit/thread/link.ts';
import { type WorkerSpec, WorkerThread, workerUrl } from '../../kit/thread/worker.ts';
import type { PooledWorker } from '../../kit/thread/worker-pool.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { RandomBytes } from '../../lib/random.ts';
import type { EdgeRole } from './edge-role.ts';
import { MEMBER_NURSERY_MB, type ThreadLayout } from './layout.ts';
import type { ShardConnection } from './shard-connection.ts';
import type { ShardHost, ShardThreadRole } from './shard-thread-role.ts';
import type { ShardData } from './shard-worker.ts';

export type StartShard = (spec: WorkerSpec) => WorkerThread<ShardThreadRole>;

export interface ShardThreadsOptions {
  readonly config: IngesterConfig;
  readonly layout: ThreadLayout;
  /** Folder of the shards. */
  readonly dir: string;
  /** This process' hold on the data folder. */
  readonly hold: HoldToken;
  readonly log: Logger;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly registry: Registry;
  /** Age from which samples are told of as late; undefined: nobody wants to know. */
  readonly lateAfterMs?: number | undefined;
  /** The secret of series' keys, where other processes make them, too; asked for at the start. Undefined: one of its own. */
  readonly seriesKey?: (() => Uint8Array | undefined) | undefined;
  /** As the options of a shard have it. */
  readonly machineRun?: string | undefined;
  /** Starts a thread; tests hold on to it. */
  readonly start?: StartShard | undefined;
}

const shardMetrics = metricTable({
  restarts: counter('ingester_shard_restarts_total', 'Times that a shard died and was started again from its log.', [
    'shard',
  ]),
});

const LOG_POLL_MS = 1000;
/** A shard that has lived for so long is started again at once, others ever later. */
const LIVED_MS = 60_000;
const RESTART_DELAY_MS = 500;
const RESTART_DELAY_MS_MAX = 30_000;

/** A shard: the thread that it is in now. */
interface Seat {
  /** Its place among the shards. */
  readonly index: number;
  /** That of its folder. */
  readonly number: number;
  thread: WorkerThread<ShardThreadRole>;
  readonly link: Link<ShardThreadRole>;
  /** The memory of its `HeldRange`. */
  readonly held: SharedArrayBuffer;
  startedMs: number;
  /** In a row, without a life between them. */
  deaths: number;
}

/** The shards of this process, each in a thread. One that dies is started again from its log; the others go on. */
export class ShardThreads implements Service, ShardHost {
  readonly name = 'shard-threads';
  readonly #options: ShardThreadsOptions;
  readonly #seats: Seat[] = [];
  /** Told each thread of the only shard. */
  readonly #followers = new Set<(thread: WorkerThread<ShardThreadRole>) => void>();
  readonly #replaced = new Set<(shard: number, connection: ShardConnection) => void>();
  readonly #stopping = new AbortController();
  readonly #metrics: ReturnType<typeof shardMetrics>;
  readonly #ownSecret: Uint8Array;
  #polls: Timer | undefined;

  constructor(options: ShardThreadsOptions) {
    this.#options = options;
    this.#ownSecret = options.randomBytes(16);
    this.#metrics = shardMetrics(options.registry);
  }

  get seriesSecret(): Uint8Array {
    return this.#options.seriesKey?.() ?? this.#ownSecret;
  }

  /** The same, for reading. */
  get reading(): readonly ConnectedShard[] {
    return this.#seats.map(({ link, held }) => ({ channel: link, held: new HeldRange(held) }));
  }

  /** Every shard, in order; those that take writes come first. */
  get all(): readonly ShardCalls[] {
    return this.#seats.map(({ link }) => link);
  }

  /**
   * Calls with the thread of the only shard, and with each that takes its place; not where an earlier run left others beside it.
   * Returns how to stop.
   */
  follow(begun: (thread: WorkerThread<ShardThreadRole>) => void): () => void {
    const [seat] = this.#seats;
    if (seat === undefined || this.#seats.length > 1) return () => {};
    this.#followers.add(begun);
    begun(seat.thread);
    return () => this.#followers.delete(begun);
  }

  connect(replaced: (shard: number, connection: ShardConnection) => void, gone: Promise<unknown>): ShardConnection[] {
    this.#replaced.add(replaced);
    void gone.then(() => this.#replaced.delete(replaced));
    return this.#seats.map((seat) => connectionTo(seat));
  }

  edgeWithin(rawBytesMax: number): PooledWorker<EdgeRole> {
    const [seat] = this.#seats;
    if (seat === undefined || this.#options.layout.shards !== 1)
      throw new Error('bug: an edge within one of several shards');
    const { thread } = seat;
    const { port1, port2 } = new MessageChannel();
    thread.channel.call('connectEdge', { port: port1, rawBytesMax }, { transfer: [port1] }).catch(() => port1.close());
    const channel = new Channel<EdgeRole>(port2);
    void thread.gone.then((error) => channel.close(error));
    // it ends with its shard
    return { channel, gone: thread.gone, terminate: async () => port2.close() };
  }

  async start(): Promise<void> {
    const { layout, dir, clock } = this.#options;
    const writable = Array.from({ length: layout.shards }, (_, i) => i);
    const earlier = shardFolders(dir).filter((number) => number >= layout.shards);
    for (const [index, number] of [...writable, ...earlier].entries()) {
      const held = HeldRange.everything().buffer;
      const thread = this.#thread(number, held);
      const seat: Seat = {
        index,
        number,
        thread,
        link: new Link(thread.channel),
        held,
        startedMs: clock.monotonicMs(),
        deaths: 0,
      };
      this.#seats.push(seat);
      this.#watch(seat);
    }
    this.#polls = clock.every(LOG_POLL_MS, () => void this.#takeLogLines());
  }

  #thread(number: number, held: SharedArrayBuffer): WorkerThread<ShardThreadRole> {
    const { config, dir, hold, start = WorkerThread.start<ShardThreadRole> } = this.#options;
    const data: ShardData = {
      held,
      hold,
      folder: path.join(dir, `shard-${number}`),
      windowMs: config.windowMs,
      headBytesMax: config.headBytesMax,
      seriesSecret: this.seriesSecret,
      fsync: config.walFsync,
      fsyncIntervalMs: config.walFsyncIntervalMs,
      keepFlushedMs: config.keepFlushedMs,
      walAgeMaxMs: config.walAgeMaxMs,
      machineRun: this.#options.machineRun,
      lateAfterMs: this.#options.lateAfterMs,
    };
    return start({
      name: `shard-${number}`,
      url: workerUrl('./shard-worker', import.meta.url),
      data,
      resourceLimits: {
        maxOldGenerationSizeMb: config.shardHeapMb,
        ...(this.#options.seriesKey !== undefined && { maxYoungGenerationSizeMb: MEMBER_NURSERY_MB }),
      },
    });
  }

  #watch(seat: Seat): void {
    void seat.thread.gone.then((error) => this.#restart(seat, error));
  }

  /** A dead shard's samples are in its log, and it is started again from there. Who asks it meanwhile is told that it is gone. */
  async #restart(seat: Seat, error: Error): Promise<void> {
    const { log, clock } = this.#options;
    const { signal } = this.#stopping;
    const held = new HeldRange(seat.held);
    // its memory says nothing any more of what comes from now on
    held.ended();
    if (signal.aborted) return;
    const livedMs = clock.monotonicMs() - seat.startedMs;
    seat.deaths = livedMs > LIVED_MS ? 1 : seat.deaths + 1;
    const delayMs = Math.min(RESTART_DELAY_MS_MAX, RESTART_DELAY_MS * (2 ** Math.min(seat.deaths - 1, 10) - 1));
    log.error(
      { shard: seat.number, error: error.message, delayMs },
      'a shard is gone and is started again from its log',
    );
    if (delayMs > 0) await clock.sleep(delayMs, signal).catch(() => {});
    if (signal.aborted) return;
    // until the log is replayed nobody knows what of it is there
    held.publish(undefined, this.#options.config.windowMs);
    seat.thread = this.#thread(seat.number, seat.held);
    seat.startedMs = clock.monotonicMs();
    seat.link.replace(seat.thread.channel, error);
    this.#metrics.restarts.inc({ shard: String(seat.number) });
    this.#watch(seat);
    for (const replaced of this.#replaced) replaced(seat.index, connectionTo(seat));
    for (const begun of this.#followers) begun(seat.thread);
  }

  /** Loops of every shard, with its place in their names. */
  loopSources(): readonly LoopSource[] {
    return this.#seats.map(({ link, index }) => ({
      name: `shard-${index}`,
      async states(signal) {
        const states = await link.call('loops', {}, { signal });
        return states.map((each) => ({ ...each, name: `shard-${index}-${each.name}` }));
      },
    }));
  }

  async #takeLogLines(): Promise<void> {
    const { log } = this.#options;
    const taken = this.#seats.map(async ({ link }, shard) => {
      for (const { level, text, fields } of await link.call('takeLogLines', {})) {
        log[level]({ shard, ...fields }, text);
      }
    });
    await Promise.allSettled(taken);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#polls?.cancel();
    await this.#takeLogLines();
    await Promise.all(this.#seats.map(({ thread }) => thread.terminate()));
  }
}

function connectionTo({ thread, held }: Seat): ShardConnection {
  const { port1, port2 } = new MessageChannel();
  // of a thread that is gone the other end must know
  thread.channel.call('connect', { port: port1 }, { transfer: [port1] }).catch(() => port1.close());
  return { port: port2, held };
}
