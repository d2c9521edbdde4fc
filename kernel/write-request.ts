// Scans a remote write 1.0 WriteRequest (prompb/remote.proto, types.proto) and writes a frame for each series:
//
//   u32 bytes of the frame, a multiple of 8 · u32 bytes of labels · u32 samples · u32 flags · u64 XXH64 of the metric name
//   canonical labels (uvarint length, name, uvarint length, value, …), padded to 8 · samples of i64 ms, u64 value bits
//
// A series that is anything but plain (labels not in canonical form or over a limit, histograms, exemplars, a time out of bounds) gets
// a frame of 24 bytes with F_COLD and where it lies in the body; JavaScript decodes it and says what is wrong with it.
// The bytes come from strangers: nothing is read past `end`, and nothing written past the capacity.

import { xxh64 } from './hash';
import { isUtf8 } from './utf8';
import { at, bad, moveTo, readUvarint, start, writeUvarint } from './varint';

export const FRAME_HEAD: u32 = 24;
/** Labels length is the offset in the body, samples the length there. */
export const F_COLD: u32 = 1;
/** Not for the kernel: samples in the encoding of src/wire/rich-samples.ts, or exemplars. */
export const F_ASIDE: u32 = 4;

export const SCAN_CORRUPT: i32 = -1;
export const SCAN_FULL: i32 = -2;

// what a scan leaves behind
let outBytes: u32 = 0;
let seriesCount: u32 = 0;
let sampleCount: u32 = 0;
let coldCount: u32 = 0;
let extras: u32 = 0;
export function scanBytes(): u32 { return outBytes; }
export function scanSeries(): u32 { return seriesCount; }
export function scanSamples(): u32 { return sampleCount; }
export function scanCold(): u32 { return coldCount; }
/** 1: there is metadata; 2: there are exemplars. */
export function scanExtras(): u32 { return extras; }

let namesMax: u32 = 0;
let nameBytesMax: u32 = 0;
let valueBytesMax: u32 = 0;
let labelsBytesMax: u32 = 0;
let timeMin: i64 = 0;
let timeMax: i64 = 0;

/** Limits of the tenant that the next scan is for; a series outside them goes the cold way, where it gets its reason. */
export function scanLimits(names: u32, nameBytes: u32, valueBytes: u32, labelsBytes: u32, from: f64, to: f64): void {
  namesMax = names;
  nameBytesMax = nameBytes;
  valueBytesMax = valueBytes;
  labelsBytesMax = labelsBytes;
  timeMin = <i64>from;
  timeMax = <i64>to;
}

/** Scans the body at `src`, writes frames to `out`. Returns 0, SCAN_CORRUPT, or SCAN_FULL when `capacity` is too small. */
export function scanWriteRequest(src: usize, len: u32, out: usize, capacity: u32): i32 {
  const end = src + len;
  const outEnd = out + capacity;
  let o = out;
  seriesCount = sampleCount = coldCount = extras = 0;
  start(src);
  while (at < end) {
    const tag = readUvarint(end);
    if (bad) return SCAN_CORRUPT;
    if (tag == 0x0a) {
      const n = readUvarint(end);
      if (bad || n > <u64>(end - at)) return SCAN_CORRUPT;
      const from = at;
      const seriesEnd = at + <usize>n;
      // the frame is never longer than this: see scanSeriesInto
      if (<u64>o + FRAME_HEAD + 24 + n * 8 > <u64>outEnd) {
        const need = worstFrame(from, seriesEnd);
        if (need < 0) return SCAN_CORRUPT;
        if (<i64>o + need > <i64>outEnd) return SCAN_FULL;
      }
      const wrote = scanSeriesInto(from, seriesEnd, o);
      if (wrote < 0) return SCAN_CORRUPT;
      if (wrote > 0) {
        o += wrote;
      } else {
        store<u32>(o, FRAME_HEAD);
        store<u32>(o, <u32>(from - src), 4);
        store<u32>(o, <u32>n, 8);
        store<u32>(o, F_COLD, 12);
        store<u64>(o, 0, 16);
        o += FRAME_HEAD;
        coldCount++;
      }
      seriesCount++;
      moveTo(seriesEnd);
    } else {
      if (tag == 0x1a) extras |= 1;
      if (!skipField(tag, end)) return SCAN_CORRUPT;
    }
  }
  outBytes = <u32>(o - out);
  return 0;
}

/** The most bytes that the frame of this series can take, or −1 where its fields do not add up. */
function worstFrame(from: usize, end: usize): i64 {
  let samples: i64 = 0;
  start(from);
  while (at < end) {
    const tag = readUvarint(end);
    if (bad || !skipField(tag, end)) return -1;
    if (tag == 0x12) samples++;
  }
  moveTo(from);
  return FRAME_HEAD + <i64>(end - from) + 24 + samples * 16;
}

// @ts-ignore: decorator
@inline function skipField(tag: u64, end: usize): bool {
  const wire = <u32>tag & 7;
  if (tag >> 3 == 0) return false;
  let n: u64 = 0;
  if (wire == 0) {
    readUvarint(end);
    return !bad;
  }
  if (wire == 2) {
    n = readUvarint(end);
    if (bad) return false;
  } else if (wire == 1) n = 8;
  else if (wire == 5) n = 4;
  else return false;
  if (n > <u64>(end - at)) return false;
  moveTo(at + <usize>n);
  return true;
}

