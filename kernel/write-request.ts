// Scans a remote write 1.0 WriteRequest (prompb/remote.proto, types.proto) and writes a frame for each series
// (docs/formats/slices.md, src/wire/frame-layout.ts).
//
// A series that is anything but plain (labels not in canonical form or over a limit, histograms, exemplars) gets a frame with
// FRAME_SLOW, a header that says where it lies in the body; JavaScript decodes it and says what is wrong with it. Samples with a time
// out of bounds are counted and left out.
// A series whose very label bytes were found to be plain before (known.ts) gets a frame with FRAME_KEY: in place of its labels its key.
// The bytes come from strangers: nothing is read past `end`, and nothing written past the capacity.

import {
  FAULT_LABEL_INVALID,
  FAULT_NAME_TOO_LONG,
  FAULT_NO_NAME,
  FAULT_TOO_MANY_NAMES,
  FAULT_VALUE_TOO_LONG,
  FRAME_BODY_AT,
  FRAME_BODY_BYTES_AT,
  FRAME_BYTES_AT,
  FRAME_FAULT_AT,
  FRAME_FAULT_SAMPLES_AT,
  FRAME_FLAGS_AT,
  FRAME_HEADER_BYTES,
  FRAME_KEY,
  FRAME_LABELS_BYTES_AT,
  FRAME_LABELS_HASH_AT,
  FRAME_METRIC_HASH_AT,
  FRAME_SAMPLES_AT,
  FRAME_SLOW,
  KEY_BYTES,
  SAMPLE_BYTES,
  SAMPLE_TIME_AT,
  SAMPLE_VALUE_AT,
} from '../src/wire/frame-layout';
import { sipHash, sipHigh, xxh64 } from './hash';
import { key0, key1, keyInit, seriesKey, tenantKey } from './key';
import {
  knownBehind,
  knownFind,
  knownInit,
  knownLabels,
  knownPut,
  knownRecord,
  N_KEY,
  N_METRIC,
  RECORD_KEY,
  RECORD_LABELS,
  RECORD_METRIC,
  recordBytes,
} from './known';
import { isUtf8 } from './utf8';
import { at, bad, moveTo, readUvarint, start, writeUvarint } from './varint';

export const SCAN_MORE: i32 = 1;
export const SCAN_CORRUPT: i32 = -1;
export const SCAN_FULL: i32 = -2;
/** More parts than as many bytes of valid ones hold. */
export const SCAN_DENSE: i32 = -3;

// bytes that the parts of a valid request take at the least, without those within them (as WEIGHT in src/wire/write-request.ts)
const SERIES_WEIGHT: i64 = 10;
const LABEL_WEIGHT: i64 = 5;
const SAMPLE_WEIGHT: i64 = 9;
const EXEMPLAR_WEIGHT: i64 = 12;
const HISTOGRAM_WEIGHT: i64 = 20;
const METADATA_WEIGHT: i64 = 4;
const WEIGHT_SLACK: i64 = 65536;
let weight: i64 = 0;

// what a scan leaves behind
let outBytes: u32 = 0;
let seriesCount: u32 = 0;
let frameCount: u32 = 0;
let sampleCount: u32 = 0;
let slowCount: u32 = 0;
let extras: u32 = 0;
export function scanBytes(): u32 {
  return outBytes;
}
export function scanSeries(): u32 {
  return seriesCount;
}
/** Series that were not dropped: each has a frame. */
export function scanFrames(): u32 {
  return frameCount;
}
export function scanSamples(): u32 {
  return sampleCount;
}
export function scanSlow(): u32 {
  return slowCount;
}
/** 1: there is metadata; 2: there are exemplars. */
export function scanExtras(): u32 {
  return extras;
}

// samples of plain series whose times are out of bounds: they are left out of the frames
let tooOldCount: u32 = 0;
let tooNewCount: u32 = 0;
let firstOutAt: u32 = 0;
let firstOutBytes: u32 = 0;
let firstOutTime: i64 = 0;
export function scanTooOld(): u32 {
  return tooOldCount;
}
export function scanTooNew(): u32 {
  return tooNewCount;
}
/** Where the series of the first of them lies in the body. */
export function scanFirstOutAt(): u32 {
  return firstOutAt;
}
export function scanFirstOutBytes(): u32 {
  return firstOutBytes;
}
export function scanFirstOutTime(): f64 {
  return <f64>firstOutTime;
}

