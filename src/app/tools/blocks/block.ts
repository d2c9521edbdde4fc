import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readHistograms } from '../../../chunk/histogram.ts';
import { readXor } from '../../../chunk/xor.ts';
import { readXor2 } from '../../../chunk/xor2.ts';
import { removeTimes } from '../../../chunkstore/series-set.ts';
import { Labels } from '../../../model/labels.ts';
import { SampleColumns } from '../../../storage/columns.ts';
import { mergeColumns } from '../../../storage/merge-columns.ts';
import { BlockFile, ChunkUnknown } from './block-file.ts';
import { BlockIndex, type BlockSeries, type ChunkPlace } from './block-index.ts';
import { type BlockMeta, META_FILE, readMeta } from './block-meta.ts';
import { type DeletedRange, readTombstones } from './block-tombstones.ts';

export const CHUNKS_MAGIC = 0x85bd40dd;
export const CHUNKS_VERSION = 1;
/** Numbers of encodings, in front of a chunk's data. */
export const ENCODING_XOR = 1;
export const ENCODING_HISTOGRAM = 2;
export const ENCODING_FLOAT_HISTOGRAM = 3;
const ENCODING_XOR2 = 4;
const ENCODING_HISTOGRAM_STARTS = 5;
const ENCODING_FLOAT_HISTOGRAM_STARTS = 6;

const CHUNK_HEAD_BYTES_MAX = 6;
const CHUNK_BYTES_MAX = 1 << 24;
/** Samples of one series, inclusive. A block of a month has less than three million at a second each. */
const SERIES_SAMPLES_MAX = 1 << 24;

/** A block of Prometheus in a folder of its own, read from its first series to its last. */
export class Block {
  readonly folder: string;
  readonly meta: BlockMeta;
  readonly #index: BlockIndex;
  readonly #segments: readonly BlockFile[];
  readonly #deleted: ReadonlyMap<number, readonly DeletedRange[]>;
  readonly #parts: SampleColumns[] = [];

  private constructor(
    folder: string,
    meta: BlockMeta,
    index: BlockIndex,
    segments: readonly BlockFile[],
    deleted: ReadonlyMap<number, readonly DeletedRange[]>,
  ) {
    this.folder = folder;
    this.meta = meta;
    this.#index = index;
    this.#segments = segments;
    this.#deleted = deleted;
  }

  /** @throws BlockDamaged, or what reading the files throws */
  static open(folder: string): Block {
    const meta = readMeta(join(folder, META_FILE));
    const deleted = readTombstones(join(folder, 'tombstones'));
    const index = BlockIndex.open(join(folder, 'index'));
    const segments: BlockFile[] = [];
    try {
      const chunks = join(folder, 'chunks');
      const names = existsSync(chunks) ? readdirSync(chunks).filter((name) => /^\d+$/.test(name)) : [];
      for (const name of names.sort((a, b) => Number(a) - Number(b))) {
        segments.push(BlockFile.open(join(chunks, name), CHUNKS_MAGIC, CHUNKS_VERSION));
      }
      return new Block(folder, meta, index, segments, deleted);
    } catch (error) {
      for (const file of [index, ...segments]) file.close();
      throw error;
    }
  }

  /** All series, ascending by labels. @throws BlockDamaged */
  *series(): Generator<BlockSeries> {
    let last: Labels | undefined;
    for (const series of this.#index.series()) {
      const labels = Labels.fromSortedPairs(series.pairs);
      if (last !== undefined && Labels.compare(last, labels) >= 0) this.#index.fail(series, 'series do not ascend');
      last = labels;
      yield series;
    }
  }

  /** Replaces what `out` holds by all samples of a series that were not deleted. @throws BlockDamaged */
  read(series: BlockSeries, out: SampleColumns): void {
    const parts = this.#parts;
    let samples = 0;
    for (const [i, place] of series.chunks.entries()) {
      parts[i] ??= new SampleColumns(128);
      this.#readChunk(series, place, parts[i]!);
      samples += parts[i]!.count;
      if (samples > SERIES_SAMPLES_MAX) {
        this.#index.fail(series, `a series of more than ${SERIES_SAMPLES_MAX} samples`);
      }
    }
    mergeColumns(parts.slice(0, series.chunks.length), Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, out);
    for (const { minMs, maxMs } of this.#deleted.get(series.id) ?? []) removeTimes(out, minMs, maxMs);
  }

  #readChunk(series: BlockSeries, { segment, offset }: ChunkPlace, out: SampleColumns): void {
    const file =
      this.#segments[segment] ??
      this.#index.fail(series, `a chunk in file ${segment + 1} of ${this.#segments.length} of chunks`);
    const head = file.readUpTo(offset, CHUNK_HEAD_BYTES_MAX);
    const { bytes, size } = file.parse(offset, head, (from) => ({ bytes: from.uvarint(), size: from.at }));
    if (bytes > CHUNK_BYTES_MAX) file.fail(offset, `a chunk of ${bytes} bytes, at most ${CHUNK_BYTES_MAX} are read`);
    const encoded = file.readChecked(offset + size, bytes + 1);
    const encoding = encoded[0]!;
    const data = encoded.subarray(1);
    out.clear();
    file.parse(offset, data, () => {
      switch (encoding) {
        case ENCODING_XOR:
          return readXor(data, out);
        case ENCODING_HISTOGRAM:
          return readHistograms('histogram', data, out);
        case ENCODING_FLOAT_HISTOGRAM:
          return readHistograms('floathistogram', data, out);
        case ENCODING_XOR2:
          return readXor2(data, out);
        case ENCODING_HISTOGRAM_STARTS:
          return readHistograms('histogram', data, out, true);
        case ENCODING_FLOAT_HISTOGRAM_STARTS:
          return readHistograms('floathistogram', data, out, true);
        default:
          throw new ChunkUnknown(file.path, offset, encoding);
      }
    });
    for (let i = 1; i < out.count; i++) {
      if (!(out.times[i - 1]! < out.times[i]!)) file.fail(offset, 'times of a chunk do not ascend');
    }
  }

  close(): void {
    for (const file of [this.#index, ...this.#segments]) file.close();
  }
}

/** Folders of blocks: the folder itself, or those in it, the oldest block first. @throws where there is none */
export function blockFolders(folder: string): string[] {
  if (existsSync(join(folder, META_FILE))) return [folder];
  const found = readdirSync(folder, { withFileTypes: true })
    // what Prometheus is about to make or to remove has a name with a dot
    .filter((each) => each.isDirectory() && !each.name.includes('.'))
    .map((each) => join(folder, each.name))
    .filter((each) => existsSync(join(each, META_FILE)))
    .map((each) => ({ each, minMs: readMeta(join(each, META_FILE)).minMs }));
  if (found.length === 0) throw new Error(`${folder} is no block and has none in it: ${META_FILE} is missing`);
  return found.sort((a, b) => a.minMs - b.minMs).map(({ each }) => each);
}