const NAME: u64 = 0x5f5f656d616e5f5f; // "__name__"

/** Writes one frame and returns its length; 0 for a cold one, −1 for a corrupt one. The position is at its start. */
function scanSeriesInto(from: usize, end: usize, frame: usize): i32 {
  let o = frame + FRAME_HEAD;
  const labels = o;
  let names: u32 = 0;
  let lastName: usize = 0;
  let lastNameLen: u32 = 0;
  let metricHash: u64 = 0;
  let hasName = false;
  let cold = false;
  let samples: u32 = 0;
  let sampleAt: usize = 0;
  start(from);
  while (at < end) {
    const tag = readUvarint(end);
    if (bad) return -1;
    if (tag == 0x0a) {
      const n = readUvarint(end);
      if (bad || n > <u64>(end - at)) return -1;
      const labelEnd = at + <usize>n;
      if (samples > 0) cold = true; // a label behind a sample
      let name: usize = 0;
      let nameLen: u32 = 0;
      let value: usize = 0;
      let valueLen: u32 = 0;
      while (at < labelEnd) {
        const part = readUvarint(labelEnd);
        if (bad) return -1;
        if (part == 0x0a || part == 0x12) {
          const partLen = readUvarint(labelEnd);
          if (bad || partLen > <u64>(labelEnd - at)) return -1;
          if (part == 0x0a) {
            name = at;
            nameLen = <u32>partLen;
          } else {
            value = at;
            valueLen = <u32>partLen;
          }
          moveTo(at + <usize>partLen);
        } else if (!skipField(part, labelEnd)) return -1;
      }
      if (cold) continue;
      names++;
      if (
        nameLen == 0 || names > namesMax || nameLen > nameBytesMax || valueLen > valueBytesMax ||
        (lastNameLen > 0 && !isBefore(lastName, lastNameLen, name, nameLen)) ||
        !isUtf8(name, nameLen) || !isUtf8(value, valueLen)
      ) {
        cold = true;
        continue;
      }
      if (nameLen == 8 && valueLen > 0 && load<u64>(name) == NAME) {
        hasName = true;
        metricHash = xxh64(value, valueLen);
      }
      lastName = name;
      lastNameLen = nameLen;
      if (valueLen == 0) continue; // to Prometheus an empty label is none
      o = writeUvarint(o, nameLen);
      copyWide(o, name, nameLen);
      o = writeUvarint(o + nameLen, valueLen);
      copyWide(o, value, valueLen);
      o += valueLen;
    } else if (tag == 0x12) {
      const n = readUvarint(end);
      if (bad || n > <u64>(end - at)) return -1;
      const sampleEnd = at + <usize>n;
      let v: u64 = 0;
      let t: i64 = 0;
      while (at < sampleEnd) {
        const part = readUvarint(sampleEnd);
        if (bad) return -1;
        if (part == 0x09) {
          if (sampleEnd - at < 8) return -1;
          v = load<u64>(at);
          moveTo(at + 8);
        } else if (part == 0x10) {
          t = <i64>readUvarint(sampleEnd);
          if (bad) return -1;
        } else if (!skipField(part, sampleEnd)) return -1;
      }
      if (cold) continue;
      if (samples == 0) {
        sampleAt = (o + 7) & ~7;
        store<u64>(o, 0); // the padding; room for it is in the worst case
      }
      if (t < timeMin || t > timeMax) {
        cold = true;
        continue;
      }
      store<i64>(sampleAt + (<usize>samples << 4), t);
      store<u64>(sampleAt + (<usize>samples << 4), v, 8);
      samples++;
    } else {
      if (tag == 0x1a) {
        extras |= 2;
        cold = true;
      }
      if (tag == 0x22) cold = true;
      if (!skipField(tag, end)) return -1;
    }
  }
  const labelsLen = <u32>(o - labels);
  if (cold || !hasName || (labelsBytesMax > 0 && labelsLen > labelsBytesMax)) return 0;
  if (samples == 0) {
    // a series without samples is valid and says nothing
    store<u64>(o, 0);
    sampleAt = (o + 7) & ~7;
  }
  const bytes = <u32>(sampleAt - frame) + (samples << 4);
  store<u32>(frame, bytes);
  store<u32>(frame, labelsLen, 4);
  store<u32>(frame, samples, 8);
  store<u32>(frame, 0, 12);
  store<u64>(frame, metricHash, 16);
  sampleCount += samples;
  return <i32>bytes;
}

/** In steps of 16 bytes: reads and writes up to 15 past the end, where both regions have room and nothing that counts yet. */
// @ts-ignore: decorator
@inline function copyWide(to: usize, from: usize, len: u32): void {
  const end = to + len;
  do {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  } while (to < end);
}

/** Whether the first name comes before the second, as bytes. */
function isBefore(a: usize, aLen: u32, b: usize, bLen: u32): bool {
  const shared = min(aLen, bLen);
  for (let i: u32 = 0; i < shared; i++) {
    const x = load<u8>(a + i);
    const y = load<u8>(b + i);
    if (x != y) return x < y;
  }
  return aLen < bLen;
}
