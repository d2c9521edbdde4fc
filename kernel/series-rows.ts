// Rows of many series at once: chunks of the head are decoded, windows found, a function evaluated at each step, and no sample leaves the
// kernel. Every answer is bit for bit what src/promql says in JavaScript. What is rare is left to it: gaps between the steps that have a
// value, stale markers, chunks that overlap or are no XOR, averages that overflow.
import {
  ROW_AVG,
  ROW_CHANGES,
  ROW_CHUNKS_FROM,
  ROW_CHUNKS_TO,
  ROW_COUNT,
  ROW_DELTA,
  ROW_DISTINCT,
  ROW_ENTRY_WORDS,
  ROW_FROM,
  ROW_LAST,
  ROW_LONGEST,
  ROW_MAX,
  ROW_MIN,
  ROW_OTHERWISE,
  ROW_RATE,
  ROW_RESETS,
  ROW_SAMPLES,
  ROW_SLOTS,
  ROW_STEP_BYTES,
  ROW_SUM,
  ROW_TO,
  ROW_TOTAL,
} from '../src/storage/row-layout';
import { readFlags, readSameTimes, readSeries } from './query';
import { rowDrops, rowRate } from './rows';
import { XOR_STALE } from './xor';

// a list of times and what was found from it
const S_COUNT: usize = 0; // u32, samples; NOT_FOUND: the slot is free
const S_LO: usize = 4; // u32, the first sample of the range
const S_SAMPLES: usize = 8; // u32, samples of the range
const S_FROM: usize = 12; // u32, steps with a value, from and to
const S_TO: usize = 16;
const S_GAP: usize = 20; // u32, 1: steps between them have none
const S_PAIRS: usize = 24; // u32, 1: a window has two samples only
const S_TOTAL: usize = 28; // u32
const S_DISTINCT: usize = 32; // u32
const S_LONGEST: usize = 36; // u32
const S_NEED_FROM: usize = 40; // u32, samples that windows have, from and to
const S_NEED_TO: usize = 44;
const S_SPARSE: usize = 48; // u32, 1: many of the blocks in between have none that is looked at
const S_BLOCKS: usize = 56; // a bit for each 32 samples behind the first of all: whether any of them is looked at
const SLOT_BYTES: usize = 56 + 2048 / 8;
const NOT_FOUND: u32 = 0xffffffff;
const slots: usize = memory.data(4992);

let func: u32 = 0;
let steps: u32 = 0;
let firstEnd: f64 = 0;
let apart: f64 = 0;
let back: f64 = 0;
let rangeSeconds: f64 = 1;
let rangeFrom: f64 = 0;
let rangeTo: f64 = 0;
/** Samples of a series at most. */
let capacity: u32 = 0;
/** Times of the series at hand, and its values. */
let times: usize = 0;
let values: usize = 0;
/** A u32 for each sample. */
let marks: usize = 0;
/** The slots' times, `capacity` doubles each; and their windows and tables. */
let keptTimes: usize = 0;
let keptSteps: usize = 0;
/** The slot of the series before, and the one that is taken next. */
let current: u32 = 0;
let oldest: u32 = 0;
let begun: u32 = 0;

/** Bytes of scratch for series of up to `samples` samples. */
export function rowsSampleBytes(samples: u32): u32 {
  return samples * (20 + 8 * <u32>ROW_SLOTS);
}

/**
 * Begins rows of `count` steps. Windows end at `firstEndMs` and `stepMs` after each other, inclusive, and reach back `backMs`, exclusive.
 * Samples count from `startMs` to `endMs`, both inclusive. `samples` has `rowsSampleBytes` bytes, `perStep` ROW_SLOTS · ROW_STEP_BYTES
 * for each step; both aligned to 8.
 */
