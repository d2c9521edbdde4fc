import { BytesError } from '../lib/bytes.ts';
import { frameFault, TIME_MS_MAX } from './frame-check.ts';
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
  SAMPLES_PER_FRAME_MAX,
} from './frame-layout.ts';

// Frames on their way to another process (docs/formats/rpc.md): those with keys as columns, others as they are. What comes from a
// process may be of another version, or damaged: it is looked at whole before anything takes it.

/** A block of columns, and one of frames as they are. */
const COLUMNS = 1;
const WHOLE = 2;
const BLOCK_BYTES = 16;
// where the fields of a block's header lie, all u32
const KIND_AT = 0;
/** With its header. */
const BLOCK_BYTES_AT = 4;
const FRAMES_AT = 8;
const SAMPLES_AT = 12;

// bits beside the kind: which columns there are
const HAS_COUNTS = 256;
const HAS_LABEL_HASHES = 512;

/** Labels' place in a frame with a key, and where its samples begin. */
const KEY_AT = FRAME_HEADER_BYTES;
const KEYED_BYTES = KEY_AT + KEY_BYTES;

// how a value is written
/** All bits are 0. */
const ZERO = 0;
/** u16: the highest bits; the others are 0. */
const SHORT = 1;
/** u32: the higher half; the lower one is 0. */
const HALF = 2;
const FULL = 3;
const VALUE_BYTES = [0, 2, 4, 8] as const;

/** Bytes that the frames of a request may take as a shard has them. */
export const FRAMES_BYTES_MAX = 32 * 1024 * 1024;

/** Sample times as a double holds them; others are written as they are. */
const EXACT_MAX = 2 ** 51;

/** Turns frames into columns, one request after another in the same memory. */
export class FrameEncoder {
  #bytes = new Uint8Array(64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /** @returns bytes of their own */
  encode(frames: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#at = 0;
    const view = new DataView(frames.buffer, frames.byteOffset, frames.length);
    for (let at = 0; at < frames.length; ) {
      const isKeyed = view.getUint32(at + FRAME_FLAGS_AT, true) === FRAME_KEY;
      let end = at;
      let count = 0;
      let samples = 0;
      while (end < frames.length && (view.getUint32(end + FRAME_FLAGS_AT, true) === FRAME_KEY) === isKeyed) {
        count++;
        samples += view.getUint32(end + FRAME_SAMPLES_AT, true);
        end += view.getUint32(end + FRAME_BYTES_AT, true);
      }
      const block = this.#at;
      this.#room(BLOCK_BYTES);
      this.#at += BLOCK_BYTES;
      const kind = isKeyed ? this.#columns(view, at, count, samples) : this.#whole(frames.subarray(at, end));
      this.#view.setUint32(block + KIND_AT, kind, true);
      this.#view.setUint32(block + BLOCK_BYTES_AT, this.#at - block, true);
      this.#view.setUint32(block + FRAMES_AT, count, true);
      this.#view.setUint32(block + SAMPLES_AT, samples, true);
      at = end;
    }
    return this.#bytes.slice(0, this.#at);
  }

