import {
  FRAME_ASIDE,
  FRAME_BYTES_AT,
  FRAME_EXEMPLARS,
  FRAME_FLAGS_AT,
  FRAME_HEADER_BYTES,
  FRAME_KEY,
  FRAME_LABELS_BYTES_AT,
  FRAME_METRIC_HASH_AT,
  FRAME_SAMPLES_AT,
  FRAME_SLOW,
  REFUSAL_BYTES,
  REFUSAL_FRAME_AT,
  REFUSAL_HISTOGRAMS_AT,
  REFUSAL_NEWEST_AT,
  REFUSAL_REASON_AT,
  REFUSAL_SAMPLES_AT,
  REFUSAL_SERIES,
  REFUSAL_TIME_AT,
  SAMPLE_BYTES,
  SAMPLE_TIME_AT,
  SAMPLE_VALUE_AT,
} from '../src/wire/frame-layout';
import { APPENDED, append, forgetAllChunks, HELD, NO_ROOM } from './chunks';
import {
  labelsAreWhole,
  S_ASIDE,
  seriesDrop,
  seriesFind,
  seriesFindBehind,
  seriesIsLive,
  seriesLastTime,
  seriesMake,
  seriesMetric,
  seriesRecord,
  seriesTenant,
  seriesTop,
  tenantExists,
} from './series';
import { at, bad, moveTo, readSvarint, readUvarint, start, writeSvarint, writeUvarint } from './varint';

// Frames (docs/formats/slices.md) into the head, and what of them is new into the log. A log payload is a sequence of operations; the
// first byte of each says what it is:
//   0         a series: ref, tenant, length and labels, metric hash (u32)
//   4         a series is gone: ref
//   bits 0–1  1: a sample
//   for samples: bit 2: the ref is the last one plus 1, else its difference follows (zigzag); bit 3: the time is the last one, else
//   its difference follows (zigzag); bits 4–5: the value is 0: +0, 1: an integer (zigzag), 2: eight bytes, 3: a float of four bytes;
//   bit 6: it was kept out of order
// "The last" starts at ref −1 and time 0 with each payload.

/** Decides on a new series, and learns of it: 0, or why it is refused. */
// @ts-ignore: decorator
@external('env', 'admitSeries')
declare function admitSeries(ref: u32, tenant: u32, metric: u32): u32;

/** The ref that a new series gets; −1: the next one. */
// @ts-ignore: decorator
@external('env', 'nextRef')
declare function nextRef(): i32;

/** In replay: a series is about to go. */
// @ts-ignore: decorator
@external('env', 'forgetSeries')
declare function forgetSeries(ref: u32, tenant: u32, metric: u32): void;

// ---- the log's payload
let logStart: usize = 0;
let logAt: usize = 0;
let logEnd: usize = 0;
let logRef: i64 = -1;
let logTime: i64 = 0;

/** The region that payloads are written to, at least 256 KiB. */
export function logInit(p: usize, bytes: u32): void {
  logStart = logAt = p;
  logEnd = p + bytes;
}
export function logBytes(): u32 {
  return <u32>(logAt - logStart);
}
/** Begins a new payload: JavaScript has taken the last one. */
export function logTaken(): void {
  logAt = logStart;
  logRef = -1;
  logTime = 0;
}

/** Longest canonical labels of a series: a record of the log and a buffer of a checkpoint hold them whole. */
const LABELS_BYTES_MAX: u32 = 256 * 1024;
/** After what admitSeries answers. */
const REFUSED_LABELS_TOO_LONG: u32 = 4;
const SAMPLE_ROOM: usize = 40;
const OP_GONE: u32 = 4;

/** Forgets a series with the chunks that it still has, and logs it. False: the log's payload is full, take it and call again. */
export function dropSeries(ref: u32): bool {
  if (logAt + SAMPLE_ROOM > logEnd) return false;
  store<u8>(logAt, <u8>OP_GONE);
  logAt = writeUvarint(logAt + 1, ref);
  forgetAllChunks(ref);
  seriesDrop(ref);
  return true;
}

function logSeries(ref: u32, tenant: u32, labels: usize, len: u32, metricHash: u32): void {
  let p = logAt;
  store<u8>(p, 0);
  p = writeUvarint(p + 1, ref);
  p = writeUvarint(p, tenant);
  p = writeUvarint(p, len);
  memory.copy(p, labels, len);
  store<u32>(p + len, metricHash);
  logAt = p + len + 4;
}

