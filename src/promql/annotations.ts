import { formatG } from '../lib/go-float.ts';
import { quoteGo } from '../model/labels.ts';
import { formatRough } from './format.ts';
import type { PosRange } from './position.ts';

export type HistogramOperation = 'addition' | 'subtraction' | 'aggregation';

/** What bucket counts had to be raised so that they do not fall. */
export interface ForcedMonotonicity {
  readonly minBucket: number;
  readonly maxBucket: number;
  readonly maxDiff: number;
}

interface Note {
  readonly text: string;
  pos: PosRange;
  forced: (ForcedMonotonicity & { readonly minMs: number; readonly maxMs: number; readonly count: number }) | undefined;
}

/**
 * What a query has to say beside its result. A text is kept once, with the last of its positions, as Prometheus
 * does. Source: Prometheus `util/annotations/annotations.go`.
 */
export class Annotations {
  readonly #warnings = new Map<string, Note>();
  readonly #infos = new Map<string, Note>();
  /** Of the storage: without position. */
  readonly #storage = new Set<string>();

  fromStorage(texts: readonly string[]): void {
    for (const text of texts) this.#storage.add(text);
  }

  invalidQuantile(q: number, pos: PosRange): void {
    this.#warn(`quantile value should be between 0 and 1, got ${formatG(q)}`, pos);
  }

  invalidRatio(ratio: number, to: number, pos: PosRange): void {
    this.#warn(`ratio value should be between -1 and 1, got ${formatG(ratio)}, capping to ${formatG(to)}`, pos);
  }

  badBucketLabel(metricName: string, value: string, pos: PosRange): void {
    this.#warn(`bucket label "le" is missing or has a malformed value of ${quoteGo(value)}${forName(metricName)}`, pos);
  }

  mixedFloatsHistograms(metricName: string, pos: PosRange): void {
    this.#warn(`encountered a mix of histograms and floats for metric name ${quoteGo(metricName)}`, pos);
  }

  mixedFloatsHistogramsAggregation(pos: PosRange): void {
    this.#warn('encountered a mix of histograms and floats for aggregation', pos);
  }

  mixedClassicNative(metricName: string, pos: PosRange): void {
    this.#warn(`vector contains a mix of classic and native histograms${forName(metricName)}`, pos);
  }

  notCounter(metricName: string, pos: PosRange): void {
    this.#warn(`this native histogram metric is not a counter: ${quoteGo(metricName)}`, pos);
  }

  notGauge(metricName: string, pos: PosRange): void {
    this.#warn(`this native histogram metric is not a gauge: ${quoteGo(metricName)}`, pos);
  }

