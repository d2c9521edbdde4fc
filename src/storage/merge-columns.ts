import { FLOAT, HISTOGRAM, SampleColumns, STALE_HISTOGRAM } from './columns.ts';

/**
 * Puts the samples of several sources together, ascending by time and each time once: of samples with equal times a histogram goes
 * before a float, then the larger bits as an unsigned 64-bit integer. Only samples in [startMs, endMs] are taken.
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
    if (source.times[from]! > last) appendRange(out, source, from, to);
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

const spare = new SampleColumns(16);

/** Both are ascending but reach into each other. */
function interleave(out: SampleColumns, from: SampleColumns, start: number, end: number): void {
  const cut = lowerBound(out.times, 0, out.count, from.times[start]!);
  spare.clear();
  appendRange(spare, out, cut, out.count);
  out.truncate(cut);
  let a = 0;
  let b = start;
  while (a < spare.count && b < end) {
    const ta = spare.times[a]!;
    const tb = from.times[b]!;
    if (ta < tb) {
      appendRange(out, spare, a, a + 1);
      a++;
    } else if (tb < ta) {
      appendRange(out, from, b, b + 1);
      b++;
    } else {
      if (precedes(spare, a, from, b)) appendRange(out, spare, a, a + 1);
      else appendRange(out, from, b, b + 1);
      a++;
      b++;
    }
  }
  if (a < spare.count) appendRange(out, spare, a, spare.count);
  if (b < end) appendRange(out, from, b, end);
}

const bits = new Float64Array(2);
const words = new Uint32Array(bits.buffer);

/** Whether of two samples of the same time the first is the one to keep. */
function precedes(x: SampleColumns, i: number, y: SampleColumns, j: number): boolean {
  const xHistogram = !x.plain && x.kinds[i]! >= HISTOGRAM;
  const yHistogram = !y.plain && y.kinds[j]! >= HISTOGRAM;
  if (xHistogram !== yHistogram) return xHistogram;
  if (xHistogram) return (x.kinds[i] === STALE_HISTOGRAM ? 0 : 1) >= (y.kinds[j] === STALE_HISTOGRAM ? 0 : 1);
  bits[0] = x.values[i]!;
  bits[1] = y.values[j]!;
  return words[1]! > words[3]! || (words[1] === words[3] && words[0]! >= words[2]!);
}
