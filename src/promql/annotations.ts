import type { ForcedBuckets, NoteList, QueryNote, QueryNotes } from '../contract/query.ts';
import { formatG } from '../lib/go-float.ts';
import { quoteGo } from '../model/labels.ts';
import { formatRough } from './format.ts';
import type { PosRange } from './position.ts';

export type HistogramOperation = 'addition' | 'subtraction' | 'aggregation';

/** The first and the last bucket, by bound, whose counts had to be raised so that they do not fall, and the largest raise. */
export type ForcedMonotonicity = Pick<ForcedBuckets, 'minBucket' | 'maxBucket' | 'maxDiff'>;

interface Note extends QueryNote {
  pos: PosRange;
  by: PosRange;
  count: number;
  forced: ForcedBuckets | undefined;
}

/**
 * Notes of a query that go beside its result. A text is kept once, with the last of its positions, as Prometheus
 * does. Source: Prometheus `util/annotations/annotations.go`.
 */
export class Annotations {
  readonly #warnings = new Notes();
  readonly #infos = new Notes();
  /** Warnings of the storage, which have no position. */
  readonly #storage = new Set<string>();
  readonly #owed: (() => void)[] = [];

  /** `tell` is called when all is evaluated: it notes what can be said only then. */
  owed(tell: () => void): void {
    this.#owed.push(tell);
  }

  fromStorage(texts: readonly string[]): void {
    for (const text of texts) this.#storage.add(text);
  }

  /** @param by the whole of what says it, where that is more than `pos` */
  invalidQuantile(q: number, pos: PosRange, by: PosRange): void {
    this.#warn(`quantile value should be between 0 and 1, got ${formatG(q)}`, pos, by);
  }

  invalidIntegralStrategy(strategy: number, pos: PosRange, by: PosRange): void {
    this.#warn(`strategy should be 0, 1, or 2 (default), using 2, got ${formatG(strategy)}`, pos, by);
  }

  invalidRatio(ratio: number, to: number, pos: PosRange, by: PosRange): void {
    this.#warn(`ratio value should be between -1 and 1, got ${formatG(ratio)}, capping to ${formatG(to)}`, pos, by);
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
    const text = `sample has start time that overlaps with previous sample timestamp for metric ${quoteGo(metricName)}`;
    const note = this.#warnings.first(text, pos);
    if (note !== undefined) note.count++;
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

  histogramIgnoredInMixedRange(metricName: string, pos: PosRange, by: PosRange): void {
    this.#info(
      `ignored histograms in a range containing both floats and histograms for metric name ${quoteGo(metricName)}`,
      pos,
      by,
    );
  }

  /** Told to who puts pieces of a window together, to nobody else. */
  roundedPiece(pos: PosRange): void {
    this.#info('a sum over a piece of a window may be rounded', pos);
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
    const seen = this.#infos.first(text, pos);
    if (seen === undefined) return;
    seen.forced = forcedTogether(seen.forced, { ...forced, minMs: timeMs, maxMs: timeMs, count: 1 });
  }

