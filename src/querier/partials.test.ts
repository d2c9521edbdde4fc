import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstantRequest, QueryRunner, RangeRequest } from '../contract/query.ts';
import { systemClock } from '../lib/clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import type { BudgetLimits } from '../limits/query-budget.ts';
import { AppError } from '../model/errors.ts';
import { processErrors } from '../model/errors-process.ts';
import { floatHistogram } from '../model/histogram.ts';
import { Engine, type EngineOptions } from '../promql/engine.ts';
import type { Queryable } from '../storage/queryable.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';
import { EngineRunner } from './engine-runner.ts';
import { KernelRows } from './row-kernel.ts';
import { comparable, merged, partialsOf, plain } from './test-partials.ts';
import { QueryTurns } from './turns.ts';

const T = 1_767_231_000_000;
const STEP_MS = 15_000;

function runnerOn(
  list: readonly TestSeries[],
  options: EngineOptions = {},
  queryable: Queryable = listQueryable(list),
  limits: (tenant: string) => BudgetLimits = () => DEFAULT_LIMITS,
): EngineRunner {
  return new EngineRunner({
    engine: new Engine({ ...options, parser: { experimentalFunctions: true } }),
    queryable: () => queryable,
    limits,
    turns: new QueryTurns(systemClock),
    timeoutMs: 60_000,
    clock: systemClock,
  });
}

/** From 0 to 1, of all 53 bits. */
const fine = (random: Random) => random() + random() * 2 ** -32;

/** Values of a kind, each harder to add up than the one before. */
const KINDS: Readonly<Record<string, (random: Random) => number>> = {
  whole: (random) => Math.floor(random() * 1e6),
  tenths: (random) => Math.floor(random() * 1000) / 10,
  fractions: fine,
  signed: (random) => (fine(random) - 0.5) * 10 ** Math.floor(random() * 6),
  wide: (random) => (fine(random) - 0.5) * 2 ** Math.floor((random() - 0.5) * 200),
  cancelling: (random) => (random() < 0.5 ? 1 : -1) * [1e16, 1, 1e-16, 0.1, 3][Math.floor(random() * 5)]!,
  zeros: (random) => [0, -0, 1, -1][Math.floor(random() * 4)]!,
  special: (random) => [1, 2, 0.5, Number.NaN, Infinity, -Infinity][Math.floor(random() ** 3 * 6)]!,
  huge: (random) => (fine(random) - 0.5) * 2 ** 1023,
  tiny: (random) => (fine(random) - 0.5) * 2 ** -1060,
};

function seriesOf(random: Random, name: string, count: number, make: (random: Random) => number): TestSeries[] {
  return Array.from({ length: count }, (_, i): TestSeries => {
    const labels = { __name__: name, pod: `p${i}`, job: `j${i % 5}`, A: i % 3 === 0 ? '' : `${i % 2}` };
    const samples = Array.from({ length: 21 }, (__, s) => [T + s * STEP_MS, make(random)] as [number, number]);
    return [labels, ...samples.filter(() => random() < 0.8)];
  });
}

const INSTANT = { timeMs: T + 20 * STEP_MS };
const RANGE = { startMs: T, endMs: T + 20 * STEP_MS, stepMs: 30_000 };

async function assertSame(runner: QueryRunner, request: InstantRequest | RangeRequest, count: number) {
  const answer = await merged(runner, 't', request, count);
  if ('type' in answer) return answer.reason;
  assert.deepEqual(comparable(answer), comparable(await plain(runner, 't', request)), `${request.expr} in ${count}`);
  return undefined;
}

const OPS = ['sum', 'avg', 'min', 'max', 'count', 'group'];
const INNER = [
  'm',
  'rate(m[2m])',
  '-m',
  'm > 0',
  'm * 3',
  'abs(m)',
  'last_over_time(m[1m])',
  'max_over_time(rate(m[1m])[2m:30s])',
];
const BY = ['', 'by (job)', 'without (pod)', 'by (pod)', 'by (A)'];