// @ts-ignore: decorator
@inline function logSample(ref: u32, t: i64, v: u64, late: bool): void {
  const head = logAt;
  let p = head + 1;
  let op: u32 = late ? 0x41 : 1;
  const step = <i64>ref - logRef;
  if (step == 1) op |= 4;
  else p = writeSvarint(p, step);
  if (t == logTime) op |= 8;
  else p = writeSvarint(p, t - logTime);
  logRef = <i64>ref;
  logTime = t;
  if (v != 0) {
    const x = reinterpret<f64>(v);
    const whole = nearest<f64>(x);
    if (whole == x && Math.abs(x) < 281474976710656 && v != 0x8000000000000000) {
      op |= 0x10;
      p = writeSvarint(p, <i64>whole);
    } else {
      const single = <f32>x;
      if (x == x && reinterpret<u64>(<f64>single) == v) {
        op |= 0x30;
        store<u32>(p, reinterpret<u32>(single));
        p += 4;
      } else {
        op |= 0x20;
        store<u64>(p, v);
        p += 8;
      }
    }
  }
  store<u8>(head, <u8>op);
  logAt = p;
}

// ---- what a call to ingestFrames leaves behind
export const INGEST_DONE: i32 = 0;
export const INGEST_LOG_FULL: i32 = 1; // take the payload and call again
export const INGEST_ASIDE: i32 = 2; // the frame at ingestFrame is JavaScript's: take what is in it, ingestSkip and call again
const counts: usize = memory.data(8 * 4); // u32 by answer of append
let refused: u32 = 0; // samples of refused series
let firstReason: u32 = 0; // 1 + answer of append, or 16 + why the series was refused
let firstAt: usize = 0; // frame
let firstRef: i32 = -1; // its series; −1: it was refused
let firstTime: i64 = 0; // of the sample
let firstLast: i64 = 0; // newest of its series
let frameAt: usize = 0;
let sampleIndex: u32 = 0;
let newestTime: i64 = 0;
let oldestTime: i64 = 0;

export function ingestCount(answer: u32): u32 {
  return load<u32>(counts + ((<usize>answer) << 2));
}
export function ingestRefused(): u32 {
  return refused;
}
export function ingestFirstReason(): u32 {
  return firstReason;
}
export function ingestFirstFrame(): u32 {
  return <u32>firstAt;
}
export function ingestFirstRef(): i32 {
  return firstRef;
}
export function ingestFirstTime(): f64 {
  return <f64>firstTime;
}
export function ingestFirstLast(): f64 {
  return <f64>firstLast;
}
/** Oldest time of a sample, kept or not; i64.MAX_VALUE as f64 where there was none. */
export function ingestOldest(): f64 {
  return <f64>oldestTime;
}

/** Newest time of a sample kept; i64.MIN_VALUE as f64 where none was. */
export function ingestNewest(): f64 {
  return <f64>newestTime;
}

/** The series of the frame before in this request; −1: there is none. */
let lastRef: i32 = -1;
let framesAt: usize = 0;
let unknownAt: usize = 0;
let unknownCount: u32 = 0;
/** How many frames name a key that no series has; where they begin, from the first frame on, is in the list given to ingestStart. */
export function ingestUnknown(): u32 {
  return unknownCount;
}

let refusalsAt: usize = 0;
let refusalCount: u32 = 0;
/** How many frames something was refused of, in the list given to ingestStart. */
export function ingestRefusals(): u32 {
  return refusalCount;
}

/**
 * Begins a request: `frames` as they came from an edge.
 * @param unknown room for a u32 for each frame with a key
 * @param refusals room for REFUSAL_BYTES for each frame; 0: nobody asks which they are
 */
export function ingestStart(frames: usize, unknown: usize, refusals: usize): void {
  frameAt = framesAt = frames;
  numberedAt = frames;
  numbered = 0;
  refusalsAt = refusals;
  refusalCount = 0;
  unknownAt = unknown;
  unknownCount = 0;
  firstRef = -1;
  lastRef = -1;
  sampleIndex = 0;
  memory.fill(counts, 0, 32);
  refused = 0;
  firstReason = 0;
  newestTime = i64.MIN_VALUE;
  oldestTime = i64.MAX_VALUE;
}

