import type { IngesterAdmin, TenantSeries } from '../contract/ingester.ts';
import type { ReplicaLoss } from '../contract/replica.ts';
import type { Logger } from '../kit/observe/log.ts';
import type { Registry } from '../kit/observe/metrics.ts';
import type { Loop } from '../kit/service/loops.ts';
import type { Service, Stop } from '../kit/service/service.ts';
import { aborted } from '../lib/aborted.ts';
import { after, type Clock, type Timer } from '../lib/clock.ts';
import { ringErrors } from '../model/errors-ring.ts';
import type { HeldSummary } from '../ring/meeting.ts';
import type { IngesterConfig } from './config.ts';
import type { FlushRunner } from './flush/flush-contract.ts';
import { type FlushRing, FlushScheduler } from './flush-scheduler.ts';
import { ingesterMetrics } from './metrics.ts';
import { allTenants, type ShardCalls } from './shard/shard-messages.ts';

export interface IngesterOptions {
  readonly config: IngesterConfig;
  /** All shards of the process, in order; asked for once it has started. */
  readonly shards: () => readonly ShardCalls[];
  readonly flusher: FlushRunner;
  /**
   * Others hold the samples too, and this ingester does not count for windows that lost some until the store has what is left of them:
   * it goes there at once.
   */
  readonly flushLosses?: boolean;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
  /** Where others hold the same samples; absent: this process is alone. */
  readonly ring?: FlushRing;
  /** Told of each look for what is to be flushed. */
  readonly loop?: Loop;
  /** How often the shards' numbers are fetched. */
  readonly statsIntervalMs?: number;
}

const STATS_INTERVAL_MS = 1000;
const READY_RETRY_MS = 5000;
/** Delete requests are read so often at least, beside those of the tenants that are flushed. */
const DELETIONS_INTERVAL_MS = 3_600_000;
/** Those of tenants that nobody here has are looked for so often: each request is kept for days. */
const ALL_DELETIONS_INTERVAL_MS = 86_400_000;
const EVER = { startMs: Number.MIN_SAFE_INTEGER, endMs: Number.MAX_SAFE_INTEGER };

/** The shards of this process as one: whether they are ready, what they hold, when they are flushed, how they end. */
export class IngesterService implements Service, IngesterAdmin {
  readonly name = 'ingester';
  readonly #options: IngesterOptions;
  readonly #metrics: ReturnType<typeof ingesterMetrics>;
  readonly #flushes: FlushScheduler;
  readonly #timers: Timer[] = [];
  #ready = false;
  /** Whether a window may have lost samples whose rest is not in the store. */
  #isLosing = false;
  /** Monotonic time of the last read of all delete requests; undefined: there was none since the start. */
  #deletionsReadMs: number | undefined;
  /** The same of all tenants of the store. */
  #allDeletionsReadMs: number | undefined;
  /** Wall clock since when all has come that the store is still to get, as far as is known here. */
  #deletionsSinceMs = Number.POSITIVE_INFINITY;
  #stopping = false;
  #failure: Error | undefined;

  constructor(options: IngesterOptions) {
    this.#options = options;
    this.#metrics = ingesterMetrics(options.registry, options.config.headBytesMax);
    this.#flushes = new FlushScheduler({ ...options, metrics: this.#metrics });
  }

  async start(): Promise<void> {
    const { config, clock, loop, statsIntervalMs = STATS_INTERVAL_MS } = this.#options;
    const flush = () => this.flushDue();
    this.#awaitReplay();
    this.#timers.push(
      clock.every(statsIntervalMs, () => void this.#observe()),
      clock.every(config.flushCheckIntervalMs, () => void (loop === undefined ? flush() : loop.run(flush))),
    );
  }

