import { BytesError } from '../../lib/bytes.ts';
import { FLOAT, type SampleColumns } from '../../storage/columns.ts';
import type { Chunk } from './chunk.ts';
import type { ColumnSource } from './column-reader.ts';
import type { GroupDecoder } from './decode.ts';
import { addDigest, DIGEST_BYTES, type Digester } from './digest.ts';
import {
  type BlockKind,
  type BlockRef,
  blockName,
  checkBlock,
  DIGEST_BLOCK,
  type GroupHeader,
  guarded,
  HISTOGRAM_BLOCK,
  openBlock,
  SERIES_BLOCK,
  STARTS_BLOCK,
  TIMES_BLOCK,
  VALUES_BLOCK,
} from './header.ts';
import type { HistogramBlock } from './histogram-block.ts';
import { FLAG_HISTOGRAMS, FLAG_STARTS, type GroupSeries } from './series.ts';
import { type LabelBlock, parseSeriesBlock, type SeriesBlock } from './series-block.ts';
import type { TimeColumn } from './time-column.ts';

/** The sub-block of a kind that holds series `index` (of times blocks: column `index`), if any. `blocks` ascend by `first`. */
export function blockOf(blocks: readonly BlockRef[], index: number): BlockRef | undefined {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (blocks[middle]!.first <= index) low = middle + 1;
    else high = middle;
  }
  const block = blocks[low - 1];
  return block !== undefined && index < block.first + block.count ? block : undefined;
}

/** The sub-blocks of a group by kind. */
export class GroupBlocks {
  readonly #byKind: readonly (readonly BlockRef[])[];

  constructor(header: GroupHeader) {
    const byKind: BlockRef[][] = [[], [], [], [], [], [], []];
    for (const block of header.blocks) byKind[block.kind]!.push(block);
    this.#byKind = byKind;
  }

  of(kind: BlockKind): readonly BlockRef[] {
    return this.#byKind[kind]!;
  }

  find(kind: BlockKind, index: number): BlockRef | undefined {
    return blockOf(this.#byKind[kind]!, index);
  }

  /** Blocks of a kind that touch the indexes from `first`, inclusive, to `end`, exclusive. */
  within(kind: BlockKind, first: number, end: number): readonly BlockRef[] {
    return this.#byKind[kind]!.filter((block) => block.first < end && block.first + block.count > first);
  }
}

/** Bytes of a chunk, apart from what it refers to. */
const CHUNK_BYTES = 100;

/** The opened parts of one group; gives the chunk of a series once the blocks that it needs are there. */
export class OpenGroup {
  readonly name: string;
  readonly blocks: GroupBlocks;
  /** Memory held, roughly: a fixed amount for the group, its opened blocks (values as they are stored, others inflated), and the chunks that were asked for. */
  heldBytes = 4096;
  readonly #decoder: GroupDecoder;
  readonly #series = new Map<BlockRef, SeriesBlock>();
  readonly #times = new Map<BlockRef, readonly TimeColumn[]>();
  readonly #columns = new Map<BlockRef, ColumnSource>();
  readonly #histograms = new Map<BlockRef, HistogramBlock>();
  /** By series of a series block, those that were asked for: the next query asks for the same. */
  readonly #chunks = new Map<BlockRef, (Chunk | undefined)[]>();

  constructor(decoder: GroupDecoder, header: GroupHeader, name: string) {
    this.#decoder = decoder;
    this.blocks = new GroupBlocks(header);
    this.name = name;
  }

  /**
   * Takes in a stored sub-block. Series blocks come before those of values, histograms and starts about the same series.
   * @throws errors.groupCorrupt
   */
  add(ref: BlockRef, stored: Uint8Array, labelsOf?: (raw: Uint8Array) => LabelBlock): void {
    if (this.has(ref)) return;
    if (ref.kind === VALUES_BLOCK) {
      this.#addValues(ref, stored);
      return;
    }
    const raw = openBlock(ref, stored, this.name);
    this.heldBytes += ref.rawBytes;
    switch (ref.kind) {
      case SERIES_BLOCK:
        guarded(this.name, blockName(ref), () => {
          this.#series.set(ref, parseSeriesBlock(raw, ref.count, labelsOf));
        });
        this.#chunks.set(ref, new Array<Chunk | undefined>(ref.count));
        return;
      case TIMES_BLOCK:
        this.#times.set(ref, this.#decoder.times(raw, ref, this.name));
        return;
      case HISTOGRAM_BLOCK:
        this.#histograms.set(ref, this.#decoder.histograms(raw, ref, this.#tableOf(ref).counts, this.name));
        return;
      case STARTS_BLOCK:
        this.#columns.set(ref, this.#decoder.starts(raw, ref, this.#tableOf(ref).counts, this.name));
        return;
      case DIGEST_BLOCK:
        return;
    }
  }

  /** As it is stored: buffers of inflated values would be most of what a query makes. */
  #addValues(ref: BlockRef, stored: Uint8Array): void {
    checkBlock(ref, stored, this.name);
    this.heldBytes += ref.bytes;
    const { counts, firsts } = this.#tableOf(ref);
    this.#columns.set(ref, this.#decoder.values(stored, ref, counts, firsts, this.name));
  }