export function rowsBegin(
  ofFunc: u32,
  count: u32,
  firstEndMs: f64,
  stepMs: f64,
  backMs: f64,
  perSecond: f64,
  startMs: f64,
  endMs: f64,
  samples: usize,
  samplesMax: u32,
  perStep: usize,
): void {
  func = ofFunc;
  steps = count;
  firstEnd = firstEndMs;
  apart = stepMs;
  back = backMs;
  rangeSeconds = perSecond;
  rangeFrom = startMs;
  rangeTo = Math.floor(endMs) + 1;
  capacity = samplesMax;
  times = samples;
  values = times + ((<usize>capacity) << 3);
  keptTimes = values + ((<usize>capacity) << 3);
  marks = keptTimes + <usize>ROW_SLOTS * ((<usize>capacity) << 3);
  keptSteps = perStep;
  current = 0;
  oldest = 0;
  begun++;
  for (let i: u32 = 0; i < <u32>ROW_SLOTS; i++) store<u32>(slotAt(i) + S_COUNT, NOT_FOUND);
}

/** Fills the rows of `count` series one after another into `out`, `steps` doubles each. */
export function rowsRead(entries: usize, count: u32, out: usize): void {
  const rowBytes = (<usize>steps) << 3;
  for (let i: u32 = 0; i < count; i++) {
    const entry = entries + <usize>i * ((<usize>ROW_ENTRY_WORDS) << 2);
    if (!rowOf(entry, out + <usize>i * rowBytes)) setWord(entry, ROW_FROM, ROW_OTHERWISE);
  }
}

// @ts-ignore: decorator
@inline function word(entry: usize, at: i32): u32 {
  return load<u32>(entry + ((<usize>at) << 2));
}

// @ts-ignore: decorator
@inline function setWord(entry: usize, at: i32, value: u32): void {
  store<u32>(entry + ((<usize>at) << 2), value);
}

// @ts-ignore: decorator
@inline function slotAt(i: u32): usize {
  return slots + <usize>i * SLOT_BYTES;
}

// @ts-ignore: decorator
@inline function timesAt(i: u32): usize {
  return keptTimes + ((<usize>i * <usize>capacity) << 3);
}

/** The four columns of a slot's rate table, then the windows' bounds. */
// @ts-ignore: decorator
@inline function stepsAt(i: u32): usize {
  return keptSteps + <usize>i * <usize>steps * <usize>ROW_STEP_BYTES;
}

/** False: it is to be read otherwise. */
function rowOf(entry: usize, out: usize): bool {
  const from = <usize>word(entry, ROW_CHUNKS_FROM);
  const to = <usize>word(entry, ROW_CHUNKS_TO);
  if (from == to) return false;
  const n = readSeries(from, to, times, values, capacity, timesAt(current), load<u32>(slotAt(current) + S_COUNT));
  if (n < 0 || (readFlags() & XOR_STALE) != 0) return false;
  if (!readSameTimes()) findSlot(<u32>n);
  return evaluate(entry, out);
}

/** The row of the values at hand over the windows of the current slot; false: it is to be read otherwise. */
function evaluate(entry: usize, out: usize): bool {
  const slot = slotAt(current);
  if (load<u32>(slot + S_GAP) != 0) return false;
  const runFrom = load<u32>(slot + S_FROM);
  const runTo = load<u32>(slot + S_TO);
  if (runFrom < runTo && !fill(slot, runFrom, runTo, out)) return false;
  setWord(entry, ROW_FROM, runFrom);
  setWord(entry, ROW_TO, runTo);
  setWord(entry, ROW_TOTAL, load<u32>(slot + S_TOTAL));
  setWord(entry, ROW_DISTINCT, load<u32>(slot + S_DISTINCT));
  setWord(entry, ROW_LONGEST, load<u32>(slot + S_LONGEST));
  setWord(entry, ROW_SAMPLES, load<u32>(slot + S_SAMPLES));
  return true;
}

// For who decodes samples itself: times go to a slot's place, values to the only one; both have room for as many samples as was said.

export function rowsTimesAt(slot: u32): usize {
  return timesAt(slot);
}

export function rowsValuesAt(): usize {
  return values;
}

/** Finds the windows of the `n` times that stand in a slot's place. Returns whether rows of them have no gaps. */
export function rowsWindows(slot: u32, n: u32): bool {
  const own = times;
  times = timesAt(slot);
  current = slot;
  store<u32>(slotAt(slot) + S_COUNT, n);
  findWindows(slotAt(slot), n);
  times = own;
  return load<u32>(slotAt(slot) + S_GAP) == 0;
}

