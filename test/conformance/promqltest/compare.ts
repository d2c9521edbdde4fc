import { equalBounds, equalSpans, type FloatHistogram } from '../../../src/model/histogram.ts';
import { compactHistogram } from '../../../src/model/histogram-add.ts';
import { histogramToTestNotation } from '../../../src/model/histogram-text.ts';
import { Labels } from '../../../src/model/labels.ts';
import type { QueryValue } from '../../../src/promql/result.ts';
import { type Item, namesHint } from '../../../src/ruler/unit-test/series-line.ts';
import type { EvalCommand, ExpectedResult } from './script.ts';

const EPSILON = 1e-6;
const SMALLEST_NORMAL = 2 ** -1022;

/** As the reference compares: relatively, and exactly around 0. */
export function almostEqual(a: number, b: number): boolean {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  const total = Math.abs(a) + Math.abs(b);
  const difference = Math.abs(a - b);
  if (a === 0 || b === 0 || total < SMALLEST_NORMAL) return difference < EPSILON * SMALLEST_NORMAL;
  return difference / Math.min(total, Number.MAX_VALUE) < EPSILON;
}

interface Point {
  readonly value: number;
  readonly histogram: FloatHistogram | undefined;
}

/** The difference between an answer and what was expected; `undefined` where there is none. */
export function difference(command: EvalCommand, value: QueryValue): string | undefined {
  const { result } = command;
  switch (result.kind) {
    case 'string':
      return value.type === 'string' && value.value === result.value
        ? undefined
        : `expected the string ${JSON.stringify(result.value)}, got ${JSON.stringify(value)}`;
    case 'scalar':
      return value.type === 'scalar' && almostEqual(value.value, result.value)
        ? undefined
        : `expected the scalar ${result.value}, got ${describe(value)}`;
    case 'matrix':
      return value.type === 'matrix'
        ? matrixDifference(result, value, result.startMs, result.stepMs)
        : `expected a matrix, got ${value.type}`;
    case 'series':
      if (value.type === 'vector') return vectorDifference(command, result, value);
      if (value.type === 'matrix') return matrixDifference(result, value, command.startMs, command.stepMs);
      return `expected series, got ${describe(value)}`;
  }
}

type SeriesResult = Extract<ExpectedResult, { kind: 'series' | 'matrix' }>;

function vectorDifference(
  command: EvalCommand,
  { series }: SeriesResult,
  { samples }: Extract<QueryValue, { type: 'vector' }>,
): string | undefined {
  const ordered = command.expectations.some(({ kind }) => kind === 'ordered');
  const expected = new Map(series.map((line, i) => [line.labels.key, { line, position: i }]));
  const seen = new Set<string>();
  for (const [i, { labels, value, histogram }] of samples.entries()) {
    const want = expected.get(labels.key);
    if (want === undefined) return `unexpected series ${labels}: ${describePoint({ value, histogram })}`;
    if (seen.has(labels.key)) return `series ${labels} is there twice`;
    seen.add(labels.key);
    if (ordered && want.position !== i) return `expected ${labels} at position ${want.position + 1}, it is at ${i + 1}`;
    const wrong = pointDifference(want.line.items[0], { value, histogram });
    if (wrong !== undefined) return `${labels}: ${wrong}`;
  }
  const missing = series.find((line) => !seen.has(line.labels.key));
  return missing === undefined ? undefined : `missing series ${missing.labels}`;
}

function matrixDifference(
  { series }: SeriesResult,
  answer: Extract<QueryValue, { type: 'matrix' }>,
  startMs: number,
  stepMs: number,
): string | undefined {
  const expected = new Map(series.map((line) => [line.labels.key, line]));
  const seen = new Set<string>();
  let before: Labels | undefined;
  for (const { labels, times, values, histograms } of answer.series) {
    if (before !== undefined && Labels.compare(before, labels) >= 0) return `${labels} is not sorted behind ${before}`;
    before = labels;
    const line = expected.get(labels.key);
    if (line === undefined) return `unexpected series ${labels}`;
    seen.add(labels.key);
    const points = new Map<number, Point>();
    for (let i = 0; i < times.length; i++) {
      points.set(times[i]!, { value: values[i]!, histogram: histograms?.[i] });
    }
    for (const [i, item] of line.items.entries()) {
      const timeMs = startMs + i * stepMs;
      const point = points.get(timeMs);
      points.delete(timeMs);
      if (item === undefined && point === undefined) continue;
      if (item === undefined) return `${labels}: unexpected point at ${timeMs}: ${describePoint(point!)}`;
      if (point === undefined) return `${labels}: missing point at ${timeMs}, expected ${describeItem(item)}`;
      const wrong = pointDifference(item, point);
      if (wrong !== undefined) return `${labels} at ${timeMs}: ${wrong}`;
    }
    if (points.size > 0) return `${labels}: unexpected points at ${[...points.keys()].join(', ')}`;
  }
  const missing = series.find((line) => !seen.has(line.labels.key) && line.items.some((item) => item !== undefined));
  return missing === undefined ? undefined : `missing series ${missing.labels}`;
}

function pointDifference(item: Item, point: Point): string | undefined {
  const same =
    item !== undefined &&
    item !== 'stale' &&
    ('value' in item
      ? point.histogram === undefined && almostEqual(item.value, point.value)
      : point.histogram !== undefined && equalEnough(item.histogram, point.histogram));
  return same ? undefined : `expected ${describeItem(item)}, got ${describePoint(point)}`;
}

function equalEnough(expected: FloatHistogram, actual: FloatHistogram): boolean {
  const a = compactHistogram(expected);
  const b = compactHistogram(actual);
  if (namesHint(expected) && expected.resetHint !== actual.resetHint) return false;
  const buckets = (x: readonly number[], y: readonly number[]): boolean =>
    x.length === y.length && x.every((count, i) => almostEqual(count, y[i]!));
  return (
    a.schema === b.schema &&
    a.zeroThreshold === b.zeroThreshold &&
    equalBounds(a.customValues, b.customValues) &&
    almostEqual(a.count, b.count) &&
    almostEqual(a.sum, b.sum) &&
    almostEqual(a.zeroCount, b.zeroCount) &&
    equalSpans(a.positiveSpans, b.positiveSpans) &&
    equalSpans(a.negativeSpans, b.negativeSpans) &&
    buckets(a.positiveBuckets, b.positiveBuckets) &&
    buckets(a.negativeBuckets, b.negativeBuckets)
  );
}

function describeItem(item: Item): string {
  if (item === undefined) return 'nothing';
  if (item === 'stale') return 'a stale marker';
  return 'value' in item ? String(item.value) : histogramToTestNotation(item.histogram);
}

function describePoint({ value, histogram }: Point): string {
  return histogram === undefined ? String(value) : histogramToTestNotation(histogram);
}

function describe(value: QueryValue): string {
  switch (value.type) {
    case 'scalar':
    case 'string':
      return `the ${value.type} ${value.value}`;
    case 'vector':
      return `a vector of ${value.samples.length}`;
    case 'matrix':
      return `a matrix of ${value.series.length}`;
  }
}
