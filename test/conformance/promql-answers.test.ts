import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { histogramToApi } from '../../src/model/histogram-text.ts';
import { Engine } from '../../src/promql/engine.ts';
import type { QueryValue } from '../../src/promql/result.ts';
import { unlimited } from '../../src/storage/unlimited.ts';
import { formatApiValue } from '../../src/wire/api-json.ts';
import { loadRecordedData } from './promqltest/recorded-data.ts';

/** Answers of a real server with default features, for what the engine alone decides. */

const folder = new URL('../../../shared/conformance/', import.meta.url);
const skip = existsSync(folder) ? false : `${folder.pathname} is missing`;

interface Answer {
  readonly status: string;
  readonly data?: { readonly resultType: string; readonly result: unknown };
  readonly error?: string;
  readonly errorType?: string;
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

function lines<T>(path: string): T[] {
  const text = readFileSync(new URL(path, folder), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

const context = unlimited();

/** The functions that Go computes otherwise than JavaScript, in the last digits. */
const INEXACT =
  /\b(?:exp|ln|log2|log10|sin|cos|tan|asin|acos|atan|sinh|cosh|tanh|asinh|acosh|atanh|atan2|deriv|predict_linear)\b|\^/;

test('promqlcompliance.jsonl: range queries answer what Prometheus answers', { skip }, async () => {
  const engine = new Engine();
  const storage = loadRecordedData(folder);
  const wrong: string[] = [];
  for (const { query, json, status } of lines<{ query: string; json: Answer; status: number }>(
    'vectors/promqlcompliance.jsonl',
  )) {
    const range = { startMs: 1767230280_000, endMs: 1767230280_000 + 600_000, stepMs: 10_000 };
    try {
      const result = await engine.queryRange(storage, { expr: query, ...range }, context);
      if (status !== 200) wrong.push(`${query}: should fail`);
      else compare(query, json, result, wrong);
    } catch (error) {
      if (status === 200) wrong.push(`${query}: ${(error as Error).stack}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('api-static.jsonl: queries answer what Prometheus answers', { skip }, async () => {
  const engine = new Engine();
  const storage = loadRecordedData(folder);
  const wrong: string[] = [];
  let seen = 0;
  for (const { url, json, status, varies } of lines<{ url: string; json?: Answer; status: number; varies?: boolean }>(
    'vectors/api-static.jsonl',
  )) {
    const { pathname, searchParams } = new URL(url, 'http://prom');
    const expr = searchParams.get('query');
    if (varies === true || expr === null || json === undefined) continue;
    if (status === 200 ? json.data?.resultType === undefined : json.errorType !== 'execution') continue;
    // what the API decides: how many series are shown, how times are read
    if (/[?&](?:limit|stats)=|[?&]time=(?:Inf|1e30|-1)/.test(url)) continue;
    const ms = (name: string): number => timeMs(searchParams.get(name)!);
    const lookback = searchParams.get('lookback_delta');
    const lookbackMs = lookback === null ? undefined : durationMs(lookback);
    seen++;
    try {
      if (pathname === '/api/v1/query' && searchParams.has('time')) {
        const result = await engine.query(storage, { expr, timeMs: ms('time'), lookbackMs }, context);
        compare(url, json, result, wrong);
      } else if (pathname === '/api/v1/query_range') {
        const range = { startMs: ms('start'), endMs: ms('end'), stepMs: durationMs(searchParams.get('step')!) };
        compare(url, json, await engine.queryRange(storage, { expr, ...range, lookbackMs }, context), wrong);
      }
    } catch (error) {
      const { message, stack } = error as Error;
      if (status === 200) wrong.push(`${url}: ${stack}`);
      else if (message !== json.error) wrong.push(`${url}: failed with ${message}, not ${json.error}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen > 20, `only ${seen} cases`);
});

function timeMs(text: string): number {
  return /^[\d.]+$/.test(text) ? Math.round(Number(text) * 1000) : Date.parse(text);
}

function durationMs(text: string): number {
  const unit = /^([\d.]+)(ms|s|m|h)$/.exec(text);
  if (unit === null) return Number(text) * 1000;
  return Number(unit[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit[2] as 's']!;
}

interface Result {
  readonly value: QueryValue;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
}

function compare(what: string, expected: Answer, { value, warnings, infos }: Result, wrong: string[]): void {
  if (expected.data === undefined) {
    wrong.push(`${what}: should fail with ${expected.error}`);
    return;
  }
  const exact = !INEXACT.test(what);
  const want = normal(expected.data.resultType, expected.data.result, exact);
  const got = normal(value.type, toJson(value), exact);
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    wrong.push(`${what}: got ${firstDifference(got, want)}`);
  }
  const notes = (all: readonly string[] | undefined): string => [...(all ?? [])].sort().join('; ');
  if (notes(warnings) !== notes(expected.warnings))
    wrong.push(`${what}: warnings ${notes(warnings)}, not ${notes(expected.warnings)}`);
  if (notes(infos) !== notes(expected.infos))
    wrong.push(`${what}: infos ${notes(infos)}, not ${notes(expected.infos)}`);
}

function firstDifference(got: unknown, want: unknown): string {
  const a = JSON.stringify(got);
  const b = JSON.stringify(want);
  let at = 0;
  while (a[at] === b[at]) at++;
  const from = Math.max(0, at - 120);
  return `…${a.slice(from, at + 120)}…, not …${b.slice(from, at + 120)}…`;
}

/** Sorted where the order means nothing; numbers cut to what both languages agree on where they must. */
function normal(type: string, result: unknown, exact: boolean): unknown {
  const number = (text: string): string =>
    exact || !Number.isFinite(Number(text)) ? text : Number(text).toPrecision(11);
  const pair = ([time, text]: [number, string]): unknown => [time, number(text)];
  if (type === 'scalar') return pair(result as [number, string]);
  if (type === 'string') return result;
  interface Series {
    metric: Record<string, string>;
    value?: [number, string];
    values?: [number, string][];
    histogram?: unknown;
    histograms?: unknown;
  }
  return (result as Series[])
    .map(({ metric, value, values, histogram, histograms }) => ({
      metric: Object.entries(metric).sort(),
      value: value && pair(value),
      values: values?.map(pair),
      histogram,
      histograms,
    }))
    .sort((a, b) => (JSON.stringify(a.metric) < JSON.stringify(b.metric) ? -1 : 1));
}

function toJson(value: QueryValue): unknown {
  const at = (ms: number, number: number): [number, string] => [ms / 1000, formatApiValue(number)];
  switch (value.type) {
    case 'scalar':
      return at(value.timeMs, value.value);
    case 'string':
      return [value.timeMs / 1000, value.value];
    case 'vector':
      return value.samples.map(({ labels, timeMs: ms, value: number, histogram }) =>
        histogram === undefined
          ? { metric: labels.toJSON(), value: at(ms, number) }
          : { metric: labels.toJSON(), histogram: [ms / 1000, histogramToApi(histogram)] },
      );
    case 'matrix':
      return value.series.map(({ labels, times, values, histograms }) => {
        const floats: unknown[] = [];
        const native: unknown[] = [];
        for (let i = 0; i < times.length; i++) {
          const histogram = histograms?.[i];
          if (histogram === undefined) floats.push(at(times[i]!, values[i]!));
          else native.push([times[i]! / 1000, histogramToApi(histogram)]);
        }
        return {
          metric: labels.toJSON(),
          ...(floats.length > 0 && { values: floats }),
          ...(native.length > 0 && { histograms: native }),
        };
      });
  }
}
