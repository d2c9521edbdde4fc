import { ByteReader, ByteWriter } from '../lib/bytes.ts';
import { withResetHint } from '../model/histogram.ts';
import { HISTOGRAM, SampleColumns, STALE, STALE_HISTOGRAM } from '../storage/columns.ts';
import { mergeColumns } from '../storage/merge-columns.ts';
import { isEqualBytes } from './equal-bytes.ts';
import { CHUNK_PACKED, CHUNK_STARTS, CHUNK_UNORDERED } from './head-chunk-flags.ts';
import { readHistograms } from './histogram.ts';
import type { Kernel } from './kernel.ts';
import { Region } from './region.ts';
import { readXor2 } from './xor2.ts';

// Chunks of a head, and how to read them.

export interface HeadChunk {
  /** As Prometheus has it, its two bytes of count included, which packed chunks begin with, too. */
  readonly bytes: Uint8Array;
  /** CHUNK_UNORDERED, CHUNK_STARTS; bits 8–15: CHUNK_XOR … */
  readonly flags: number;
}

/** How a chunk is encoded, if it is not CHUNK_PACKED. All but these two are the work of JavaScript. */
export const CHUNK_XOR = 0;
export const CHUNK_HISTOGRAM = 2;
export const CHUNK_FLOAT_HISTOGRAM = 3;
export const CHUNK_XOR2 = 4;

export type RichEncoding = typeof CHUNK_HISTOGRAM | typeof CHUNK_FLOAT_HISTOGRAM | typeof CHUNK_XOR2;

/** A chunk and the start timestamps of its samples, as CHUNK_STARTS has them. */
export function joinStarts(chunk: Uint8Array, starts: readonly number[]): Uint8Array {
  const out = new ByteWriter();
  out.uvarint(chunk.length);
  out.bytes(chunk);
  let last = 0;
  for (const start of starts) {
    out.varint(start - last);
    last = start;
  }
  return out.done();
}

/** A chunk and its start timestamps, as `joinStarts` put them together. @throws BytesError */
export function splitStarts(bytes: Uint8Array): { readonly chunk: Uint8Array; readonly starts: number[] } {
  const from = new ByteReader(bytes);
  const chunk = from.take(from.count(1));
  const starts: number[] = [];
  for (let last = 0; from.left > 0; starts.push(last)) last += from.varint();
  return { chunk, starts };
}

/** Appends the samples of a chunk that JavaScript wrote, in its order. @throws AppError chunk-corrupt, BytesError */
export function readRichChunk({ bytes, flags }: HeadChunk, out: SampleColumns): void {
  if ((flags & CHUNK_STARTS) === 0) {
    readRichSamples(bytes, flags >>> 8, out);
    return;
  }
  const { chunk, starts } = splitStarts(bytes);
  const from = out.count;
  readRichSamples(chunk, flags >>> 8, out);
  out.needStarts();
  for (let i = from; i < out.count; i++) out.starts[i] = starts[i - from] ?? 0;
}

function readRichSamples(chunk: Uint8Array, encoding: number, out: SampleColumns): void {
  if (encoding === CHUNK_HISTOGRAM) readHistograms('histogram', chunk, out);
  else if (encoding === CHUNK_FLOAT_HISTOGRAM) readHistograms('floathistogram', chunk, out);
  else if (encoding === CHUNK_XOR2) readXor2(chunk, out);
  else throw new Error(`bug: a chunk of the head has encoding ${encoding}`);
}

