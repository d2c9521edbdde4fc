// The engine's loops over rows: floats at steps or samples, in columns that the engine owns. Two at a time; every answer is bit for bit
// what src/promql says in JavaScript.

/** Whether any of `count` values is below the one before it. */
export function rowDrops(values: usize, count: u32): bool {
  if (count < 2) return false;
  const end = values + ((<usize>(count - 1)) << 3);
  let found = i64x2.splat(0);
  let p = values;
  for (; p + 16 <= end; p += 16) found = v128.or(found, f64x2.lt(v128.load(p, 8), v128.load(p)));
  if (p < end && load<f64>(p, 8) < load<f64>(p)) return true;
  return v128.any_true(found);
}

/** out[i] = values[at[i]] */
export function rowGather(values: usize, at: usize, count: u32, out: usize): void {
  const end = out + ((<usize>count) << 3);
  for (; out < end; out += 8) {
    store<u64>(out, load<u64>(values + ((<usize>load<u32>(at)) << 3)));
    at += 4;
  }
}

/** counts[i] += 1 */
export function rowCount(counts: usize, count: u32): void {
  const end = counts + ((<usize>count) << 3);
  const one = f64x2.splat(1);
  for (; counts + 16 <= end; counts += 16) v128.store(counts, f64x2.add(v128.load(counts), one));
  if (counts < end) store<f64>(counts, load<f64>(counts) + 1);
}

/** Adds to sums that are compensated by TwoSum: src/promql/exec/aggregate.ts. `values` and `sums` may become infinite. */
export function rowAdd(values: usize, sums: usize, lost: usize, count: u32): void {
  const end = values + ((<usize>count) << 3);
  const zero = f64x2.splat(0);
  while (values + 16 <= end) {
    const value = v128.load(values);
    const sum = v128.load(sums);
    const next = f64x2.add(sum, value);
    const taken = f64x2.sub(next, sum);
    const error = f64x2.add(f64x2.sub(sum, f64x2.sub(next, taken)), f64x2.sub(value, taken));
    const all = f64x2.add(v128.load(lost), error);
    v128.store(lost, v128.and(all, f64x2.eq(f64x2.sub(next, next), zero)));
    v128.store(sums, next);
    values += 16;
    sums += 16;
    lost += 16;
  }
  if (values < end) {
    const value = load<f64>(values);
    const sum = load<f64>(sums);
    const next = sum + value;
    const taken = next - sum;
    const error = sum - (next - taken) + (value - taken);
    store<f64>(lost, next - next == 0 ? load<f64>(lost) + error : 0);
    store<f64>(sums, next);
  }
}

/** Whether a sum would become infinite. */
export function rowOverflows(values: usize, sums: usize, count: u32): bool {
  const end = values + ((<usize>count) << 3);
  const infinity = f64x2.splat(Infinity);
  let found = i64x2.splat(0);
  while (values + 16 <= end) {
    found = v128.or(found, f64x2.eq(f64x2.abs(f64x2.add(v128.load(sums), v128.load(values))), infinity));
    values += 16;
    sums += 16;
  }
  if (values < end && Math.abs(load<f64>(sums) + load<f64>(values)) == Infinity) return true;
  return v128.any_true(found);
}

let ofCounter: bool = false;
let times: usize = 0;
let stride: usize = 0;
let perSecond: f64 = 1;

/**
 * The rates of `count` windows of a series without resets: src/promql/functions/rate.ts. `from` and `to` are u32 indexes of
 * the windows' samples, of which each has two at the least. At `table` lie four columns of floats, `columnBytes` apart: by what the
 * change is multiplied, what was sampled, and the seconds to the window's start and end. `pairs`: a window has two samples only.
 */
export function rowRate(
  values: usize,
  from: usize,
  to: usize,
  table: usize,
  columnBytes: u32,
  rangeSeconds: f64,
  counter: bool,
  pairs: bool,
  count: u32,
  out: usize,
): void {
  ofCounter = counter;
  times = table;
  stride = columnBytes;
  perSecond = rangeSeconds;
  const zero = f64x2.splat(0);
  const even = count & ~1;
  let i: u32 = 0;
  for (; i < even; i += 2) {
    const at = (<usize>i) << 2;
    const lo0 = values + ((<usize>load<u32>(from + at)) << 3);
    const lo1 = values + ((<usize>load<u32>(from + at, 4)) << 3);
    const hi0 = values + ((<usize>load<u32>(to + at)) << 3);
    const hi1 = values + ((<usize>load<u32>(to + at, 4)) << 3);
    const first = v128.load64_lane(lo1, v128.load64_zero(lo0), 1);
    const last = v128.load64_lane(hi1 - 8, v128.load64_zero(hi0 - 8), 1);
    const change = f64x2.sub(last, first);
    v128.store(out + (at << 1), f64x2.mul(change, v128.load(table + (at << 1))));
    if (!counter) continue;
    let young = v128.and(f64x2.gt(change, zero), f64x2.ge(first, zero));
    if (!pairs) young = v128.and(young, f64x2.lt(first, change));
    if (v128.any_true(young)) {
      rateOf(lo0, hi0, i, out);
      rateOf(lo1, hi1, i + 1, out);
    }
  }
  if (i < count) {
    const at = (<usize>i) << 2;
    rateOf(values + ((<usize>load<u32>(from + at)) << 3), values + ((<usize>load<u32>(to + at)) << 3), i, out);
  }
}

/** The rate of the samples at [lo, hi). */
function rateOf(lo: usize, hi: usize, i: u32, out: usize): void {
  const column = times + ((<usize>i) << 3);
  const first = load<f64>(lo);
  const change = load<f64>(hi - 8) - first;
  let factor = load<f64>(column);
  if (ofCounter && change > 0 && first >= 0 && (first < change || hi - lo == 16)) {
    const sampled = load<f64>(column + stride);
    const toZero = sampled * (first / change);
    if (toZero < load<f64>(column + 2 * stride)) {
      factor = (sampled + toZero + load<f64>(column + 3 * stride)) / sampled / perSecond;
    }
  }
  store<f64>(out + ((<usize>i) << 3), change * factor);
}