/** The samples that windows of a slot have: from. */
export function rowsNeedFrom(slot: u32): u32 {
  return load<u32>(slotAt(slot) + S_NEED_FROM);
}

/** The samples that windows of a slot have: to, exclusive. */
export function rowsNeedTo(slot: u32): u32 {
  return load<u32>(slotAt(slot) + S_NEED_TO);
}

/** Fills a row of the values at hand, whose times a slot has. */
export function rowsFill(slot: u32, entry: usize, out: usize): void {
  current = slot;
  if (!evaluate(entry, out)) setWord(entry, ROW_FROM, ROW_OTHERWISE);
}

/** The bits of blocks whose samples are looked at; 0: it is most of them. */
export function rowsBlocks(slot: u32): usize {
  return load<u32>(slotAt(slot) + S_SPARSE) != 0 ? slotAt(slot) + S_BLOCKS : 0;
}

/** By which program rows are made now: each begin is another one. */
export function rowsBegun(): u32 {
  return begun;
}

/** Makes the slot of the times at hand the current one. */
function findSlot(n: u32): void {
  const bytes = (<usize>n) << 3;
  for (let i: u32 = 0; i < <u32>ROW_SLOTS; i++) {
    if (load<u32>(slotAt(i) + S_COUNT) == n && memory.compare(times, timesAt(i), bytes) == 0) {
      current = i;
      return;
    }
  }
  current = oldest;
  oldest = oldest + 1 == <u32>ROW_SLOTS ? 0 : oldest + 1;
  memory.copy(timesAt(current), times, bytes);
  store<u32>(slotAt(current) + S_COUNT, n);
  findWindows(slotAt(current), n);
}

/** The first of the times in [from, to) that is not below `t`. */
function lowerBound(from: u32, to: u32, t: f64): u32 {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (load<f64>(times + ((<usize>middle) << 3)) < t) from = middle + 1;
    else to = middle;
  }
  return from;
}

const STRIDE: u32 = 16;

