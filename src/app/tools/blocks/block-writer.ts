import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chunksOf } from '../../../chunk/sample-chunks.ts';
import { ByteWriter } from '../../../lib/bytes.ts';
import { getOrMake } from '../../../lib/map.ts';
import { compareUtf8, Labels } from '../../../model/labels.ts';
import type { SampleColumns } from '../../../storage/columns.ts';
import { CHUNKS_MAGIC, CHUNKS_VERSION, ENCODING_FLOAT_HISTOGRAM, ENCODING_XOR } from './block.ts';
import { type ChunkPlace, INDEX_HEAD_BYTES, INDEX_MAGIC, INDEX_VERSION, SERIES_ALIGNED } from './block-index.ts';
import { META_FILE, metaText } from './block-meta.ts';
import { BlockOutput } from './block-output.ts';

/** A file of chunks is ended before it is larger. */
const SEGMENT_BYTES_MAX = 512 * 2 ** 20;
const SECTION_ALIGNED = 4;
const CHUNKS_HEAD = new Uint8Array(8);
new DataView(CHUNKS_HEAD.buffer).setUint32(0, CHUNKS_MAGIC);
CHUNKS_HEAD[4] = CHUNKS_VERSION;

interface WrittenSeries {
  readonly labels: Labels;
  readonly chunks: readonly ChunkPlace[];
}

/**
 * Writes a block as Prometheus reads it. Samples go to disk as they come; of each series its labels and the places of its chunks are
 * held until the end, which writes the index. Until then the folder has a name that Prometheus removes when it starts.
 */
export class BlockWriter {
  readonly folder: string;
  readonly #ulid: string;
  readonly #aside: string;
  readonly #series: WrittenSeries[] = [];
  #segment: BlockOutput | undefined;
  #segments = 0;
  #minMs = Number.POSITIVE_INFINITY;
  #maxMs = Number.NEGATIVE_INFINITY;
  #samples = 0;
  #chunks = 0;

