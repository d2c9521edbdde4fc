import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import type { QueryNotes, ResultSeries } from '../contract/query.ts';
import type { StepRange } from './split.ts';
import { ColumnSteps, columnsOf, type LabelList, type Steps } from './step-columns.ts';

// Steps of one expression under one key of a cache, by the day that their part begins in.

/** Steps in a row that were answered together or one after another, both ends inclusive. */
export interface Extent extends StepRange {
  /** The generations of the days that its samples are of. */
  readonly token: string;
  readonly steps: Steps;
  /** The text that its notes are told of; undefined: there are none. */
  readonly expr: string | undefined;
}

/** Extents of one key, one beside another. */
const EXTENTS_MAX = 8;

/** Larger than this they are not kept. */
const BYTES_MAX = 8 * 1024 * 1024;

const VERSION = 2;
// version, checksum of all behind it, length of the head
const CRC_AT = 4;
const HEAD_AT = 8;
const HEADER_BYTES = 16;

/** The rest of an extent, beside its columns. */
interface Head extends StepRange {
  readonly token: string;
  readonly expr: string | undefined;
  readonly notes: QueryNotes;
  /** As they are, where they are no columns. */
  readonly series: readonly ResultSeries[] | undefined;
  readonly seriesCount: number;
  readonly labelBytes: number;
  /** Lengths of the lists of times. */
  readonly times: readonly number[];
  readonly points: number;
}

/** @returns undefined where they are too large to be kept */
export function encodeExtents(all: readonly Extent[]): Uint8Array | undefined {
  const extents = all.slice(-EXTENTS_MAX).map((extent) => {
    const { steps, startMs, endMs, token, expr } = extent;
    const columns = steps instanceof ColumnSteps ? steps.columns : columnsOf(steps.series);
    const labels = Buffer.from(columns === undefined ? '' : JSON.stringify(columns.labels.pairs));
    const head: Head = {
      startMs,
      endMs,
      token,
      expr,
      notes: steps.notes,
      series: columns === undefined ? steps.series : undefined,
      seriesCount: columns?.ends.length ?? 0,
      labelBytes: labels.length,
      times: columns?.times.map(({ length }) => length) ?? [],
      points: columns?.values.length ?? 0,
    };
    return { head, columns, labels };
  });
  const head = serialize(extents.map((extent) => extent.head));
  const bytes = extents.reduce((sum, extent) => sum + columnBytes(extent.head), HEADER_BYTES + padded(head.length));
  if (bytes > BYTES_MAX) return undefined;
  const value = new Uint8Array(bytes);
  value.set(head, HEADER_BYTES);
  let at = HEADER_BYTES + padded(head.length);
  for (const { head: own, columns, labels } of extents) {
    if (columns === undefined) continue;
    const place = placeOf(value, at, own);
    for (const [i, times] of columns.times.entries()) place.times[i]!.set(times);
    place.values.set(columns.values);
    place.ends.set(columns.ends);
    place.timesOf.set(columns.timesOf);
    place.labels.set(labels);
    at += columnBytes(own);
  }
  const view = new DataView(value.buffer);
  view.setUint8(0, VERSION);
  view.setUint32(HEAD_AT, head.length);
  view.setUint32(CRC_AT, crc32(value.subarray(HEAD_AT)));
  return value;
}

/** Lists of labels, so that equal ones of a query's extents are one. */
export class LabelLists {
  #bytes: Uint8Array = new Uint8Array(0);
  #last: LabelList = { pairs: [] };

  of(bytes: Uint8Array): LabelList {
    if (Buffer.compare(bytes, this.#bytes) !== 0) {
      this.#last = { pairs: JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()) };
      this.#bytes = bytes;
    }
    return this.#last;
  }
}

/** @returns none where the bytes are not what was kept */
export function decodeExtents(stored: Uint8Array, lists = new LabelLists()): readonly Extent[] {
  if (stored.length < HEADER_BYTES || stored[0] !== VERSION) return [];
  // numbers are looked at in their places
  const value = stored.byteOffset % ALIGN === 0 ? stored : new Uint8Array(stored);
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  if (view.getUint32(CRC_AT) !== crc32(value.subarray(HEAD_AT))) return [];
  const headBytes = view.getUint32(HEAD_AT);
  const heads = deserialize(value.subarray(HEADER_BYTES, HEADER_BYTES + headBytes)) as readonly Head[];
  let at = HEADER_BYTES + padded(headBytes);
  return heads.map((head) => {
    const { startMs, endMs, token, expr, notes, series } = head;
    if (series !== undefined) return { startMs, endMs, token, expr, steps: { series, notes } };
    const { labels, ...columns } = placeOf(value, at, head);
    at += columnBytes(head);
    return { startMs, endMs, token, expr, steps: new ColumnSteps({ ...columns, labels: lists.of(labels) }, notes) };
  });
}

const ALIGN = 8;

function padded(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN;
}

function columnBytes({ series, times, points, seriesCount, labelBytes }: Head): number {
  if (series !== undefined) return 0;
  return 8 * (times.reduce((sum, count) => sum + count, points) + seriesCount) + padded(labelBytes);
}

/** Where the columns of an extent stand. */
function placeOf(
  { buffer, byteOffset }: Uint8Array,
  from: number,
  { times: lengths, points, seriesCount, labelBytes }: Head,
) {
  let at = byteOffset + from;
  const floats = (count: number): Float64Array => {
    const list = new Float64Array(buffer, at, count);
    at += 8 * count;
    return list;
  };
  const times = lengths.map(floats);
  const values = floats(points);
  const ends = new Uint32Array(buffer, at, seriesCount);
  const timesOf = new Uint32Array(buffer, at + 4 * seriesCount, seriesCount);
  return { times, values, ends, timesOf, labels: new Uint8Array(buffer, at + 8 * seriesCount, labelBytes) };
}

/** The steps of an extent that are in a range. */
export function cutSteps(steps: Steps, { startMs, endMs }: StepRange): Steps {
  const { series, notes } = steps;
  const cut = series.map((each) => cutSeries(each, startMs, endMs)).filter(({ times }) => times.length > 0);
  return { series: cut, notes };
}

function cutSeries({ pairs, times, values, histograms }: ResultSeries, startMs: number, endMs: number): ResultSeries {
  const from = firstAtOrAfter(times, startMs);
  const to = firstAtOrAfter(times, endMs + 1);
  if (from === 0 && to === times.length) return { pairs, times, values, histograms };
  const own = histograms?.slice(from, to);
  const anyOwn = own?.some((histogram) => histogram !== undefined) === true;
  return { pairs, times: times.slice(from, to), values: values.slice(from, to), histograms: anyOwn ? own : undefined };
}

function firstAtOrAfter(times: Float64Array, timeMs: number): number {
  let from = 0;
  let to = times.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (times[middle]! < timeMs) from = middle + 1;
    else to = middle;
  }
  return from;
}
