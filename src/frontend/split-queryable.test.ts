import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import { processErrors } from '../model/errors-process.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { MissingParts } from '../storage/missing.ts';
import type { LabelAnswer, Queryable, QueryContext } from '../storage/queryable.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';
import { unlimited } from '../storage/unlimited.ts';
import { lookupParts } from './lookup-parts.ts';
import { SplitQueryable } from './split-queryable.ts';

const START_MS = Date.UTC(2026, 0, 1);
const DAYS = 40;
const { signal } = new AbortController();
const clock = new ManualClock(START_MS + DAYS * DAY_MS);

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!;

/** Series that are there at a few times each. */
function someSeries(random: Random, count: number): TestSeries[] {
  return Array.from({ length: count }, (_, i): TestSeries => {
    const labels = { __name__: pick(random, ['up', 'load', 'Ä']), i: `${i}`, [pick(random, ['a', 'b'])]: `v${i % 7}` };
    const times = Array.from(
      { length: 1 + Math.floor(random() * 3) },
      () => START_MS + Math.floor(random() * DAYS * DAY_MS),
    );
    return [labels, ...times.sort((a, b) => a - b).map((timeMs) => [timeMs, 1] as const)];
  });
}

function splitOver(from: Queryable, more: Partial<ConstructorParameters<typeof SplitQueryable>[1]> = {}) {
  return new SplitQueryable(from, {
    intervalMs: DAY_MS,
    parallelMax: 3,
    retriesMax: 2,
    clock,
    random: seededRandom(1),
    ...more,
  });
}

test('parts are the range, begin at intervals of the clock, and are not too many', () => {
  const random = seededRandom(1);
  for (let i = 0; i < 2000; i++) {
    const endMs = Math.floor(random() * 2e12);
    const startMs = endMs - Math.floor(random() ** 4 * endMs);
    const parts = lookupParts({ startMs, endMs }, DAY_MS);
    assert.ok(parts.length <= 32);
    assert.equal(parts[0]!.startMs, startMs);
    assert.equal(parts.at(-1)!.endMs, endMs);
    for (const [at, part] of parts.entries()) {
      assert.ok(part.startMs <= part.endMs);
      if (at === 0) continue;
      assert.equal(part.startMs % DAY_MS, 0);
      assert.equal(part.startMs, parts[at - 1]!.endMs + 1);
    }
  }
  const at = (day: number) => ({ startMs: day * DAY_MS, endMs: (day + 1) * DAY_MS - 1 });
  assert.deepEqual(lookupParts({ startMs: 0, endMs: 3 * DAY_MS - 1 }, DAY_MS), [at(0), at(1), at(2)]);
  // as long as an interval is one part, wherever its border
  assert.equal(lookupParts({ startMs: 1, endMs: DAY_MS }, DAY_MS).length, 1);
  assert.equal(lookupParts({ startMs: 5, endMs: 4 }, DAY_MS).length, 1);
  assert.equal(lookupParts({ startMs: 0, endMs: 9 * DAY_MS }, 0).length, 1);
  assert.equal(lookupParts({ startMs: Number.NEGATIVE_INFINITY, endMs: DAY_MS }, DAY_MS).length, 32);
  assert.equal(lookupParts({ startMs: 0, endMs: Number.POSITIVE_INFINITY }, DAY_MS).length, 1);
});

test('look-ups in parts answer as they do whole', async () => {
  const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
  console.log(`SEED=${SEED}`);
  const random = seededRandom(SEED);
  const list = listQueryable(someSeries(random, 120));
  const some = () =>
    pick(random, [
      [],
      [LabelMatcher.of('__name__', '=', 'up')],
      [LabelMatcher.of('a', '!=', '')],
      [LabelMatcher.of('i', '=~', '.*[13579]'), LabelMatcher.of('b', '!~', 'v[0-2]')],
      [LabelMatcher.of('__name__', '=', 'nothing')],
    ]);
  let found = 0;
  for (let round = 0; round < 150; round++) {
    const startMs = START_MS + Math.floor((random() - 0.1) * DAYS * DAY_MS);
    const range = { startMs, endMs: startMs + Math.floor(random() ** 2 * DAYS * DAY_MS) };
    const limit = random() < 0.4 ? 1 + Math.floor(random() * 20) : 0;
    const matchers = Array.from({ length: Math.floor(random() * 3) }, some);
    const name = pick(random, ['a', 'b', '__name__', 'i', 'none']);
    const context = unlimited(signal);
    const answers = async (from: Queryable) => {
      const set = await from.select({ matchers: own, ...range, limit, labelsOnly: true }, context);
      const series = set.series.map(({ pairs }) => [...pairs]);
      set.close();
      const request = { matchers, ...range, limit };
      // the list leaves it to whoever merges to cut names and values
      const cut = ({ values }: LabelAnswer) => values.slice(0, limit === 0 ? undefined : limit);
      const names = cut(await from.labelNames(request, context));
      return { series, names, values: cut(await from.labelValues(name, request, context)) };
    };
    const own = some();
    const plain = await answers(list);
    const intervalMs = pick(random, [DAY_MS, DAY_MS, 7 * DAY_MS, 0]);
    const split = await answers(splitOver(list, { intervalMs, parallelMax: 1 + Math.floor(random() * 4) }));
    assert.deepEqual(split, plain, `round ${round}`);
    found += plain.series.length;
  }
  assert.ok(found > 500);
});

