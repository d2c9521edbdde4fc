import type { QueryResult } from '../../src/contract/query.ts';
import { getOrMake } from '../../src/lib/map.ts';
import type { FloatHistogram } from '../../src/model/histogram.ts';
import { valueOfHistogram } from './histogram-value.ts';

/** A sample as somebody sent it: a series of a tenant, at a time. */
interface SentSample {
  /** Values that were sent for it: senders may differ. */
  readonly values: Set<number>;
  /** Start timestamps that were sent with it; 0: it had none. */
  readonly starts: Set<number>;
  /** True time when a write of it was acknowledged first; undefined: none was. */
  ackedMs: number | undefined;
}

interface Deletion {
  readonly metric: string;
  readonly startMs: number;
  readonly endMs: number;
  /** End of the range that is known to be deleted: not after `endMs`. */
  coveredMs: number;
  /** True time since which it may show, when it was sent. */
  readonly sentMs: number;
  /** True time since which nothing of it may be seen; undefined: nobody heard that it is in force. */
  ackedMs: number | undefined;
}

/** Samples by series and time. */
type MetricSamples = Map<string, Map<number, SentSample>>;

/** Times of samples and their values, by series. */
export type Answer = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** The first inclusive, the last exclusive, Unix ms. */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Selection {
  readonly tenant: string;
  readonly metric: string;
  /** Exclusive and inclusive, as a range selector has them. */
  readonly afterMs: number;
  readonly toMs: number;
}

/** Knows what was sent, acknowledged and deleted, and so what an answer must and may hold. */
export class Oracle {
  /** Samples by tenant and metric. */
  readonly #tenants = new Map<string, Map<string, MetricSamples>>();
  readonly #deletions = new Map<string, Deletion[]>();
  acked = 0;
  checked = 0;