  #whole(frames: Uint8Array): number {
    this.#room(frames.length);
    this.#bytes.set(frames, this.#at);
    this.#at += frames.length;
    return WHOLE;
  }

  /** @returns kind and columns */
  #columns(view: DataView, from: number, count: number, samples: number): number {
    // keys, runs of hashes, hashes, counts, times with their runs, kinds of values, values: never longer than this
    this.#room(count * (KEY_BYTES + 7 + 4 + 2) + samples * (10 + 8) + (samples >> 2) + 16);
    let kind = COLUMNS;
    const hashesAt = this.#keys(view, from, count);
    this.#at = this.#metricHashes(view, from, count, hashesAt);
    if (this.#labelHashes(view, from, count)) kind |= HAS_LABEL_HASHES;
    if (samples !== count) {
      this.#counts(view, from, count);
      kind |= HAS_COUNTS;
    }
    this.#times(view, from, count);
    this.#values(view, from, count, samples);
    return kind;
  }

  #keys(view: DataView, from: number, count: number): number {
    const own = this.#view;
    let to = this.#at;
    let at = from;
    for (let i = 0; i < count; i++, to += KEY_BYTES) {
      own.setUint32(to, view.getUint32(at + KEY_AT, true), true);
      own.setUint32(to + 4, view.getUint32(at + KEY_AT + 4, true), true);
      own.setUint32(to + 8, view.getUint32(at + KEY_AT + 8, true), true);
      own.setUint32(to + 12, view.getUint32(at + KEY_AT + 12, true), true);
      at += view.getUint32(at + FRAME_BYTES_AT, true);
    }
    return to;
  }

  #metricHashes(view: DataView, from: number, count: number, to: number): number {
    this.#at = to;
    let at = from;
    for (let i = 0; i < count; ) {
      const hash = view.getUint32(at + FRAME_METRIC_HASH_AT, true);
      let run = 0;
      while (i < count && view.getUint32(at + FRAME_METRIC_HASH_AT, true) === hash) {
        run++;
        i++;
        at += view.getUint32(at + FRAME_BYTES_AT, true);
        if (i === count) break;
      }
      this.#uvarint(run);
      this.#view.setUint32(this.#at, hash, true);
      this.#at += 4;
    }
    return this.#at;
  }

  /** False where none has one: nothing is written then. */
  #labelHashes(view: DataView, from: number, count: number): boolean {
    let any = 0;
    let at = from;
    for (let i = 0; i < count; i++) {
      const hash = view.getUint32(at + FRAME_LABELS_HASH_AT, true);
      any |= hash;
      this.#view.setUint32(this.#at + 4 * i, hash, true);
      at += view.getUint32(at + FRAME_BYTES_AT, true);
    }
    if (any === 0) return false;
    this.#at += 4 * count;
    return true;
  }

  #counts(view: DataView, from: number, count: number): void {
    let at = from;
    for (let i = 0; i < count; i++) {
      this.#uvarint(view.getUint32(at + FRAME_SAMPLES_AT, true));
      at += view.getUint32(at + FRAME_BYTES_AT, true);
    }
  }

  #times(view: DataView, from: number, count: number): void {
    let last = 0;
    let low = -1;
    let high = -1;
    let run = 0;
    let at = from;
    for (let i = 0; i < count; i++) {
      const end = at + view.getUint32(at + FRAME_BYTES_AT, true);
      for (let sample = at + KEYED_BYTES; sample < end; sample += SAMPLE_BYTES) {
        const nextLow = view.getUint32(sample, true);
        const nextHigh = view.getInt32(sample + 4, true);
        if (run > 0 && nextLow === low && nextHigh === high) {
          run++;
          continue;
        }
        if (run > 0) last = this.#timeRun(run, low, high, last);
        low = nextLow;
        high = nextHigh;
        run = 1;
      }
      at = end;
    }
    if (run > 0) this.#timeRun(run, low, high, last);
  }

  #timeRun(run: number, low: number, high: number, last: number): number {
    const time = high * 2 ** 32 + low;
    if (time < -EXACT_MAX || time > EXACT_MAX) throw new Error(`bug: a sample at ${time} ms`);
    this.#uvarint(run);
    const difference = time - last;
    this.#uvarint(difference < 0 ? -2 * difference - 1 : 2 * difference);
    return time;
  }

  #values(view: DataView, from: number, count: number, samples: number): void {
    const bytes = this.#bytes;
    const kinds = this.#at;
    let to = kinds + ((samples + 3) >> 2);
    bytes.fill(0, kinds, to);
    let i = 0;
    let at = from;
    for (let frame = 0; frame < count; frame++) {
      const end = at + view.getUint32(at + FRAME_BYTES_AT, true);
      for (let sample = at + KEYED_BYTES; sample < end; sample += SAMPLE_BYTES, i++) {
        const low = view.getUint32(sample + 8, true);
        const high = view.getUint32(sample + 12, true);
        let kind = FULL;
        if (low !== 0) {
          this.#view.setUint32(to, low, true);
          this.#view.setUint32(to + 4, high, true);
          to += 8;
        } else if ((high & 0xffff) !== 0) {
          kind = HALF;
          this.#view.setUint32(to, high, true);
          to += 4;
        } else if (high !== 0) {
          kind = SHORT;
          this.#view.setUint16(to, high >>> 16, true);
          to += 2;
        } else kind = ZERO;
        const byte = kinds + (i >> 2);
        bytes[byte] = bytes[byte]! | (kind << (2 * (i & 3)));
      }
      at = end;
    }
    this.#at = to;
  }

  #uvarint(value: number): void {
    const bytes = this.#bytes;
    let left = value;
    while (left >= 128) {
      bytes[this.#at++] = (left % 128) | 128;
      left = Math.floor(left / 128);
    }
    bytes[this.#at++] = left;
  }

  #room(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.#at + more, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/**
 * Frames as they were before `FrameEncoder` had them, byte by byte: each is one that a shard takes.
 * @param memoryOf so many bytes, all of them 0
 * @throws BytesError where the bytes are no such frames, or more than FRAMES_BYTES_MAX
 */
export function decodeFrames(
  bytes: Uint8Array,
  memoryOf = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length),
): Uint8Array<ArrayBuffer> {
  const frames = memoryOf(framesBytes(bytes));
  const decoder = new FrameDecoder(bytes, frames);
  for (let at = 0; at < bytes.length; ) at = decoder.block(at);
  return frames;
}