/** A queryable whose parts fail before they answer, as often as `failures` says of the day that they begin on. */
function failing(from: Queryable, failures: (day: number, tries: number) => boolean, error: () => Error) {
  const tries = new Map<number, number>();
  const asked: number[] = [];
  const own: Queryable = {
    async select(request, context) {
      const day = Math.floor((request.startMs - START_MS) / DAY_MS);
      asked.push(day);
      tries.set(day, (tries.get(day) ?? 0) + 1);
      // some of the series were counted when it fails
      context.budget.addSeries(1);
      if (failures(day, tries.get(day)!)) throw error();
      context.budget.addSeries(-1);
      return from.select(request, context);
    },
    labelNames: from.labelNames,
    labelValues: from.labelValues,
  };
  return { own, asked };
}

const RANGE = { startMs: START_MS, endMs: START_MS + 10 * DAY_MS - 1 };
const ALL = { matchers: [LabelMatcher.of('i', '!=', '')], ...RANGE, labelsOnly: true };
const gone = () => processErrors.workerGone({ worker: 'query-1', reason: 'killed' });

test('a part that fails is asked for again, and no other; the others do not wait for it', async () => {
  const list = listQueryable(someSeries(seededRandom(2), 200));
  const { own, asked } = failing(list, (day, tries) => day === 4 && tries < 3, gone);
  const set = await splitOver(own).select(ALL, unlimited(signal));
  assert.deepEqual(set.series, (await list.select(ALL, unlimited(signal))).series);
  assert.equal(asked.length, 12);
  assert.equal(asked.filter((day) => day === 4).length, 3);
  await assert.rejects(
    splitOver(failing(list, (day) => day === 4, gone).own).select(ALL, unlimited(signal)),
    /query-1/,
  );
  const wrong = failing(
    list,
    (day) => day === 4,
    () => new Error('wrong'),
  );
  await assert.rejects(splitOver(wrong.own).select(ALL, unlimited(signal)), /wrong/);
  assert.equal(wrong.asked.filter((day) => day === 4).length, 1);
});

test('what cannot be had is told, where the answer may be incomplete', async () => {
  const list = listQueryable(someSeries(seededRandom(3), 200));
  const missing = new MissingParts();
  const { own } = failing(list, (day) => day === 4, gone);
  const set = await splitOver(own).select(ALL, { ...unlimited(signal), missing });
  const [part] = missing.list;
  assert.deepEqual(
    { ...part, reason: '' },
    {
      what: 'part of the query',
      startMs: START_MS + 4 * DAY_MS,
      endMs: START_MS + 5 * DAY_MS - 1,
      reason: '',
    },
  );
  assert.match(set.warnings.join(), /the answer is incomplete: part of the query from 2026-01-05/);
  const rest = await Promise.all(
    [
      { ...RANGE, endMs: START_MS + 4 * DAY_MS - 1 },
      { ...RANGE, startMs: START_MS + 5 * DAY_MS },
    ].map((range) => list.select({ ...ALL, ...range }, unlimited(signal))),
  );
  const keys = new Set(rest.flatMap(({ series }) => series.map(({ key }) => key)));
  assert.deepEqual(new Set(set.series.map(({ key }) => key)), keys);
});

test('limits hold for all parts together, and count a series once', async () => {
  // each series is there on each of the days
  const days = Array.from({ length: 10 }, (_, day) => [START_MS + day * DAY_MS, 1] as const);
  const list = Array.from({ length: 50 }, (_, i): TestSeries => [{ __name__: 'm', i: `${i}` }, ...days]);
  // and as many that are there on one day each
  for (let i = 50; i < 100; i++) list.push([{ __name__: 'm', i: `${i}` }, days[i % 10]!]);
  const all = listQueryable(list);
  const within = async (from: Queryable, maxFetchedSeriesPerQuery: number) => {
    const budget = new LimitedBudget({ ...DEFAULT_LIMITS, maxFetchedSeriesPerQuery });
    const context: QueryContext = { signal, budget };
    const set = await splitOver(from).select(ALL, context);
    set.close();
    assert.equal(budget.memoryBytes, 0);
    return set.series.length;
  };
  assert.equal(await within(all, 100), 100);
  await assert.rejects(within(all, 99), /max_fetched_series_per_query/);
  await assert.rejects(within(all, 40), /max_fetched_series_per_query/);
});

test('values of labels are counted once while they are looked up, and given back', async () => {
  const value = (i: number) => `${i}`.padStart(50, 'v');
  const days = Array.from({ length: 10 }, (_, day) => [START_MS + day * DAY_MS, 1] as const);
  const all = listQueryable(Array.from({ length: 100 }, (_, i): TestSeries => [{ __name__: value(i) }, ...days]));
  for (const [maxQueryMemoryBytes, isRefused] of [
    [13_000, false],
    [11_000, true],
  ] as const) {
    const budget = new LimitedBudget({ ...DEFAULT_LIMITS, maxQueryMemoryBytes });
    const answer = splitOver(all).labelValues('__name__', { matchers: [], ...RANGE }, { signal, budget });
    if (isRefused) await assert.rejects(answer, /max_query_memory_bytes|memory/);
    else assert.equal((await answer).values.length, 100);
    assert.equal(budget.memoryBytes, 0);
  }
});
