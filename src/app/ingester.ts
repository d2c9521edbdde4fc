import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type { StoreSpec } from '../chunkstore/open.ts';
import type { SavedSeen } from '../chunkstore/seen.ts';
import type { IngesterControl } from '../contract/control.ts';
import type { IngesterConfig } from '../ingester/config.ts';
import type { FlushReport, FlushRequest } from '../ingester/flush-contract.ts';
import { FlushPlan } from '../ingester/flush-plan.ts';
import { HeldRange } from '../ingester/held-range.ts';
import { ingesterMetrics } from '../ingester/metrics.ts';
import type { Logger } from '../kit/observe/log.ts';
import type { Registry } from '../kit/observe/metrics.ts';
import type { Service, Stop } from '../kit/service/service.ts';
import { Channel } from '../kit/thread/channel.ts';
import { WorkerThread, workerUrl } from '../kit/thread/worker.ts';
import type { PooledWorker } from '../kit/thread/worker-pool.ts';
import type { Clock } from '../lib/clock.ts';
import type { EdgeRole } from './threads/edge-role.ts';
import type { FlushData, FlushRole } from './threads/flush-role.ts';
import type { ShardConnection, ShardThreadRole } from './threads/shard-thread.ts';
import type { ShardData } from './threads/shard-worker.ts';

export interface IngesterOptions {
  readonly config: IngesterConfig;
  /** Folder of the shards. */
  readonly dir: string;
  readonly store: StoreSpec;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
}

const LOG_POLL_MS = 1000;
/** How long a flush worker is kept when there is nothing to flush. */
const FLUSH_IDLE_MS = 3_000;

/** The shards of this process in their threads, and what flushes them. */
export class IngesterService implements Service, IngesterControl {
  readonly name = 'ingester';
  readonly #options: IngesterOptions;
  readonly #shards: WorkerThread<ShardThreadRole>[] = [];
  /** Of each shard the memory of its `HeldRange`. */
  readonly #held: SharedArrayBuffer[] = [];
  readonly #metrics: ReturnType<typeof ingesterMetrics>;
  readonly #timers: NodeJS.Timeout[] = [];
  /** Shards that take writes; the others only hold what an earlier run with more of them left. */
  readonly writable: number;
  /** What the shards make keys of series with; for those that send them. */
  readonly seriesSecret: Uint8Array = Uint8Array.from(randomBytes(16));
  #ready = false;
  #stopping = false;
  #failure: Error | undefined;
  #flushWorker: { thread: WorkerThread<FlushRole>; idle: NodeJS.Timeout | undefined } | undefined;
  /** What rows flush workers have written lately. */
  #seen: SavedSeen = new Map();
  readonly #plan: FlushPlan;
  #flushing: Promise<unknown> = Promise.resolve();

  constructor(options: IngesterOptions) {
    this.#options = options;
    this.writable = options.config.shards || Math.max(1, Math.min(8, os.availableParallelism() - 1));
    this.#metrics = ingesterMetrics(options.registry);
    const { windowMs, flushDelayMs, flushSpreadMs } = options.config;
    this.#plan = new FlushPlan({ windowMs, delayMs: flushDelayMs, spreadMs: Math.min(flushSpreadMs, windowMs / 2) });
  }

