import type { HeadChunk } from '../chunk/head-chunk.ts';
import {
  CHUNK_BYTES_AT,
  CHUNK_FLAGS_AT,
  CHUNK_HEADER_BYTES,
  SERIES_BYTES_AT,
  SERIES_CHUNKS_AT,
  SERIES_HEADER_BYTES,
  SERIES_LABELS_BYTES_AT,
  SERIES_REF_AT,
} from './slice-layout.ts';

// Slices: series of a head with their chunks (docs/formats/slices.md). The kernel's exportSeries writes the same.

/** A cursor over the series of a slice. Nothing is copied, no object made for a series. */
export class SliceView {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Canonical labels lie at [labelsFrom, labelsTo) of the slice, the chunks at [chunksFrom, chunksTo). */
  labelsFrom = 0;
  labelsTo = 0;
  chunksFrom = 0;
  chunksTo = 0;
  chunkCount = 0;

  /** Stands before the first series. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves on to the next series; false behind the last one. */
  next(): boolean {
    const at = this.chunksTo;
    if (at >= this.#bytes.length) return false;
    this.labelsFrom = at + SERIES_HEADER_BYTES;
    this.labelsTo = this.labelsFrom + this.#view.getUint32(at + SERIES_LABELS_BYTES_AT, true);
    this.chunksFrom = aligned(this.labelsTo);
    this.chunkCount = this.#view.getUint32(at + SERIES_CHUNKS_AT, true);
    this.chunksTo = at + this.#view.getUint32(at + SERIES_BYTES_AT, true);
    return true;
  }

  get labels(): Uint8Array {
    return this.#bytes.subarray(this.labelsFrom, this.labelsTo);
  }

  get chunks(): HeadChunk[] {
    return chunksAt(this.#bytes, this.chunksFrom, this.chunksTo);
  }
}

/** The chunks that lie at [from, to) of a slice, each as an object that points into it. */
export function chunksAt(bytes: Uint8Array, from: number, to: number): HeadChunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: HeadChunk[] = [];
  for (let at = from; at < to; ) {
    const data = at + CHUNK_HEADER_BYTES;
    const length = view.getUint32(at + CHUNK_BYTES_AT, true);
    chunks.push({ bytes: bytes.subarray(data, data + length), flags: view.getUint32(at + CHUNK_FLAGS_AT, true) });
    at = aligned(data + length);
  }
  return chunks;
}

/** Writes one series at the start of `room`, or adds chunks to one that the kernel has begun there. */
export class SliceSeriesWriter {
  readonly #room: Uint8Array;
  readonly #view: DataView;
  /** Bytes of the series so far. */
  length = 0;

  constructor(room: Uint8Array) {
    this.#room = room;
    this.#view = new DataView(room.buffer, room.byteOffset, room.byteLength);
  }

  /** Begins a series whose labels lie in the room already, SERIES_HEADER_BYTES in; `end` closes it. */
  begin(ref: number, labelsBytes: number): void {
    this.#view.setUint32(SERIES_LABELS_BYTES_AT, labelsBytes, true);
    this.#view.setUint32(SERIES_CHUNKS_AT, 0, true);
    this.#view.setUint32(SERIES_REF_AT, ref, true);
    const end = SERIES_HEADER_BYTES + labelsBytes;
    this.length = aligned(end);
    this.#room.fill(0, end, this.length);
  }

  /** Goes on behind what is there. */
  resume(): void {
    this.length = this.#view.getUint32(SERIES_BYTES_AT, true);
  }

  /** Adds a chunk; false, and nothing is written, where there is no room for it. */
  chunk({ bytes, flags }: HeadChunk): boolean {
    const at = this.length;
    const data = at + CHUNK_HEADER_BYTES;
    const next = aligned(data + bytes.length);
    if (next > this.#room.length) return false;
    this.#view.setUint32(at + CHUNK_BYTES_AT, bytes.length, true);
    this.#view.setUint32(at + CHUNK_FLAGS_AT, flags, true);
    this.#room.set(bytes, data);
    this.#room.fill(0, data + bytes.length, next);
    this.#view.setUint32(SERIES_CHUNKS_AT, this.#view.getUint32(SERIES_CHUNKS_AT, true) + 1, true);
    this.length = next;
    return true;
  }

  /** Returns the bytes of the series, a multiple of 8. */
  end(): number {
    this.#view.setUint32(SERIES_BYTES_AT, this.length, true);
    return this.length;
  }
}

function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}