/** src/promql/row/windows.ts, and RateTable of src/promql/functions/rate.ts. */
function findWindows(slot: usize, n: u32): void {
  const first = lowerBound(0, n, rangeFrom);
  const count = lowerBound(first, n, rangeTo) - first;
  const own = times + ((<usize>first) << 3);
  const table = stepsAt(current);
  const column = (<usize>steps) << 3;
  const windows = table + 4 * column;
  const isRate = func == ROW_RATE || func == ROW_DELTA;
  const least: u32 = isRate ? 2 : 1;
  let lo: u32 = 0;
  let hi: u32 = 0;
  let seen: u32 = 0;
  let filled: u32 = 0;
  let runFrom: u32 = 0;
  let runTo: u32 = 0;
  let pairs: u32 = 0;
  let total: u32 = 0;
  let distinct: u32 = 0;
  let longest: u32 = 0;
  beginBlocks(slot, n);
  for (let step: u32 = 0; step < steps; step++) {
    const end = firstEnd + <f64>step * apart;
    const start = end - back;
    // windows far apart have many samples between them
    while (hi + STRIDE < count && load<f64>(own + ((<usize>(hi + STRIDE - 1)) << 3)) <= end) hi += STRIDE;
    while (hi < count && load<f64>(own + ((<usize>hi) << 3)) <= end) hi++;
    while (lo + STRIDE < hi && load<f64>(own + ((<usize>(lo + STRIDE - 1)) << 3)) <= start) lo += STRIDE;
    while (lo < hi && load<f64>(own + ((<usize>lo) << 3)) <= start) lo++;
    store<u32>(windows + ((<usize>step) << 2), lo);
    store<u32>(windows + ((<usize>(steps + step)) << 2), hi);
    total += hi - lo;
    longest = max(longest, hi - lo);
    distinct += hi - min(hi, max(lo, seen));
    seen = hi;
    if (hi - lo < least) continue;
    if (filled++ == 0) runFrom = step;
    runTo = step + 1;
    markBlocks(first + lo, first + hi - 1);
    if (!isRate) continue;
    if (hi - lo == 2) pairs = 1;
    const firstTime = load<f64>(own + ((<usize>lo) << 3));
    const lastTime = load<f64>(own + ((<usize>(hi - 1)) << 3));
    const sampled = (lastTime - firstTime) / 1000;
    const average = sampled / <f64>(hi - lo - 1);
    const threshold = average * 1.1;
    let toStart = (firstTime - start) / 1000;
    let toEnd = (end - lastTime) / 1000;
    if (toStart >= threshold) toStart = average / 2;
    if (toEnd >= threshold) toEnd = average / 2;
    const at = table + ((<usize>step) << 3);
    store<f64>(at, factorOf(sampled, toStart, toEnd));
    store<f64>(at + column, sampled);
    store<f64>(at + 2 * column, toStart);
    store<f64>(at + 3 * column, toEnd);
  }
  store<u32>(slot + S_SPARSE, blocksWanted << 2 < blocksOfAll * 3 && n <= (<u32>BLOCKS_MAX) << 5 ? 1 : 0);
  store<u32>(slot + S_LO, first);
  store<u32>(slot + S_SAMPLES, count);
  store<u32>(slot + S_NEED_FROM, first + (runFrom < runTo ? load<u32>(windows + ((<usize>runFrom) << 2)) : 0));
  store<u32>(
    slot + S_NEED_TO,
    first + (runFrom < runTo ? load<u32>(windows + ((<usize>(steps + runTo - 1)) << 2)) : 0),
  );
  store<u32>(slot + S_FROM, runFrom);
  store<u32>(slot + S_TO, runTo);
  store<u32>(slot + S_GAP, filled != runTo - runFrom ? 1 : 0);
  store<u32>(slot + S_PAIRS, pairs);
  store<u32>(slot + S_TOTAL, total);
  store<u32>(slot + S_DISTINCT, distinct);
  store<u32>(slot + S_LONGEST, longest);
}

/** Blocks of 32 samples of a list of times, at most. */
const BLOCKS_MAX: u32 = 2048;
let blocksOfAll: u32 = 0;
let blocksWanted: u32 = 0;
let blockBits: usize = 0;
/** The first block that no window has reached. */
let blockNext: u32 = 0;

function beginBlocks(slot: usize, n: u32): void {
  blockBits = slot + S_BLOCKS;
  blocksOfAll = (n + 31) >> 5;
  blocksWanted = 0;
  blockNext = 0;
  memory.fill(blockBits, 0, <usize>BLOCKS_MAX >> 3);
}

/** Notes that samples of a window are looked at: all, or its ends. */
function markBlocks(from: u32, last: u32): void {
  if (func == ROW_LAST) markBlock(blockOf(last));
  else if (func == ROW_DELTA) {
    markBlock(blockOf(from));
    markBlock(blockOf(last));
  } else if (func != ROW_COUNT) {
    const end = blockOf(last);
    for (let block = max(blockOf(from), blockNext); block <= end; block++) markBlock(block);
    blockNext = max(blockNext, end + 1);
  }
}

// @ts-ignore: decorator
@inline function blockOf(sample: u32): u32 {
  return sample == 0 ? 0 : (sample - 1) >> 5;
}

function markBlock(block: u32): void {
  if (block >= BLOCKS_MAX) return;
  const at = blockBits + (block >> 3);
  const bit = (<u8>1) << (<u8>(block & 7));
  const bits = load<u8>(at);
  if ((bits & bit) != 0) return;
  store<u8>(at, bits | bit);
  blocksWanted++;
}

// @ts-ignore: decorator
@inline function factorOf(sampled: f64, toStart: f64, toEnd: f64): f64 {
  return (sampled + toStart + toEnd) / sampled / rangeSeconds;
}

