import type { PushedSample, PushedSeries, PushResponse, SeriesBackend } from '../contract/push.ts';
import type { Clock } from '../lib/clock.ts';
import { RuleError, type RuleSample } from './evaluate.ts';
import type { Refusal, RuleSink, RuleWrite } from './group-run.ts';

/** Samples of a rule that were not taken. */
export class RuleWriteError extends RuleError {
  /** Whether the tenant is at fault: its limits, its samples. */
  readonly isUsers: boolean;

  constructor(text: string, isUsers: boolean) {
    super(text);
    this.isUsers = isUsers;
  }
}

/** Series of one request. */
const SERIES_MAX = 5000;
/** Waits before a write is tried again that failed for no fault of its own. */
const RETRY_MS = [100, 500, 1500];

interface Waiting {
  readonly series: readonly PushedSeries[];
  resolve(error: RuleWriteError | undefined): void;
  reject(reason: unknown): void;
}

/**
 * Writes what rules of a tenant make, never into a window for samples that come late. What groups write at the same moment goes in one
 * request.
 */
export class PushSink implements RuleSink {
  readonly #backend: SeriesBackend;
  readonly #tenant: string;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #waiting: Waiting[] = [];

  constructor(backend: SeriesBackend, tenant: string, clock: Clock, signal: AbortSignal) {
    this.#backend = backend;
    this.#tenant = tenant;
    this.#clock = clock;
    this.#signal = signal;
  }

  async append(timeMs: number, writes: readonly RuleWrite[]): Promise<readonly (readonly Refusal[])[]> {
    const errors = await Promise.all(writes.map((write) => this.#written(seriesOf(timeMs, write))));
    return errors.map((error) => (error === undefined ? [] : [{ labels: undefined, error }]));
  }

  #written(series: readonly PushedSeries[]): Promise<RuleWriteError | undefined> {
    if (series.length === 0) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ series, resolve, reject });
      if (this.#waiting.length === 1) void this.#clock.turn().then(() => this.#flush());
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let batch: Waiting[] = [];
    let count = 0;
    for (const each of waiting) {
      if (count > 0 && count + each.series.length > SERIES_MAX) {
        void this.#writeAll(batch);
        batch = [];
        count = 0;
      }
      batch.push(each);
      count += each.series.length;
    }
    void this.#writeAll(batch);
  }

  async #writeAll(batch: readonly Waiting[]): Promise<void> {
    try {
      const error = await this.#push(batch.flatMap(({ series }) => series));
      if (error === undefined || batch.length === 1 || !error.isUsers) {
        for (const { resolve } of batch) resolve(error);
        return;
      }
      // whose samples they were is said by writing each rule's again: what was taken is taken again
      for (const { series, resolve } of batch) resolve(await this.#push(series));
    } catch (thrown) {
      for (const { reject } of batch) reject(thrown);
    }
  }

  async #push(series: readonly PushedSeries[]): Promise<RuleWriteError | undefined> {
    let last: RuleWriteError | undefined;
    for (let from = 0; from < series.length; from += SERIES_MAX) {
      const { status, text } = await this.#tried(series.slice(from, from + SERIES_MAX));
      if (status >= 300) last = new RuleWriteError(text.trim(), status < 500);
    }
    return last;
  }

  async #tried(series: readonly PushedSeries[]): Promise<PushResponse> {
    for (let tries = 0; ; tries++) {
      this.#signal.throwIfAborted();
      const response = await this.#backend.pushSeries({ tenant: this.#tenant, series, inOrder: true }, this.#signal);
      const waitMs = RETRY_MS[tries];
      if (response.status < 500 || waitMs === undefined) return response;
      await this.#clock.sleep(waitMs, this.#signal);
    }
  }
}

function seriesOf(timeMs: number, { samples, stale }: RuleWrite): PushedSeries[] {
  return [
    ...samples.map(({ labels, ...sample }) => ({ pairs: labels.pairs, samples: [pushed(timeMs, sample)] })),
    ...stale.map(({ pairs }) => ({ pairs, samples: [{ timeMs, stale: true as const }] })),
  ];
}

function pushed(timeMs: number, { value, histogram }: Omit<RuleSample, 'labels'>): PushedSample {
  return histogram === undefined ? { timeMs, value } : { timeMs, histogram };
}
