import type { Logger } from '../kit/observe/log.ts';
import type { Clock } from '../lib/clock.ts';
import type { RingSource, RingView } from '../ring/view.ts';
import type { IngesterConfig } from './config.ts';
import type { FlushReport, FlushRequest, FlushRunner } from './flush/flush-contract.ts';
import { FlushPlan, type FlushStatus } from './flush/flush-plan.ts';
import { type FlushTurns, turnsOf } from './flush-turn.ts';
import type { ingesterMetrics } from './metrics.ts';
import type { ShardStats } from './shard/shard.ts';
import type { ShardCalls } from './shard/shard-messages.ts';

export interface FlushSchedulerOptions {
  readonly config: IngesterConfig;
  readonly shards: () => readonly ShardCalls[];
  readonly flusher: FlushRunner;
  readonly metrics: ReturnType<typeof ingesterMetrics>;
  readonly log: Logger;
  readonly clock: Clock;
  /** Where others hold the same samples. Absent: this process is alone. */
  readonly ring?: FlushRing;
}

/** The ring, and which of its members this process is. */
export interface FlushRing {
  readonly source: RingSource;
  readonly member: string;
}

/** Has windows flushed when they are due, one flush at a time. */
export class FlushScheduler {
  readonly #options: FlushSchedulerOptions;
  readonly #plan: FlushPlan;
  #last: Promise<unknown> = Promise.resolve();
  /** When windows that lost something were seen; all that there were then, and ids of what was open of them, by shard. */
  #losing:
    | {
        readonly atMs: number;
        readonly windows: readonly ReadonlySet<number>[];
        readonly open: readonly ReadonlySet<number>[];
      }
    | undefined;
  #lastTurns: { readonly view: RingView; readonly turns: FlushTurns } | undefined;

  constructor(options: FlushSchedulerOptions) {
    this.#options = options;
    const { windowMs, flushDelayMs, flushSpreadMs } = options.config;
    this.#plan = new FlushPlan({ windowMs, delayMs: flushDelayMs, spreadMs: Math.min(flushSpreadMs, windowMs / 2) });
  }

  /** Writes what is due now. Rejects never: what fails is logged, and tried again. */
  async due(): Promise<void> {
    const { config, clock, log } = this.#options;
    const plan = async () => {
      const stats = await this.#stats();
      const hurry = stats.some(({ headBytes }) => headBytes > config.headBytesMax / 2);
      const arenas = stats.map((each) => each.arenas);
      return this.#plan.due(arenas, clock.nowMs(), hurry, this.#turns());
    };
    const report = await this.#flush(plan).catch((error: Error) => {
      log.error({ error: error.message }, 'flushing failed, it will be tried again');
      return undefined;
    });
    if (report === undefined || report.groups === 0) return;
    const { progress, ...counts } = report;
    log.info({ ...counts, begun: progress.length }, 'flushed to the store');
  }

  /** Writes everything that is in memory, or all that one tenant has there. @throws where a window could not be written */
  async all(tenant?: string): Promise<void> {
    const plan = async () =>
      this.#plan.all(
        (await this.#stats()).map(({ arenas }) => arenas),
        tenant,
        this.#turnsIfKnown(),
      );
    let report = await this.#flush(plan);
    // what is due takes its turn in between; what came since the first of these stays
    while (report.failures.length === 0 && (report.left ?? 0) > 0) {
      report = await this.#flush(async () => {
        const request = await plan();
        return request && { ...request, sealBeforeMs: Number.MIN_SAFE_INTEGER };
      });
    }
    if (report.failures.length > 0) throw new Error(report.failures.join('; '));
  }

  /**
   * Writes what is due by now of all that there was when it was called first, as some of it was lost: where others hold it too, each
   * owner has its turn. @throws where a window could not be written
   */
  async losses(): Promise<void> {
    if (this.#turnsIfKnown() === undefined) return this.all();
    const plan = async () => {
      const arenas = (await this.#stats()).map((each) => each.arenas);
      const nowMs = this.#options.clock.nowMs();
      this.#losing ??= {
        atMs: nowMs,
        windows: arenas.map((each) => new Set(each.map(({ window }) => window))),
        open: arenas.map((each) => new Set(each.filter(({ sealLsn }) => sealLsn === 0).map(({ id }) => id))),
      };
      const { open } = this.#losing;
      // a flush that failed may not have sealed what was open
      const isFirst = arenas.some((each, i) => each.some(({ id, sealLsn }) => sealLsn === 0 && open[i]!.has(id)));
      return this.#plan.losses(arenas, nowMs, { ...this.#losing, isFirst }, this.#turns()!);
    };
    const { failures } = await this.#flush(plan);
    if (failures.length > 0) throw new Error(failures.join('; '));
  }

  /** Reads back from the store all that is held. @returns whether it has all of it @throws where it is aborted */
  async readBack(signal: AbortSignal): Promise<boolean> {
    const { flusher, metrics, log } = this.#options;
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      const turns = this.#turns();
      if (turns === undefined) throw new Error('bug: an ingester that is alone reads nothing back');
      return flusher.readBack({ turns }, signal);
    });
    this.#last = turn.catch(() => {});
    const report = await turn;
    signal.throwIfAborted();
    const { samples, again, failures } = report;
    metrics.readBack(report);
    for (const failure of failures) log.error({ failure }, 'what is held could not be read back from the store');
    if (failures.length > 0) return false;
    log.info({ samples, again }, 'read back from the store all that is held');
    return true;
  }

  status(arenas: readonly ShardStats['arenas'][]): FlushStatus {
    return this.#plan.status(arenas, this.#options.clock.nowMs());
  }

  /** Resolves when no flush is under way or waits for its turn. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** Undefined also where no version is known: who was never a member of one holds what it took alone, and has it written so. */
  #turnsIfKnown(): FlushTurns | undefined {
    return this.#options.ring?.source.current() === undefined ? undefined : this.#turns();
  }

  /** @throws where there is a ring and no version of it is known yet */
  #turns(): FlushTurns | undefined {
    const { ring } = this.#options;
    if (ring === undefined) return undefined;
    const view = ring.source.current();
    if (view === undefined) throw new Error('no version of the ring is known yet: nothing is flushed before');
    if (this.#lastTurns?.view !== view) this.#lastTurns = { view, turns: turnsOf(view, ring.member) };
    return this.#lastTurns.turns;
  }

  #stats() {
    return Promise.all(this.#options.shards().map((shard) => shard.call('stats', {})));
  }

  #flush(plan: () => Promise<FlushRequest | undefined>): Promise<FlushReport> {
    const { flusher, metrics, log } = this.#options;
    const turn = this.#last.then(async () => {
      const request = await plan();
      if (request === undefined) return NOTHING;
      const report = await flusher.flush(request);
      this.#plan.reached(report.progress);
      metrics.flushed(report);
      for (const failure of report.failures) log.error({ failure }, 'a window could not be flushed');
      return report;
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}

const NOTHING: FlushReport = { windows: 0, groups: 0, series: 0, samples: 0, bytes: 0, failures: [], progress: [] };
