import type {
  ForcedBuckets,
  InstantRequest,
  NoteList,
  NotePosition,
  PartialRequest,
  PartialResult,
  QueryExplanation,
  QueryNote,
  QueryNotes,
  QueryResult,
  QueryStatistics,
  QueryUse,
  QueryValue,
  RangeRequest,
  ResultSeries,
  WholeQuery,
  WholeReason,
} from '../contract/query.ts';
import { decodeValue, encodeValue } from '../kit/rpc/codec.ts';
import type { FloatHistogram, ResetHint, Span } from '../model/histogram.ts';
import { isSeriesShard } from '../model/series-shard.ts';
import type { MissingPart } from '../storage/missing.ts';
import {
  boolOf,
  bytesOf,
  countOf,
  type Fields,
  fieldsOf,
  listOf,
  numberOf,
  optional,
  textOf,
  textsOf,
  wrongShape,
} from './shapes.ts';

// Queries and their results between processes (docs/formats/rpc.md): what is a number for each point lies in columns behind a head.

/** Longest expression, label or note. */
export const TEXT_CHARS_MAX = 4 * 1024 * 1024;
const NOTES_MAX = 100_000;
const LIST_MAX = 50_000_000;
const HEAD_AT = 4;
const F64 = 8;
const SPACE = 0x20;

/** A call of a `QueryRunner`. */
export type AskedQuery =
  | { readonly method: 'instant'; readonly request: InstantRequest }
  | { readonly method: 'range'; readonly request: RangeRequest }
  | { readonly method: 'partial'; readonly request: PartialRequest };

export function queryOf(value: unknown): AskedQuery {
  const { method, request } = fieldsOf(value, 'query');
  switch (method) {
    case 'instant':
      return { method, request: instantOf(request) };
    case 'range':
      return { method, request: rangeOf(request) };
    case 'partial': {
      const { shard, ...rest } = fieldsOf(request, 'request');
      const { index, count } = fieldsOf(shard, 'shard');
      const own = { index: countOf(index, 'shard.index'), count: countOf(count, 'shard.count') };
      if (!isSeriesShard(own)) throw wrongShape('shard');
      const whole = rest.stepMs === undefined ? instantOf(rest) : rangeOf(rest);
      return { method, request: { ...whole, shard: own } };
    }
    default:
      throw wrongShape('method');
  }
}

export function instantOf(value: unknown): InstantRequest {
  const fields = fieldsOf(value, 'request');
  return { ...askedOf(fields), timeMs: numberOf(fields.timeMs, 'timeMs') };
}

function rangeOf(value: unknown): RangeRequest {
  const fields = fieldsOf(value, 'request');
  const { startMs, endMs } = timesOf(fields);
  const stepMs = numberOf(fields.stepMs, 'stepMs');
  const whole = optional(fields.whole, wholeOf);
  return { ...askedOf(fields), startMs, endMs, stepMs, ...(whole && { whole }) };
}

function wholeOf(value: unknown): WholeQuery {
  const fields = fieldsOf(value, 'whole');
  return { ...timesOf(fields), ...present('windows', fields, boolOf) };
}

/** Times may be infinite. */
export function timesOf({ startMs, endMs }: Fields) {
  return { startMs: numberOf(startMs, 'startMs'), endMs: numberOf(endMs, 'endMs') };
}

function askedOf(fields: Fields) {
  const number = (name: string) => present(name, fields, numberOf);
  const toggle = (name: string) => present(name, fields, boolOf);
  const used = optional(fields.used, usedOf);
  return {
    expr: textOf(fields.expr, 'expr', TEXT_CHARS_MAX),
    ...number('lookbackMs'),
    ...number('timeoutMs'),
    ...toggle('noStore'),
    ...toggle('allowPartial'),
    ...toggle('perStepStatistics'),
    ...toggle('explain'),
    ...(used && { used }),
  };
}

