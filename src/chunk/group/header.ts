import zlib from 'node:zlib';
import { ByteReader, BytesError, ByteWriter } from '../../lib/bytes.ts';
import { storeErrors } from '../../model/errors-store.ts';
import { DIGEST_BYTES } from './digest.ts';
import { inflate } from './inflate.ts';

export const GROUP_VERSION = 1;

// Kinds of sub-blocks, in the order in which they lie in a group.
export const SERIES_BLOCK = 1;
export const TIMES_BLOCK = 2;
export const VALUES_BLOCK = 3;
export const HISTOGRAM_BLOCK = 4;
export const STARTS_BLOCK = 5;
export const DIGEST_BLOCK = 6;
export type BlockKind = 1 | 2 | 3 | 4 | 5 | 6;

const BLOCK_NAMES = ['', 'series', 'times', 'values', 'histograms', 'starts', 'digests'];

/** Before zstd a sub-block is at most so long; most are far below. */
export const BLOCK_RAW_BYTES_MAX = 64 * 2 ** 20;
const HEADER_RAW_BYTES_MAX = 16 * 2 ** 20;
const ZSTD_LEVEL = 1;

/** A sub-block as the header describes it. */
export interface BlockRef {
  readonly kind: BlockKind;
  /** The series it is about (of a times block: the time columns): `first` … `first + count − 1`. */
  readonly first: number;
  readonly count: number;
  readonly rawBytes: number;
  /** Within the group's body. */
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
  /** Time columns of a values block's series lie within these, both ends inclusive; other blocks have 0. */
  readonly timesFirst: number;
  readonly timesLast: number;
}

/** The series of one metric: `first` … `first + count − 1`. */
export interface MetricRef {
  readonly name: string;
  readonly first: number;
  readonly count: number;
}

/** A group without its body: summary, metrics, and where each sub-block lies. */
export interface GroupHeader {
  readonly windowStartMs: number;
  readonly windowMs: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly seriesCount: number;
  readonly sampleCount: number;
  /** Sum over all series' digests. */
  readonly digest: Uint8Array;
  /** Ascending by the bytes of the name; a name may be empty. */
  readonly metrics: readonly MetricRef[];
  readonly blocks: readonly BlockRef[];
  /** Length of all sub-blocks together. */
  readonly bodyBytes: number;
}

/** A sub-block ready to be stored. */
export interface StoredBlock extends Omit<BlockRef, 'offset' | 'bytes' | 'crc'> {
  readonly stored: Uint8Array;
}

