import type { ApiSeries } from '../harness/api.ts';

/** Series of a lane at most: values tell series and step by them. */
const SERIES_MAX = 1_000;

/**
 * Series that are written together, a sample of each at every step, one step after the other. A step is acknowledged before the next is
 * sent, so that two numbers tell which samples must be there and which may. Each value is made of its step and series.
 */
export class Lane {
  readonly number: number;
  readonly series: number;
  readonly startMs: number;
  readonly stepMs: number;
  /** Steps that were acknowledged, and those that were ever sent. */
  acknowledged = 0;
  sent = 0;

  constructor(number: number, series: number, startMs: number, stepMs: number) {
    if (series > SERIES_MAX) throw new Error(`${series} series in a lane of at most ${SERIES_MAX}`);
    this.number = number;
    this.series = series;
    this.startMs = startMs;
    this.stepMs = stepMs;
  }

  timeOf(step: number): number {
    return this.startMs + step * this.stepMs;
  }

  valueOf(step: number, series: number): number {
    return step * SERIES_MAX + series;
  }

  /** The first step after a time. */
  stepAfter(timeMs: number): number {
    return Math.max(0, Math.floor((timeMs - this.startMs) / this.stepMs) + 1);
  }

  /** Sum of the values of all series at a step. */
  sumOf(step: number): number {
    return step * SERIES_MAX * this.series + (this.series * (this.series - 1)) / 2;
  }

  labels(series: number): Record<string, string> {
    return { __name__: 'chaos', lane: `${this.number}`, series: `${series}` };
  }

  /** Samples that an answer must hold; taken before the question is asked. */
  expect(fromMs: number, toMs: number): Expectation {
    const from = this.stepAfter(fromMs);
    return { lane: this, from, to: Math.max(from, Math.min(this.acknowledged, this.stepAfter(toMs))), fromMs, toMs };
  }
}

/** Steps [from, to) that must be there; others within the times may. */
export interface Expectation {
  readonly lane: Lane;
  readonly from: number;
  readonly to: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Faults of an answer of raw samples: what is lost, double, changed, or was never sent. */
export function faultsOf({ lane, from, to, toMs }: Expectation, answer: readonly ApiSeries[]): string[] {
  const faults: string[] = [];
  const seen = new Set<number>();
  const last = Math.min(lane.sent, lane.stepAfter(toMs));
  for (const { metric, values = [] } of answer) {
    const series = Number(metric.series);
    const name = `lane ${lane.number}, series ${metric.series}`;
    if (metric.lane !== `${lane.number}` || !(series < lane.series)) faults.push(`${name}: it was not asked for`);
    if (seen.has(series)) faults.push(`${name}: it came twice`);
    seen.add(series);
    let next = from;
    for (const [seconds, text] of values) {
      const step = Math.round((seconds * 1000 - lane.startMs) / lane.stepMs);
      if (lane.timeOf(step) !== Math.round(seconds * 1000) || step >= last || step < from) {
        faults.push(`${name}: a sample at ${seconds} that was not sent`);
      } else if (Number(text) !== lane.valueOf(step, series)) {
        faults.push(`${name}: step ${step} is ${text}, not ${lane.valueOf(step, series)}`);
      } else if (step < next) faults.push(`${name}: step ${step} came twice`);
      else if (step > next && next < to) {
        faults.push(`${name}: steps ${next} to ${Math.min(step, to) - 1} of ${from} to ${to - 1} are missing`);
      }
      next = step + 1;
    }
    if (next < to) faults.push(`${name}: steps ${next} to ${to - 1} of ${from} to ${to - 1} are missing`);
  }
  if (to > from && seen.size < lane.series) {
    faults.push(
      `lane ${lane.number}: ${lane.series - seen.size} of ${lane.series} series are missing (steps ${from} to ${to - 1})`,
    );
  }
  return faults;
}
