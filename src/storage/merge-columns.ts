import { withResetHint } from '../model/histogram.ts';
import { histogramBytes } from '../model/histogram-bytes.ts';
import { FLOAT, HISTOGRAM, SampleColumns, STALE } from './columns.ts';

/**
 * Puts the samples of several sources together, ascending by time and each time once: of samples with equal times a histogram goes
 * before a float, then the larger bits as an unsigned 64-bit integer (of histograms the larger canonical bytes). Only samples in
 * [startMs, endMs] are taken. A histogram that follows on one of another source does not know whether the counter was reset between.
 */
export function mergeColumns(
  sources: readonly SampleColumns[],
  startMs: number,
  endMs: number,
  out: SampleColumns,
): void {
  out.clear();
  const some = sources.filter(({ count }) => count > 0);
  some.sort((a, b) => a.times[0]! - b.times[0]!);
  for (const source of some) {
    const last = out.count === 0 ? Number.NEGATIVE_INFINITY : out.times[out.count - 1]!;
    const from = lowerBound(source.times, 0, source.count, startMs);
    const to = lowerBound(source.times, from, source.count, nextAfter(endMs));
    if (from === to) continue;
    if (source.times[from]! > last) appendNext(out, source, from, to);
    else interleave(out, source, from, to);
  }
}

