import { isEqualBytes } from '../chunk/equal-bytes.ts';
import { ChunkDecoder, type HeadChunk } from '../chunk/head-chunk.ts';
import { HeadSeriesDecoder } from '../chunk/head-series.ts';
import type { Kernel } from '../chunk/kernel.ts';
import { type ChunksOfSeries, SeriesRows } from '../chunk/series-rows.ts';
import type { HeadSelect, HeadSlice, IngesterClient } from '../contract/ingester.ts';
import type { Labels } from '../model/labels.ts';
import { THIS_PROCESS } from '../storage/asked-members.ts';
import type { SampleColumns } from '../storage/columns.ts';
import { type MissingPart, missingText } from '../storage/missing.ts';
import type { LabelRequest, QueryContext, SelectRequest } from '../storage/queryable.ts';
import type { RowBatch, RowProgram } from '../storage/series-rows.ts';
import { type SeriesBlock, StreamBroken, type WholeBlock } from '../storage/series-stream.ts';
import type { SampleSource, SourceSeries } from '../storage/source.ts';
import { chunksAt, SliceView } from '../wire/slices.ts';
import { HeadLabels } from './head-labels.ts';
import { headMatcher } from './head-matcher.ts';
import { SeenSeries } from './seen-series.ts';

/** Recent samples, from ingesters: chunks as the head has them, decoded here. */
export class HeadSource implements SampleSource {
  readonly #client: IngesterClient;
  readonly #decoders: Decoders;
  readonly #labels = new HeadLabels();
  readonly tally: SampleSource['tally'];
  readonly whole: SampleSource['whole'];