  /** A shard that dies meanwhile, as where its disk is full, is started again by whoever started it: so it is asked again. */
  #awaitReplay(): void {
    const { log, shards, clock } = this.#options;
    const ready = Promise.all(shards().map((shard) => shard.call('ready', {})));
    ready
      .then(() => this.#noteDeletions())
      .then(
        () => {
          this.#ready = true;
          this.#isLosing = this.#options.flushLosses === true;
          this.#failure = undefined;
        },
        (error: Error) => {
          if (error.message !== this.#failure?.message)
            log.error({ error: error.message }, 'the log cannot be replayed');
          this.#failure = error;
          after(clock, READY_RETRY_MS, () => {
            if (!this.#stopping) this.#awaitReplay();
          });
        },
      );
  }

  notReady(): string | undefined {
    if (this.#failure !== undefined) return `the log cannot be replayed: ${this.#failure.message}`;
    return this.#ready ? undefined : 'the write-ahead log is being replayed';
  }

  /** Fetches the shards' numbers. */
  async #observe(): Promise<void> {
    const asked = await Promise.allSettled(
      this.#options.shards().map(async (shard, index) => {
        const stats = await shard.call('stats', {});
        this.#metrics.observe(index, stats);
        return stats.arenas;
      }),
    );
    const arenas = asked.map((each) => (each.status === 'fulfilled' ? each.value : []));
    this.#metrics.flushing(this.#flushes.status(arenas));
  }