let namesMax: u32 = 0;
let nameBytesMax: u32 = 0;
let valueBytesMax: u32 = 0;
let labelsBytesMax: u32 = 0;
let timeMin: i64 = 0;
let timeMax: i64 = 0;
/** Rules that change labels, by a hash of theirs; 0: there are none. */
let rules: u64 = 0;

/** Limits of the tenant that the next scan is for; a series outside them goes the slow path, where it gets its reason. */
export function scanLimits(names: u32, nameBytes: u32, valueBytes: u32, labelsBytes: u32, from: f64, to: f64): void {
  namesMax = names;
  nameBytesMax = nameBytes;
  valueBytesMax = valueBytes;
  labelsBytesMax = labelsBytes;
  timeMin = <i64>from;
  timeMax = <i64>to;
  rules = 0;
}

/**
 * Labels of the next scan are changed by rules with this hash; after scanLimits. Series go the slow path until what they become is
 * known (scanRemember).
 */
export function scanRules(hash0: u32, hash1: u32): void {
  rules = ((<u64>hash1) << 32) | <u64>hash0;
}

// of the tenant that the next scan is for
let tenant0: u64 = 0;
let tenant1: u64 = 0;
// key of the hash of label bytes: other limits, other hashes, so that what was plain under them is looked at anew
let bytes0: u64 = 0;
let bytes1: u64 = 0;

/** `secret`: 16 bytes, those of the heads that keys are for. */
export function scanInit(secret: usize): void {
  keyInit(secret);
  knownInit();
}

/** Whose body the next scan is of; after scanLimits. `id` has 32 bytes of room before it. */
export function scanTenant(id: usize, len: u32): void {
  tenantKey(id, len);
  tenant0 = key0;
  tenant1 = key1;
  const limits = id - 32;
  store<u32>(limits, namesMax);
  store<u32>(limits, nameBytesMax, 4);
  store<u32>(limits, valueBytesMax, 8);
  store<u32>(limits, labelsBytesMax, 12);
  store<u64>(limits, rules, 16);
  store<u64>(limits, 0, 24);
  tenantKey(limits, 32 + len);
  bytes0 = key0;
  bytes1 = key1;
}

/**
 * Keeps what the rules have made of the series at `from`: the key and the hashes of what it became, or 0 as all where it is
 * dropped. Only where all its labels come first and in one piece.
 */
export function scanRemember(from: usize, bytes: u32, key: usize, metric: u32, labelsHash: u32): void {
  const end = from + bytes;
  const labels = labelsPrefix(from, end);
  if (labels == 0) return;
  start(from + labels);
  while (at < end) {
    const tag = readUvarint(end);
    if (bad || tag == 0x0a || !skipField(tag, end)) return;
  }
  const half = sipHash(from, labels, bytes0, bytes1);
  knownPut(half, sipHigh, metric, labelsHash, key == 0 ? 0 : load<u64>(key), key == 0 ? 0 : load<u64>(key, 8));
}

/** Samples of series that the rules drop. */
let droppedCount: u32 = 0;
export function scanDropped(): u32 {
  return droppedCount;
}

/** Writes the key of canonical labels, 16 bytes. */
export function scanKey(labels: usize, len: u32, out: usize): void {
  seriesKey(labels, len, tenant0, tenant1);
  store<u64>(out, key0);
  store<u64>(out, key1, 8);
}

// the scan under way
let bodyAt: usize = 0;
let bodyEnd: usize = 0;
let nextAt: usize = 0;
let outStart: usize = 0;
let outAt: usize = 0;
let outEnd: usize = 0;
let knownToo: bool = false;
let labelsHashed: bool = false;

/**
 * Begins to scan the body at `src`, whose frames go to `out`.
 * @param useKnown series seen before, by the same bytes, get frames with their keys
 * @param hashLabels frames carry the hash of their series' labels
 */
export function scanBegin(src: usize, len: u32, out: usize, capacity: u32, useKnown: bool, hashLabels: bool): void {
  bodyAt = nextAt = src;
  bodyEnd = src + len;
  outStart = outAt = out;
  outEnd = out + capacity;
  knownToo = useKnown;
  labelsHashed = hashLabels;
  before = 0;
  weight = 0;
  seriesCount = frameCount = sampleCount = slowCount = extras = 0;
  tooOldCount = tooNewCount = droppedCount = 0;
  outBytes = 0;
}