test('shards of any values merge into the plain answer, or say that they do not', async () => {
  const random = seededRandom(3);
  const reasons = new Map<string, number>();
  for (const [kind, make] of Object.entries(KINDS)) {
    for (const count of [4, 41]) {
      const runner = runnerOn(seriesOf(random, 'm', count, make));
      for (const op of OPS) {
        for (const inner of INNER) {
          const expr = `${op} ${BY[Math.floor(random() * BY.length)]} (${inner})`;
          const times = random() < 0.5 ? INSTANT : RANGE;
          const shards = [1, 2, 4, 8][Math.floor(random() * 4)]!;
          const reason = await assertSame(runner, { expr, ...times, perStepStatistics: random() < 0.2 }, shards);
          const key = `${reason ?? 'same'} ${kind} ${op}`;
          reasons.set(key, (reasons.get(key) ?? 0) + 1);
        }
      }
    }
  }
  const count = (pattern: string) =>
    [...reasons].reduce((sum, [key, times]) => sum + (key.startsWith(pattern) ? times : 0), 0);
  const all = 2 * INNER.length;
  for (const kind of Object.keys(KINDS)) {
    assert.equal(count(`same ${kind} count`) + count(`same ${kind} group`), 2 * all, kind);
    if (kind !== 'zeros') assert.equal(count(`same ${kind} min`) + count(`same ${kind} max`), 2 * all, kind);
  }
  for (const kind of ['whole', 'tenths', 'fractions', 'signed', 'special', 'tiny']) {
    assert.equal(count(`same ${kind} sum`), all, kind);
  }
  assert.ok(count('rounding cancelling sum') > 0 && count('rounding fractions avg') > 0);
  assert.ok(count('overflow huge sum') > 0 && count('overflow huge avg') > 0 && count('zeros zeros ') > 0);
  assert.ok(count('same whole avg') > all / 2);
});

test('many series are added up as the engine adds them, in loops of the kernel and outside', async () => {
  const random = seededRandom(4);
  let same = 0;
  for (const kind of ['fractions', 'signed', 'wide', 'cancelling']) {
    const list = seriesOf(random, 'm', 800, KINDS[kind]!);
    for (const runner of [runnerOn(list), runnerOn(list, { rowKernel: new KernelRows() })]) {
      for (const times of [INSTANT, RANGE]) {
        for (const expr of ['sum(m)', 'sum by (job) (m)', 'sum(rate(m[1m]))']) {
          if ((await assertSame(runner, { expr, ...times }, 4)) === undefined) same++;
          else assert.ok(kind === 'cancelling', `${kind}: ${expr}`);
        }
      }
    }
  }
  assert.ok(same >= 36);
});

/** Expressions by why they are refused. */
const REASONS: Readonly<Record<string, readonly string[]>> = {
  expression: [
    'm',
    '1',
    'time()',
    '"a"',
    'sum(m) + 1',
    'sum(m) / count(m)',
    'topk(1, m)',
    'quantile(0.5, m)',
    'stddev(m)',
    'count_values("v", m)',
    'sum(sum by (job) (m))',
    'sum(m * on (pod) m)',
    'sum(m * scalar(m))',
    'sum(label_replace(m, "pod", "", "pod", ".*"))',
    'sum(absent(m))',
    'sum(absent_over_time(m[1m]))',
    'sum(sort(m))',
    'sum(vector(1))',
    'sum(histogram_quantile(0.9, m))',
    'sum(m @ 1767231000)',
    'count(topk(2, m))',
  ],
  names: ['sum(rate({__name__=~"m|n"}[1m]))', 'count(-{job="j1"})', 'max(abs({__name__!="n",job=~".+"}))'],
};

test('what cannot be merged is said before anything is read', async () => {
  let selected = 0;
  const list = listQueryable(seriesOf(seededRandom(5), 'm', 5, KINDS.whole!));
  const runner = runnerOn(
    [],
    {},
    {
      ...list,
      select: (...asked) => {
        selected++;
        return list.select(...asked);
      },
    },
  );
  for (const [reason, exprs] of Object.entries(REASONS)) {
    for (const expr of exprs) {
      const isInstantOnly = expr === '"a"';
      for (const times of isInstantOnly ? [INSTANT] : [INSTANT, RANGE]) {
        // of an instant nothing is repeated
        if (expr.includes('@') && 'timeMs' in times) continue;
        const answer = await merged(runner, 't', { expr, ...times }, 2);
        assert.equal('type' in answer && answer.reason, reason, expr);
      }
    }
  }
  assert.equal(selected, 0);
  assert.equal(
    await assertSame(runner, { expr: 'sum(m @ 1767231100 * 2 ^ time() >= bool 0)', ...INSTANT }, 2),
    undefined,
  );
  assert.equal(await assertSame(runner, { expr: 'max({__name__=~"m|n"} > 3)', ...RANGE }, 2), undefined);
  assert.equal(selected, 6);
});

