import type { Kernel } from '../chunk/kernel.ts';
import { Region } from '../chunk/region.ts';
import {
  FRAME_ASIDE,
  FRAME_BODY_AT,
  FRAME_BODY_BYTES_AT,
  FRAME_BYTES_AT,
  type FRAME_EXEMPLARS,
  FRAME_FAULT_AT,
  FRAME_FAULT_SAMPLES_AT,
  FRAME_FLAGS_AT,
  FRAME_HEADER_BYTES,
  FRAME_KEY,
  FRAME_LABELS_BYTES_AT,
  FRAME_LABELS_HASH_AT,
  FRAME_METRIC_HASH_AT,
  FRAME_SAMPLES_AT,
  SAMPLE_BYTES,
  SAMPLE_TIME_AT,
  SAMPLE_VALUE_AT,
} from './frame-layout.ts';

// Frames: series and samples on their way from an edge to a shard (docs/formats/slices.md). The kernel's scan writes the same.

/** A cursor over frames that lie one behind the other. Nothing is copied, and lengths are not checked: edges write them. */
export class FrameView {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The frame lies at [at, end) of the bytes. */
  at = 0;
  end = 0;

  /** Stands before the first frame. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Moves on to the next frame; false behind the last one. */
  next(): boolean {
    if (this.end >= this.#bytes.length) return false;
    this.moveTo(this.end);
    return true;
  }

  /** Moves to the frame that begins at `at`. */
  moveTo(at: number): void {
    this.at = at;
    this.end = at + this.#view.getUint32(at + FRAME_BYTES_AT, true);
  }

  /** All frames. */
  get all(): Uint8Array {
    return this.#bytes;
  }

  /** The frame whole. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(this.at, this.end);
  }

  get flags(): number {
    return this.#view.getUint32(this.at + FRAME_FLAGS_AT, true);
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** Labels (canonical) or, with FRAME_KEY, the key lie at [labelsAt, labelsAt + labelsBytes). */
  get labelsAt(): number {
    return this.at + FRAME_HEADER_BYTES;
  }

  get labelsBytes(): number {
    return this.#view.getUint32(this.at + FRAME_LABELS_BYTES_AT, true);
  }

  get labels(): Uint8Array {
    return this.#bytes.subarray(this.labelsAt, this.labelsAt + this.labelsBytes);
  }

  /** Samples or exemplars in the frame. */
  get samples(): number {
    return this.#view.getUint32(this.at + FRAME_SAMPLES_AT, true);
  }

  get samplesAt(): number {
    return this.at + aligned(FRAME_HEADER_BYTES + this.labelsBytes);
  }

  /** The low half of the XXH64 of the metric name. */
  get metricHash(): number {
    return this.#view.getUint32(this.at + FRAME_METRIC_HASH_AT, true);
  }

  /** The low half of the XXH64 of the canonical labels; 0 where nobody asked for it. */
  get labelsHash(): number {
    return this.#view.getUint32(this.at + FRAME_LABELS_HASH_AT, true);
  }

  /** The place of the series in the body, in a frame with FRAME_SLOW. */
  get bodyAt(): number {
    return this.#view.getUint32(this.at + FRAME_BODY_AT, true);
  }

  get bodyBytes(): number {
    return this.#view.getUint32(this.at + FRAME_BODY_BYTES_AT, true);
  }

  /** The fault in a frame with FRAME_SLOW: FAULT_LABEL_INVALID … where its labels are refused for sure, else 0. */
  get fault(): number {
    return this.#view.getUint32(this.at + FRAME_FAULT_AT, true);
  }

  /** Samples and histograms of the series in a frame with FRAME_SLOW. */
  get faultSamples(): number {
    return this.#view.getUint32(this.at + FRAME_FAULT_SAMPLES_AT, true);
  }
}

function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Bytes of a label's name or value: the length of a pair is kept in 16 bits. */
export const LABEL_BYTES_MAX = 30_000;

/** Canonical labels that are hashed: longer ones no shard takes. */
const HASHED_BYTES_MAX = 256 * 1024;

const FRAMES_BYTES_KEPT_MAX = 2 * 1024 * 1024;

/** Writes frames of series that did not come the fast way. */
export class FrameWriter {
  readonly #kernel: Kernel;
  readonly #scratch: Region;
  readonly #labels: Region;
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  length = 0;
  /** Whether frames carry the hash of their labels. */
  hashLabels = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    // no metric name is longer, so that the memory does not grow under views of it
    this.#scratch = new Region(kernel, LABEL_BYTES_MAX);
    this.#labels = new Region(kernel, HASHED_BYTES_MAX);
  }

