import {
  BLOCK_COLUMNS,
  COLUMNS_COUNT,
  COLUMNS_LEFT,
  COLUMNS_RUN,
  COLUMNS_SHORT,
  COLUMNS_TIME,
  COLUMNS_UNKNOWN,
} from '../src/wire/column-layout';
import {
  FRAME_BYTES_AT,
  FRAME_FLAGS_AT,
  FRAME_HEADER_BYTES,
  FRAME_KEY,
  FRAME_LABELS_BYTES_AT,
  FRAME_LABELS_HASH_AT,
  FRAME_METRIC_HASH_AT,
  FRAME_SAMPLES_AT,
  KEY_BYTES,
  SAMPLE_BYTES,
  SAMPLE_TIME_AT,
  SAMPLE_VALUE_AT,
  SAMPLES_PER_FRAME_MAX,
} from '../src/wire/frame-layout';
import { at, bad, readSvarint, readUvarint, start, writeSvarint, writeUvarint } from './varint';

// Frames with keys as columns, and back (docs/formats/rpc.md). Columns come from another process: all of a block is looked at before
// a byte is written.

// bits beside the kind: which columns there are
const HAS_COUNTS: u32 = 256;
const HAS_LABEL_HASHES: u32 = 512;

// how a value is written, by two bits
/** All bits are 0. */
const VALUE_ZERO: u32 = 0;
/** u16: the highest bits; the others are 0. */
const VALUE_SHORT: u32 = 1;
/** u32: the higher half; the lower one is 0. */
const VALUE_HALF: u32 = 2;
const VALUE_FULL: u32 = 3;

/** Sample times further from 1970 are none, ms. */
const COLUMN_TIME_MAX: i64 = 2251799813685248;

const KEY_AT: usize = FRAME_HEADER_BYTES;
const KEYED_BYTES: usize = FRAME_HEADER_BYTES + KEY_BYTES;

// ---- frames into columns

/** The last block that was written: its kind, with bits for its columns. */
let kind: u32 = 0;
export function columnsKind(): u32 {
  return kind;
}

let runFrames: u32 = 0;
let runSamples: u32 = 0;
/** Frames and samples of the last run. */
export function columnsFrames(): u32 {
  return runFrames;
}
export function columnsSamples(): u32 {
  return runSamples;
}

/** Where the run of frames ends that begins at `from`: all of it has keys, or nothing. */
export function columnsRun(from: usize, end: usize): u32 {
  const keyed = load<u32>(from, FRAME_FLAGS_AT) == FRAME_KEY;
  runFrames = 0;
  runSamples = 0;
  let p = from;
  while (p < end && (load<u32>(p, FRAME_FLAGS_AT) == FRAME_KEY) == keyed) {
    runFrames++;
    runSamples += load<u32>(p, FRAME_SAMPLES_AT);
    p += load<u32>(p, FRAME_BYTES_AT);
  }
  return <u32>p;
}

/** Bytes of the columns of so many frames and samples at the most. */
export function columnsRoom(frames: u32, samples: u32): u32 {
  return frames * (KEY_BYTES + 9 + 4 + 2) + samples * (15 + 8) + (samples >> 2) + 64;
}

/**
 * Writes the columns of the frames at `from`, all of them with keys.
 * @param to room for `columnsRoom` bytes
 * @returns bytes that it took; 0: a time is none
 */
export function columnsEncode(from: usize, end: usize, frames: u32, samples: u32, to: usize): u32 {
  let p = to;
  for (let f = from; f < end; f += load<u32>(f, FRAME_BYTES_AT)) {
    store<u64>(p, load<u64>(f + KEY_AT));
    store<u64>(p, load<u64>(f + KEY_AT, 8), 8);
    p += KEY_BYTES;
  }
  p = encodeNames(from, end, p);
  kind = BLOCK_COLUMNS;
  let any: u32 = 0;
  let hashes = p;
  for (let f = from; f < end; f += load<u32>(f, FRAME_BYTES_AT)) {
    const hash = load<u32>(f, FRAME_LABELS_HASH_AT);
    any |= hash;
    store<u32>(hashes, hash);
    hashes += 4;
  }
  if (any != 0) {
    p = hashes;
    kind |= HAS_LABEL_HASHES;
  }
  if (samples != frames) {
    for (let f = from; f < end; f += load<u32>(f, FRAME_BYTES_AT)) p = writeUvarint(p, load<u32>(f, FRAME_SAMPLES_AT));
    kind |= HAS_COUNTS;
  }
  p = encodeTimes(from, end, p);
  if (p == 0) return 0;
  return <u32>(encodeValues(from, end, samples, p) - to);
}

