import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import type { ResultSeries } from '../contract/query.ts';
import type { Steps } from './merge-steps.ts';
import type { StepRange } from './split.ts';

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

const VERSION = 1;
const HEADER_BYTES = 5;

/** @returns undefined where they are too large to be kept */
export function encodeExtents(extents: readonly Extent[]): Uint8Array | undefined {
  const content = serialize(extents.slice(-EXTENTS_MAX));
  if (content.length > BYTES_MAX) return undefined;
  const value = new Uint8Array(HEADER_BYTES + content.length);
  value[0] = VERSION;
  new DataView(value.buffer).setUint32(1, crc32(content));
  value.set(content, HEADER_BYTES);
  return value;
}

/** @returns none where the bytes are not what was kept */
export function decodeExtents(value: Uint8Array): readonly Extent[] {
  if (value.length < HEADER_BYTES || value[0] !== VERSION) return [];
  const content = value.subarray(HEADER_BYTES);
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  if (view.getUint32(1) !== crc32(content)) return [];
  return deserialize(content) as readonly Extent[];
}

/** The steps of an extent that are in a range. */
export function cutSteps({ series, notes }: Steps, { startMs, endMs }: StepRange): Steps {
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