/** Where the frame lies that is next. */
export function ingestFrame(): u32 {
  return <u32>frameAt;
}
// a frame, and how many come before it
let numberedAt: usize = 0;
let numbered: u32 = 0;

/** Number of the frame that is next, from 0 on. Counted only when asked: it goes on from the last one that was. */
export function ingestFrameNumber(): u32 {
  while (numberedAt < frameAt) {
    numberedAt += load<u32>(numberedAt, FRAME_BYTES_AT);
    numbered++;
  }
  return numbered;
}

/** Goes on behind it. */
export function ingestSkip(): void {
  frameAt += load<u32>(frameAt, FRAME_BYTES_AT);
  sampleIndex = 0;
}

/** Writes down that samples of the frame that is next were refused. */
function noteRefusal(reason: u32, samples: u32, time: f64, newest: f64): void {
  if (refusalsAt == 0) return;
  const number = ingestFrameNumber();
  const e = refusalsAt + <usize>refusalCount * REFUSAL_BYTES;
  if (refusalCount > 0) {
    const last = e - REFUSAL_BYTES;
    if (load<u32>(last, REFUSAL_FRAME_AT) == number) {
      store<u32>(last, load<u32>(last, REFUSAL_SAMPLES_AT) + samples, REFUSAL_SAMPLES_AT);
      return;
    }
  }
  refusalCount++;
  store<u32>(e, number, REFUSAL_FRAME_AT);
  store<u32>(e, reason, REFUSAL_REASON_AT);
  store<u32>(e, samples, REFUSAL_SAMPLES_AT);
  store<u32>(e, 0, REFUSAL_HISTOGRAMS_AT);
  store<f64>(e, time, REFUSAL_TIME_AT);
  store<f64>(e, newest, REFUSAL_NEWEST_AT);
}

/** The ref of the series of the frame that is next, made where there is none; −1: it was refused, −2: the log's payload is full. */
export function ingestSeries(tenant: u32): i32 {
  const len = load<u32>(frameAt, FRAME_LABELS_BYTES_AT);
  if (len > LABELS_BYTES_MAX) return refuseSeries(REFUSED_LABELS_TOO_LONG);
  if (logAt + len + 32 > logEnd) return -2;
  const labels = frameAt + FRAME_HEADER_BYTES;
  const ref = seriesFind(tenant, labels, len);
  return ref >= 0 ? ref : makeSeries(tenant, labels, len, load<u32>(frameAt, FRAME_METRIC_HASH_AT));
}

/**
 * Appends the frames up to `end`. INGEST_LOG_FULL: the log's payload must be taken, with what was taken aside before it, then call
 * again.
 * @param lateFrom Unix ms from which samples out of order are kept; +Infinity: none are
 * @param anyOrder every sample is kept, whatever its order: it was acknowledged before
 */