  sent(tenant: string, metric: string, series: string, timeMs: number, value: number, startMs = 0): SentSample {
    const metrics = getOrMake(this.#tenants, tenant, () => new Map<string, MetricSamples>());
    const all = getOrMake(metrics, metric, () => new Map() as MetricSamples);
    const samples = getOrMake(all, series, () => new Map<number, SentSample>());
    const sample = getOrMake(
      samples,
      timeMs,
      (): SentSample => ({ values: new Set(), starts: new Set(), ackedMs: undefined }),
    );
    sample.values.add(value);
    sample.starts.add(startMs);
    return sample;
  }

  acknowledged(sample: SentSample, nowMs: number): void {
    if (sample.ackedMs === undefined) this.acked++;
    sample.ackedMs ??= nowMs;
  }

  deleting(tenant: string, metric: string, startMs: number, endMs: number, nowMs: number): Deletion {
    const deletion: Deletion = { metric, startMs, endMs, coveredMs: endMs, sentMs: nowMs, ackedMs: undefined };
    const all = this.#deletions.get(tenant) ?? [];
    this.#deletions.set(tenant, [...all, deletion]);
    return deletion;
  }

  /**
   * Holds an answer against what is known.
   * @param begunMs true time when the question was asked
   * @param missing ranges that the answer itself says may lack samples
   * @throws where something that must be there is not, or something is that must not be
   */
  check(selection: Selection, answer: Answer, begunMs: number, missing: readonly TimeRange[]): void {
    const { tenant, metric, afterMs, toMs } = selection;
    const known = this.#tenants.get(tenant)?.get(metric);
    const deletions = (this.#deletions.get(tenant) ?? []).filter((each) => each.metric === metric);
    const covering = (timeMs: number) => deletions.filter((each) => each.startMs <= timeMs && timeMs <= each.endMs);
    const told = `${metric} of ${tenant}`;
    for (const [series, samples] of answer) {
      for (const [timeMs, value] of samples) {
        this.checked++;
        const sample = known?.get(series)?.get(timeMs);
        if (sample === undefined) throw new Wrong(`${told} has ${series} at ${timeMs}, which nobody sent`);
        if (!sample.values.has(value)) {
          const sent = [...sample.values].join(', ');
          throw new Wrong(`${told} has ${series} at ${timeMs} with ${value}, and only ${sent} was sent`);
        }
        const deleted = covering(timeMs).find(
          ({ ackedMs, coveredMs }) => ackedMs !== undefined && ackedMs < begunMs && timeMs <= coveredMs,
        );
        if (deleted !== undefined) throw new Wrong(`${told} has ${series} at ${timeMs}, which is deleted`);
      }
    }
    for (const [series, samples] of known ?? []) {
      const found = answer.get(series);
      for (const [timeMs, { ackedMs }] of samples) {
        if (timeMs <= afterMs || timeMs > toMs || ackedMs === undefined || ackedMs >= begunMs) continue;
        if (missing.some(({ fromMs, toMs }) => fromMs <= timeMs && timeMs < toMs)) continue;
        if (found?.has(timeMs) || covering(timeMs).length > 0) continue;
        const ageMs = Math.round(begunMs - ackedMs);
        throw new Wrong(`${told} lacks ${series} at ${timeMs}, acknowledged ${ageMs} ms before it was asked for`);
      }
    }
  }

  /**
   * Holds a list of series of some metrics against what is known.
   * @param found series, or parts of them as `partOf` makes them
   * @param isWhole whether the answer says of nothing that it lacks it
   */
  checkSeries(
    { tenant, afterMs, toMs }: Omit<Selection, 'metric'>,
    metrics: readonly string[],
    found: ReadonlySet<string>,
    partOf: (series: string) => string,
    begunMs: number,
    isWhole: boolean,
  ): void {
    const deletions = this.#deletions.get(tenant) ?? [];
    const known = new Set<string>();
    for (const metric of metrics) {
      const all = this.#tenants.get(tenant)?.get(metric) ?? [];
      const own = deletions.filter((each) => each.metric === metric);
      for (const [series, samples] of all) {
        const part = partOf(series);
        known.add(part);
        if (!isWhole || found.has(part)) continue;
        for (const [timeMs, { ackedMs }] of samples) {
          if (timeMs <= afterMs || timeMs > toMs || ackedMs === undefined || ackedMs >= begunMs) continue;
          if (own.some((each) => each.startMs <= timeMs && timeMs <= each.endMs)) continue;
          throw new Wrong(
            `${tenant} lacks ${part} in a list of series, of which a sample of ${timeMs} is acknowledged`,
          );
        }
      }
    }
    for (const part of found) {
      this.checked++;
      if (!known.has(part)) throw new Wrong(`${tenant} has ${part} in a list of series, which nobody sent`);
    }
  }

  /** Holds start timestamps of newest samples, by series, against those that were sent with any of the range. */
  checkStarts({ tenant, metric, afterMs, toMs }: Selection, starts: ReadonlyMap<string, number>): void {
    const known = this.#tenants.get(tenant)?.get(metric);
    for (const [series, startMs] of starts) {
      const sent = new Set<number>();
      for (const [timeMs, sample] of known?.get(series) ?? []) {
        if (timeMs > afterMs && timeMs <= toMs) for (const each of sample.starts) sent.add(each);
      }
      if (sent.has(startMs)) continue;
      const told = `${metric} of ${tenant} has ${series} started at ${startMs}`;
      throw new Wrong(`${told}, and only ${[...sent].join(', ')} was sent`);
    }
  }
}

/** Samples of one that was given up may have been sent so long after the time that its warning names, by whatever clock. */
const AHEAD_MS_MAX = 3_600_000;

/** Ranges that an answer's warnings say may lack samples. A warning that says something else lets nothing be missing. */
export function toldMissing(warnings: readonly string[]): readonly TimeRange[] {
  const [always, never] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  return warnings.flatMap((warning) => {
    const [, from, to] = /samples from (\S+Z) to (\S+Z)/.exec(warning) ?? [];
    if (from !== undefined && to !== undefined) return [{ fromMs: Date.parse(from), toMs: Date.parse(to) }];
    const [, until] = / was given up at (\S+Z): samples until then/.exec(warning) ?? [];
    if (until !== undefined) return [{ fromMs: always, toMs: Date.parse(until) + AHEAD_MS_MAX }];
    // a part of a log before which no sample was read: any time may be touched
    return warning.endsWith('were corrupt: samples may be missing') ? [{ fromMs: always, toMs: never }] : [];
  });
}

/** The first difference of two answers, for an error; undefined: they are the same. */
export function differenceOf(a: Answer, b: Answer): string | undefined {
  for (const series of new Set([...a.keys(), ...b.keys()])) {
    const [own, others] = [a.get(series), b.get(series)];
    for (const timeMs of new Set([...(own?.keys() ?? []), ...(others?.keys() ?? [])])) {
      const [value, other] = [own?.get(timeMs), others?.get(timeMs)];
      if (value !== other)
        return `${series} at ${timeMs} is ${value ?? 'missing'} here and ${other ?? 'missing'} there`;
    }
  }
  return undefined;
}

/** An answer that no cluster may give. */
export class Wrong extends Error {
  override readonly name = 'Wrong';
}

/** The answer to a range selector. @throws Wrong where a sample is there twice */
export function answerOf({ value }: QueryResult): Answer {
  if (value.type !== 'matrix') throw new Error(`bug: a ${value.type}`);
  const answer = new Map<string, Map<number, number>>();
  for (const { pairs, times, values, histograms } of value.series) {
    const series = seriesKey(pairs);
    if (answer.has(series)) throw new Wrong(`${series} is there twice`);
    const samples = new Map<number, number>();
    for (const [i, timeMs] of times.entries()) {
      if (samples.has(timeMs)) throw new Wrong(`${series} at ${timeMs} is there twice`);
      samples.set(timeMs, valueAt(values[i]!, histograms?.[i], series));
    }
    answer.set(series, samples);
  }
  return answer;
}

/** The answer to `start_timestamp` of a metric, by series, Unix ms. */
export function startsOf({ value }: QueryResult, metric: string): ReadonlyMap<string, number> {
  if (value.type !== 'vector') throw new Error(`bug: a ${value.type}`);
  return new Map(
    value.pairs.map((pairs, i) => [seriesKey(['__name__', metric, ...pairs]), Math.round(value.values[i]! * 1000)]),
  );
}

function valueAt(value: number, histogram: FloatHistogram | undefined, series: string): number {
  if (histogram === undefined) return value;
  const found = valueOfHistogram(histogram);
  if (found === undefined) throw new Wrong(`${series} has a histogram that nobody sent: ${JSON.stringify(histogram)}`);
  return found;
}

export function seriesKey(pairs: readonly string[]): string {
  return pairs.join(' ');
}