/** Index of the first time at or after `ms`. */
export function lowerBound(times: Float64Array, from: number, to: number, ms: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The next time that a sample can have: times are whole milliseconds, ranges need not be. */
function nextAfter(ms: number): number {
  return Math.floor(ms) + 1;
}

function appendRange(out: SampleColumns, from: SampleColumns, start: number, end: number): void {
  const at = out.count;
  const n = end - start;
  out.reserve(at + n);
  out.times.set(from.times.subarray(start, end), at);
  out.values.set(from.values.subarray(start, end), at);
  if (!from.plain) {
    if (out.plain) out.kinds.fill(FLOAT, 0, at);
    out.kinds.set(from.kinds.subarray(start, end), at);
    for (let i = start; i < end; i++)
      if (from.kinds[i] === HISTOGRAM) out.histograms[at + i - start] = from.histograms[i];
    out.plain = false;
  } else if (!out.plain) {
    out.kinds.fill(FLOAT, at, at + n);
  }
  if (from.hasStarts || out.hasStarts) {
    out.needStarts();
    if (from.hasStarts) out.starts.set(from.starts.subarray(start, end), at);
    else out.starts.fill(0, at, at + n);
  }
  out.count = at + n;
}

/** The same, of another source than the sample before. */
function appendNext(out: SampleColumns, from: SampleColumns, start: number, end: number): void {
  const at = out.count;
  appendRange(out, from, start, end);
  if (at === 0 || from.plain || from.kinds[start] !== HISTOGRAM) return;
  const histogram = from.histograms[start]!;
  if (histogram.resetHint !== 'gauge') out.histograms[at] = withResetHint(histogram, 'unknown');
}

const spare = new SampleColumns(16);

/** Both are ascending but reach into each other. */
function interleave(out: SampleColumns, from: SampleColumns, start: number, end: number): void {
  const cut = lowerBound(out.times, 0, out.count, from.times[start]!);
  spare.clear();
  appendRange(spare, out, cut, out.count);
  const floats = isFloats(out) && isFloats(from);
  out.truncate(cut);
  if (floats) {
    interleaveFloats(out, spare, from, start, end);
    return;
  }
  let a = 0;
  let b = start;
  /** Which of them the last sample was of. */
  let last: SampleColumns | undefined;
  while (a < spare.count && b < end) {
    const ta = spare.times[a]!;
    const tb = from.times[b]!;
    const first = ta < tb || (ta === tb && precedes(spare, a, from, b));
    const source = first ? spare : from;
    const at = first ? a : b;
    // the first of `out` follows on what is before the cut, as it did before
    if (source === last || (last === undefined && first)) appendRange(out, source, at, at + 1);
    else appendNext(out, source, at, at + 1);
    last = source;
    if (ta <= tb) a++;
    if (tb <= ta) b++;
  }
  if (a < spare.count) (last === spare ? appendRange : appendNext)(out, spare, a, spare.count);
  if (b < end) (last === from ? appendRange : appendNext)(out, from, b, end);
}

/** Whether there is nothing but values and stale markers. */
function isFloats({ hasStarts, histograms }: SampleColumns): boolean {
  return !hasStarts && histograms.length === 0;
}

/**
 * Appends all of `a` and what of `b` is at [start, end), by the rules of `mergeColumns`. A window that has been flushed stays in memory
 * for a while: then each of its samples is in both.
 */
function interleaveFloats(out: SampleColumns, a: SampleColumns, b: SampleColumns, start: number, end: number): void {
  const plain = out.plain && a.plain && b.plain;
  out.reserve(out.count + a.count + end - start);
  if (!plain && out.plain) out.kinds.fill(FLOAT, 0, out.count);
  out.plain = plain;
  out.timesId = 0;
  const { times, values, kinds } = out;
  const { times: aTimes, values: aValues, count: aEnd } = a;
  const { times: bTimes, values: bValues } = b;
  let to = out.count;
  let i = 0;
  let j = start;
  while (i < aEnd || j < end) {
    const aTime = i < aEnd ? aTimes[i]! : Number.POSITIVE_INFINITY;
    const bTime = j < end ? bTimes[j]! : Number.POSITIVE_INFINITY;
    const value = aValues[i]!;
    const ofA = aTime < bTime || (aTime === bTime && (isSame(value, bValues[j]!) || precedes(a, i, b, j)));
    const source = ofA ? a : b;
    const at = ofA ? i : j;
    times[to] = source.times[at]!;
    const kept = source.values[at]!;
    if (Number.isNaN(kept))
      values.set(source.values.subarray(at, at + 1), to); // by bits
    else values[to] = kept;
    if (!plain) kinds[to] = source.plain ? FLOAT : source.kinds[at]!;
    to++;
    if (aTime <= bTime) i++;
    if (bTime <= aTime) j++;
  }
  out.count = to;
}

/** Whether two floats have equal bits; of NaN it is not said. */
function isSame(a: number, b: number): boolean {
  return a === b && (a !== 0 || Object.is(a, b));
}

const bits = new Float64Array(2);
const words = new Uint32Array(bits.buffer);
/** Bits that stale markers count as, whatever became of their own. */
const STALE_BITS = [0x7ff00000, 2] as const;

/** Whether of two samples of the same time the first is the one to keep. */
function precedes(x: SampleColumns, i: number, y: SampleColumns, j: number): boolean {
  const xKind = x.plain ? FLOAT : x.kinds[i]!;
  const yKind = y.plain ? FLOAT : y.kinds[j]!;
  // a histogram before its stale marker, both before floats
  const rank = rankOf(xKind) - rankOf(yKind);
  if (rank !== 0) return rank > 0;
  if (xKind === HISTOGRAM) {
    const order = compareBytes(histogramBytes(x.histograms[i]!), histogramBytes(y.histograms[j]!));
    if (order !== 0) return order > 0;
  } else if (xKind <= STALE) {
    bits[0] = x.values[i]!;
    bits[1] = y.values[j]!;
    if (xKind === STALE) [words[1], words[0]] = STALE_BITS;
    if (yKind === STALE) [words[3], words[2]] = STALE_BITS;
    if (words[1] !== words[3]) return words[1]! > words[3]!;
    if (words[0] !== words[2]) return words[0]! > words[2]!;
  }
  return (x.hasStarts ? x.starts[i]! : 0) >= (y.hasStarts ? y.starts[j]! : 0);
}

function rankOf(kind: number): number {
  return kind === HISTOGRAM ? 2 : kind <= STALE ? 0 : 1;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