const SAMPLES_MAX = 65535; // of a chunk
/** Pairs of chunks that are compared; of more, all are decoded. */
const PAIRS_MAX = 4096;

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

  /** Whether all samples of some chunks are in chunks of others, for sure. */
  haveAll(whole: readonly HeadChunk[], some: readonly HeadChunk[]): boolean {
    if (whole.length * some.length > PAIRS_MAX) return false;
    return some.every((each) => whole.some((other) => this.#has(other, each)));
  }

  /** Chunks without those whose samples are all in another one. */
  distinct(chunks: readonly HeadChunk[]): HeadChunk[] {
    if (chunks.length * chunks.length > PAIRS_MAX) return [...chunks];
    const kept: HeadChunk[] = [];
    for (const chunk of chunks) {
      if (kept.some((other) => this.#has(other, chunk))) continue;
      for (let i = kept.length - 1; i >= 0; i--) if (this.#has(chunk, kept[i]!)) kept.splice(i, 1);
      kept.push(chunk);
    }
    return kept;
  }

  /** Whether a chunk is equal to another byte for byte, or the beginning of it. */
  #has({ bytes: whole, flags }: HeadChunk, { bytes: part, flags: partFlags }: HeadChunk): boolean {
    const length = part.length;
    if (flags !== partFlags || length > whole.length || length < 2) return false;
    const last = length - 1;
    if (!isEqualBytes(whole, 2, part, 2, last - 2)) return false;
    const isSameCount = whole[0] === part[0] && whole[1] === part[1];
    if (isSameCount) return length === whole.length && whole[last] === part[last];
    const hasMore = part[0]! * 256 + part[1]! < whole[0]! * 256 + whole[1]!;
    if (!hasMore || flags >>> 8 !== CHUNK_XOR || (flags & CHUNK_STARTS) !== 0) return false;
    // the last byte is filled up with zeros, where the other goes on
    const { exports } = this.#kernel;
    const found = exports.xorDecode(this.#chunk.put(part), length, this.#times.at, this.#values.at, SAMPLES_MAX);
    if (found < 0) throw new Error('bug: a chunk of the head does not decode');
    const spare = 8 * length - exports.xorDecodedBits();
    return spare < 8 && whole[last]! >> spare === part[last]! >> spare;
  }

  #decode({ bytes, flags }: HeadChunk, out: SampleColumns): void {
    const { exports } = this.#kernel;
    out.clear();
    const isPacked = flags >>> 8 === CHUNK_PACKED;
    if (flags >>> 8 !== CHUNK_XOR && !isPacked) {
      readRichChunk({ bytes, flags }, out);
      if ((flags & CHUNK_UNORDERED) !== 0) sortRich(out);
      return;
    }
    const count = bytes[0]! * 256 + bytes[1]!;
    const decode = isPacked ? exports.packedDecode : exports.xorDecode;
    const found = decode(this.#chunk.put(bytes), bytes.length, this.#times.at, this.#values.at, SAMPLES_MAX);
    if (found < 0) throw new Error('bug: a chunk of the head does not decode');
    out.reserve(count);
    const { f64 } = this.#kernel;
    out.times.set(f64.subarray(this.#times.at / 8, this.#times.at / 8 + count));
    out.values.set(f64.subarray(this.#values.at / 8, this.#values.at / 8 + count));
    out.count = count;
    if ((found & 1) !== 0) markStale(this.#kernel, this.#values.at, count, out);
    if ((flags & CHUNK_UNORDERED) !== 0) sortColumns(out);
  }
}

/** Finds stale markers on the bits: as numbers all NaN are alike. */
export function markStale(kernel: Kernel, at: number, count: number, out: SampleColumns): void {
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

/** The same for chunks of histograms or with start timestamps. What was compared when a sample came is not the one before it now. */
function sortRich(columns: SampleColumns): void {
  const singles = Array.from({ length: columns.count }, (_, i) => singleOf(columns, i));
  mergeColumns(singles, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, columns);
}

function singleOf(from: SampleColumns, i: number): SampleColumns {
  const out = new SampleColumns(1);
  const kind = from.plain ? 0 : from.kinds[i]!;
  const histogram = from.histograms[i];
  if (kind === HISTOGRAM && histogram !== undefined) {
    const { resetHint } = histogram;
    out.pushHistogram(from.times[i]!, resetHint === 'gauge' ? histogram : withResetHint(histogram, 'unknown'));
  } else if (kind === 0) out.pushFloat(from.times[i]!, from.values[i]!);
  else out.pushStale(from.times[i]!, kind === STALE ? STALE : STALE_HISTOGRAM);
  if (from.hasStarts) out.setStart(from.starts[i]!);
  return out;
}