  has(ref: BlockRef): boolean {
    return this.#series.has(ref) || this.#times.has(ref) || this.#columns.has(ref) || this.#histograms.has(ref);
  }

  seriesBlock(ref: BlockRef): SeriesBlock {
    return this.#series.get(ref)!;
  }

  /** The times of a series; undefined: the block that has them is not there. */
  timeOf(index: number): TimeColumn | undefined {
    const seriesRef = this.blocks.find(SERIES_BLOCK, index)!;
    const column = this.#series.get(seriesRef)!.timeColumns[index - seriesRef.first]!;
    const ref = this.blocks.find(TIMES_BLOCK, column);
    return ref === undefined ? undefined : this.#times.get(ref)?.[column - ref.first];
  }

  /** Counts and first values of the series that a block is about. */
  #tableOf(ref: BlockRef): { counts: Uint32Array; firsts: Float64Array } {
    const seriesRef = this.blocks.find(SERIES_BLOCK, ref.first)!;
    const { counts, firsts } = this.#series.get(seriesRef)!;
    const from = ref.first - seriesRef.first;
    return { counts: counts.slice(from, from + ref.count), firsts: firsts.slice(from, from + ref.count) };
  }

  /** @throws errors.groupCorrupt */
  chunk(index: number): Chunk {
    const seriesRef = this.blocks.find(SERIES_BLOCK, index)!;
    const chunks = this.#chunks.get(seriesRef)!;
    let chunk = chunks[index - seriesRef.first];
    if (chunk === undefined) {
      chunk = this.#makeChunk(index, seriesRef);
      chunks[index - seriesRef.first] = chunk;
      this.heldBytes += CHUNK_BYTES;
    }
    return chunk;
  }

  #makeChunk(index: number, seriesRef: BlockRef): Chunk {
    const block = this.#series.get(seriesRef)!;
    const flags = block.flags[index - seriesRef.first]!;
    const timeColumn = block.timeColumns[index - seriesRef.first]!;
    const timesRef = this.blocks.find(TIMES_BLOCK, timeColumn);
    const valuesRef = this.blocks.find(VALUES_BLOCK, index)!;
    const histogramRef = (flags & FLAG_HISTOGRAMS) === 0 ? undefined : this.blocks.find(HISTOGRAM_BLOCK, index);
    const startsRef = (flags & FLAG_STARTS) === 0 ? undefined : this.blocks.find(STARTS_BLOCK, index);
    return guarded(this.name, blockName(seriesRef), () => {
      const time = timesRef === undefined ? undefined : this.#times.get(timesRef)?.[timeColumn - timesRef.first];
      if (time === undefined) throw new BytesError(`no time column ${timeColumn}`);
      const histograms = histogramRef === undefined ? undefined : this.#histograms.get(histogramRef);
      if ((flags & FLAG_HISTOGRAMS) !== 0 && histograms === undefined) throw new BytesError('no histograms');
      const count = block.counts[index - seriesRef.first]!;
      if (time.count !== count) throw new BytesError(`${time.count} times for ${count} samples`);
      return {
        time,
        flags,
        values: this.#columns.get(valuesRef)!,
        column: index - valuesRef.first,
        histograms,
        histogramIndex: histogramRef === undefined ? 0 : index - histogramRef.first,
        starts: startsRef === undefined ? undefined : this.#columns.get(startsRef),
      };
    });
  }
}

/**
 * Every series of a whole group, one after another into `out`, and checks that they sum up to the digest in the header.
 * @throws errors.groupCorrupt
 */
export function* readGroup(
  decoder: GroupDecoder,
  digester: Digester,
  header: GroupHeader,
  body: Uint8Array,
  name: string,
  out: SampleColumns,
): Generator<Uint8Array> {
  const group = new OpenGroup(decoder, header, name);
  for (const block of header.blocks) group.add(block, body.subarray(block.offset, block.offset + block.bytes));
  const sum = new Uint8Array(DIGEST_BYTES);
  let samples = 0;
  for (let index = 0; index < header.seriesCount; index++) {
    const ref = group.blocks.find(SERIES_BLOCK, index)!;
    const labels = group.seriesBlock(ref).labels.labelBytes(index - ref.first);
    out.clear();
    decoder.append(group.chunk(index), out);
    const digest = new Uint8Array(DIGEST_BYTES);
    digester.add(seriesOf(labels, out), digest);
    addDigest(sum, digest);
    samples += out.count;
    yield labels;
  }
  guarded(name, 'header', () => {
    if (samples !== header.sampleCount)
      throw new BytesError(`${samples} samples where ${header.sampleCount} are announced`);
    if (Buffer.compare(sum, header.digest) !== 0) throw new BytesError('the samples do not add up to the digest');
  });
}

/** Samples that were read, in the form in which they are written; they share the columns' memory. */
export function seriesOf(labels: Uint8Array, columns: SampleColumns): GroupSeries {
  const { count, plain } = columns;
  const kinds = plain ? undefined : columns.kinds.subarray(0, count);
  return {
    labels,
    times: columns.times.subarray(0, count),
    values: columns.values.subarray(0, count),
    kinds: kinds?.some((kind) => kind !== FLOAT) ? kinds : undefined,
    starts: columns.hasStarts ? columns.starts.subarray(0, count) : undefined,
    histograms: columns.histograms,
  };
}