function encodeNames(from: usize, end: usize, to: usize): usize {
  let p = to;
  let f = from;
  while (f < end) {
    const hash = load<u32>(f, FRAME_METRIC_HASH_AT);
    let run: u32 = 0;
    do {
      run++;
      f += load<u32>(f, FRAME_BYTES_AT);
    } while (f < end && load<u32>(f, FRAME_METRIC_HASH_AT) == hash);
    p = writeUvarint(p, run);
    store<u32>(p, hash);
    p += 4;
  }
  return p;
}

/** 0: a time is none. */
function encodeTimes(from: usize, end: usize, to: usize): usize {
  let p = to;
  let last: i64 = 0;
  let time: i64 = 0;
  let run: u32 = 0;
  for (let f = from; f < end; ) {
    const next = f + load<u32>(f, FRAME_BYTES_AT);
    for (let s = f + KEYED_BYTES; s < next; s += SAMPLE_BYTES) {
      const own = load<i64>(s, SAMPLE_TIME_AT);
      if (own == time && run > 0) {
        run++;
        continue;
      }
      if (own < -COLUMN_TIME_MAX || own > COLUMN_TIME_MAX) return 0;
      if (run > 0) {
        p = writeSvarint(writeUvarint(p, run), time - last);
        last = time;
      }
      time = own;
      run = 1;
    }
    f = next;
  }
  return run > 0 ? writeSvarint(writeUvarint(p, run), time - last) : p;
}

function encodeValues(from: usize, end: usize, samples: u32, to: usize): usize {
  let p = to + ((<usize>samples + 3) >> 2);
  let kinds = to;
  let bits: u32 = 0;
  let shift: u32 = 0;
  for (let f = from; f < end; ) {
    const next = f + load<u32>(f, FRAME_BYTES_AT);
    for (let s = f + KEYED_BYTES; s < next; s += SAMPLE_BYTES) {
      const value = load<u64>(s, SAMPLE_VALUE_AT);
      let own: u32 = VALUE_ZERO;
      if (value != 0) {
        if (<u32>value != 0) {
          own = VALUE_FULL;
          store<u64>(p, value);
          p += 8;
        } else if ((value & 0xffff00000000) != 0) {
          own = VALUE_HALF;
          store<u32>(p, <u32>(value >> 32));
          p += 4;
        } else {
          own = VALUE_SHORT;
          store<u16>(p, <u16>(value >> 48));
          p += 2;
        }
      }
      bits |= own << shift;
      shift += 2;
      if (shift == 8) {
        store<u8>(kinds++, <u8>bits);
        bits = 0;
        shift = 0;
      }
    }
    f = next;
  }
  if (shift > 0) store<u8>(kinds, <u8>bits);
  return p;
}

// ---- columns into frames

/**
 * Writes the frames of a block's columns.
 * @param from, end the columns, without the block's header
 * @param own the block's kind, with bits for its columns
 * @param to room for all of the frames
 * @returns 0, or why they are none (COLUMNS_SHORT …): nothing was written then
 */
export function columnsDecode(from: usize, end: usize, own: u32, frames: u32, samples: u32, to: usize): i32 {
  if ((own & ~(<u32>(255 | HAS_COUNTS | HAS_LABEL_HASHES))) != 0) return COLUMNS_UNKNOWN;
  if (samples < frames) return COLUMNS_COUNT;
  if (<u64>frames * KEY_BYTES > <u64>(end - from)) return COLUMNS_SHORT;
  const names = from + <usize>frames * KEY_BYTES;

  start(names);
  for (let left = frames; left > 0; ) {
    const run = readUvarint(end);
    if (bad || end - at < 4) return COLUMNS_SHORT;
    if (run < 1 || run > <u64>left) return COLUMNS_RUN;
    left -= <u32>run;
    start(at + 4);
  }

  const hashes = at;
  if ((own & HAS_LABEL_HASHES) != 0) {
    if (<u64>frames * 4 > <u64>(end - at)) return COLUMNS_SHORT;
    start(at + <usize>frames * 4);
  }

  const counts = at;
  if ((own & HAS_COUNTS) != 0) {
    let left: u64 = samples;
    for (let i: u32 = 0; i < frames; i++) {
      const count = readUvarint(end);
      if (bad) return COLUMNS_SHORT;
      if (count < 1 || count > <u64>SAMPLES_PER_FRAME_MAX || count > left) return COLUMNS_COUNT;
      left -= count;
    }
    if (left != 0) return COLUMNS_COUNT;
  } else if (samples != frames) return COLUMNS_COUNT;

  const times = at;
  let time: i64 = 0;
  for (let left = samples; left > 0; ) {
    const run = readUvarint(end);
    if (bad) return COLUMNS_SHORT;
    if (run < 1 || run > <u64>left) return COLUMNS_RUN;
    left -= <u32>run;
    time += readSvarint(end);
    if (bad) return COLUMNS_SHORT;
    // a sum that went round is far outside, too
    if (time < -COLUMN_TIME_MAX || time > COLUMN_TIME_MAX) return COLUMNS_TIME;
  }

  const kinds = at;
  const kindBytes = (<usize>samples + 3) >> 2;
  if (kindBytes > end - at) return COLUMNS_SHORT;
  const values = kinds + kindBytes;
  const room = <u64>(end - values);
  const bytes = valueBytes(kinds, samples);
  if (bytes > room) return COLUMNS_SHORT;
  if (bytes < room) return COLUMNS_LEFT;

  write(from, names, hashes, counts, times, kinds, values, own, frames, to, end);
  return 0;
}

