import { SampleColumns, STALE } from '../storage/columns.ts';
import { mergeColumns } from '../storage/merge-columns.ts';
import type { Kernel } from './kernel.ts';
import { Region } from './region.ts';

// What a head hands out: series with their chunks (kernel/head.ts), and how to read them.

export interface HeadChunk {
  /** As Prometheus has it, its two bytes of count included. */
  readonly bytes: Uint8Array;
  /** Bit 0: samples in any order. */
  readonly flags: number;
}

/** Series of a slice (`HeadSlice` in storage/ingester-client.ts), one after another; what is yielded points into `bytes`. */
export function* parseSlice(bytes: Uint8Array): Iterable<SliceSeries> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const end = at + view.getUint32(at, true);
    const labelsFrom = at + 16;
    const labelsTo = labelsFrom + view.getUint32(at + 4, true);
    const chunks: HeadChunk[] = [];
    for (let p = (labelsTo + 7) & ~7; p < end; ) {
      const length = view.getUint32(p, true);
      chunks.push({ bytes: bytes.subarray(p + 8, p + 8 + length), flags: view.getUint32(p + 4, true) });
      p += (8 + length + 7) & ~7;
    }
    yield { labelsFrom, labelsTo, chunks };
    at = end;
  }
}

export interface SliceSeries {
  /** Canonical labels lie at [labelsFrom, labelsTo) of the slice. */
  readonly labelsFrom: number;
  readonly labelsTo: number;
  readonly chunks: readonly HeadChunk[];
}

const SAMPLES_MAX = 65535; // of a chunk
const UNORDERED = 1;

/** Decodes chunks of a head into columns. One serves a thread. */
export class ChunkDecoder {
  readonly #kernel: Kernel;
  readonly #chunk: Region;
  readonly #times: Region;
  readonly #values: Region;
  readonly #parts: SampleColumns[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#chunk = new Region(kernel, 16 * 1024);
    this.#times = new Region(kernel, 8 * SAMPLES_MAX);
    this.#values = new Region(kernel, 8 * SAMPLES_MAX);
  }

  /** All samples of the chunks within the range: ascending, each time once. */
  read(chunks: readonly HeadChunk[], startMs: number, endMs: number, out: SampleColumns): void {
    const parts: SampleColumns[] = [];
    for (const [i, chunk] of chunks.entries()) {
      let part = this.#parts[i];
      if (part === undefined) {
        part = new SampleColumns();
        this.#parts[i] = part;
      }
      this.#decode(chunk, part);
      parts.push(part);
    }
    mergeColumns(parts, startMs, endMs, out);
  }

  #decode({ bytes, flags }: HeadChunk, out: SampleColumns): void {
    const { exports } = this.#kernel;
    out.clear();
    const count = bytes[0]! * 256 + bytes[1]!;
    const found = exports.xorDecode(this.#chunk.put(bytes), bytes.length, this.#times.at, this.#values.at, SAMPLES_MAX);
    if (found < 0) throw new Error('bug: a chunk of the head does not decode');
    out.reserve(count);
    const { f64 } = this.#kernel;
    out.times.set(f64.subarray(this.#times.at / 8, this.#times.at / 8 + count));
    out.values.set(f64.subarray(this.#values.at / 8, this.#values.at / 8 + count));
    out.count = count;
    if ((found & 1) !== 0) markStale(this.#kernel, this.#values.at, count, out);
    if ((flags & UNORDERED) !== 0) sortColumns(out);
  }
}

/** Finds stale markers on the bits: as numbers all NaN are alike. */
function markStale(kernel: Kernel, at: number, count: number, out: SampleColumns): void {
  const words = new Uint32Array(kernel.u8.buffer, at, 2 * count);
  out.kinds.fill(0, 0, count);
  out.plain = false;
  for (let i = 0; i < count; i++) {
    if (words[2 * i + 1] === 0x7ff00000 && words[2 * i] === 2) out.kinds[i] = STALE;
  }
}

const ordered = new SampleColumns(16);

/** Samples that came in any order, ascending; of equal times the larger bits stay. */
function sortColumns(columns: SampleColumns): void {
  const { count, times, values, kinds, plain } = columns;
  const words = new Uint32Array(values.buffer, values.byteOffset, 2 * count);
  const order = Array.from({ length: count }, (_, i) => i).sort(
    (a, b) => times[a]! - times[b]! || words[2 * b + 1]! - words[2 * a + 1]! || words[2 * b]! - words[2 * a]!,
  );
  ordered.clear();
  ordered.reserve(count);
  let to = 0;
  for (const from of order) {
    if (to > 0 && ordered.times[to - 1] === times[from]) continue;
    ordered.times[to] = times[from]!;
    ordered.values[to] = values[from]!;
    ordered.kinds[to] = plain ? 0 : kinds[from]!;
    to++;
  }
  columns.times.set(ordered.times.subarray(0, to));
  columns.values.set(ordered.values.subarray(0, to));
  columns.kinds.set(ordered.kinds.subarray(0, to));
  columns.count = to;
}