  constructor(client: IngesterClient, kernel: Kernel) {
    this.#client = client;
    const selectWhole = client.selectWhole?.bind(client);
    if (selectWhole !== undefined) this.whole = (...asked) => this.#whole(selectWhole, ...asked);
    const tally = client.tally?.bind(client);
    if (tally !== undefined) {
      this.tally = (tenant, { matchers, startMs, endMs, by }, context) => {
        this.#tellOwn(context);
        return tally({ tenant, matchers: matchers.map(headMatcher), startMs, endMs, by }, context.signal);
      };
    }
    this.#decoders = {
      series: new HeadSeriesDecoder(kernel),
      chunks: new ChunkDecoder(kernel),
      rows: new SeriesRows(kernel),
    };
  }

  /** Tells that this process was asked, where it is the one that holds recent samples: who holds them elsewhere comes with the answer. */
  #tellOwn({ members }: QueryContext): void {
    if (this.#client.replicated !== true) members?.add([{ id: THIS_PROCESS, answered: true }]);
  }

  async select(tenant: string, request: SelectRequest, context: QueryContext): Promise<SourceSeries> {
    const { startMs, endMs, labelsOnly = false, shard } = request;
    const found = new FoundSeries(this.#decoders, this.#labels, startMs, endMs, labelsOnly, context);
    const warnings = new Set<string>();
    const matchers = request.matchers.map(headMatcher);
    this.#tellOwn(context);
    try {
      for await (const slice of this.#client.select(
        { tenant, matchers, startMs, endMs, labelsOnly, packed: true, shard, ...wantedOf(context) },
        context.signal,
      )) {
        found.own(slice);
        context.budget.addFetchedBytes(slice.bytes.length);
        for (const warning of slice.warnings) warnings.add(warning);
        for (const reason of slice.missing ?? []) {
          const part: MissingPart = { what: 'recent samples', startMs, endMs, reason };
          context.missing?.add(part);
          warnings.add(missingText(part));
        }
        if (slice.members !== undefined) context.members?.add(slice.members);
        found.take(slice, slice.alone);
      }
    } catch (error) {
      found.close();
      throw error;
    }
    return {
      labels: found.labels,
      warnings: [...warnings],
      read: (index, out) => found.read(index, out),
      rows: (...asked) => found.rows(...asked),
      close: () => found.close(),
    };
  }

  /**
   * A slice is a block; where no shard has more than one, all are one block. Where several shards hold series, one that two blocks have
   * breaks the stream: their samples must be merged.
   */
  async *stream(tenant: string, request: SelectRequest, context: QueryContext): AsyncGenerator<SeriesBlock, void> {
    const { startMs, endMs, shard } = request;
    const matchers = request.matchers.map(headMatcher);
    const seen = new SeenSeries(context.budget);
    this.#tellOwn(context);
    let waiting: HeadSlice[] = [];
    let isWhole = true;
    try {
      for await (const slice of this.#client.select(
        { tenant, matchers, startMs, endMs, labelsOnly: false, packed: true, shard },
        context.signal,
      )) {
        waiting.push(slice);
        context.budget.addFetchedBytes(slice.bytes.length);
        isWhole &&= slice.isAll === true;
        if (isWhole) continue;
        for (const each of waiting) {
          if (!each.alone && !seen.addAll(each.bytes)) throw new StreamBroken();
          yield* this.#blockOf([each], true, request, context);
        }
        waiting = [];
      }
      if (waiting.length > 0) yield* this.#blockOf(waiting, false, request, context);
    } finally {
      for (const { giveBack } of waiting) giveBack?.();
      seen.close();
    }
  }

  async #whole(
    selectWhole: NonNullable<IngesterClient['selectWhole']>,
    tenant: string,
    request: SelectRequest,
    context: QueryContext,
  ): Promise<WholeBlock | undefined> {
    const { startMs, endMs, shard } = request;
    const matchers = request.matchers.map(headMatcher);
    const asked = { tenant, matchers, startMs, endMs, labelsOnly: false, packed: true, shard };
    this.#tellOwn(context);
    const slices = await selectWhole(asked, context.signal);
    if (slices === undefined) return undefined;
    const found = new FoundSeries(this.#decoders, this.#labels, startMs, endMs, false, context);
    for (const slice of slices) found.own(slice);
    try {
      for (const slice of slices) {
        context.budget.addFetchedBytes(slice.bytes.length);
        found.take(slice, slice.alone);
      }
    } catch (thrown) {
      found.close();
      throw thrown;
    }
    return {
      labels: found.labels,
      warnings: [...new Set(slices.flatMap(({ warnings }) => warnings))],
      isWhole: true,
      read: (index, out) => found.read(index, out),
      rows: (...more) => found.rows(...more),
      close: () => found.close(),
    };
  }

  /** @param alone no slice has series of another one; else they are all that there is */
  *#blockOf(
    slices: readonly HeadSlice[],
    alone: boolean,
    { startMs, endMs }: SelectRequest,
    context: QueryContext,
  ): Generator<SeriesBlock, void> {
    const warnings = [...new Set(slices.flatMap((slice) => slice.warnings))];
    const found = new FoundSeries(this.#decoders, this.#labels, startMs, endMs, false, context);
    try {
      for (const slice of slices) found.own(slice);
      for (const slice of slices) found.take(slice, alone || slice.alone);
      yield {
        labels: found.labels,
        warnings,
        isWhole: !alone,
        read: (index, out) => found.read(index, out),
        rows: (...asked) => found.rows(...asked),
      };
    } finally {
      found.close();
    }
  }

  async labelNames(tenant: string, request: LabelRequest, context: QueryContext) {
    return answerOf(await this.#client.labels({ tenant, ...headRange(request) }, context.signal), context);
  }

  async labelValues(tenant: string, name: string, request: LabelRequest, context: QueryContext) {
    return answerOf(await this.#client.labels({ tenant, name, ...headRange(request) }, context.signal), context);
  }
}

/** Recent samples as ingesters have them: in blocks, unless every series comes several times and had to be held for the rest of it. */
export function headSource(client: IngesterClient, kernel: Kernel): SampleSource {
  const source = new HeadSource(client, kernel);
  if (client.replicated !== true) return source;
  return {
    select: (...asked) => source.select(...asked),
    labelNames: (...asked) => source.labelNames(...asked),
    labelValues: (...asked) => source.labelValues(...asked),
  };
}

/** Wishes of a query that only ingesters of a ring look at. */
function wantedOf({ missing, members }: QueryContext): Pick<HeadSelect, 'allowPartial' | 'tellsMembers'> {
  return { ...(missing && { allowPartial: true }), ...(members && { tellsMembers: true }) };
}

function answerOf(values: readonly string[], { budget }: QueryContext) {
  let chars = 0;
  for (const value of values) chars += value.length;
  budget.addMemory(VALUE_BYTES * values.length + chars);
  return { values, warnings: [] };
}

/** Memory of a label's value beside its characters, in lists and sets of them. */
const VALUE_BYTES = 80;

function headRange(request: LabelRequest) {
  const matchers = request.matchers.map((list) => list.map(headMatcher));
  return { matchers, startMs: request.startMs, endMs: request.endMs };
}

interface Decoders {
  readonly series: HeadSeriesDecoder;
  readonly chunks: ChunkDecoder;
  readonly rows: SeriesRows;
}

/** Bytes that a series takes here and in what the engine makes of it, its chunks apart: labels, names, places in lists and maps. */
const SERIES_BYTES = 700;
/** As often the characters of its labels are there, in values, keys and what is remembered of them: with long ones that is more. */
const LABEL_COPIES = 3;

const COPIES_BYTES = 256 * 1024;
/** Bytes between copies: decoding may change some behind a chunk, and they may be decoded together. */
const COPIES_GAP_BYTES = 16;
const NO_BYTES = new Uint8Array(0);

/** Where the series of an answer lie: in columns, for there may be a million. */
class FoundSeries {
  readonly labels: Labels[] = [];
  readonly #decoders: Decoders;
  readonly #known: HeadLabels;
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #labelsOnly: boolean;
  readonly #context: QueryContext;
  readonly #slices: Uint8Array[] = [];
  /** (slice, start of chunks, their end) of each part of a series. The first parts are in the order of the series. */
  readonly #parts: number[] = [];
  /** Further parts, of series that several ingesters hold, but for those that say nothing new. */
  readonly #more = new Map<number, number[]>();
  readonly #indexes = new Map<Labels, number>();
  /** Where the labels of each series begin in the slice of its first part; −1: they are not there. */
  readonly #labelsFrom: number[] = [];
  /** The series that comes next if a further replica has them in the order of those before; −1: no series has come twice yet. */
  #expected = -1;
  /** Where further parts are copied to, so that their slices may go: the last of `#slices` that is one, and what of it is used. */
  #copies = -1;
  #copiedBytes = 0;
  #heldBytes = 0;
  #closed = false;
  /** Gives slices back that are lent. */
  readonly #lent: (() => void)[] = [];

  constructor(
    decoders: Decoders,
    known: HeadLabels,
    startMs: number,
    endMs: number,
    labelsOnly: boolean,
    context: QueryContext,
  ) {
    this.#decoders = decoders;
    this.#known = known;
    known.open();
    this.#startMs = startMs;
    this.#endMs = endMs;
    this.#labelsOnly = labelsOnly;
    this.#context = context;
  }

  /** Gives a slice back when it is closed, taken or not. */
  own({ giveBack }: HeadSlice): void {
    if (giveBack !== undefined) this.#lent.push(giveBack);
  }

  /** @param alone no other slice has series of this one */
  take({ bytes }: HeadSlice, alone: boolean): void {
    const before = this.labels.length;
    const slice = this.#labelsOnly ? 0 : this.#slices.push(bytes) - 1;
    let wideBytes = 0;
    let chunks = 0;
    let chunkBytes = 0;
    for (const series = new SliceView(bytes); series.next(); ) {
      if (!alone && this.#isExpected(bytes, series)) continue;
      const labels = this.#known.at(bytes, series.labelsFrom, series.labelsTo, alone);
      if (alone) this.#addNew(labels, slice, series);
      else if (!this.#add(labels, slice, series)) continue;
      chunks += series.chunkCount;
      chunkBytes += series.chunksTo - series.chunksFrom;
      wideBytes += Math.max(0, LABEL_COPIES * (series.labelsTo - series.labelsFrom) - SERIES_BYTES);
    }
    this.#context.budget.addChunks(chunks, chunkBytes);
    const added = this.labels.length - before;
    // of a further replica nothing is kept but copies
    const isKept = !this.#labelsOnly && added > 0;
    if (!isKept && !this.#labelsOnly) this.#slices[slice] = NO_BYTES;
    this.#hold((isKept ? bytes.length : 0) + added * SERIES_BYTES + wideBytes);
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#context.budget.addMemory(bytes);
  }

  #addNew(labels: Labels, slice: number, { labelsFrom, chunksFrom, chunksTo }: SliceView): void {
    this.labels.push(labels);
    if (this.#labelsOnly) return;
    this.#parts.push(slice, chunksFrom, chunksTo);
    this.#labelsFrom.push(labelsFrom);
  }

  /** Whether this is, byte for byte, the series that comes next where a replica has what another one had: no look-up is needed then. */
  #isExpected(bytes: Uint8Array, { labelsFrom, chunksFrom, chunksTo }: SliceView): boolean {
    const index = this.#expected;
    if (index < 0 || index >= this.#labelsFrom.length) return false;
    const from = this.#labelsFrom[index]!;
    const at = index * 3;
    // labels say themselves where they end, so the zeros behind them do not matter
    if (from < 0 || this.#parts[at + 1]! - from !== chunksFrom - labelsFrom) return false;
    const length = chunksTo - labelsFrom;
    if (this.#parts[at + 2]! - from !== length) return false;
    if (!isEqualBytes(this.#slices[this.#parts[at]!]!, from, bytes, labelsFrom, length)) return false;
    this.#expected++;
    return true;
  }

  /** Whether the part has something that is not known yet. */
  #add(labels: Labels, slice: number, series: SliceView): boolean {
    const known = this.#indexes.get(labels);
    if (known === undefined) {
      this.#indexes.set(labels, this.labels.length);
      this.#addNew(labels, slice, series);
      return true;
    }
    this.#expected = known + 1;
    return !this.#labelsOnly && this.#addPart(known, this.#slices[slice]!, series);
  }

  #addPart(index: number, bytes: Uint8Array, { chunksFrom, chunksTo }: SliceView): boolean {
    const more = this.#more.get(index) ?? [];
    const first = index * 3;
    if (this.#isPart(this.#parts, first, bytes, chunksFrom, chunksTo)) return false;
    for (let i = 0; i < more.length; i += 3) if (this.#isPart(more, i, bytes, chunksFrom, chunksTo)) return false;
    const { chunks } = this.#decoders;
    const own = chunksAt(bytes, chunksFrom, chunksTo);
    if (chunks.haveAll(this.#chunksOf(this.#parts, first), own)) return false;
    if (chunks.haveAll(own, this.#chunksOf(this.#parts, first))) {
      [this.#parts[first], this.#parts[first + 1], this.#parts[first + 2]] = this.#copy(bytes, chunksFrom, chunksTo);
      this.#labelsFrom[index] = -1;
      return true;
    }
    more.push(...this.#copy(bytes, chunksFrom, chunksTo));
    this.#more.set(index, more);
    return true;
  }

  /** Whether the part at `at` of a list is, byte for byte, what lies at [from, to). */
  #isPart(parts: readonly number[], at: number, bytes: Uint8Array, from: number, to: number): boolean {
    const partFrom = parts[at + 1]!;
    const partTo = parts[at + 2]!;
    if (partTo - partFrom !== to - from) return false;
    return isEqualBytes(this.#slices[parts[at]!]!, partFrom, bytes, from, to - from);
  }

  #chunksOf(parts: readonly number[], at: number): HeadChunk[] {
    return chunksAt(this.#slices[parts[at]!]!, parts[at + 1]!, parts[at + 2]!);
  }

  #copy(bytes: Uint8Array, from: number, to: number): [slice: number, from: number, to: number] {
    const length = to - from;
    if (this.#copies < 0 || this.#copiedBytes + length > this.#slices[this.#copies]!.length) {
      const room = Math.max(COPIES_BYTES, length);
      this.#hold(room);
      this.#copies = this.#slices.push(new Uint8Array(room)) - 1;
      this.#copiedBytes = 0;
    }
    const at = this.#copiedBytes;
    this.#slices[this.#copies]!.set(bytes.subarray(from, to), at);
    this.#copiedBytes += length + COPIES_GAP_BYTES;
    return [this.#copies, at, at + length];
  }

  read(index: number, out: SampleColumns): void {
    const at = index * 3;
    const slice = this.#slices[this.#parts[at]!]!;
    const from = this.#parts[at + 1]!;
    const to = this.#parts[at + 2]!;
    const more = this.#more.size === 0 ? undefined : this.#more.get(index);
    const { series, chunks } = this.#decoders;
    if (more === undefined && series.read(slice, from, to, this.#startMs, this.#endMs, out)) return;
    let all = chunksAt(slice, from, to);
    for (let i = 0; more !== undefined && i < more.length; i += 3) all.push(...this.#chunksOf(more, i));
    if (more !== undefined) all = chunks.distinct(all);
    chunks.read(all, this.#startMs, this.#endMs, out);
  }

  rows(program: RowProgram, indexes: Uint32Array | undefined, from: number, to: number, out: RowBatch): number {
    const chunksOf = (place: number, at: ChunksOfSeries): void => {
      const index = indexes === undefined ? place : indexes[place]!;
      at.bytes = this.#slices[this.#parts[index * 3]!]!;
      at.from = this.#parts[index * 3 + 1]!;
      at.to = this.#more.size > 0 && this.#more.has(index) ? at.from : this.#parts[index * 3 + 2]!;
    };
    return this.#decoders.rows.read(program, this.#startMs, this.#endMs, from, to, chunksOf, out);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#known.close();
    // nothing can be read from now on: another answer may lie there soon
    this.#slices.length = 0;
    for (const giveBack of this.#lent) giveBack();
    this.#context.budget.addMemory(-this.#heldBytes);
  }
}
