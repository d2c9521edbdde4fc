import type { InstantOutcome, InstantRequest, PackedValue } from '../contract/query.ts';
import {
  ColumnReader,
  Columns,
  histogramsHead,
  histogramsOf,
  instantOf,
  singleOf,
  TEXT_CHARS_MAX,
} from './query-wire.ts';
import { boolOf, countOf, fieldsOf, listOf, numberOf, optional, textOf, wrongShape } from './shapes.ts';

// Batches of rules between processes (docs/formats/rpc.md): expressions at one time, and an outcome for each.

/** Expressions in one batch: rulers send fewer. */
const REQUESTS_MAX = 10_000;
/** Labels of all series of an answer, as JSON. */
const PAIRS_CHARS_MAX = 256 * 1024 * 1024;

export function batchOf(value: unknown): readonly InstantRequest[] {
  return listOf(value, 'requests', REQUESTS_MAX, instantOf);
}

export function encodeOutcomes(outcomes: readonly InstantOutcome[]): Uint8Array<ArrayBuffer> {
  const columns = new Columns();
  return columns.behind({
    outcomes: outcomes.map((outcome) =>
      'result' in outcome ? { result: packedHead(outcome.result, columns) } : outcome,
    ),
  });
}

/**
 * @param count outcomes that there must be
 * @param checkPairs throws where a text is not the labels of so many series
 * @throws peerMessageInvalid
 */
export function decodeOutcomes(
  bytes: Uint8Array,
  count: number,
  checkPairs: (index: number, pairs: string, series: number) => void,
): readonly InstantOutcome[] {
  const reader = new ColumnReader(bytes);
  let index = 0;
  const outcomes = listOf(reader.head.outcomes, 'outcomes', count, (each): InstantOutcome => {
    const { result, failure } = fieldsOf(each, 'outcome');
    const at = index++;
    if (failure === undefined) {
      return { result: packedOf(result, reader, (pairs, series) => checkPairs(at, pairs, series)) };
    }
    const fields = fieldsOf(failure, 'failure');
    const text = textOf(fields.text, 'failure.text', TEXT_CHARS_MAX);
    const isTimeout = optional(fields.isTimeout, (one) => boolOf(one, 'failure.isTimeout'));
    return {
      failure: { text, http: countOf(fields.http, 'failure.http'), ...(isTimeout !== undefined && { isTimeout }) },
    };
  });
  if (outcomes.length !== count) throw wrongShape('outcomes');
  reader.end();
  return outcomes;
}

/** @throws peerMessageInvalid where a text is not the labels of so many series */
export function checkPairs(text: string, series: number): void {
  let pairs: unknown;
  try {
    pairs = JSON.parse(text);
  } catch {
    throw wrongShape('pairs');
  }
  const isPairs = (each: unknown) =>
    Array.isArray(each) && each.length % 2 === 0 && each.every((part) => typeof part === 'string');
  if (!Array.isArray(pairs) || pairs.length !== series || !pairs.every(isPairs)) throw wrongShape('pairs');
}

function packedHead(value: PackedValue, columns: Columns): unknown {
  if (value.type !== 'vector') return value;
  const { type, timeMs, pairs, values, histograms } = value;
  columns.add(values);
  return { type, timeMs, pairs, series: values.length, histograms: histogramsHead(histograms) };
}

function packedOf(value: unknown, reader: ColumnReader, check: (pairs: string, series: number) => void): PackedValue {
  const fields = fieldsOf(value, 'result');
  switch (fields.type) {
    case 'scalar':
    case 'string':
      return singleOf(fields, fields.type);
    case 'matrix':
      return { type: 'matrix' };
    case 'vector': {
      const values = reader.take(countOf(fields.series, 'series'));
      const pairs = textOf(fields.pairs, 'pairs', PAIRS_CHARS_MAX);
      check(pairs, values.length);
      const timeMs = numberOf(fields.timeMs, 'timeMs');
      return { type: 'vector', timeMs, pairs, values, histograms: histogramsOf(fields.histograms, values.length) };
    }
    default:
      throw wrongShape('result.type');
  }
}
