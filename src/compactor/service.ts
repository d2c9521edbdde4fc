import type { CompactionReport, CompactorControl } from '../contract/control.ts';
import type { Logger } from '../kit/observe/log.ts';
import type { Registry } from '../kit/observe/metrics.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import type { CompactionRunner } from './compaction-run.ts';
import type { Retention } from './compactor.ts';
import type { CompactorConfig } from './config.ts';
import { compactorMetrics } from './metrics.ts';

/**
 * Looks of the loop, an interval apart, that must agree before anything is past retention, or a delete request is forgotten: an hour's,
 * with the default interval.
 */
const RETENTION_LOOKS = 6;

export interface CompactorServiceOptions {
  readonly config: CompactorConfig;
  readonly runner: CompactionRunner;
  readonly retention: () => Retention;
  /**
   * Where an ingester runs in this process: since when all samples have come that it has yet to write, Unix ms. Requests that came to be
   * in force later are not forgotten, however long it was away.
   */
  readonly deletionsReadMs?: () => Promise<number>;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
}

/** Runs the compactor now and then, and when it is asked to; one run at a time. */
export class CompactorService implements Service, CompactorControl {
  readonly name = 'compactor';
  readonly #options: CompactorServiceOptions;
  readonly #metrics: ReturnType<typeof compactorMetrics>;
  readonly #stopping = new AbortController();
  #firstSeen: ReadonlyMap<string, number> = new Map();
  #sweptMs = 0;
  /** Times that the loop's last looks found for retention to count from, Unix ms, the newest last. */
  #looks: number[] = [];
  /** The clock at the same looks. */
  #clockLooks: number[] = [];
  #dueTold = '';
  #last: Promise<unknown> = Promise.resolve();
  #loop: Promise<void> = Promise.resolve();

  constructor(options: CompactorServiceOptions) {
    this.#options = options;
    this.#metrics = compactorMetrics(options.registry);
  }

  async start(): Promise<void> {
    this.#loop = this.#repeat();
  }

  async #repeat(): Promise<void> {
    const { clock, config, log } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      try {
        await clock.sleep(config.intervalMs, signal);
        const lookMs = clock.nowMs();
        const { retentionNowMs } = await this.run({ force: false });
        this.#clockLooks = [...this.#clockLooks, lookMs].slice(1 - RETENTION_LOOKS);
        this.#looks = [...this.#looks, retentionNowMs].slice(1 - RETENTION_LOOKS);
      } catch (error) {
        if (signal.aborted) return;
        log.error({ error: (error as Error).message }, 'the compactor failed, it will be tried again');
      }
    }
  }

  run({ force }: { readonly force: boolean }): Promise<CompactionReport> {
    const turn = this.#last.then(() => this.#run(force));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #run(force: boolean): Promise<CompactionReport> {
    const { clock, config, runner, retention, deletionsReadMs } = this.#options;
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    const isSweepDue = this.#sweptMs + config.sweepIntervalMs <= clock.nowMs();
    this.#metrics.began();
    try {
      const sweep = force ? 'force' : isSweepDue ? 'due' : 'none';
      // who asks for all of it at once means now
      const looks = { past: this.#looks, wanted: RETENTION_LOOKS };
      const clockLooks = { past: this.#clockLooks, wanted: RETENTION_LOOKS };
      const run = {
        retention: retention(),
        sweep,
        firstSeen: this.#firstSeen,
        ...(force ? {} : { looks, clockLooks }),
        // while the ingester replays nothing is forgotten
        ...(deletionsReadMs && { deletionsReadMs: await deletionsReadMs().catch(() => 0) }),
      } as const;
      const { report, firstSeen } = await runner.run(run, signal);
      this.#firstSeen = firstSeen;
      if (isSweepDue) this.#sweptMs = clock.nowMs();
      this.#metrics.ended(report, clock.nowMs());
      this.#tell(report);
      return report;
    } catch (error) {
      this.#metrics.failed();
      throw error;
    }
  }

  #tell(report: CompactionReport): void {
    const { log } = this.#options;
    const { failures, damaged, tablesCreated, tablesDropped, tablesDue, retentionNowMs, swept, ...counts } = report;
    const due = tablesDue.join(',');
    if (due !== this.#dueTold && due !== '') {
      const looks = RETENTION_LOOKS;
      log.warn({ tables: due, looks }, 'tables are past retention, and will be dropped when further looks agree');
    }
    this.#dueTold = due;
    for (const failure of failures) log.error({ failure }, 'a part of compaction failed, it will be tried again');
    for (const name of damaged.slice(0, 100)) log.error({ name }, 'found damaged by the compactor');
    if (tablesCreated.length > 0) log.info({ tables: tablesCreated.join(',') }, 'made tables');
    if (tablesDropped.length > 0) log.info({ tables: tablesDropped.join(',') }, 'dropped tables past retention');
    if (counts.groups > 0 || counts.daysRemoved > 0 || counts.deletes > 0) log.info(counts, 'compacted');
    if (swept !== undefined && swept.rows + swept.objects + swept.moved > 0) log.info(swept, 'swept');
  }

  /** To be cut short is harmless: the next run goes on. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#loop;
    await this.#last;
  }
}