/** Bytes of values by their kinds. */
function valueBytes(kinds: usize, samples: u32): u64 {
  let sum: u64 = 0;
  const whole = samples >> 2;
  for (let i: u32 = 0; i < whole; i++) {
    const four = <u32>load<u8>(kinds + i);
    sum += lengthOf(four & 3) + lengthOf((four >> 2) & 3) + lengthOf((four >> 4) & 3) + lengthOf(four >> 6);
  }
  for (let i = whole << 2; i < samples; i++) sum += lengthOf((<u32>load<u8>(kinds + whole) >> (2 * (i & 3))) & 3);
  return sum;
}

/** 0, 2, 4, 8 */
// @ts-ignore: decorator
@inline function lengthOf(own: u32): u32 {
  return (1 << own) & ~1;
}

/** Everything was looked at. */
function write(
  keys: usize,
  names: usize,
  hashes: usize,
  counts: usize,
  times: usize,
  kinds: usize,
  values: usize,
  own: u32,
  frames: u32,
  to: usize,
  end: usize,
): void {
  const hasCounts = (own & HAS_COUNTS) != 0;
  const hasHashes = (own & HAS_LABEL_HASHES) != 0;
  let name: u32 = 0;
  let named: u32 = 0;
  let time: i64 = 0;
  let timed: u32 = 0;
  let sample: u32 = 0;
  let f = to;
  for (let i: u32 = 0; i < frames; i++) {
    if (named == 0) {
      start(names);
      named = <u32>readUvarint(end);
      name = load<u32>(at);
      names = at + 4;
    }
    named--;
    let count: u32 = 1;
    if (hasCounts) {
      start(counts);
      count = <u32>readUvarint(end);
      counts = at;
    }
    const bytes = <u32>KEYED_BYTES + count * SAMPLE_BYTES;
    store<u32>(f, bytes, FRAME_BYTES_AT);
    store<u32>(f, KEY_BYTES, FRAME_LABELS_BYTES_AT);
    store<u32>(f, count, FRAME_SAMPLES_AT);
    store<u32>(f, FRAME_KEY, FRAME_FLAGS_AT);
    store<u32>(f, name, FRAME_METRIC_HASH_AT);
    let hash: u32 = 0;
    if (hasHashes) {
      hash = load<u32>(hashes);
      hashes += 4;
    }
    store<u32>(f, hash, FRAME_LABELS_HASH_AT);
    store<u64>(f + KEY_AT, load<u64>(keys));
    store<u64>(f + KEY_AT, load<u64>(keys, 8), 8);
    keys += KEY_BYTES;
    const next = f + bytes;
    for (let s = f + KEYED_BYTES; s < next; s += SAMPLE_BYTES, sample++) {
      if (timed == 0) {
        start(times);
        timed = <u32>readUvarint(end);
        time += readSvarint(end);
        times = at;
      }
      timed--;
      store<i64>(s, time, SAMPLE_TIME_AT);
      let value: u64 = 0;
      switch ((<u32>load<u8>(kinds + (sample >> 2)) >> (2 * (sample & 3))) & 3) {
        case VALUE_SHORT:
          value = (<u64>load<u16>(values)) << 48;
          values += 2;
          break;
        case VALUE_HALF:
          value = (<u64>load<u32>(values)) << 32;
          values += 4;
          break;
        case VALUE_FULL:
          value = load<u64>(values);
          values += 8;
          break;
        default:
          break;
      }
      store<u64>(s, value, SAMPLE_VALUE_AT);
    }
    f = next;
  }
}