  mixedExponentialCustom(metricName: string, pos: PosRange): void {
    this.#warn(
      `vector contains a mix of histograms with exponential and custom buckets schemas for metric name ${quoteGo(metricName)}`,
      pos,
    );
  }

  incompatibleBucketLayout(operator: string, pos: PosRange): void {
    this.#warn(`incompatible bucket layout encountered for binary operator ${operator}`, pos);
  }

  counterResetCollision(operation: HistogramOperation, pos: PosRange): void {
    this.#warn(`conflicting counter resets during histogram ${operation}`, pos);
  }

  sortInRangeQuery(pos: PosRange): void {
    this.#warn('sort is ineffective for range queries since results are always ordered by labels', pos);
  }

  startTimeOverlap(metricName: string, pos: PosRange): void {
    this.#warn(
      `sample has start time that overlaps with previous sample timestamp for metric ${quoteGo(metricName)}`,
      pos,
    );
  }

  possibleNonCounter(metricName: string, pos: PosRange): void {
    this.#info(
      `metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${quoteGo(metricName)}`,
      pos,
    );
  }

  possibleNonCounterLabel(metricName: string, type: string, pos: PosRange): void {
    this.#info(
      `metric might not be a counter, __type__ label is not set to "counter" or "histogram", got ${quoteGo(type)}: ${quoteGo(metricName)}`,
      pos,
    );
  }

  incompatibleTypes(lhs: string, operator: string, rhs: string, pos: PosRange): void {
    this.#info(
      `incompatible sample types encountered for binary operator ${quoteGo(operator)}: ${lhs} ${operator} ${rhs}`,
      pos,
    );
  }

  histogramIgnoredInAggregation(aggregation: string, pos: PosRange): void {
    this.#info(`ignored histogram in ${aggregation} aggregation`, pos);
  }

  histogramIgnoredInMixedRange(metricName: string, pos: PosRange): void {
    this.#info(
      `ignored histograms in a range containing both floats and histograms for metric name ${quoteGo(metricName)}`,
      pos,
    );
  }

  quantileNaNResult(metricName: string, pos: PosRange): void {
    this.#info(`input to histogram_quantile has NaN observations, result is NaN${forName(metricName)}`, pos);
  }

  quantileNaNSkew(metricName: string, pos: PosRange): void {
    this.#info(`input to histogram_quantile has NaN observations, result is skewed higher${forName(metricName)}`, pos);
  }

  fractionNaNs(metricName: string, pos: PosRange): void {
    this.#info(
      `input to histogram_fraction has NaN observations, which are excluded from all fractions${forName(metricName)}`,
      pos,
    );
  }

  mismatchedCustomBuckets(operation: HistogramOperation, pos: PosRange): void {
    this.#info(`mismatched custom buckets were reconciled during ${operation}`, pos);
  }

  forcedMonotonicity(metricName: string, pos: PosRange, timeMs: number, forced: ForcedMonotonicity): void {
    const text = `input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)${forName(metricName)}`;
    const seen = this.#infos.get(text);
    const before = seen?.forced;
    const now = { ...forced, minMs: timeMs, maxMs: timeMs, count: 1 };
    this.#infos.set(text, {
      text,
      pos: seen?.pos ?? pos,
      forced:
        before === undefined
          ? now
          : {
              minBucket: Math.min(before.minBucket, now.minBucket),
              maxBucket: Math.max(before.maxBucket, now.maxBucket),
              maxDiff: Math.max(before.maxDiff, now.maxDiff),
              minMs: Math.min(before.minMs, timeMs),
              maxMs: Math.max(before.maxMs, timeMs),
              count: before.count + 1,
            },
    });
  }

  #warn(text: string, pos: PosRange): void {
    note(this.#warnings, text, pos);
  }

  #info(text: string, pos: PosRange): void {
    note(this.#infos, text, pos);
  }

  /** As the API has them; positions are `line:column` in `query`, counted from 1. */
  strings(positionOf: (pos: PosRange) => string): { warnings: string[]; infos: string[] } {
    return {
      warnings: [...this.#storage, ...strings('PromQL warning', this.#warnings, positionOf)],
      infos: strings('PromQL info', this.#infos, positionOf),
    };
  }
}

/** Prometheus evaluates what stands later in a query later; here the order of evaluation is another. */
function note(notes: Map<string, Note>, text: string, pos: PosRange): void {
  const before = notes.get(text);
  if (before === undefined) notes.set(text, { text, pos, forced: undefined });
  else if (pos.start > before.pos.start) before.pos = pos;
}

function strings(kind: string, notes: ReadonlyMap<string, Note>, positionOf: (pos: PosRange) => string): string[] {
  return [...notes.values()].map(
    ({ text, pos, forced }) =>
      `${kind}: ${text}${forced === undefined ? '' : describeForced(forced)} (${positionOf(pos)})`,
  );
}

function describeForced(forced: NonNullable<Note['forced']>): string {
  const { minBucket, maxBucket, maxDiff, minMs, maxMs, count } = forced;
  return `, from buckets ${formatG(minBucket)} to ${formatG(maxBucket)}, with a max diff of ${formatRough(maxDiff)}, over ${count} samples from ${rfc3339(minMs)} to ${rfc3339(maxMs)}`;
}

function rfc3339(timeMs: number): string {
  return new Date(Math.trunc(timeMs / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

function forName(metricName: string): string {
  return metricName === '' ? '' : ` for metric name ${quoteGo(metricName)}`;
}
