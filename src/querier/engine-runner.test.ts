import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { AppError } from '../model/errors.ts';
import { processErrors } from '../model/errors-process.ts';
import { floatHistogram } from '../model/histogram.ts';
import { Labels } from '../model/labels.ts';
import { Engine } from '../promql/engine.ts';
import type { Queryable } from '../storage/queryable.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';
import { EngineRunner, type EngineRunnerOptions } from './engine-runner.ts';
import { QueryTurns } from './turns.ts';

const T = 1_767_231_000_000;
const DATA: readonly TestSeries[] = [
  [{ __name__: 'up', job: 'a' }, [T - 30_000, 0], [T, 1]],
  [{ __name__: 'up', job: 'b' }, [T - 30_000, 2], [T, 3]],
];
const context = { signal: new AbortController().signal };

function runnerOn(queryable: Queryable, more: Partial<EngineRunnerOptions> = {}): EngineRunner {
  return new EngineRunner({
    engine: new Engine(),
    queryable: () => queryable,
    limits: () => DEFAULT_LIMITS,
    turns: new QueryTurns(systemClock),
    timeoutMs: 10_000,
    clock: systemClock,
    ...more,
  });
}

const runner = runnerOn(listQueryable(DATA));

test('an instant query answers columns, of one time', async () => {
  const { value, warnings, statistics, explanation } = await runner.instant('t', { expr: 'up', timeMs: T }, context);
  assert.deepEqual(value, {
    type: 'vector',
    timeMs: T,
    pairs: [
      ['__name__', 'up', 'job', 'a'],
      ['__name__', 'up', 'job', 'b'],
    ],
    values: Float64Array.of(1, 3),
    histograms: undefined,
  });
  assert.deepEqual([warnings, explanation], [[], undefined]);
  assert.deepEqual([statistics.totalQueryableSamples, statistics.samplesRead, statistics.peakSamples], [2, 2, 2]);
  assert.ok(statistics.evaluatedMs > 0);
  const none = await runner.instant('t', { expr: 'down', timeMs: T }, context);
  assert.deepEqual(none.value, {
    type: 'vector',
    timeMs: T,
    pairs: [],
    values: new Float64Array(0),
    histograms: undefined,
  });
  const scalar = await runner.instant('t', { expr: '1 + 1', timeMs: T }, context);
  assert.deepEqual(scalar.value, { type: 'scalar', timeMs: T, value: 2 });
  const text = await runner.instant('t', { expr: '"a"', timeMs: T }, context);
  assert.deepEqual(text.value, { type: 'string', timeMs: T, value: 'a' });
});

test('a range query answers series, ascending by labels', async () => {
  const request = { expr: 'sum by (job) (up)', startMs: T - 30_000, endMs: T, stepMs: 30_000, perStepStatistics: true };
  const { value, statistics } = await runner.range('t', request, context);
  const times = Float64Array.of(T - 30_000, T);
  assert.deepEqual(value, {
    type: 'matrix',
    series: [
      { pairs: ['job', 'a'], times, values: Float64Array.of(0, 1), histograms: undefined },
      { pairs: ['job', 'b'], times, values: Float64Array.of(2, 3), histograms: undefined },
    ],
  });
  assert.deepEqual(statistics.totalQueryableSamplesPerStep, [
    [T - 30_000, 2],
    [T, 2],
  ]);
});

test('histograms stand beside the values', async () => {
  const histogram = floatHistogram({
    count: 2,
    sum: 3,
    positiveSpans: [{ offset: 0, length: 1 }],
    positiveBuckets: [2],
  });
  const mixed: Queryable = {
    ...listQueryable([]),
    select: async () => ({
      series: [Labels.of({ job: 'a' }), Labels.of({ job: 'b' })],
      warnings: ['a part is lost'],
      read(index, out) {
        out.clear();
        if (index === 0) out.pushFloat(T, 1);
        else out.pushHistogram(T, histogram);
      },
      close() {},
    }),
  };
  const result = await runnerOn(mixed).instant('t', { expr: '{job=~".+"}', timeMs: T }, context);
  assert.deepEqual(result.warnings, ['a part is lost']);
  assert.ok(result.value.type === 'vector');
  assert.deepEqual([...result.value.values], [1, Number.NaN]);
  assert.deepEqual(result.value.histograms, [undefined, histogram]);
  assert.deepEqual(structuredClone(result), result, 'it can go over a wire');
});

test('all of a result is plain data', async () => {
  const requests = [
    runner.instant('t', { expr: 'up', timeMs: T, explain: true }, context),
    runner.range('t', { expr: 'up', startMs: T - 60_000, endMs: T, stepMs: 15_000, explain: true }, context),
    runner.instant('t', { expr: 'up[5m]', timeMs: T, perStepStatistics: true }, context),
  ];
  for (const result of await Promise.all(requests)) assert.deepEqual(structuredClone(result), result);
});

test('an expression that is none is an error of its own', async () => {
  const invalid = (error: unknown) => error instanceof AppError && error.facts.id === 'query-invalid';
  await assert.rejects(runner.instant('t', { expr: 'up{', timeMs: T }, context), invalid);
  await assert.rejects(runner.range('t', { expr: 'up[5m]', startMs: T, endMs: T, stepMs: 1 }, context), invalid);
  await assert.rejects(runner.range('t', { expr: 'up', startMs: T, endMs: T, stepMs: 0 }, context), invalid);
});

test("the tenant's limits hold", async () => {
  const limited = runnerOn(listQueryable(DATA), {
    limits: (tenant) => ({ ...DEFAULT_LIMITS, maxFetchedSeriesPerQuery: tenant === 'small' ? 1 : 0 }),
  });
  assert.ok(await limited.instant('large', { expr: 'up', timeMs: T }, context));
  await assert.rejects(limited.instant('small', { expr: 'up', timeMs: T }, context), /max_fetched_series_per_query/);
});

test('a query ends when its time is up, or nobody waits', async () => {
  const forever: EngineRunnerOptions['engine'] = {
    queryRange: () => Promise.reject(new Error('not asked')),
    partial: () => Promise.reject(new Error('not asked')),
    query: (_, __, { signal }) =>
      new Promise((___, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  };
  const slow = runnerOn(listQueryable([]), { engine: forever, timeoutMs: 20 });
  const timedOut = (error: unknown) => error instanceof AppError && error.facts.id === 'query-timed-out';
  await assert.rejects(slow.instant('t', { expr: '1', timeMs: T }, context), timedOut);
  await assert.rejects(slow.instant('t', { expr: '1', timeMs: T, timeoutMs: 10_000 }, context), timedOut);
  await assert.rejects(runner.instant('t', { expr: '1', timeMs: T, timeoutMs: 0 }, context), timedOut);
  const request = { expr: '1', timeMs: T };
  const spent = (spentMs: number) => new Map([[request, { plan: undefined, spentMs }]]);
  for (const spentMs of [9_980, 10_000]) {
    const clock = new ManualClock();
    const begun = runnerOn(listQueryable([]), { engine: forever, clock, prepared: spent(spentMs) });
    const ended = assert.rejects(begun.instant('t', request, context), (error: unknown) => {
      return timedOut(error) && /after 10000 ms/.test((error as AppError).message);
    });
    await clock.advance(10_000 - spentMs);
    await ended;
  }
  const leave = new AbortController();
  const asked = runnerOn(listQueryable([]), { engine: forever }).instant('t', { expr: '1', timeMs: T }, leave);
  leave.abort(processErrors.callCancelled({}));
  await assert.rejects(asked, /no longer waits/);
});