export function ingestFrames(end: usize, tenant: u32, lateFrom: f64, anyOrder: bool): i32 {
  const from = anyOrder ? i64.MIN_VALUE : lateFrom > 9e18 ? i64.MAX_VALUE : <i64>lateFrom;
  while (frameAt < end) {
    const bytes = load<u32>(frameAt, FRAME_BYTES_AT);
    const flags = load<u32>(frameAt, FRAME_FLAGS_AT);
    if ((flags & FRAME_ASIDE) != 0) return INGEST_ASIDE;
    if ((flags & FRAME_SLOW) == 0) {
      const len = load<u32>(frameAt, FRAME_LABELS_BYTES_AT);
      const n = load<u32>(frameAt, FRAME_SAMPLES_AT);
      const labels = frameAt + FRAME_HEADER_BYTES;
      if (n > 0) {
        if (len > LABELS_BYTES_MAX) {
          refuseSeries(REFUSED_LABELS_TOO_LONG);
          refused += n;
          noteRefusal(REFUSAL_SERIES + REFUSED_LABELS_TOO_LONG, n, 0, 0);
          frameAt += bytes;
          sampleIndex = 0;
          continue;
        }
        if (logAt + len + 32 > logEnd) return INGEST_LOG_FULL;
        const hasKey = (flags & FRAME_KEY) != 0;
        let ref = hasKey
          ? seriesFindBehind(lastRef, load<u64>(labels), load<u64>(labels, 8))
          : seriesFind(tenant, labels, len);
        if (ref < 0) {
          if (hasKey) {
            store<u32>(unknownAt + (usize(unknownCount++) << 2), <u32>(frameAt - framesAt));
            frameAt += bytes;
            sampleIndex = 0;
            continue;
          }
          ref = makeSeries(tenant, labels, len, load<u32>(frameAt, FRAME_METRIC_HASH_AT));
          if (ref < 0) {
            refused += n;
            noteRefusal(REFUSAL_SERIES + refusedWhy, n, <f64>load<i64>(labels + ((len + 7) & ~7), SAMPLE_TIME_AT), 0);
            frameAt += bytes;
            sampleIndex = 0;
            continue;
          }
        }
        lastRef = ref;
        const r = seriesRecord(ref);
        if (load<u8>(r, S_ASIDE) != 0) {
          // what was taken aside is logged behind the payload: what follows it must be in the next one
          store<u8>(r, 0, S_ASIDE);
          return INGEST_LOG_FULL;
        }
        const samples = labels + ((len + 7) & ~7);
        for (; sampleIndex < n; sampleIndex++) {
          if (logAt + SAMPLE_ROOM > logEnd) return INGEST_LOG_FULL;
          const p = samples + ((<usize>sampleIndex) << 4);
          const t = load<i64>(p, SAMPLE_TIME_AT);
          const v = load<u64>(p, SAMPLE_VALUE_AT);
          if (t < oldestTime) oldestTime = t;
          const answer = append(ref, t, v, from);
          const count = counts + ((<usize>answer) << 2);
          store<u32>(count, load<u32>(count) + 1);
          if (answer == APPENDED) {
            logSample(ref, t, v, anyOrder);
            if (t > newestTime) newestTime = t;
          } else if (answer != HELD) {
            noteRefusal(<u32>answer, 1, <f64>t, <f64>seriesLastTime(ref));
            if (firstReason == 0) {
              firstReason = 1 + <u32>answer;
              firstAt = frameAt;
              firstRef = ref;
              firstTime = t;
              firstLast = <i64>seriesLastTime(ref);
            }
          }
        }
      }
    }
    frameAt += bytes;
    sampleIndex = 0;
  }
  return INGEST_DONE;
}

function makeSeries(tenant: u32, labels: usize, len: u32, metricHash: u32): i32 {
  const ref = seriesMake(nextRef(), tenant, labels, len, metricHash);
  const why = ref < 0 ? 1 : admitSeries(ref, tenant, seriesMetric(ref));
  if (why == 0) {
    logSeries(ref, tenant, labels, len, metricHash);
    return ref;
  }
  if (ref >= 0) seriesDrop(ref);
  return refuseSeries(why);
}

/** Why the last series that was refused was. */
let refusedWhy: u32 = 0;
export function ingestRefusedWhy(): u32 {
  return refusedWhy;
}

function refuseSeries(why: u32): i32 {
  refusedWhy = why;
  if (firstReason == 0) {
    firstReason = 16 + why;
    firstAt = frameAt;
  }
  return -1;
}

// ---- replay

/** LSN up to which a block of 4,096 refs is already in the head, from a checkpoint; f64 by ref >> 12. 0: there is none. */
let blockLsn: usize = 0;
let blockCount: u32 = 0;
let replayTime: i64 = 0;
/** Time of the sample replayed last, Unix ms; 0 before the first. */
export function replayNewest(): f64 {
  return <f64>replayTime;
}
export function replayInit(lsns: usize, count: u32): void {
  blockLsn = lsns;
  blockCount = count;
}

export const REPLAY_CORRUPT: i32 = -1;
export const REPLAY_FULL: i32 = -2;