  /** Writes what is due by now to the store; called every so often while it runs. */
  async flushDue(): Promise<void> {
    if (!this.#ready || this.#stopping) return;
    await this.#readDeletions();
    if (this.#isLosing) await this.#flushLosses();
    await this.#flushes.due();
    // one that fails leaves an earlier time, which only refuses more
    await this.#noteDeletions().catch(() => {});
  }

  /** Takes note of since when all has come that the store is still to get: it only becomes later. */
  async #noteDeletions(): Promise<void> {
    if (this.#options.ring !== undefined) this.#deletionsSinceMs = await this.deletionsReadMs();
  }

  /**
   * Why reads are refused: what is in memory may have been deleted by requests that are forgotten, as after a pause of weeks. Others hold
   * it too. undefined: they are answered.
   */
  readGate(): string | undefined {
    const { clock, config } = this.#options;
    const ageMs = clock.nowMs() - this.#deletionsSinceMs;
    if (ageMs <= config.walAgeMaxMs) return undefined;
    return ringErrors.ringReadsUnvouched({ ageMs, limitMs: config.walAgeMaxMs }).message;
  }

  /** Unix ms until which reads are not refused for that. */
  get readsUntilMs(): number {
    return this.#deletionsSinceMs + this.#options.config.walAgeMaxMs;
  }

  /** Looks for delete requests of all tenants, when it has started and now and then. */
  async #readDeletions(): Promise<void> {
    const { flusher, shards, clock, config, log, ring } = this.#options;
    const lastMs = this.#deletionsReadMs;
    const nowMs = clock.monotonicMs();
    if (lastMs !== undefined && nowMs - lastMs < Math.min(DELETIONS_INTERVAL_MS, config.windowMs)) return;
    this.#deletionsReadMs = nowMs;
    try {
      const atMs = clock.nowMs();
      const lastAllMs = this.#allDeletionsReadMs;
      // a process that is alone forgets no request before it knows of it
      const everyTenant =
        ring !== undefined && (lastAllMs === undefined || nowMs - lastAllMs >= ALL_DELETIONS_INTERVAL_MS);
      // where nobody has anything no thread is started for it
      const pages = await Promise.all(shards().map((shard) => shard.call('tenants', { from: 0 })));
      if (everyTenant || pages.some(({ tenants, next }) => tenants.length > 0 || next > 0)) {
        await flusher.readDeletions({ everyTenant });
        if (everyTenant) this.#allDeletionsReadMs = nowMs;
      } else await Promise.all(shards().map((shard) => shard.call('deletionsRead', { atMs })));
    } catch (error) {
      this.#deletionsReadMs = lastMs;
      log.error({ error: (error as Error).message }, 'delete requests could not be read, it will be tried again');
    }
  }

  async deletionsReadMs(): Promise<number> {
    const asked = this.#options.shards().map((shard) => shard.call('deletionsReadMs', {}));
    return Math.min(...(await Promise.all(asked)));
  }

  /** Lets all that is here be written although requests to delete it may be forgotten: an operator says so. */
  async vouchDeletions(): Promise<void> {
    await Promise.all(this.#options.shards().map((shard) => shard.call('vouchDeletions', {})));
    await this.#noteDeletions();
  }

  /** Writes all that there was where a window lost something; once nothing is left to be written there is nothing to look for. */
  async #flushLosses(): Promise<void> {
    const { log } = this.#options;
    const unsettled = async () => (await this.losses()).some(({ settled }) => !settled);
    try {
      if (await unsettled()) await this.#flushes.losses();
      this.#isLosing = await unsettled();
    } catch (error) {
      log.error({ error: (error as Error).message }, 'what is left of windows that lost samples could not be flushed');
    }
  }

  /** Losses of all times that are known to be for good. */
  async losses(): Promise<readonly ReplicaLoss[]> {
    const asked = this.#options.shards().map((shard) => shard.call('losses', EVER));
    return (await Promise.all(asked)).flat();
  }

  /** Names of the windows of each shard that the store does not have all of: each has its own until the store has it. */
  async owed(): Promise<ReadonlySet<string>> {
    const stats = await Promise.all(this.#options.shards().map((shard) => shard.call('stats', {})));
    const owed = stats.flatMap(({ arenas }, shard) =>
      arenas.filter(({ flushedMs }) => flushedMs === 0).map(({ id, window }) => `${shard} ${id} ${window}`),
    );
    return new Set(owed);
  }

  /** Series, and windows that the store does not have all of. */
  async holds(): Promise<HeldSummary> {
    const stats = await Promise.all(this.#options.shards().map((shard) => shard.call('stats', {})));
    const owed = stats.flatMap(({ arenas }) => arenas.filter(({ flushedMs }) => flushedMs === 0));
    const oldest = owed.reduce((least, { window }) => Math.min(least, window), Number.POSITIVE_INFINITY);
    return {
      series: stats.reduce((sum, { series }) => sum + series, 0),
      samplesOwed: stats.reduce((sum, { owedSamples }) => sum + owedSamples, 0),
      windowsOwed: owed.length,
      oldestOwedMs: owed.length === 0 ? 0 : oldest * this.#options.config.windowMs,
    };
  }

  async flush({ tenant, wait }: { readonly tenant?: string | undefined; readonly wait: boolean }): Promise<void> {
    const done = this.#flushes.all(tenant);
    if (wait) await done;
    else done.catch((error: Error) => this.#options.log.error({ error: error.message }, 'flushing failed'));
  }

  /** Reads back from the store all that is held here. @returns whether it has all of it */
  readBack(signal: AbortSignal): Promise<boolean> {
    return this.#flushes.readBack(signal);
  }

  async deleteTenant(tenant: string): Promise<void> {
    await Promise.all(this.#options.shards().map((shard) => shard.call('deleteTenant', { tenant })));
  }

  async tenantSeries(): Promise<readonly TenantSeries[]> {
    const counts = new Map<string, number>();
    for (const shard of this.#options.shards()) {
      for await (const { tenant, series } of allTenants(shard)) counts.set(tenant, (counts.get(tenant) ?? 0) + series);
    }
    return [...counts].map(([tenant, series]) => ({ tenant, series }));
  }

  async seriesOf(tenant: string): Promise<number> {
    const pages = await Promise.all(this.#options.shards().map((shard) => shard.call('tenants', { tenant })));
    return pages.flatMap(({ tenants }) => tenants).reduce((sum, { series }) => sum + series, 0);
  }

  async stop(stop: Stop): Promise<void> {
    const { log, config, shards, ring } = this.#options;
    this.#stopping = true;
    for (const timer of this.#timers) timer.cancel();
    if (this.#ready && config.flushOnShutdown === 'all') {
      stop.progress('flushing all windows to the store');
      await Promise.race([this.#flushes.all(), aborted(stop.signal)]).catch((error: Error) =>
        log.error({ error: error.message }, 'could not flush all: it is safe in the log'),
      );
    }
    await this.#flushes.settled();
    const all = shards();
    for (const [i, shard] of all.entries()) {
      stop.progress(`closing shard ${i + 1} of ${all.length}`);
      // with a checkpoint the next start is quick; past the deadline the log alone must do
      const closed = shard.call('close', { checkpoint: !stop.signal.aborted, asked: ring !== undefined });
      await Promise.race([closed, aborted(stop.signal)]);
      if (stop.signal.aborted) await shard.call('close', { checkpoint: false }).catch(() => {});
    }
    await this.#observe();
  }
}