/** Bytes of the frames in all blocks, as their headers have it. */
function framesBytes(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let sum = 0;
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < BLOCK_BYTES) throw new BytesError(`a block that ends within its header at ${at}`);
    const kind = view.getUint32(at + KIND_AT, true) & 255;
    const length = view.getUint32(at + BLOCK_BYTES_AT, true);
    if (length < BLOCK_BYTES || length > bytes.length - at) throw new BytesError(`a block of ${length} bytes at ${at}`);
    const frames = view.getUint32(at + FRAMES_AT, true);
    const samples = view.getUint32(at + SAMPLES_AT, true);
    if (kind === WHOLE) sum += length - BLOCK_BYTES;
    else if (kind === COLUMNS) sum += frames * KEYED_BYTES + samples * SAMPLE_BYTES;
    else throw new BytesError(`a block of kind ${kind} at ${at}`);
    if (sum > FRAMES_BYTES_MAX) throw new BytesError(`frames of more than ${FRAMES_BYTES_MAX} bytes`);
    at += length;
  }
  return sum;
}

class FrameDecoder {
  readonly #from: Uint8Array;
  readonly #fromView: DataView;
  readonly #to: Uint8Array;
  readonly #toView: DataView;
  #at = 0;
  /** The block's end. */
  #end = 0;
  #toAt = 0;

  constructor(from: Uint8Array, to: Uint8Array) {
    this.#from = from;
    this.#fromView = new DataView(from.buffer, from.byteOffset, from.length);
    this.#to = to;
    this.#toView = new DataView(to.buffer, to.byteOffset, to.length);
  }

  /** Returns where the next one begins. Lengths are those that `framesBytes` has seen. */
  block(at: number): number {
    const view = this.#fromView;
    const kind = view.getUint32(at + KIND_AT, true);
    const frames = view.getUint32(at + FRAMES_AT, true);
    const samples = view.getUint32(at + SAMPLES_AT, true);
    this.#at = at + BLOCK_BYTES;
    this.#end = at + view.getUint32(at + BLOCK_BYTES_AT, true);
    if ((kind & 255) === WHOLE) this.#whole(frames, samples);
    else this.#columns(kind, frames, samples);
    if (this.#at !== this.#end) throw new BytesError(`${this.#end - this.#at} bytes too many in a block at ${at}`);
    return this.#end;
  }

  #whole(frames: number, samples: number): void {
    const from = this.#from.subarray(this.#at, this.#end);
    const fault = frameFault(from, frames, samples);
    if (fault !== undefined) throw new BytesError(fault);
    this.#to.set(from, this.#toAt);
    this.#toAt += from.length;
    this.#at = this.#end;
  }