/** Fills the steps of a run; false where the series is to be read otherwise. */
function fill(slot: usize, runFrom: u32, runTo: u32, out: usize): bool {
  const own = values + ((<usize>load<u32>(slot + S_LO)) << 3);
  const table = stepsAt(current);
  const column = (<usize>steps) << 3;
  const from = table + 4 * column;
  const to = from + ((<usize>steps) << 2);
  if (func == ROW_RATE || func == ROW_DELTA) {
    const counter = func == ROW_RATE;
    if (counter && dropsInWindows(slot, own, from, to, runFrom, runTo)) {
      rateOverResets(own, from, to, table, column, runFrom, runTo, out);
      return true;
    }
    const skip4 = (<usize>runFrom) << 2;
    const skip8 = (<usize>runFrom) << 3;
    const pairs = load<u32>(slot + S_PAIRS) != 0;
    rowRate(
      own,
      from + skip4,
      to + skip4,
      table + skip8,
      <u32>column,
      rangeSeconds,
      counter,
      pairs,
      runTo - runFrom,
      out + skip8,
    );
    return true;
  }
  if (func == ROW_MIN || func == ROW_MAX) {
    extremes(own, from, to, runFrom, runTo, out);
    return true;
  }
  if (func == ROW_CHANGES || func == ROW_RESETS) {
    transitions(own, load<u32>(slot + S_SAMPLES), from, to, runFrom, runTo, out);
    return true;
  }
  for (let step = runFrom; step < runTo; step++) {
    const lo = load<u32>(from + ((<usize>step) << 2));
    const hi = load<u32>(to + ((<usize>step) << 2));
    /** That of ROW_PRESENT. */
    let value: f64 = 1;
    if (func == ROW_LAST) {
      // not as a number, for the bits of a NaN
      store<u64>(out + ((<usize>step) << 3), load<u64>(own + ((<usize>(hi - 1)) << 3)));
      continue;
    }
    if (func == ROW_COUNT) value = <f64>(hi - lo);
    else if (func == ROW_SUM) {
      addAll(own, lo, hi, 0);
      value = sum - sum == 0 ? sum + lost : sum;
    } else if (func == ROW_AVG) {
      addAll(own, lo + 1, hi, load<f64>(own + ((<usize>lo) << 3)));
      if (sum - sum != 0) return false;
      const count = <f64>(hi - lo);
      value = sum / count + lost / count;
    }
    store<f64>(out + ((<usize>step) << 3), value);
  }
  return true;
}

/** As `rowDrops`, of samples that any window has: others may be anything. */
function dropsInWindows(slot: usize, own: usize, from: usize, to: usize, runFrom: u32, runTo: u32): bool {
  if (load<u32>(slot + S_SPARSE) == 0) {
    const lo = load<u32>(from + ((<usize>runFrom) << 2));
    return rowDrops(own + ((<usize>lo) << 3), load<u32>(to + ((<usize>(runTo - 1)) << 2)) - lo);
  }
  // windows may overlap: each pair of samples is looked at once
  let next: u32 = 0;
  for (let step = runFrom; step < runTo; step++) {
    const hi = load<u32>(to + ((<usize>step) << 2));
    const at = max(load<u32>(from + ((<usize>step) << 2)), next);
    if (rowDrops(own + ((<usize>at) << 3), hi - at)) return true;
    next = max(next, hi - 1);
  }
  return false;
}

let sum: f64 = 0;
let lost: f64 = 0;

/** KahanSum.addRange of src/promql/functions/kahan.ts. */
function addAll(own: usize, lo: u32, hi: u32, start: f64): void {
  let all = start;
  let rest: f64 = 0;
  for (let p = own + ((<usize>lo) << 3), end = own + ((<usize>hi) << 3); p < end; p += 8) {
    const value = load<f64>(p);
    const next = all + value;
    const taken = next - all;
    const error = all - (next - taken) + (value - taken);
    rest = next - next == 0 ? rest + error : 0;
    all = next;
  }
  sum = all;
  lost = rest;
}