  /** Every shard, in order, to be handed to another thread. */
  connect(): ShardConnection[] {
    return this.#shards.map(({ channel }, i) => {
      const { port1, port2 } = new MessageChannel();
      channel.call('connect', { port: port1 }, { transfer: [port1] }).catch(() => {});
      return { port: port2, held: this.#held[i]! };
    });
  }

  /** An edge in the thread of the only shard that takes writes: nothing has to move between the two. */
  edgeWithin(rawBytesMax: number): PooledWorker<EdgeRole> {
    const [shard] = this.#shards;
    if (shard === undefined || this.writable !== 1) throw new Error('bug: an edge within one of several shards');
    const { port1, port2 } = new MessageChannel();
    shard.channel.call('connectEdge', { port: port1, rawBytesMax }, { transfer: [port1] }).catch(() => {});
    const channel = new Channel<EdgeRole>(port2);
    void shard.gone.then((error) => channel.close(error));
    // it ends with its shard, and the process with that
    return { channel, gone: shard.gone, terminate: async () => port2.close() };
  }

  async start(): Promise<void> {
    const { log, config, dir } = this.#options;
    for (let i = 0; i < Math.max(this.writable, existingShards(dir)); i++) {
      const held = HeldRange.everything().buffer;
      this.#held.push(held);
      const data: ShardData = {
        held,
        folder: path.join(dir, `shard-${i}`),
        windowMs: config.windowMs,
        headBytesMax: config.headBytesMax,
        seriesSecret: this.seriesSecret,
        fsync: config.walFsync,
        fsyncIntervalMs: config.walFsyncIntervalMs,
        keepFlushedMs: config.keepFlushedMs,
      };
      this.#shards.push(
        WorkerThread.start({ name: `shard-${i}`, url: workerUrl('./threads/shard-worker', import.meta.url), data }),
      );
    }
    for (const [i, shard] of this.#shards.entries()) {
      void shard.gone.then((error) => {
        if (this.#stopping) return;
        // what it held is in its log, but nobody else may serve it: only a new start of the process is safe
        log.error({ shard: i, error: error.message }, 'a shard is gone, ending');
        process.exitCode = 1;
        process.kill(process.pid, 'SIGTERM');
      });
    }
    Promise.all(this.#shards.map(({ channel }) => channel.call('ready', {}))).then(
      () => {
        this.#ready = true;
      },
      (error: Error) => {
        this.#failure = error;
        log.error({ error: error.message }, 'the log cannot be replayed');
      },
    );
    this.#timers.push(
      setInterval(() => void this.#poll(), LOG_POLL_MS),
      setInterval(() => void this.#flushDue(), config.flushCheckIntervalMs),
    );
  }

  notReady(): string | undefined {
    if (this.#failure !== undefined) return `the log cannot be replayed: ${this.#failure.message}`;
    return this.#ready ? undefined : 'the write-ahead log is being replayed';
  }

  /** Fetches what the shards have to say, and their numbers. */
  async #poll(): Promise<void> {
    const { log, clock } = this.#options;
    const polled = await Promise.allSettled(
      this.#shards.map(async ({ channel }, shard) => {
        for (const { level, text, fields } of await channel.call('takeLogLines', {})) {
          log[level]({ shard, ...fields }, text);
        }
        const stats = await channel.call('stats', {});
        this.#metrics.observe(shard, stats);
        return stats.arenas;
      }),
    );
    const arenas = polled.map((each) => (each.status === 'fulfilled' ? each.value : []));
    this.#metrics.flushing(this.#plan.status(arenas, clock.nowMs()));
  }

  async #flushDue(): Promise<void> {
    const { config, clock, log } = this.#options;
    if (!this.#ready || this.#stopping) return;
    const due = async () => {
      const stats = await Promise.all(this.#shards.map(({ channel }) => channel.call('stats', {})));
      const hurry = stats.some(({ headBytes }) => headBytes > config.headBytesMax / 2);
      const arenas = stats.map((each) => each.arenas);
      return this.#plan.due(arenas, clock.nowMs(), hurry);
    };
    const report = await this.#flush(due).catch((error: Error) => {
      log.error({ error: error.message }, 'flushing failed, it will be tried again');
      return undefined;
    });
    if (report === undefined || report.groups === 0) return;
    const { progress, ...counts } = report;
    log.info({ ...counts, begun: progress.length }, 'flushed to the store');
  }

  async flush({ wait }: { readonly wait: boolean }): Promise<void> {
    const all = async () => {
      const stats = await Promise.all(this.#shards.map(({ channel }) => channel.call('stats', {})));
      return this.#plan.all(stats.map(({ arenas }) => arenas));
    };
    const done = this.#flush(all).then((report) => {
      if (report.failures.length > 0) throw new Error(report.failures.join('; '));
    });
    if (wait) await done;
    else done.catch((error: Error) => this.#options.log.error({ error: error.message }, 'flushing failed'));
  }

  /** One flush at a time; the worker comes when there is something to do. */
  #flush(plan: () => Promise<FlushRequest | undefined>): Promise<FlushReport> {
    const turn = this.#flushing.then(async () => {
      const request = await plan();
      if (request === undefined) return NOTHING;
      const worker = this.#flushThread();
      clearTimeout(worker.idle);
      try {
        const report = await worker.thread.channel.call('flush', request);
        this.#plan.reached(report.progress);
        this.#metrics.flushed(report);
        for (const failure of report.failures) this.#options.log.error({ failure }, 'a window could not be flushed');
        return report;
      } finally {
        worker.idle = setTimeout(() => void this.#endFlushThread(), FLUSH_IDLE_MS);
        worker.idle.unref();
      }
    });
    this.#flushing = turn.catch(() => {});
    return turn;
  }

  /** Forgets all that a tenant has here. What a flush under way has read of it already still goes to the store. */
  async deleteTenant(tenant: string): Promise<void> {
    await Promise.all(this.#shards.map(({ channel }) => channel.call('deleteTenant', { tenant })));
  }

  /** Series of tenants in the shards of this process; as of the last second. */
  async seriesOfTenants(): Promise<Map<string, number>> {
    const series = new Map<string, number>();
    for (const { channel } of this.#shards) {
      const { tenants } = await channel.call('stats', {});
      for (const { tenant, series: count } of tenants) series.set(tenant, (series.get(tenant) ?? 0) + count);
    }
    return series;
  }

  #flushThread() {
    if (this.#flushWorker === undefined) {
      const data: FlushData = {
        store: this.#options.store,
        windowMs: this.#options.config.windowMs,
        splitSeries: this.#options.config.splitMetricSeries,
        seen: this.#seen,
      };
      const thread = WorkerThread.start<FlushRole>({
        name: 'flush',
        url: workerUrl('./threads/flush-worker', import.meta.url),
        data,
        resourceLimits: { maxYoungGenerationSizeMb: 12 },
      });
      const shards = this.connect().map(({ port }) => port);
      thread.channel.call('connect', { shards }, { transfer: shards }).catch(() => {});
      const made = { thread, idle: undefined };
      this.#flushWorker = made;
      void thread.gone.then(() => {
        if (this.#flushWorker === made) this.#flushWorker = undefined;
      });
    }
    return this.#flushWorker;
  }

  async #endFlushThread(): Promise<void> {
    const worker = this.#flushWorker;
    this.#flushWorker = undefined;
    clearTimeout(worker?.idle);
    if (worker === undefined) return;
    // forgotten where it died: rows are then written once more, which is harmless
    this.#seen = await worker.thread.channel.call('seen', {}).catch(() => new Map());
    await worker.thread.terminate();
  }

  async stop(stop: Stop): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#ready && this.#options.config.flushOnShutdown === 'all') {
      stop.progress('flushing all windows to the store');
      await Promise.race([this.flush({ wait: true }), aborted(stop.signal)]).catch((error: Error) =>
        this.#options.log.error({ error: error.message }, 'could not flush all: it is safe in the log'),
      );
    }
    await this.#flushing;
    await this.#endFlushThread();
    for (const [i, { channel }] of this.#shards.entries()) {
      stop.progress(`closing shard ${i + 1} of ${this.#shards.length}`);
      // with a checkpoint the next start is quick; past the deadline the log alone must do
      const closed = channel.call('close', { checkpoint: !stop.signal.aborted });
      await Promise.race([closed, aborted(stop.signal)]);
      if (stop.signal.aborted) await channel.call('close', { checkpoint: false }).catch(() => {});
    }
    await this.#poll();
    await Promise.all(this.#shards.map((shard) => shard.terminate()));
  }
}

const NOTHING: FlushReport = { windows: 0, groups: 0, series: 0, samples: 0, bytes: 0, failures: [], progress: [] };

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** How many shards have a folder: all of them are opened, whatever the number of shards now. */
function existingShards(dir: string): number {
  if (!fs.existsSync(dir)) return 0;
  const numbers = fs
    .readdirSync(dir)
    .map((name) => /^shard-(\d+)$/.exec(name)?.[1])
    .filter((n) => n !== undefined);
  return Math.max(0, ...numbers.map((n) => Number(n) + 1));
}