export function compress(raw: Uint8Array): Uint8Array {
  return zlib.zstdCompressSync(raw, {
    chunkSize: Math.max(64, raw.length + (raw.length >> 7) + 64),
    params: { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
  });
}

/** @param metrics in group order, names as strings of one character a byte */
export function encodeHeader(
  summary: Omit<GroupHeader, 'metrics' | 'blocks' | 'bodyBytes'>,
  metrics: readonly { readonly name: string; readonly count: number }[],
  blocks: readonly StoredBlock[],
): Uint8Array {
  const out = new ByteWriter();
  out.varint(summary.windowStartMs);
  out.uvarint(summary.windowMs);
  out.f64(summary.firstMs);
  out.f64(summary.lastMs);
  out.uvarint(summary.seriesCount);
  out.uvarint(summary.sampleCount);
  out.bytes(summary.digest);
  out.uvarint(metrics.length);
  let before = '';
  for (const { name, count } of metrics) {
    let shared = 0;
    while (shared < before.length && shared < name.length && before[shared] === name[shared]) shared++;
    out.uvarint(shared);
    out.uvarint(name.length - shared);
    out.bytes(Buffer.from(name.slice(shared), 'latin1'));
    out.uvarint(count);
    before = name;
  }
  out.uvarint(blocks.length);
  const ends: number[] = [];
  for (const block of blocks) {
    out.u8(block.kind);
    out.uvarint(block.first - (ends[block.kind] ?? 0));
    out.uvarint(block.count);
    out.uvarint(block.rawBytes);
    out.uvarint(block.stored.length);
    out.u32(zlib.crc32(block.stored));
    if (block.kind === VALUES_BLOCK) {
      out.uvarint(block.timesFirst);
      out.uvarint(block.timesLast - block.timesFirst);
    }
    ends[block.kind] = block.first + block.count;
  }
  return framed(out.done());
}

/** A header that differs in the length of the window, which nothing but the group's id depends on. */
export function withWindowMs(header: Uint8Array, windowMs: number): Uint8Array {
  const frame = new ByteReader(header);
  frame.u8();
  const rawBytes = frame.uvarint(HEADER_RAW_BYTES_MAX);
  const storedBytes = frame.uvarint(header.length);
  frame.u32();
  const raw = inflate(frame.take(storedBytes), rawBytes);
  const from = new ByteReader(raw);
  const out = new ByteWriter();
  out.varint(from.varint());
  from.uvarint();
  out.uvarint(windowMs);
  out.bytes(raw.subarray(from.at));
  return framed(out.done());
}

function framed(raw: Uint8Array): Uint8Array {
  const stored = compress(raw);
  const frame = new ByteWriter();
  frame.u8(GROUP_VERSION);
  frame.uvarint(raw.length);
  frame.uvarint(stored.length);
  frame.u32(zlib.crc32(stored));
  frame.bytes(stored);
  return frame.done();
}

/**
 * Reads a group's header. Bytes behind it are not looked at: where the group is inline, its body.
 * @param name of the object or row, for errors
 * @throws storeErrors.groupCorrupt
 */
export function parseHeader(bytes: Uint8Array, name: string): { header: GroupHeader; headerBytes: number } {
  return guarded(name, 'header', () => {
    const frame = new ByteReader(bytes);
    const version = frame.u8();
    if (version !== GROUP_VERSION) throw new BytesError(`version ${version}, known is ${GROUP_VERSION}`);
    const rawBytes = frame.uvarint(HEADER_RAW_BYTES_MAX);
    const storedBytes = frame.uvarint(bytes.length);
    const crc = frame.u32();
    const stored = frame.take(storedBytes);
    if (zlib.crc32(stored) !== crc) throw new BytesError('the checksum differs');
    return { header: readHeader(new ByteReader(inflate(stored, rawBytes))), headerBytes: frame.at };
  });
}

function readHeader(from: ByteReader): GroupHeader {
  const windowStartMs = from.varint();
  const windowMs = from.uvarint();
  const firstMs = from.f64();
  const lastMs = from.f64();
  if (!(firstMs <= lastMs)) throw new BytesError(`times from ${firstMs} to ${lastMs}`);
  const seriesCount = from.uvarint(0xffffff);
  const sampleCount = from.uvarint();
  const digest = from.take(DIGEST_BYTES);
  const metrics: MetricRef[] = [];
  let first = 0;
  let before = '';
  for (let left = from.count(3); left > 0; left--) {
    const shared = from.uvarint(before.length);
    const suffix = from.take(from.uvarint(from.left));
    const name = before.slice(0, shared) + Buffer.from(suffix).toString('latin1');
    if (metrics.length > 0 && name <= before) throw new BytesError('metrics that do not ascend');
    const count = from.uvarint(seriesCount - first);
    metrics.push({ name: Buffer.from(name, 'latin1').toString('utf8'), first, count });
    first += count;
    before = name;
  }
  if (first !== seriesCount) throw new BytesError(`metrics of ${first} series in a group of ${seriesCount}`);
  const { blocks, bodyBytes } = readBlocks(from, seriesCount);
  from.end();
  return { windowStartMs, windowMs, firstMs, lastMs, seriesCount, sampleCount, digest, metrics, blocks, bodyBytes };
}

function readBlocks(from: ByteReader, seriesCount: number): { blocks: BlockRef[]; bodyBytes: number } {
  const blocks: BlockRef[] = [];
  const ends = [0, 0, 0, 0, 0, 0, 0];
  let offset = 0;
  for (let left = from.count(8); left > 0; left--) {
    const kind = from.u8();
    if (kind < SERIES_BLOCK || kind > DIGEST_BLOCK) throw new BytesError(`a sub-block of kind ${kind}`);
    const gap = from.uvarint(seriesCount);
    if (gap > 0 && (kind <= VALUES_BLOCK || kind === DIGEST_BLOCK)) throw new BytesError('series without a sub-block');
    const first = ends[kind]! + gap;
    // there are no more time columns than series
    const count = from.uvarint(seriesCount - first);
    const rawBytes = from.uvarint(BLOCK_RAW_BYTES_MAX);
    const bytes = from.uvarint(2 * BLOCK_RAW_BYTES_MAX);
    const crc = from.u32();
    let timesFirst = 0;
    let timesLast = 0;
    if (kind === VALUES_BLOCK) {
      timesFirst = from.uvarint(ends[TIMES_BLOCK]! - 1);
      timesLast = timesFirst + from.uvarint(ends[TIMES_BLOCK]! - 1 - timesFirst);
    }
    blocks.push({ kind: kind as BlockKind, first, count, rawBytes, offset, bytes, crc, timesFirst, timesLast });
    ends[kind] = first + count;
    offset += bytes;
  }
  checkWithinSeries(blocks);
  if (ends[SERIES_BLOCK] !== seriesCount || ends[VALUES_BLOCK] !== seriesCount) {
    throw new BytesError('series without a sub-block');
  }
  return { blocks, bodyBytes: offset };
}

/** A block about series needs their series block, so it must lie within one. */
function checkWithinSeries(blocks: readonly BlockRef[]): void {
  const series = blocks.filter((block) => block.kind === SERIES_BLOCK);
  let at = 0;
  let kind = 0;
  for (const block of blocks) {
    if (block.kind === SERIES_BLOCK || block.kind === TIMES_BLOCK) continue;
    if (block.kind !== kind) at = 0;
    kind = block.kind;
    while (at < series.length && series[at]!.first + series[at]!.count <= block.first) at++;
    const within = series[at];
    if (within === undefined || block.first + block.count > within.first + within.count) {
      throw new BytesError(`${blockName(block)} lies in no series block`);
    }
  }
}

/** Whether these are the bytes of a sub-block, by length and checksum. */
export function isIntact(ref: BlockRef, stored: Uint8Array): boolean {
  return stored.length === ref.bytes && zlib.crc32(stored) === ref.crc;
}

/**
 * A sub-block's content, checked and inflated.
 * @param stored exactly the bytes that `ref` names
 * @throws storeErrors.groupCorrupt
 */
export function openBlock(ref: BlockRef, stored: Uint8Array, name: string): Uint8Array {
  checkBlock(ref, stored, name);
  return guarded(name, blockName(ref), () => inflate(stored, ref.rawBytes));
}

/** @throws storeErrors.groupCorrupt where these are not the bytes that `ref` names */
export function checkBlock(ref: BlockRef, stored: Uint8Array, name: string): void {
  guarded(name, blockName(ref), () => {
    if (stored.length !== ref.bytes) throw new BytesError(`${stored.length} of ${ref.bytes} bytes`);
    if (zlib.crc32(stored) !== ref.crc) throw new BytesError('the checksum differs');
  });
}

/** For errors and tools: `values 512…1023`. */
export function blockName(ref: BlockRef): string {
  return `${BLOCK_NAMES[ref.kind]} ${ref.first}…${ref.first + ref.count - 1} at ${ref.offset}`;
}

/** Runs `read`; what it refuses is named as this part of this group. */
export function guarded<T>(name: string, part: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof BytesError) throw storeErrors.groupCorrupt({ name, part, reason: error.message });
    throw error;
  }
}