  /** Forgets what was written, and gives back memory that grew large. */
  clear(): void {
    this.length = 0;
    if (this.#bytes.length <= FRAMES_BYTES_KEPT_MAX) return;
    this.#bytes = new Uint8Array(4096);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** The bytes written since `clear`, not copied: they hold only until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  /**
   * Begins a series; `sample` follows exactly `samples` times.
   * @param labels canonical bytes
   * @param metric its name in UTF-8
   */
  series(labels: Uint8Array, metric: Uint8Array, samples: number): void {
    this.#begin(labels, metric, samples, 0, SAMPLE_BYTES * samples);
  }

  /** A frame of rich samples (rich-samples.ts) or exemplars (frame-exemplars.ts), `count` of them in `payload`. */
  aside(
    labels: Uint8Array,
    metric: Uint8Array,
    count: number,
    payload: Uint8Array,
    kind: typeof FRAME_ASIDE | typeof FRAME_EXEMPLARS,
  ): void {
    const padded = aligned(payload.length);
    this.#begin(labels, metric, count, FRAME_ASIDE | kind, padded);
    this.#bytes.set(payload, this.length);
    this.#bytes.fill(0, this.length + payload.length, this.length + padded);
    this.length += padded;
  }

  /** Writes header and labels, and makes room for what follows. */
  #begin(labels: Uint8Array, metric: Uint8Array, samples: number, flags: number, more: number): void {
    const samplesAt = aligned(FRAME_HEADER_BYTES + labels.length);
    const bytes = samplesAt + more;
    this.#reserve(bytes);
    const at = this.length;
    const view = this.#view;
    const metricHash = this.#kernel.exports.checksum(this.#scratch.put(metric), metric.length);
    view.setUint32(at + FRAME_BYTES_AT, bytes, true);
    view.setUint32(at + FRAME_LABELS_BYTES_AT, labels.length, true);
    view.setUint32(at + FRAME_SAMPLES_AT, samples, true);
    view.setUint32(at + FRAME_FLAGS_AT, flags, true);
    view.setUint32(at + FRAME_METRIC_HASH_AT, metricHash, true);
    const isHashed = this.hashLabels && labels.length <= HASHED_BYTES_MAX;
    const labelsHash = isHashed ? this.#kernel.exports.checksum(this.#labels.put(labels), labels.length) : 0;
    view.setUint32(at + FRAME_LABELS_HASH_AT, labelsHash, true);
    this.#bytes.set(labels, at + FRAME_HEADER_BYTES);
    this.#bytes.fill(0, at + FRAME_HEADER_BYTES + labels.length, at + samplesAt);
    this.length = at + samplesAt;
  }

  /** @param timeMs whole; @param high, low the value's bits: NaN payloads are data */
  sample(timeMs: number, high: number, low: number): void {
    const at = this.length;
    const view = this.#view;
    const upper = Math.floor(timeMs / 2 ** 32);
    view.setUint32(at + SAMPLE_TIME_AT, timeMs - upper * 2 ** 32, true);
    view.setInt32(at + SAMPLE_TIME_AT + 4, Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, upper)), true);
    view.setInt32(at + SAMPLE_VALUE_AT, low, true);
    view.setInt32(at + SAMPLE_VALUE_AT + 4, high, true);
    this.length = at + SAMPLE_BYTES;
  }

  #reserve(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.length + more, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.length));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/** Frames that have labels, and where the others begin. */
export function splitKeyed(bytes: Uint8Array): { readonly frames: Uint8Array; readonly keyed: readonly number[] } {
  const keyed: number[] = [];
  const others: Uint8Array[] = [];
  for (const frames = new FrameView(bytes); frames.next(); ) {
    if (frames.has(FRAME_KEY)) keyed.push(frames.at);
    else others.push(frames.bytes);
  }
  return { frames: keyed.length === 0 ? bytes : Buffer.concat(others), keyed };
}