  /** @param parent where the block's folder is made @param ulid its name */
  constructor(parent: string, ulid: string) {
    this.#ulid = ulid;
    this.folder = join(parent, ulid);
    this.#aside = `${this.folder}.tmp-for-creation`;
    mkdirSync(join(this.#aside, 'chunks'), { recursive: true });
  }

  get seriesCount(): number {
    return this.#series.length;
  }

  /** Start timestamps are left out. @param labels that no series before had @param samples some */
  add(labels: Labels, samples: SampleColumns): void {
    const chunks: ChunkPlace[] = [];
    for (const { fromMs, toMs, encoding, bytes } of chunksOf(samples)) {
      const number = encoding === 'xor' ? ENCODING_XOR : ENCODING_FLOAT_HISTOGRAM;
      chunks.push({ minMs: fromMs, maxMs: toMs, ...this.#put(number, bytes) });
    }
    this.#series.push({ labels, chunks });
    this.#minMs = Math.min(this.#minMs, samples.times[0]!);
    this.#maxMs = Math.max(this.#maxMs, samples.times[samples.count - 1]!);
    this.#samples += samples.count;
    this.#chunks += chunks.length;
  }

  #put(encoding: number, data: Uint8Array): { segment: number; offset: number } {
    const head = new ByteWriter();
    head.uvarint(data.length);
    if (this.#segment === undefined || this.#segment.at + data.length + 16 > SEGMENT_BYTES_MAX) {
      this.#segment?.end();
      const name = String(++this.#segments).padStart(6, '0');
      this.#segment = new BlockOutput(join(this.#aside, 'chunks', name));
      this.#segment.write(CHUNKS_HEAD);
    }
    const place = { segment: this.#segments - 1, offset: this.#segment.at };
    this.#segment.write(head.done());
    this.#segment.checked(() => {
      this.#segment!.write(Uint8Array.of(encoding));
      this.#segment!.write(data);
    });
    return place;
  }

  /** Writes the index; the block is there when this returns. A block without series is not written. */
  end(): void {
    if (this.#series.length === 0) {
      this.abandon();
      return;
    }
    this.#segment?.end();
    this.#series.sort((a, b) => Labels.compare(a.labels, b.labels));
    writeIndex(join(this.#aside, 'index'), this.#series);
    const stats = { numSamples: this.#samples, numSeries: this.#series.length, numChunks: this.#chunks };
    const text = metaText({ ulid: this.#ulid, minMs: this.#minMs, maxMs: this.#maxMs + 1, stats });
    writeFileSync(join(this.#aside, META_FILE), text, { flush: true });
    renameSync(this.#aside, this.folder);
  }

  abandon(): void {
    this.#segment?.end();
    rmSync(this.#aside, { recursive: true, force: true });
  }
}

/** @param all ascending by labels */
function writeIndex(path: string, all: readonly WrittenSeries[]): void {
  const out = new BlockOutput(path);
  const head = Buffer.alloc(INDEX_HEAD_BYTES);
  head.writeUInt32BE(INDEX_MAGIC);
  head[4] = INDEX_VERSION;
  out.write(head);

  const texts = new Set<string>();
  for (const { labels } of all) for (const text of labels.pairs) texts.add(text);
  const symbols = new Map([...texts].sort(compareUtf8).map((text, i) => [text, i]));
  const symbolsAt = out.at;
  out.section(() => {
    out.u32(symbols.size);
    for (const text of symbols.keys()) out.text(text);
  });

  out.align(SERIES_ALIGNED);
  const seriesAt = out.at;
  /** Series of each name and value. */
  const postings = new Map<string, Map<string, number[]>>();
  const everything: number[] = [];
  const entry = new ByteWriter();
  for (const { labels, chunks } of all) {
    out.align(SERIES_ALIGNED);
    const id = out.at / SERIES_ALIGNED;
    everything.push(id);
    for (const [name, value] of labels) {
      getOrMake(
        getOrMake(postings, name, () => new Map<string, number[]>()),
        value,
        () => [] as number[],
      ).push(id);
    }
    entry.length = 0;
    writeSeries(entry, labels, chunks, symbols);
    out.uvarint(entry.length);
    out.checked(() => out.write(entry.done()));
  }

  out.align(SECTION_ALIGNED);
  const postingsAt = out.at;
  const table: [name: string, value: string, at: number][] = [];
  const put = (name: string, value: string, ids: readonly number[]) => {
    out.align(SECTION_ALIGNED);
    table.push([name, value, out.at]);
    out.section(() => {
      out.u32(ids.length);
      for (const id of ids) out.u32(id);
    });
  };
  put('', '', everything);
  for (const name of [...postings.keys()].sort(compareUtf8)) {
    const values = postings.get(name)!;
    for (const value of [...values.keys()].sort(compareUtf8)) put(name, value, values.get(value)!);
  }
  const tableAt = out.at;
  out.section(() => {
    out.u32(table.length);
    for (const [name, value, at] of table) {
      out.uvarint(2);
      out.text(name);
      out.text(value);
      out.uvarint(at);
    }
  });
  // nobody reads indexes of labels any more: there are none
  out.checked(() => {
    for (const at of [symbolsAt, seriesAt, 0, 0, postingsAt, tableAt]) out.u64(at);
  });
  out.end();
}

function writeSeries(
  out: ByteWriter,
  labels: Labels,
  chunks: readonly ChunkPlace[],
  symbols: ReadonlyMap<string, number>,
): void {
  out.uvarint(labels.size);
  for (const text of labels.pairs) out.uvarint(symbols.get(text)!);
  out.uvarint(chunks.length);
  let lastMs = 0;
  let lastRef = 0;
  for (const [i, { minMs, maxMs, segment, offset }] of chunks.entries()) {
    const ref = segment * 2 ** 32 + offset;
    if (i === 0) {
      out.varint(minMs);
      out.uvarint(maxMs - minMs);
      out.uvarint(ref);
    } else {
      out.uvarint(minMs - lastMs);
      out.uvarint(maxMs - minMs);
      out.varint(ref - lastRef);
    }
    lastMs = maxMs;
    lastRef = ref;
  }
}
