import type { GroupSeries } from '../chunk/group/series.ts';
import { spread } from '../chunk/histogram-layout.ts';
import { equalBounds, type FloatHistogram, type Span, withResetHint } from '../model/histogram.ts';
import { detectReset } from '../model/histogram-reset.ts';
import {
  compactSide,
  negativeSide,
  positiveSide,
  type Side,
  SideBuilder,
  SideCursor,
  sameLayout,
} from '../model/histogram-side.ts';
import { FLOAT, HISTOGRAM, type SampleColumns } from '../storage/columns.ts';

// Samples of a series as groups have them: the same for every holder, however its chunks were cut and in whatever order samples came.

/** Buckets that histograms with a layout in common may have, for each that is not empty. */
const EMPTY_PER_FILLED_MAX = 4;
/** Buckets that they may have in any case. */
const BUCKETS_FREE = 1024;

/**
 * The samples of a series for a group, which hold as long as the columns do. Where histograms follow one another they share a layout: the
 * buckets that any of them fills. Whether a counter began anew is said of each by the one before it in the window.
 */
export function canonicalSeries(labels: Uint8Array, columns: SampleColumns, parts?: string[]): GroupSeries {
  const { count } = columns;
  const kinds = columns.plain ? undefined : columns.kinds.subarray(0, count);
  const hasKinds = kinds?.some((kind) => kind !== FLOAT) ?? false;
  const hasHistograms = kinds?.includes(HISTOGRAM) ?? false;
  const starts = columns.hasStarts ? columns.starts.subarray(0, count) : undefined;
  return {
    labels,
    ...(parts && { parts }),
    times: columns.times.subarray(0, count),
    values: columns.values.subarray(0, count),
    kinds: hasKinds ? kinds : undefined,
    histograms: hasHistograms ? canonicalHistograms(columns) : undefined,
    starts: starts?.some((startMs) => startMs !== 0) ? starts : undefined,
  };
}

function canonicalHistograms({ count, kinds, histograms }: SampleColumns): (FloatHistogram | undefined)[] {
  const out = new Array<FloatHistogram | undefined>(count);
  let stretch = new Stretch();
  const close = () => {
    stretch.write(out);
    stretch = new Stretch();
  };
  for (let i = 0; i < count; i++) {
    if (kinds[i] !== HISTOGRAM) continue;
    const histogram = histograms[i]!;
    if (!stretch.takes(i, histogram)) {
      close();
      stretch.takes(i, histogram);
    }
  }
  close();
  for (let i = 0; i < count; i++) {
    const histogram = out[i];
    if (histogram === undefined || histogram.resetHint === 'gauge') continue;
    const before = i > 0 ? out[i - 1] : undefined;
    const isCounter = before !== undefined && before.resetHint !== 'gauge';
    if (isCounter && !detectReset(histogram, before)) out[i] = withResetHint(histogram, 'not_reset');
  }
  return out;
}

/** Histograms that follow one another and get a layout in common. */
class Stretch {
  readonly #members: { readonly at: number; readonly histogram: FloatHistogram }[] = [];
  readonly #positive = new FilledBuckets();
  readonly #negative = new FilledBuckets();
  #filled = 0;

  /** False where it does not fit: it begins another. */
  takes(at: number, histogram: FloatHistogram): boolean {
    const first = this.#members[0]?.histogram;
    if (first !== undefined && !isOfKind(first, histogram)) return false;
    const positive = this.#positive.with(positiveSide(histogram));
    const negative = this.#negative.with(negativeSide(histogram));
    const filled = this.#filled + positive.filled + negative.filled;
    const width = positive.width + negative.width;
    const room = BUCKETS_FREE + EMPTY_PER_FILLED_MAX * filled;
    if (first !== undefined && width * (this.#members.length + 1) > room) return false;
    this.#positive.add(positive.added);
    this.#negative.add(negative.added);
    this.#filled = filled;
    this.#members.push({ at, histogram });
    return true;
  }

  write(out: (FloatHistogram | undefined)[]): void {
    const positiveSpans = this.#positive.spans();
    const negativeSpans = this.#negative.spans();
    for (const { at, histogram } of this.#members) {
      out[at] = {
        ...histogram,
        resetHint: histogram.resetHint === 'gauge' ? 'gauge' : 'unknown',
        positiveSpans,
        negativeSpans,
        positiveBuckets: filledIn(positiveSide(histogram), positiveSpans),
        negativeBuckets: filledIn(negativeSide(histogram), negativeSpans),
      };
    }
  }
}

function isOfKind(a: FloatHistogram, b: FloatHistogram): boolean {
  return (
    a.schema === b.schema &&
    Object.is(a.zeroThreshold, b.zeroThreshold) &&
    equalBounds(a.customValues, b.customValues) &&
    (a.resetHint === 'gauge') === (b.resetHint === 'gauge')
  );
}

/** Indexes of buckets that some histogram fills. */
class FilledBuckets {
  readonly #indexes = new Set<number>();
  /** The last layout, and which of its buckets are known to be filled. */
  #spans: readonly Span[] | undefined;
  #known = new Uint8Array(0);

  /** Buckets that a histogram fills, and the width of the layout with them. */
  with({ spans, buckets }: Side) {
    let filled = 0;
    let isKnown = this.#spans === spans;
    for (let i = 0; i < buckets.length; i++) {
      if (buckets[i] === 0) continue;
      filled++;
      if (isKnown && this.#known[i] !== 1) isKnown = false;
    }
    const added = isKnown ? undefined : { spans, buckets, news: this.#newsOf(spans, buckets) };
    return { filled, width: this.#indexes.size + (added?.news.length ?? 0), added };
  }

  #newsOf(spans: readonly Span[], buckets: readonly number[]): number[] {
    const news: number[] = [];
    for (const cursor = new SideCursor(spans, buckets); cursor.next(); ) {
      if (cursor.count !== 0 && !this.#indexes.has(cursor.index)) news.push(cursor.index);
    }
    return news;
  }

  add(added: ReturnType<FilledBuckets['with']>['added']): void {
    if (added === undefined) return;
    const { spans, buckets, news } = added;
    for (const index of news) this.#indexes.add(index);
    if (this.#spans !== spans) {
      this.#spans = spans;
      this.#known = new Uint8Array(buckets.length);
    }
    for (let i = 0; i < buckets.length; i++) if (buckets[i] !== 0) this.#known[i] = 1;
  }

  /** The fewest that have all of them. */
  spans(): readonly Span[] {
    const out = new SideBuilder();
    for (const index of [...this.#indexes].sort((a, b) => a - b)) out.push(index, 0);
    return out.finish().spans;
  }
}

/** The buckets of a side in a layout that has all that are filled. */
function filledIn(side: Side, spans: readonly Span[]): readonly number[] {
  if (sameLayout(side.spans, spans)) return side.buckets;
  return spread(compactSide(side), spans);
}