/** Scans some `bytes` more. Returns 0 at the end, SCAN_MORE, or why it cannot go on: SCAN_CORRUPT, SCAN_DENSE, SCAN_FULL. */
export function scanMore(bytes: u32): i32 {
  const src = bodyAt;
  const end = bodyEnd;
  const stop = end - nextAt > <usize>bytes ? nextAt + bytes : end;
  const useKnown = knownToo;
  let o = outAt;
  start(nextAt);
  while (at < stop) {
    const tag = readUvarint(end);
    if (bad) return SCAN_CORRUPT;
    if (tag == 0x0a) {
      const n = readUvarint(end);
      if (bad || n > <u64>(end - at)) return SCAN_CORRUPT;
      const from = at;
      const seriesEnd = at + <usize>n;
      // the frame is never longer than this: see scanSeriesInto
      if (<u64>o + FRAME_HEADER_BYTES + 24 + n * 8 > <u64>outEnd) {
        const need = worstFrame(from, seriesEnd);
        if (need < 0) return SCAN_CORRUPT;
        if (<i64>o + need > <i64>outEnd) return SCAN_FULL;
      }
      labelBytes = 0;
      weight += SERIES_WEIGHT;
      let wrote = useKnown ? scanKnown(from, seriesEnd, o) : 0;
      if (wrote == 0) {
        wrote = scanSeriesInto(from, seriesEnd, o);
        if (useKnown && wrote > 0) remember(from, o);
      }
      if (wrote < 0 && wrote != DROPPED) return SCAN_CORRUPT;
      // no part of a valid request weighs more than its bytes, so no beginning of one does
      if (weight > i64(seriesEnd - src) + WEIGHT_SLACK) return SCAN_DENSE;
      if (wrote == DROPPED) {
        // nothing is left of it
      } else if (wrote > 0) {
        o += wrote;
      } else {
        store<u32>(o, FRAME_HEADER_BYTES, FRAME_BYTES_AT);
        store<u32>(o, <u32>(from - src), FRAME_BODY_AT);
        store<u32>(o, <u32>n, FRAME_BODY_BYTES_AT);
        store<u32>(o, FRAME_SLOW, FRAME_FLAGS_AT);
        store<u32>(o, fault, FRAME_FAULT_AT);
        store<u32>(o, faultSamples, FRAME_FAULT_SAMPLES_AT);
        o += FRAME_HEADER_BYTES;
        slowCount++;
      }
      seriesCount++;
      if (wrote != DROPPED) frameCount++;
      moveTo(seriesEnd);
    } else {
      if (tag == 0x1a) {
        extras |= 1;
        weight += METADATA_WEIGHT;
        if (weight > i64(at - src) + WEIGHT_SLACK) return SCAN_DENSE;
      }
      if (!skipField(tag, end)) return SCAN_CORRUPT;
    }
  }
  nextAt = at;
  outAt = o;
  outBytes = <u32>(o - outStart);
  return at < end ? SCAN_MORE : 0;
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
  return FRAME_HEADER_BYTES + <i64>(end - from) + 24 + samples * SAMPLE_BYTES;
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

// of the series that is scanned: its labels where they come first and in one piece, and their hash; 0: there are none
let labelBytes: u32 = 0;
let hash0: u64 = 0;
let hash1: u64 = 0;
/** Where the last label ends that scanSeriesInto has found. */
let labelsEnd: usize = 0;

/** Bytes of the labels that a series begins with; 0 where there are none, or none that is usual. */
// @ts-ignore: decorator
@inline function labelsPrefix(from: usize, end: usize): u32 {
  let p = from;
  while (end - p >= 2 && load<u8>(p) == 0x0a) {
    let n = <u32>load<u8>(p, 1);
    p += 2;
    if (n >= 128) {
      // a label of 16 KiB and more is no common one
      if (p == end || load<u8>(p) >= 128) return 0;
      n = (n & 127) | ((<u32>load<u8>(p++)) << 7);
    }
    if (n > <u32>(end - p)) return 0;
    p += n;
  }
  return <u32>(p - from);
}

/** The record (known.ts) of the series before in this body; 0: it has none. */
let before: usize = 0;

/** The answer of `scanKnown` where the rules drop the series. */
const DROPPED: i32 = -9;

/**
 * Writes the frame of a series that is known by its label bytes, and returns its length. 0: it is not known, or there is more to it
 * than samples within bounds.
 */
function scanKnown(from: usize, end: usize, frame: usize): i32 {
  const tenant = i64x2.replace_lane(i64x2.splat(bytes0), 1, bytes1);
  if (before != 0) {
    const record = knownBehind(before, from, end, tenant);
    if (record != 0) {
      before = record;
      labelBytes = 0; // nothing to remember
      const metric = load<u32>(record, RECORD_METRIC);
      const labels = load<u32>(record, RECORD_LABELS);
      return putKnown(from + recordBytes(record), end, frame, metric, labels, record + RECORD_KEY);
    }
  }
  labelBytes = labelsPrefix(from, end);
  if (labelBytes == 0) return 0;
  hash0 = sipHash(from, labelBytes, bytes0, bytes1);
  hash1 = sipHigh;
  const entry = knownFind(hash0, hash1);
  if (entry == 0) {
    before = 0;
    return 0;
  }
  before = knownRecord(entry, from, labelBytes, before, tenant);
  const samplesAt = from + labelBytes;
  labelBytes = 0;
  return putKnown(samplesAt, end, frame, load<u32>(entry, N_METRIC), knownLabels(entry), entry + N_KEY);
}

/** Writes the frame of a known series whose samples begin at `p`, and answers as `scanKnown`. */
function putKnown(p: usize, end: usize, frame: usize, metric: u32, labelsHash: u32, key: usize): i32 {
  const samplesFrom = frame + FRAME_HEADER_BYTES + KEY_BYTES;
  let o = samplesFrom;
  while (p < end) {
    if (end - p < 2 || load<u8>(p) != 0x12) return 0;
    const n = <u32>load<u8>(p, 1);
    p += 2;
    if (n >= 128 || n > <u32>(end - p)) return 0;
    const sampleEnd = p + n;
    let v: u64 = 0;
    let t: u64 = 0;
    if (n >= 9 && load<u8>(p) == 0x09) {
      v = load<u64>(p, 1);
      p += 9;
    }
    if (p < sampleEnd && load<u8>(p) == 0x10) {
      p++;
      let b: u64 = 128;
      for (let shift: u64 = 0; b >= 128; shift += 7) {
        if (p == sampleEnd || shift == 70) return 0;
        b = <u64>load<u8>(p++);
        t |= (b & 127) << shift;
      }
    }
    if (p != sampleEnd || <i64>t < timeMin || <i64>t > timeMax) return 0;
    store<u64>(o, t, SAMPLE_TIME_AT);
    store<u64>(o, v, SAMPLE_VALUE_AT);
    o += SAMPLE_BYTES;
  }
  if (o == samplesFrom) return 0;
  const samples = <u32>(o - samplesFrom) >> 4;
  if ((load<u64>(key) | load<u64>(key, 8)) == 0) {
    droppedCount += samples;
    return DROPPED;
  }
  store<u32>(frame, <u32>(o - frame), FRAME_BYTES_AT);
  store<u32>(frame, KEY_BYTES, FRAME_LABELS_BYTES_AT);
  store<u32>(frame, samples, FRAME_SAMPLES_AT);
  store<u32>(frame, FRAME_KEY, FRAME_FLAGS_AT);
  store<u64>(frame, metric, FRAME_METRIC_HASH_AT);
  if (labelsHashed) store<u32>(frame, labelsHash, FRAME_LABELS_HASH_AT);
  v128.store(frame + FRAME_HEADER_BYTES, v128.load(key));
  sampleCount += samples;
  return <i32>(o - frame);
}

/** Keeps what the scan has found, where the bytes that were hashed are all that it has found it in. */
// @ts-ignore: decorator
@inline function remember(from: usize, frame: usize): void {
  if (labelBytes == 0 || labelsEnd != from + labelBytes) return;
  const labels = frame + FRAME_HEADER_BYTES;
  const len = load<u32>(frame, FRAME_LABELS_BYTES_AT);
  seriesKey(labels, len, tenant0, tenant1);
  knownPut(hash0, hash1, load<u32>(frame, FRAME_METRIC_HASH_AT), <u32>xxh64(labels, len), key0, key1);
}

const NAME: u64 = 0x5f5f656d616e5f5f; // "__name__"

// of the series that is scanned, where it goes the slow path: why its labels are refused for sure (FAULT_…), and how many samples it has
let fault: u32 = 0;
let faultSamples: u32 = 0;

/** Writes one frame and returns its length; 0 for a slow one, −1 for a corrupt one. The position is at its start. */
function scanSeriesInto(from: usize, end: usize, frame: usize): i32 {
  let o = frame + FRAME_HEADER_BYTES;
  const labels = o;
  let names: u32 = 0;
  let lastName: usize = 0;
  let lastNameLen: u32 = 0;
  let metricHash: u64 = 0;
  let hasName = false;
  let slow = false;
  /** Labels that are not in order, or refused: those behind are passed over. */
  let labelsOut = false;
  let samples: u32 = 0;
  let sampleAt: usize = 0;
  let tooOld: u32 = 0;
  let tooNew: u32 = 0;
  let outTime: i64 = 0;
  fault = 0;
  faultSamples = 0;
  labelsEnd = 0;
  start(from);
  while (at < end) {
    const tag = readUvarint(end);
    if (bad) return -1;
    if (tag == 0x0a) {
      const n = readUvarint(end);
      if (bad || n > <u64>(end - at)) return -1;
      const labelEnd = at + <usize>n;
      labelsEnd = labelEnd;
      weight += LABEL_WEIGHT;
      if (samples > 0) labelsOut = true; // a label behind a sample
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
      if (labelsOut) continue;
      if (valueLen > 0) names++;
      if (nameLen == 0 || !isUtf8(name, nameLen) || !isUtf8(value, valueLen)) fault = FAULT_LABEL_INVALID;
      else if (lastNameLen > 0 && !isBefore(lastName, lastNameLen, name, nameLen)) labelsOut = true;
      else if (valueLen > 0) {
        if (names > namesMax) fault = FAULT_TOO_MANY_NAMES;
        else if (nameLen > nameBytesMax) fault = FAULT_NAME_TOO_LONG;
        else if (valueLen > valueBytesMax) fault = FAULT_VALUE_TOO_LONG;
      }
      if (labelsOut || fault != 0) {
        labelsOut = true;
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
      weight += SAMPLE_WEIGHT;
      faultSamples++;
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
      if (slow || labelsOut) continue;
      if (t < timeMin || t > timeMax) {
        if (tooOld + tooNew == 0) outTime = t;
        if (t < timeMin) tooOld++;
        else tooNew++;
        continue;
      }
      if (samples == 0) {
        sampleAt = (o + 7) & ~7;
        store<u64>(o, 0); // the padding; room for it is in the worst case
      }
      store<i64>(sampleAt + ((<usize>samples) << 4), t, SAMPLE_TIME_AT);
      store<u64>(sampleAt + ((<usize>samples) << 4), v, SAMPLE_VALUE_AT);
      samples++;
    } else {
      if (tag == 0x1a) {
        extras |= 2;
        slow = true;
        weight += EXEMPLAR_WEIGHT;
      }
      if (tag == 0x22) {
        slow = true;
        faultSamples++;
        weight += HISTOGRAM_WEIGHT;
      }
      if (!skipField(tag, end)) return -1;
    }
  }
  const labelsLen = <u32>(o - labels);
  if (rules != 0) {
    // what is wrong with the labels may be what the rules change
    fault = 0;
    return 0;
  }
  if (!labelsOut && !hasName) {
    fault = FAULT_NO_NAME;
    return 0;
  }
  if (slow || labelsOut || (labelsBytesMax > 0 && labelsLen > labelsBytesMax)) return 0;
  if (tooOld + tooNew > 0) {
    if (tooOldCount + tooNewCount == 0) {
      firstOutAt = <u32>(from - bodyAt);
      firstOutBytes = <u32>(end - from);
      firstOutTime = outTime;
    }
    tooOldCount += tooOld;
    tooNewCount += tooNew;
  }
  if (samples == 0) {
    // a series without samples is valid and says nothing
    store<u64>(o, 0);
    sampleAt = (o + 7) & ~7;
  }
  const bytes = <u32>(sampleAt - frame) + (samples << 4);
  store<u32>(frame, bytes, FRAME_BYTES_AT);
  store<u32>(frame, labelsLen, FRAME_LABELS_BYTES_AT);
  store<u32>(frame, samples, FRAME_SAMPLES_AT);
  store<u32>(frame, 0, FRAME_FLAGS_AT);
  store<u64>(frame, <u64>(<u32>metricHash), FRAME_METRIC_HASH_AT);
  if (labelsHashed) store<u32>(frame, <u32>xxh64(labels, labelsLen), FRAME_LABELS_HASH_AT);
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