  #columns(kind: number, frames: number, samples: number): void {
    if ((kind & ~(255 | HAS_COUNTS | HAS_LABEL_HASHES)) !== 0) throw new BytesError('columns that are not known');
    if (samples < frames) throw new BytesError(`${frames} frames with ${samples} samples`);
    const keys = this.#take(frames * KEY_BYTES);
    const first = this.#toAt;
    const hashes = this.#at;
    this.#skipRuns(frames);
    const labelHashes = (kind & HAS_LABEL_HASHES) === 0 ? -1 : this.#take(4 * frames);
    this.#heads(frames, samples, (kind & HAS_COUNTS) !== 0, keys, labelHashes);
    const end = this.#toAt;
    const countsEnd = this.#at;
    this.#at = hashes;
    this.#metricHashes(frames, first);
    this.#at = countsEnd;
    this.#times(samples, first, end);
    this.#values(samples, first, end);
  }

  /** Header and key of each frame. */
  #heads(frames: number, samples: number, hasCounts: boolean, keys: number, labelHashes: number): void {
    const view = this.#toView;
    const from = this.#fromView;
    let left = samples;
    let at = this.#toAt;
    let key = keys;
    for (let i = 0; i < frames; i++) {
      const count = hasCounts ? this.#uvarint() : 1;
      if (count < 1 || count > SAMPLES_PER_FRAME_MAX || count > left)
        throw new BytesError(`a frame of ${count} samples`);
      left -= count;
      view.setUint32(at + FRAME_BYTES_AT, KEYED_BYTES + count * SAMPLE_BYTES, true);
      view.setUint32(at + FRAME_LABELS_BYTES_AT, KEY_BYTES, true);
      view.setUint32(at + FRAME_SAMPLES_AT, count, true);
      view.setUint32(at + FRAME_FLAGS_AT, FRAME_KEY, true);
      if (labelHashes >= 0) {
        view.setUint32(at + FRAME_LABELS_HASH_AT, from.getUint32(labelHashes + 4 * i, true), true);
      }
      view.setUint32(at + KEY_AT, from.getUint32(key, true), true);
      view.setUint32(at + KEY_AT + 4, from.getUint32(key + 4, true), true);
      view.setUint32(at + KEY_AT + 8, from.getUint32(key + 8, true), true);
      view.setUint32(at + KEY_AT + 12, from.getUint32(key + 12, true), true);
      key += KEY_BYTES;
      at += KEYED_BYTES + count * SAMPLE_BYTES;
    }
    if (left !== 0) throw new BytesError(`${left} samples of no frame`);
    this.#toAt = at;
  }

  #skipRuns(frames: number): void {
    for (let left = frames; left > 0; ) {
      const run = this.#uvarint();
      if (run < 1 || run > left) throw new BytesError(`a run of ${run} names where ${left} are left`);
      left -= run;
      this.#take(4);
    }
  }

  #metricHashes(frames: number, first: number): void {
    const view = this.#toView;
    let at = first;
    for (let left = frames; left > 0; ) {
      const run = this.#uvarint();
      const hash = this.#fromView.getUint32(this.#take(4), true);
      for (let i = 0; i < run; i++) {
        view.setUint32(at + FRAME_METRIC_HASH_AT, hash, true);
        at += view.getUint32(at + FRAME_BYTES_AT, true);
      }
      left -= run;
    }
  }

  #times(samples: number, first: number, end: number): void {
    const view = this.#toView;
    let left = samples;
    let run = 0;
    let time = 0;
    let low = 0;
    let high = 0;
    for (let at = first; at < end; ) {
      const frameEnd = at + view.getUint32(at + FRAME_BYTES_AT, true);
      for (let sample = at + KEYED_BYTES; sample < frameEnd; sample += SAMPLE_BYTES) {
        if (run === 0) {
          run = this.#uvarint();
          if (run < 1 || run > left) throw new BytesError(`a run of ${run} times where ${left} are left`);
          left -= run;
          const difference = this.#uvarint();
          time += difference % 2 === 0 ? difference / 2 : -(difference + 1) / 2;
          if (!(time >= -TIME_MS_MAX && time <= TIME_MS_MAX)) throw new BytesError(`a sample at ${time} ms`);
          high = Math.floor(time / 2 ** 32);
          low = time - high * 2 ** 32;
        }
        run--;
        view.setUint32(sample, low, true);
        view.setInt32(sample + 4, high, true);
      }
      at = frameEnd;
    }
  }

  #values(samples: number, first: number, end: number): void {
    const from = this.#from;
    const fromView = this.#fromView;
    const view = this.#toView;
    const kinds = this.#take((samples + 3) >> 2);
    // none takes more: no need to look at each
    const isAmple = this.#end - this.#at >= 8 * samples;
    let i = 0;
    let value = this.#at;
    for (let at = first; at < end; ) {
      const frameEnd = at + view.getUint32(at + FRAME_BYTES_AT, true);
      for (let sample = at + KEYED_BYTES; sample < frameEnd; sample += SAMPLE_BYTES, i++) {
        const kind = (from[kinds + (i >> 2)]! >> (2 * (i & 3))) & 3;
        if (!isAmple && value + VALUE_BYTES[kind]! > this.#end) throw new BytesError(`values that end at ${value}`);
        if (kind === FULL) {
          view.setUint32(sample + 8, fromView.getUint32(value, true), true);
          view.setUint32(sample + 12, fromView.getUint32(value + 4, true), true);
          value += 8;
        } else if (kind === HALF) {
          view.setUint32(sample + 12, fromView.getUint32(value, true), true);
          value += 4;
        } else if (kind === SHORT) {
          view.setUint16(sample + 14, fromView.getUint16(value, true), true);
          value += 2;
        }
      }
      at = frameEnd;
    }
    this.#at = value;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#end - at) throw new BytesError(`a block that ends within ${bytes} bytes at ${at}`);
    this.#at = at + bytes;
    return at;
  }

  #uvarint(): number {
    const at = this.#take(1);
    let byte = this.#from[at]!;
    if (byte < 128) return byte;
    let value = byte & 127;
    for (let scale = 128; ; scale *= 128) {
      byte = this.#from[this.#take(1)]!;
      value += (byte & 127) * scale;
      if (byte < 128) break;
      if (scale > 2 ** 46) throw new BytesError('a number that is too large');
    }
    return value;
  }
}