/** The use of other parts of a query. */
export function usedOf(value: unknown): QueryUse {
  const { chunks, chunkBytes, fetchedBytes } = fieldsOf(value, 'used');
  return {
    chunks: numberOf(chunks, 'used.chunks'),
    chunkBytes: numberOf(chunkBytes, 'used.chunkBytes'),
    fetchedBytes: numberOf(fetchedBytes, 'used.fetchedBytes'),
  };
}

/** A field that may be absent, which stays absent. */
function present<T>(name: string, fields: Fields, read: (value: unknown, name: string) => T): Record<string, T> {
  return fields[name] === undefined ? {} : { [name]: read(fields[name], name) };
}

/** Collects columns, and writes them behind their head. */
export class Columns {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  add(column: Float64Array): void {
    this.#parts.push(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
    this.#bytes += column.byteLength;
  }

  /** The head is filled up by a text `pad`, so that columns can be read where they lie. */
  behind(head: object): Uint8Array<ArrayBuffer> {
    const encoded = encodeValue({ ...head, pad: '' });
    const padding = -(HEAD_AT + encoded.length) & (F64 - 1);
    const headBytes = encoded.length + padding;
    const all = new Uint8Array(HEAD_AT + headBytes + this.#bytes);
    new DataView(all.buffer).setUint32(0, headBytes, true);
    // its last byte is the length of the text
    encoded[encoded.length - 1] = padding;
    all.set(encoded, HEAD_AT);
    let at = HEAD_AT + headBytes;
    all.fill(SPACE, at - padding, at);
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

/** Takes columns from behind their head, in their order: they lie in the bytes that are read, where these are a buffer's from its start. */
export class ColumnReader {
  readonly head: Fields;
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array) {
    const headBytes = bytes.length < HEAD_AT ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (headBytes < 0 || headBytes > bytes.length - HEAD_AT) throw wrongShape('bytes of the head');
    this.#bytes = bytes;
    this.#at = HEAD_AT + headBytes;
    this.head = fieldsOf(decodeValue(bytes.subarray(HEAD_AT, this.#at)), 'result');
  }

  take(count: number): Float64Array<ArrayBuffer> {
    const length = count * F64;
    if (length > this.#bytes.length - this.#at) throw wrongShape('columns');
    const { buffer, byteOffset } = this.#bytes;
    if (buffer instanceof ArrayBuffer && byteOffset === 0 && this.#at % F64 === 0) {
      const there = new Float64Array(buffer, this.#at, count);
      this.#at += length;
      return there;
    }
    const column = new Float64Array(count);
    new Uint8Array(column.buffer).set(this.#bytes.subarray(this.#at, this.#at + length));
    this.#at += length;
    return column;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw wrongShape('bytes behind the columns');
  }
}

export function encodeResult(result: QueryResult): Uint8Array<ArrayBuffer> {
  const columns = new Columns();
  const { value, explanation, ...told } = result;
  return columns.behind({ ...told, value: valueHead(value, columns), ...explained(explanation) });
}

/** @throws peerMessageInvalid */
export function decodeResult(bytes: Uint8Array): QueryResult {
  const reader = new ColumnReader(bytes);
  const value = resultValueOf(reader);
  reader.end();
  return { value, ...toldOf(reader.head) };
}

export function encodePartial(result: PartialResult): Uint8Array<ArrayBuffer> {
  const columns = new Columns();
  if (result.type === 'whole') return columns.behind(result);
  const { counts, values, lost, magnitudes, explanation, ...head } = result;
  const all = [counts, values, lost, magnitudes];
  for (const column of all) columns.add(column);
  return columns.behind({ ...head, lengths: all.map(({ length }) => length), ...explained(explanation) });
}

/** @throws peerMessageInvalid */
export function decodePartial(bytes: Uint8Array): PartialResult {
  const reader = new ColumnReader(bytes);
  const { head } = reader;
  if (head.type === 'whole') {
    reader.end();
    return { type: 'whole', reason: oneOf(head.reason, REASONS, 'reason'), statistics: statisticsOf(head.statistics) };
  }
  if (head.type !== 'partial') throw wrongShape('type');
  const lengths = listOf(head.lengths, 'lengths', 4, (each) => countOf(each, 'lengths'));
  const [counts, values, lost, magnitudes] = [0, 1, 2, 3].map((i) => reader.take(lengths[i] ?? 0)) as Columns4;
  reader.end();
  const { instant, startMs, stepMs, count } = fieldsOf(head.steps, 'steps');
  const steps = {
    instant: boolOf(instant, 'steps.instant'),
    startMs: numberOf(startMs, 'steps.startMs'),
    stepMs: numberOf(stepMs, 'steps.stepMs'),
    count: countOf(count, 'steps.count'),
  };
  const groups = listOf(head.groups, 'groups', LIST_MAX, (each) => {
    const { pairs, first, dropName, unit } = fieldsOf(each, 'group');
    return {
      pairs: pairsOf(pairs),
      first: pairsOf(first),
      dropName: boolOf(dropName, 'dropName'),
      unit: numberOf(unit, 'unit'),
    };
  });
  const cells = groups.length * steps.count;
  for (const { length } of [values, lost, magnitudes]) if (length !== 0 && length !== cells) throw wrongShape('cells');
  if (counts.length !== cells) throw wrongShape('cells');
  const { index, count: shards } = fieldsOf(head.shard, 'shard');
  const shard = { index: countOf(index, 'shard.index'), count: countOf(shards, 'shard.count') };
  if (!isSeriesShard(shard)) throw wrongShape('shard');
  return {
    type: 'partial',
    op: oneOf(head.op, OPS, 'op'),
    shard,
    steps,
    groups,
    ...{ counts, values, lost, magnitudes },
    dropped: optional(head.dropped, (each) => textOf(each, 'dropped', TEXT_CHARS_MAX)),
    ...toldOf(head),
  };
}

type Columns4 = [Float64Array, Float64Array, Float64Array, Float64Array];

const OPS = ['sum', 'avg', 'min', 'max', 'count', 'group'] as const;
const REASONS = [
  'expression',
  'names',
  'histograms',
  'overflow',
  'rounding',
  'zeros',
  'notes',
] as const satisfies readonly WholeReason[];

function oneOf<const T extends string>(value: unknown, all: readonly T[], name: string): T {
  const found = all.find((each) => each === value);
  if (found === undefined) throw wrongShape(name);
  return found;
}

function pairsOf(value: unknown): readonly string[] {
  const pairs = textsOf(value, 'labels', TEXT_CHARS_MAX);
  if (pairs.length % 2 !== 0) throw wrongShape('labels');
  return pairs;
}

function valueHead(value: QueryValue, columns: Columns): unknown {
  switch (value.type) {
    case 'scalar':
    case 'string':
      return value;
    case 'vector': {
      const { type, timeMs, pairs, values, histograms } = value;
      columns.add(values);
      return { type, timeMs, pairs, histograms: histogramsHead(histograms) };
    }
    case 'matrix':
      return matrixHead(value.series, columns);
  }
}

/** Series whose points are a step apart have start and step; others all of their times. */
function matrixHead(series: readonly ResultSeries[], columns: Columns): unknown {
  const starts = new Float64Array(series.length);
  const steps = new Float64Array(series.length);
  columns.add(starts);
  columns.add(steps);
  for (const [i, { times, values }] of series.entries()) {
    const startMs = times[0] ?? 0;
    const stepMs = times.length > 1 ? times[1]! - startMs : 0;
    const isEven = times.every((timeMs, k) => timeMs === startMs + k * stepMs);
    starts[i] = startMs;
    steps[i] = isEven ? stepMs : Number.NaN;
    if (!isEven) columns.add(times);
    columns.add(values);
  }
  return {
    type: 'matrix',
    pairs: series.map(({ pairs }) => pairs),
    points: Uint32Array.from(series, ({ times }) => times.length),
    histograms: series.some(({ histograms }) => histograms !== undefined)
      ? series.map(({ histograms }) => histogramsHead(histograms) ?? null)
      : undefined,
  };
}

/** A value without series. */
export function singleOf(
  fields: Fields,
  type: 'scalar' | 'string',
): Extract<QueryValue, { type: 'scalar' | 'string' }> {
  const timeMs = numberOf(fields.timeMs, 'timeMs');
  return type === 'scalar'
    ? { type, timeMs, value: anyNumberOf(fields.value, 'value') }
    : { type, timeMs, value: textOf(fields.value, 'value', TEXT_CHARS_MAX) };
}

function resultValueOf(reader: ColumnReader): QueryValue {
  const fields = fieldsOf(reader.head.value, 'value');
  switch (fields.type) {
    case 'scalar':
    case 'string':
      return singleOf(fields, fields.type);
    case 'vector': {
      const pairs = listOf(fields.pairs, 'pairs', LIST_MAX, pairsOf);
      const values = reader.take(pairs.length);
      const histograms = histogramsOf(fields.histograms, pairs.length);
      return { type: 'vector', timeMs: numberOf(fields.timeMs, 'timeMs'), pairs, values, histograms };
    }
    case 'matrix':
      return { type: 'matrix', series: seriesOf(fields, reader) };
    default:
      throw wrongShape('value.type');
  }
}

function seriesOf(fields: Fields, reader: ColumnReader): readonly ResultSeries[] {
  const pairs = listOf(fields.pairs, 'pairs', LIST_MAX, pairsOf);
  const { points } = fields;
  if (!(points instanceof Uint32Array) || points.length !== pairs.length) throw wrongShape('points');
  const histograms = optional(fields.histograms, (each) => listOf(each, 'histograms', pairs.length, (one) => one));
  const starts = reader.take(pairs.length);
  const steps = reader.take(pairs.length);
  // most series have the same times
  let kept = { startMs: 0, stepMs: 0, times: new Float64Array(0) };
  const evenTimes = (startMs: number, stepMs: number, count: number) => {
    if (kept.startMs !== startMs || kept.stepMs !== stepMs || kept.times.length !== count) {
      kept = { startMs, stepMs, times: Float64Array.from({ length: count }, (_, k) => startMs + k * stepMs) };
    }
    return kept.times;
  };
  return pairs.map((own, i) => {
    const count = points[i]!;
    const isEven = !Number.isNaN(steps[i]);
    const given = isEven ? undefined : reader.take(count);
    const values = reader.take(count);
    const times = given ?? evenTimes(starts[i]!, steps[i]!, count);
    const its = histograms?.[i];
    return { pairs: own, times, values, histograms: histogramsOf(its === null ? undefined : its, count) };
  });
}

type Histograms = readonly (FloatHistogram | undefined)[] | undefined;

export function histogramsHead(histograms: Histograms): unknown {
  if (histograms === undefined) return undefined;
  const at = histograms.flatMap((each, i) => (each === undefined ? [] : [i]));
  return { at: Uint32Array.from(at), all: at.map((i) => histogramHead(histograms[i]!)) };
}

function histogramHead(histogram: FloatHistogram): unknown {
  const { positiveSpans, negativeSpans, positiveBuckets, negativeBuckets, customValues, ...rest } = histogram;
  return {
    ...rest,
    spans: [spansHead(positiveSpans), spansHead(negativeSpans)],
    buckets: [positiveBuckets, negativeBuckets, customValues].map(numbersHead),
  };
}

function spansHead(spans: readonly Span[]): Int32Array {
  return Int32Array.from(spans.flatMap(({ offset, length }) => [offset, length]));
}

function numbersHead(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(Float64Array.from(numbers).buffer);
}

export function histogramsOf(value: unknown, count: number): Histograms {
  if (value === undefined) return undefined;
  const { at, all } = fieldsOf(value, 'histograms');
  if (!(at instanceof Uint32Array)) throw wrongShape('histograms.at');
  const found = listOf(all, 'histograms', count, histogramOf);
  if (found.length !== at.length) throw wrongShape('histograms');
  const histograms = new Array<FloatHistogram | undefined>(count).fill(undefined);
  for (const [i, place] of at.entries()) {
    if (place >= count) throw wrongShape('histograms.at');
    histograms[place] = found[i];
  }
  return histograms;
}

const HINTS = ['unknown', 'reset', 'not_reset', 'gauge'] as const satisfies readonly ResetHint[];

function histogramOf(value: unknown): FloatHistogram {
  const fields = fieldsOf(value, 'histogram');
  const [positiveSpans, negativeSpans] = listOf(fields.spans, 'spans', 2, spansOf);
  const [positiveBuckets, negativeBuckets, customValues] = listOf(fields.buckets, 'buckets', 3, numbersOf);
  if (positiveSpans === undefined || negativeSpans === undefined || customValues === undefined) {
    throw wrongShape('histogram');
  }
  for (const [spans, buckets] of [
    [positiveSpans, positiveBuckets],
    [negativeSpans, negativeBuckets],
  ] as const) {
    if (spans.reduce((sum, { length }) => sum + length, 0) !== buckets!.length) throw wrongShape('buckets');
  }
  const number = (name: string) => anyNumberOf(fields[name], name);
  const { schema } = fields;
  if (!Number.isSafeInteger(schema)) throw wrongShape('schema');
  return {
    resetHint: oneOf(fields.resetHint, HINTS, 'resetHint'),
    schema: schema as number,
    zeroThreshold: number('zeroThreshold'),
    zeroCount: number('zeroCount'),
    count: number('count'),
    sum: number('sum'),
    positiveSpans,
    positiveBuckets: positiveBuckets!,
    negativeSpans,
    negativeBuckets: negativeBuckets!,
    customValues,
  };
}

function spansOf(value: unknown): readonly Span[] {
  if (!(value instanceof Int32Array) || value.length % 2 !== 0) throw wrongShape('spans');
  return Array.from({ length: value.length / 2 }, (_, i) => {
    const length = value[2 * i + 1]!;
    if (length < 0) throw wrongShape('spans');
    return { offset: value[2 * i]!, length };
  });
}

function numbersOf(value: unknown): readonly number[] {
  const bytes = bytesOf(value, 'buckets');
  if (bytes.length % F64 !== 0) throw wrongShape('buckets');
  return [...new Float64Array(bytes.slice().buffer)];
}

function anyNumberOf(value: unknown, name: string): number {
  if (typeof value !== 'number') throw wrongShape(name);
  return value;
}

/** All of a result but its value. */
const MISSING = ['recent samples', 'stored samples', 'part of the query'] as const;

export function missingOf(value: unknown): MissingPart {
  const { what, reason, ...times } = fieldsOf(value, 'missing');
  return {
    what: oneOf(what, MISSING, 'missing.what'),
    ...timesOf(times),
    reason: textOf(reason, 'reason', TEXT_CHARS_MAX),
  };
}

function toldOf(head: Fields) {
  const notes = optional(head.notes, notesOf);
  const missing = optional(head.missing, (each) => listOf(each, 'missing', NOTES_MAX, missingOf));
  return {
    warnings: textsOf(head.warnings, 'warnings', TEXT_CHARS_MAX),
    infos: textsOf(head.infos, 'infos', TEXT_CHARS_MAX),
    statistics: statisticsOf(head.statistics),
    explanation: optional(head.explanation, explanationOf),
    ...(notes && { notes }),
    ...(missing && { missing }),
  };
}

const STATISTICS = [
  'evaluatedMs',
  'totalQueryableSamples',
  'samplesRead',
  'peakSamples',
  'fetchedBytes',
  'fetchedChunks',
  'fetchedChunkBytes',
  'fetchedRows',
  'fetchedObjects',
  'cachedBlocks',
  'readSlots',
  'readGroups',
] as const satisfies readonly (keyof QueryStatistics)[];

/** A number that an older process does not tell is 0. */
function statisticsOf(value: unknown): QueryStatistics {
  const fields = fieldsOf(value, 'statistics');
  const counts = Object.fromEntries(
    STATISTICS.map((name) => [name, fields[name] === undefined ? 0 : numberOf(fields[name], name)]),
  ) as Pick<QueryStatistics, (typeof STATISTICS)[number]>;
  const perStep = optional(fields.totalQueryableSamplesPerStep, (steps) =>
    listOf(steps, 'samples of steps', LIST_MAX, (each) => {
      const [timeMs, samples] = listOf(each, 'samples of a step', 2, (one) => numberOf(one, 'samples of a step'));
      if (samples === undefined) throw wrongShape('samples of a step');
      return [timeMs!, samples] as const;
    }),
  );
  return {
    ...counts,
    totalQueryableSamplesPerStep: perStep,
    ...present('parts', fields, countOf),
    ...present('cachedSteps', fields, countOf),
  };
}

function notesOf(value: unknown): QueryNotes {
  const { storage, warnings, infos } = fieldsOf(value, 'notes');
  return {
    storage: textsOf(storage, 'notes.storage', TEXT_CHARS_MAX),
    warnings: noteListOf(warnings),
    infos: noteListOf(infos),
  };
}

function noteListOf(value: unknown): NoteList {
  const { notes, omitted } = fieldsOf(value, 'notes');
  return { notes: listOf(notes, 'notes', NOTES_MAX, noteOf), omitted: countOf(omitted, 'omitted') };
}

function noteOf(value: unknown): QueryNote {
  const { text, pos, by, count, forced } = fieldsOf(value, 'note');
  return {
    text: textOf(text, 'note.text', TEXT_CHARS_MAX),
    pos: positionOf(pos),
    by: positionOf(by),
    count: numberOf(count, 'note.count'),
    forced: optional(forced, forcedOf),
  };
}

function positionOf(value: unknown): NotePosition {
  const fields = fieldsOf(value, 'position');
  return {
    start: numberOf(fields.start, 'position.start'),
    end: numberOf(fields.end, 'position.end'),
    ...present('unplaced', fields, boolOf),
  };
}

function forcedOf(value: unknown): ForcedBuckets {
  const fields = fieldsOf(value, 'forced');
  const number = (name: string) => anyNumberOf(fields[name], name);
  return {
    minBucket: number('minBucket'),
    maxBucket: number('maxBucket'),
    maxDiff: number('maxDiff'),
    minMs: number('minMs'),
    maxMs: number('maxMs'),
    count: number('count'),
  };
}

/** An explanation as a list, each part before its children: it may be deeper than values of the codec. */
function explained(explanation: QueryExplanation | undefined): { readonly explanation?: unknown } {
  if (explanation === undefined) return {};
  const all: unknown[] = [];
  const add = ({ what, steps, series, points, ms, children }: QueryExplanation): void => {
    all.push([what, steps, series, points, ms, children.length]);
    for (const child of children) add(child);
  };
  add(explanation);
  return { explanation: all };
}

/** Parts of a plan within each other. */
const PLAN_LEVELS_MAX = 4096;

function explanationOf(value: unknown): QueryExplanation {
  const all = listOf(value, 'explanation', LIST_MAX, (each) => each);
  let at = 0;
  const next = (level: number): QueryExplanation => {
    if (at >= all.length || level > PLAN_LEVELS_MAX) throw wrongShape('explanation');
    const [what, steps, series, points, ms, children] = listOf(all[at++], 'explanation', 6, (each) => each);
    const own = {
      what: textOf(what, 'what', TEXT_CHARS_MAX),
      steps: numberOf(steps, 'steps'),
      series: numberOf(series, 'series'),
      points: numberOf(points, 'points'),
      ms: numberOf(ms, 'ms'),
    };
    const count = countOf(children, 'children');
    if (count > all.length - at) throw wrongShape('explanation');
    return { ...own, children: Array.from({ length: count }, () => next(level + 1)) };
  };
  const explanation = next(0);
  if (at !== all.length) throw wrongShape('explanation');
  return explanation;
}
