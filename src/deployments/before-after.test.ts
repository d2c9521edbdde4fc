import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryRunner } from '../contract/query.ts';
import { compareBeforeAfter } from './before-after.ts';
import type { Measure } from './measure.ts';
import { countingNoise } from './measure.ts';
import { spansOf } from './spans.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const BEGIN_MS = 100 * DAY_MS;
const END_MS = BEGIN_MS + 10 * MINUTE_MS;
const NOW_MS = END_MS + 40 * MINUTE_MS;

function spans() {
  const found = spansOf({ beginMs: BEGIN_MS, endMs: END_MS, nowMs: NOW_MS });
  assert.ok(Array.isArray(found));
  return found[0]!;
}

/** Answers `value` and `events` by what is given for a time; undefined: there was nothing yet. */
function runnerOf(value: (timeMs: number) => number | undefined, events = 10_000): QueryRunner {
  return {
    async instant(_tenant: string, { expr, timeMs }: { expr: string; timeMs: number }) {
      const found = value(timeMs);
      const values = found === undefined ? [] : [expr.startsWith('events') ? events : found];
      return { value: { type: 'vector', timeMs, pairs: values.map(() => []), values: Float64Array.from(values) } };
    },
  } as unknown as QueryRunner;
}

const measure = (more: Partial<Measure>): Measure => ({
  name: 'm',
  kind: 'latency',
  statistic: 'mean',
  value: (_, span) => `value[${span}]`,
  events: (_, span) => `events[${span}]`,
  labels: [],
  ...more,
});

const compare = (runner: QueryRunner, one: Partial<Measure> = {}) =>
  compareBeforeAfter({ runner, tenant: 't', measures: [measure(one)], spans: spans() }, new AbortController().signal);

test('spans grow as they pass, and never go across another deployment', () => {
  const of = (more: object) => {
    const found = spansOf({ beginMs: BEGIN_MS, endMs: END_MS, nowMs: END_MS + 7 * HOUR_MS, ...more });
    return Array.isArray(found) ? found.map(({ spanMs }) => spanMs / MINUTE_MS) : found;
  };
  assert.deepEqual(of({}), [30, 60, 360]);
  assert.deepEqual(of({ nowMs: END_MS + 34 * MINUTE_MS }), { readyMs: END_MS + 35 * MINUTE_MS });
  assert.deepEqual(of({ previousEndMs: BEGIN_MS - 2 * HOUR_MS }), [30, 60]);
  assert.deepEqual(of({ nextBeginMs: END_MS + 36 * MINUTE_MS }), [30]);
  assert.deepEqual(of({ nextBeginMs: END_MS + 20 * MINUTE_MS }), { readyMs: undefined });
  assert.deepEqual(of({ endMs: undefined }), { readyMs: undefined });
  const [first] = spansOf({ beginMs: BEGIN_MS, endMs: END_MS, nowMs: NOW_MS }) as ReturnType<typeof spans>[];
  assert.deepEqual(first, {
    spanMs: 30 * MINUTE_MS,
    beforeEndMs: BEGIN_MS - MINUTE_MS,
    afterEndMs: END_MS + 35 * MINUTE_MS,
  });
});

test('a score is the change less the usual one, over the spread of the usual ones', async () => {
  // each day it rises by a tenth at this hour; now by half
  const isAfter = (timeMs: number) => (timeMs - (BEGIN_MS - MINUTE_MS)) % DAY_MS !== 0;
  const value = (timeMs: number) => (isAfter(timeMs) ? (timeMs > BEGIN_MS ? 1.5 : 1.1) : 1);
  const { findings, reference, references } = await compare(runnerOf(value));
  assert.equal(reference, 'days');
  assert.equal(references, 7);
  assert.equal(findings.length, 1);
  const [{ change, score, verdict }] = findings as [(typeof findings)[0]];
  assert.ok(Math.abs(change - Math.log(1.5)) < 1e-9);
  // the spread is none: two per cent stand for it
  assert.ok(Math.abs(score - (Math.log(1.5) - Math.log(1.1)) / 0.02) < 1e-9);
  assert.equal(verdict, 'worse');
});

test('less latency is better, traffic is neither, and few events say nothing', async () => {
  const value = (timeMs: number) => (timeMs > BEGIN_MS ? 0.5 : 1);
  assert.equal((await compare(runnerOf(value))).findings[0]?.verdict, 'better');
  assert.equal(
    (await compare(runnerOf(value), { kind: 'traffic', statistic: 'rate' })).findings[0]?.verdict,
    'changed',
  );
  const few = await compare(runnerOf(value, 29));
  assert.deepEqual([few.findings.length, few.tooFew], [0, 1]);
});

test('nothing stands out below five per cent, nor below score four', async () => {
  assert.deepEqual((await compare(runnerOf((timeMs) => (timeMs > BEGIN_MS ? 1.04 : 1)))).findings, []);
  assert.deepEqual((await compare(runnerOf((timeMs) => (timeMs > BEGIN_MS ? 1.07 : 1)))).findings, []);
  const noisy = (timeMs: number) => (timeMs > BEGIN_MS ? 1.5 : 1 + 0.3 * Math.sin(timeMs / MINUTE_MS));
  assert.deepEqual((await compare(runnerOf(noisy))).findings, []);
  assert.equal((await compare(runnerOf((timeMs) => (timeMs > BEGIN_MS ? 2 : 1), 30))).findings.length, 0, 'by chance');
});

test('a young service is compared with spans of its last day', async () => {
  const young = (timeMs: number) => (timeMs < BEGIN_MS - 30 * HOUR_MS ? undefined : timeMs > BEGIN_MS ? 2 : 1);
  const { reference, references, findings } = await compare(runnerOf(young));
  assert.equal(reference, 'last-day');
  assert.ok(references >= 20);
  assert.equal(findings[0]?.verdict, 'worse');
});

test('shares are compared by difference, and counted errors by their number', () => {
  const noise = countingNoise('ratio', { value: 0, events: 1000 }, { value: 0.01, events: 1000 });
  assert.ok(Math.abs(noise - Math.sqrt(0.005 * 0.995 * 0.002)) < 1e-12);
  assert.equal(countingNoise('value', { value: 1, events: 0 }, { value: 1, events: 0 }), 0);
  const point = { value: 1, events: 10_000 };
  assert.ok(countingNoise('p99', point, point) > countingNoise('p50', point, point));
});