  #warn(text: string, pos: PosRange, by = pos): void {
    this.#warnings.note(text, pos, by);
  }

  #info(text: string, pos: PosRange, by = pos): void {
    this.#infos.note(text, pos, by);
  }

  /** Whether what parts of the series have to say is together what all of them have: nothing is counted, nothing left out. */
  get areMergeable(): boolean {
    const lists = [this.#warnings, this.#infos];
    return lists.every((notes) => notes.omitted === 0 && [...notes.values()].every((note) => !isCounted(note)));
  }

  /** Notes of some of the steps, once all is noted. */
  plain(): QueryNotes {
    this.#tellOwed();
    return { storage: [...this.#storage], warnings: this.#warnings.plain(), infos: this.#infos.plain() };
  }

  /** Adds what other steps of the same query had to say. */
  absorb({ storage, warnings, infos }: QueryNotes): void {
    this.fromStorage(storage);
    this.#warnings.absorb(warnings);
    this.#infos.absorb(infos);
  }

  #tellOwed(): void {
    for (const tell of this.#owed.splice(0)) tell();
  }

  /** As the API has them; positions are `line:column` in `query`, counted from 1. */
  strings(positionOf: (pos: PosRange) => string): { warnings: string[]; infos: string[] } {
    this.#tellOwed();
    return {
      warnings: [...this.#storage, ...strings('warning', this.#warnings, positionOf)],
      infos: strings('info', this.#infos, positionOf),
    };
  }
}

function isCounted({ count, forced }: Note): boolean {
  return count > 0 || forced !== undefined;
}

/** Different texts of a kind that are kept, and their characters together: each metric of a query may make one. */
export const NOTES_MAX = 1000;
export const NOTES_CHARS_MAX = 1 << 20;

/** Texts of one kind, each once. */
class Notes {
  readonly #byText = new Map<string, Note>();
  #chars = 0;
  /** Times that a text was left out. */
  omitted = 0;

  /** The note of a text; undefined where there is no room for another one. */
  of(text: string, pos: PosRange, by: PosRange): Note | undefined {
    let note = this.#byText.get(text);
    if (note !== undefined) return note;
    if (this.#byText.size === NOTES_MAX || this.#chars + text.length > NOTES_CHARS_MAX) {
      this.omitted++;
      return undefined;
    }
    note = { text, pos, by, count: 0, forced: undefined };
    this.#byText.set(text, note);
    this.#chars += text.length;
    return note;
  }

  /** A text that is told of the last place where it was found. */
  note(text: string, pos: PosRange, by: PosRange): void {
    const note = this.of(text, pos, by);
    if (note === undefined || !isLater(by, note.by)) return;
    note.pos = pos;
    note.by = by;
  }

  /** A text that is told of the first place where it was found. */
  first(text: string, pos: PosRange): Note | undefined {
    const note = this.of(text, pos, pos);
    if (note !== undefined && isLater(note.pos, pos)) note.pos = pos;
    return note;
  }

  values(): Iterable<Note> {
    return this.#byText.values();
  }

  plain(): NoteList {
    return { notes: Array.from(this.#byText.values(), (note) => ({ ...note })), omitted: this.omitted };
  }

  absorb({ notes, omitted }: NoteList): void {
    this.omitted += omitted;
    for (const { text, pos, by, count, forced } of notes) {
      // texts that are counted are told of the first place, all others of the last
      if (count === 0 && forced === undefined) this.note(text, pos, by);
      else {
        const seen = this.first(text, pos);
        if (seen === undefined) continue;
        seen.count += count;
        if (forced !== undefined) seen.forced = forcedTogether(seen.forced, forced);
      }
    }
  }
}

function forcedTogether(a: ForcedBuckets | undefined, b: ForcedBuckets): ForcedBuckets {
  if (a === undefined) return b;
  return {
    minBucket: Math.min(a.minBucket, b.minBucket),
    maxBucket: Math.max(a.maxBucket, b.maxBucket),
    maxDiff: Math.max(a.maxDiff, b.maxDiff),
    minMs: Math.min(a.minMs, b.minMs),
    maxMs: Math.max(a.maxMs, b.maxMs),
    count: a.count + b.count,
  };
}

/** Prometheus evaluates what stands later in a query later, and what is around something after it; here the order is another. */
function isLater(a: PosRange, b: PosRange): boolean {
  if (a.start > b.start) return a.end > b.end || !contains(b, a);
  return contains(a, b) && !contains(b, a);
}

function contains(outer: PosRange, inner: PosRange): boolean {
  return outer.start <= inner.start && outer.end >= inner.end;
}

function strings(kind: 'warning' | 'info', notes: Notes, positionOf: (pos: PosRange) => string): string[] {
  const texts = Array.from(
    notes.values(),
    ({ text, pos, count, forced }) =>
      `PromQL ${kind}: ${text}${count > 1 ? ` (${count} occurrences)` : ''}${forced === undefined ? '' : describeForced(forced)} (${positionOf(pos)})`,
  );
  if (notes.omitted > 0) texts.push(`more ${kind} annotations omitted (at most ${NOTES_MAX} are kept)`);
  return texts;
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
