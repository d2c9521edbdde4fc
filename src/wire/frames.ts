import type { Kernel } from '../chunk/kernel.ts';
import { Region } from '../chunk/region.ts';

// Frames: series and samples on their way from an edge to a shard (kernel/write-request.ts has the layout).

export const FRAME_HEAD = 24;

/** A frame with the key of its series in place of labels. */
export const FRAME_KEY = 2;

/** What a frame holds that the kernel leaves to JavaScript (flags of its head): rich samples, or with FRAME_EXEMPLARS exemplars. */
export const FRAME_ASIDE = 4;
export const FRAME_EXEMPLARS = 8;

/** Writes frames of series that did not come the fast way. */
export class FrameWriter {
  readonly #kernel: Kernel;
  readonly #scratch: Region;
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#scratch = new Region(kernel, 4096);
  }

  clear(): void {
    this.length = 0;
  }

  /** What was written since `clear`; only until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  /**
   * Begins a series; `sample` follows exactly `samples` times.
   * @param labels canonical bytes
   * @param metric its name in UTF-8
   */
  series(labels: Uint8Array, metric: Uint8Array, samples: number): void {
    this.#begin(labels, metric, samples, 0, 16 * samples);
  }

  /** A frame of rich samples (rich-samples.ts) or exemplars (frame-exemplars.ts), `count` of them in `payload`. */
  aside(
    labels: Uint8Array,
    metric: Uint8Array,
    count: number,
    payload: Uint8Array,
    kind: typeof FRAME_ASIDE | typeof FRAME_EXEMPLARS,
  ): void {
    const padded = (payload.length + 7) & ~7;
    this.#begin(labels, metric, count, FRAME_ASIDE | kind, padded);
    this.#bytes.set(payload, this.length);
    this.#bytes.fill(0, this.length + payload.length, this.length + padded);
    this.length += padded;
  }

  /** Writes head and labels, and makes room for what follows. */
  #begin(labels: Uint8Array, metric: Uint8Array, samples: number, flags: number, more: number): void {
    const samplesAt = FRAME_HEAD + ((labels.length + 7) & ~7);
    const bytes = samplesAt + more;
    this.#reserve(bytes);
    const at = this.length;
    const view = this.#view;
    view.setUint32(at, bytes, true);
    view.setUint32(at + 4, labels.length, true);
    view.setUint32(at + 8, samples, true);
    view.setUint32(at + 12, flags, true);
    view.setUint32(at + 16, this.#kernel.exports.checksum(this.#scratch.put(metric), metric.length), true);
    view.setUint32(at + 20, 0, true);
    this.#bytes.set(labels, at + FRAME_HEAD);
    this.#bytes.fill(0, at + FRAME_HEAD + labels.length, at + samplesAt);
    this.length = at + samplesAt;
  }

  /** @param timeMs whole; @param high, low the value's bits: NaN payloads are data */
  sample(timeMs: number, high: number, low: number): void {
    const at = this.length;
    const view = this.#view;
    const upper = Math.floor(timeMs / 2 ** 32);
    view.setUint32(at, timeMs - upper * 2 ** 32, true);
    view.setInt32(at + 4, Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, upper)), true);
    view.setInt32(at + 8, low, true);
    view.setInt32(at + 12, high, true);
    this.length = at + 16;
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
export function splitKeyed(frames: Uint8Array): { readonly frames: Uint8Array; readonly keyed: readonly number[] } {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.length);
  const keyed: number[] = [];
  const others: Uint8Array[] = [];
  for (let at = 0, next = 0; at < frames.length; at = next) {
    next = at + view.getUint32(at, true);
    if ((view.getUint32(at + 12, true) & FRAME_KEY) !== 0) keyed.push(at);
    else others.push(frames.subarray(at, next));
  }
  return { frames: keyed.length === 0 ? frames : Buffer.concat(others), keyed };
}