/** rateRow of src/promql/functions/rate.ts, for counters with resets. */
function rateOverResets(
  own: usize,
  from: usize,
  to: usize,
  table: usize,
  column: usize,
  runFrom: u32,
  runTo: u32,
  out: usize,
): void {
  let resets: u32 = 0;
  // outside of windows samples may be anything
  let next: u32 = 0;
  for (let step = runFrom; step < runTo; step++) {
    const hi = load<u32>(to + ((<usize>step) << 2));
    for (let i = max(load<u32>(from + ((<usize>step) << 2)) + 1, next); i < hi; i++) {
      const p = own + ((<usize>i) << 3);
      if (!(load<f64>(p) < load<f64>(p - 8))) continue;
      store<u32>(marks + ((<usize>resets) << 2), i);
      resets++;
    }
    next = max(next, hi);
  }
  let first: u32 = 0;
  for (let step = runFrom; step < runTo; step++) {
    const lo = load<u32>(from + ((<usize>step) << 2));
    const hi = load<u32>(to + ((<usize>step) << 2));
    const start = load<f64>(own + ((<usize>lo) << 3));
    let change = load<f64>(own + ((<usize>(hi - 1)) << 3)) - start;
    while (first < resets && load<u32>(marks + ((<usize>first) << 2)) <= lo) first++;
    for (let r = first; r < resets; r++) {
      const at = load<u32>(marks + ((<usize>r) << 2));
      if (at >= hi) break;
      change += load<f64>(own + ((<usize>(at - 1)) << 3));
    }
    const row = table + ((<usize>step) << 3);
    let factor = load<f64>(row);
    if (change > 0 && start >= 0 && (start < change || hi - lo == 2)) {
      const interval = load<f64>(row + column);
      const toZero = interval * (start / change);
      if (toZero < load<f64>(row + 2 * column)) factor = factorOf(interval, toZero, load<f64>(row + 3 * column));
    }
    store<f64>(out + ((<usize>step) << 3), change * factor);
  }
}

/** ExtremeRows of src/promql/functions/over-time-rows.ts. */
function extremes(own: usize, from: usize, to: usize, runFrom: u32, runTo: u32, out: usize): void {
  const sign: f64 = func == ROW_MAX ? 1 : -1;
  let head: u32 = 0;
  let tail: u32 = 0;
  let next = load<u32>(from);
  for (let step: u32 = runFrom; step < runTo; step++) {
    const lo = load<u32>(from + ((<usize>step) << 2));
    const hi = load<u32>(to + ((<usize>step) << 2));
    if (next < lo) {
      next = lo;
      head = 0;
      tail = 0;
    }
    for (; next < hi; next++) {
      const value = load<f64>(own + ((<usize>next) << 3)) * sign;
      if (value == value) {
        while (tail > head) {
          const best = load<u32>(marks + ((<usize>(tail - 1)) << 2));
          if (load<f64>(own + ((<usize>best) << 3)) * sign >= value) break;
          tail--;
        }
      }
      store<u32>(marks + ((<usize>tail) << 2), next);
      tail++;
    }
    while (head < tail && load<u32>(marks + ((<usize>head) << 2)) < lo) head++;
    const best = load<u32>(marks + ((<usize>head) << 2));
    store<u64>(out + ((<usize>step) << 3), load<u64>(own + ((<usize>best) << 3)));
  }
}

/** TransitionRows of src/promql/functions/over-time-rows.ts. */
function transitions(own: usize, samples: u32, from: usize, to: usize, runFrom: u32, runTo: u32, out: usize): void {
  let seen: u32 = 0;
  store<u32>(marks, 0);
  for (let i: u32 = 1; i < samples; i++) {
    const p = own + ((<usize>i) << 3);
    const before = load<f64>(p - 8);
    const value = load<f64>(p);
    if (func == ROW_RESETS ? value < before : value != before && !(value != value && before != before)) seen++;
    store<u32>(marks + ((<usize>i) << 2), seen);
  }
  for (let step = runFrom; step < runTo; step++) {
    const lo = load<u32>(from + ((<usize>step) << 2));
    const hi = load<u32>(to + ((<usize>step) << 2));
    const count = load<u32>(marks + ((<usize>(hi - 1)) << 2)) - load<u32>(marks + ((<usize>lo) << 2));
    store<f64>(out + ((<usize>step) << 3), <f64>count);
  }
}