test('series that only their type keeps apart, and sums that meet histograms, need all series', async () => {
  const typed = (type: string, pod: string): TestSeries => [
    { __name__: 'm', __type__: type, pod },
    [T - 60_000, 1],
    [T, 2],
  ];
  const pods = Array.from({ length: 8 }, (_, i) => `p${i}`);
  const mixed = runnerOn([...pods.map((pod) => typed('counter', pod)), typed('gauge', 'q'), typed('gauge', 'r')]);
  const request = { expr: 'sum(rate(m[5m]))', timeMs: T };
  assert.equal(await assertSame(mixed, request, 4), 'names');
  assert.equal(await assertSame(runnerOn(pods.map((pod) => typed('counter', pod))), request, 4), undefined);
  // each shard for itself has seen one type only
  const two = pods.map((pod) => typed(pod < 'p4' ? 'counter' : 'gauge', pod));
  assert.equal(await assertSame(runnerOn(two), request, 256), 'names');
  const delayed = runnerOn(two, { delayedNameRemoval: true });
  assert.equal(await assertSame(delayed, request, 4), undefined);
  assert.equal(await assertSame(delayed, { ...request, expr: 'sum by (__name__, pod) (-m)' }, 4), undefined);
  assert.equal(await assertSame(delayed, { ...request, expr: 'sum by (__type__) (-m)' }, 4), 'names');

  const histogram = floatHistogram({
    count: 1,
    sum: 1,
    positiveSpans: [{ offset: 0, length: 1 }],
    positiveBuckets: [1],
  });
  const list = listQueryable(pods.map((pod): TestSeries => [{ __name__: 'm', pod }, [T, 1]]));
  const native = runnerOn(
    [],
    {},
    {
      ...list,
      async select(...asked) {
        const set = await list.select(...asked);
        return {
          ...set,
          read(index, out) {
            set.read(index, out);
            if (set.series[index]!.get('pod') !== 'p3') return;
            out.clear();
            out.pushHistogram(T, histogram);
          },
        };
      },
    },
  );
  for (const times of [{ timeMs: T }, { startMs: T, endMs: T + 30_000, stepMs: 15_000 }]) {
    for (const op of ['min', 'max', 'count', 'group']) {
      assert.equal(await assertSame(native, { expr: `${op}(m)`, ...times }, 4), undefined);
    }
    for (const op of ['sum', 'avg'])
      assert.equal(await assertSame(native, { expr: `${op}(m)`, ...times }, 4), 'histograms');
  }
  const { infos } = await plain(native, 't', { expr: 'max(m)', timeMs: T });
  assert.equal(infos.length, 1, 'a note of one shard only');
});

test('a partial has the limits of its tenant, its time and its caller, and an error is one', async () => {
  const list = seriesOf(seededRandom(6), 'm', 100, KINDS.whole!);
  const queryable = listQueryable(list);
  const limited = runnerOn(list, {}, queryable, (tenant) => ({
    ...DEFAULT_LIMITS,
    maxFetchedSeriesPerQuery: tenant === 'small' ? 20 : 0,
  }));
  const request = { expr: 'sum(m)', ...INSTANT };
  await assert.rejects(partialsOf(limited, 'small', request, 2), /max_fetched_series_per_query/);
  assert.equal((await partialsOf(limited, 'small', request, 16)).length, 16, 'each is less than the limit');
  assert.equal((await partialsOf(limited, 'large', request, 1)).length, 1);
  const memory = runnerOn(list, {}, queryable, () => ({ ...DEFAULT_LIMITS, maxQueryMemoryBytes: 10_000 }));
  await assert.rejects(
    partialsOf(memory, 't', { expr: 'sum by (pod) (m)', ...RANGE, stepMs: 1000 }, 1),
    /max_query_memory_bytes/,
  );
  const isInvalid = (error: unknown) => error instanceof AppError && error.facts.id === 'query-invalid';
  await assert.rejects(partialsOf(limited, 't', { ...request, expr: 'sum(' }, 1), isInvalid);
  await assert.rejects(partialsOf(limited, 't', { ...RANGE, expr: 'm[1m]' }, 1), isInvalid);
  const context = { signal: new AbortController().signal };
  for (const shard of [
    { index: 2, count: 2 },
    { index: 3, count: 3 },
    { index: 0, count: 0 },
    { index: 0, count: 1024 },
  ]) {
    await assert.rejects(limited.partial('t', { ...request, shard }, context), isInvalid);
  }
  await assert.rejects(partialsOf(limited, 't', { ...request, timeoutMs: 0 }, 1), /timed out/);

  const forever = runnerOn(
    [],
    {},
    {
      ...queryable,
      select: (_, { signal }) =>
        new Promise((__, reject) => {
          if (signal.aborted) reject(signal.reason);
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    },
  );
  const late = partialsOf(forever, 't', { ...request, timeoutMs: 20 }, 1);
  await assert.rejects(late, (error) => error instanceof AppError && error.facts.id === 'query-timed-out');
  const leave = new AbortController();
  const asked = partialsOf(forever, 't', request, 2, leave);
  leave.abort(processErrors.callCancelled({}));
  await assert.rejects(asked, /canceled|no longer waits/);
});

test('what each part of the plan did is told of every shard', async () => {
  const runner = runnerOn(seriesOf(seededRandom(7), 'm', 20, KINDS.whole!));
  const answer = await merged(runner, 't', { expr: 'sum(m)', ...RANGE, explain: true }, 2);
  assert.ok(!('type' in answer));
  assert.equal(answer.explanation?.children.length, 2);
  const series = answer.explanation.children.map(({ children }) => children[0]!.series);
  assert.equal(series[0]! + series[1]!, 20);
});