/** Applies a payload that was logged with this LSN. Returns the number of samples. */
export function replayPayload(src: usize, len: u32, lsn: f64): i32 {
  const end = src + len;
  let ref: i64 = -1;
  let t: i64 = 0;
  let applied: i32 = 0;
  start(src);
  while (at < end) {
    const op = <u32>load<u8>(at);
    moveTo(at + 1);
    if (op == OP_GONE) {
      const gone = <u32>readUvarint(end);
      if (bad) return REPLAY_CORRUPT;
      if (seriesIsLive(gone) && !covered(gone, lsn)) {
        // its last windows may still be here, since the store had them when it went
        forgetAllChunks(gone);
        forgetSeries(gone, seriesTenant(gone), seriesMetric(gone));
        seriesDrop(gone);
      }
    } else if ((op & 3) == 0) {
      const own = <u32>readUvarint(end);
      const tenant = <u32>readUvarint(end);
      const n = readUvarint(end);
      if (bad || n + 4 > <u64>(end - at) || n > <u64>(end - src) || own > 0xffffff) return REPLAY_CORRUPT;
      const labels = at;
      if (!labelsAreWhole(labels, <u32>n)) return REPLAY_CORRUPT;
      moveTo(labels + <usize>n + 4);
      // without its tenant, whose record was lost, nobody could ask for it
      if (tenantExists(tenant) && !covered(own, lsn)) {
        if (seriesIsLive(own)) {
          // a ref is never told twice of two series: samples of the one would go to the other, of whatever tenant
          if (seriesFind(tenant, labels, <u32>n) != <i32>own) return REPLAY_CORRUPT;
          continue;
        }
        if (seriesFind(tenant, labels, <u32>n) >= 0) continue;
        if (seriesMake(own, tenant, labels, <u32>n, load<u32>(labels + <usize>n)) < 0) return REPLAY_FULL;
        admitSeries(own, tenant, seriesMetric(own));
      }
    } else if ((op & 3) == 1) {
      if ((op & 4) != 0) ref++;
      else ref += readSvarint(end);
      if ((op & 8) == 0) t += readSvarint(end);
      let v: u64 = 0;
      const kind = (op >> 4) & 3;
      if (kind == 1) v = reinterpret<u64>(<f64>readSvarint(end));
      else if (kind == 2) {
        if (end - at < 8) return REPLAY_CORRUPT;
        v = load<u64>(at);
        moveTo(at + 8);
      } else if (kind == 3) {
        if (end - at < 4) return REPLAY_CORRUPT;
        v = reinterpret<u64>(<f64>reinterpret<f32>(load<u32>(at)));
        moveTo(at + 4);
      }
      if (bad) return REPLAY_CORRUPT;
      // a ref without series: the record that named it was lost
      if (ref < 0 || ref >= <i64>seriesTop() || covered(<u32>ref, lsn) || !seriesIsLive(<u32>ref)) continue;
      const next = at; // append reads chunks, and has the position for that
      const answer = append(<u32>ref, t, v, i64.MIN_VALUE);
      moveTo(next);
      if (answer == NO_ROOM) return REPLAY_FULL;
      replayTime = t;
      applied++;
    } else return REPLAY_CORRUPT;
  }
  return bad ? REPLAY_CORRUPT : applied;
}

/** Whether what was logged of a series with this LSN is in the head since the checkpoint. */
export function replayCovered(ref: u32, lsn: f64): bool {
  return covered(ref, lsn);
}

// @ts-ignore: decorator
@inline function covered(ref: u32, lsn: f64): bool {
  const block = ref >> 12;
  return block < blockCount && lsn <= load<f64>(blockLsn + ((<usize>block) << 3));
}

// ---- requests that were only logged

/** Whether frames from a log can be appended: every length holds, labels end where they should, and no series is named by a key. */
export function framesAreWhole(src: usize, len: u32): bool {
  const end = src + len;
  for (let p = src; p < end; p += load<u32>(p, FRAME_BYTES_AT)) {
    const left = <u32>(end - p);
    const header = <u32>FRAME_HEADER_BYTES;
    if (left < header) return false;
    const bytes = load<u32>(p, FRAME_BYTES_AT);
    const labels = load<u32>(p, FRAME_LABELS_BYTES_AT);
    const flags = load<u32>(p, FRAME_FLAGS_AT);
    if (bytes < header || bytes > left || (bytes & 7) != 0) return false;
    if ((flags & ~(<u32>(FRAME_ASIDE | FRAME_EXEMPLARS))) != 0 || flags == <u32>FRAME_EXEMPLARS) return false;
    if (labels > bytes - header || !labelsAreWhole(p + header, labels)) return false;
    const samplesAt = header + ((labels + 7) & ~7);
    if (samplesAt > bytes) return false;
    if (flags == 0 && <u64>load<u32>(p, FRAME_SAMPLES_AT) * SAMPLE_BYTES > <u64>(bytes - samplesAt)) return false;
  }
  return true;
}
