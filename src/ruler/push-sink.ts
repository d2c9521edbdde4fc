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

/** Writes what rules make to their tenant, never into a window for samples that come late. */
export class PushSink implements RuleSink {
  readonly #backend: SeriesBackend;
  readonly #tenant: string;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;

  constructor(backend: SeriesBackend, tenant: string, clock: Clock, signal: AbortSignal) {
    this.#backend = backend;
    this.#tenant = tenant;
    this.#clock = clock;
    this.#signal = signal;
  }

  async append(timeMs: number, writes: readonly RuleWrite[]): Promise<readonly (readonly Refusal[])[]> {
    const series = writes.map((write) => seriesOf(timeMs, write));
    const error = await this.#push(series.flat());
    if (error === undefined) return writes.map(() => []);
    if (writes.length === 1 || !error.isUsers) return writes.map(() => [{ labels: undefined, error }]);
    // whose samples they were is said by writing each rule's again: what was taken is taken again
    const refusals: Refusal[][] = [];
    for (const each of series) {
      const own = await this.#push(each);
      refusals.push(own === undefined ? [] : [{ labels: undefined, error: own }]);
    }
    return refusals;
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
