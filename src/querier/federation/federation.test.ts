import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { DEFAULT_LIMITS } from '../../limits/limits.ts';
import { Labels } from '../../model/labels.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import { Engine } from '../../promql/engine.ts';
import { SampleColumns } from '../../storage/columns.ts';
import type { Queryable, SeriesSet } from '../../storage/queryable.ts';
import { type SeriesBlock, StreamBroken } from '../../storage/series-stream.ts';
import { listQueryable, type TestSeries } from '../../storage/test-list.ts';
import { unlimited } from '../../storage/unlimited.ts';
import { EngineRunner } from '../engine-runner.ts';
import { comparable, merged, plain } from '../test-partials.ts';
import { QueryTurns } from '../turns.ts';
import { federatedExemplars } from './exemplars.ts';
import { federatedMetadata } from './metadata.ts';
import { FederatedQueryable } from './queryable.ts';

const AT_MS = 1_767_231_000_000;

const DATA: Readonly<Record<string, readonly TestSeries[]>> = {
  a: [
    [{ __name__: 'up', job: 'x' }, [AT_MS, 1]],
    [{ __name__: 'up', job: 'y' }, [AT_MS, 0]],
    [{ __name__: 'only_a', A: '1' }, [AT_MS, 7]],
  ],
  b: [
    [{ __name__: 'up', job: 'x' }, [AT_MS, 3]],
    [{ __name__: 'up', job: 'z', __tenant_id__: 'mine' }, [AT_MS, 5]],
  ],
  c: [],
};
const TENANTS = Object.keys(DATA);

function federated(data: Readonly<Record<string, readonly TestSeries[]>> = DATA): FederatedQueryable {
  return new FederatedQueryable(Object.keys(data), (tenant) => listQueryable(data[tenant]!), systemClock);
}

const RANGE = { startMs: AT_MS - 1000, endMs: AT_MS + 1000 };

async function selected(queryable: Queryable, matchers: LabelMatcher[], limit = 0): Promise<string[]> {
  const set = await queryable.select({ matchers, ...RANGE, limit }, unlimited());
  return shown(set);
}

function shown(set: SeriesSet): string[] {
  const columns = new SampleColumns();
  const rows = set.series.map((labels, i) => {
    set.read(i, columns);
    return `${labels} ${[...columns.values.subarray(0, columns.count)]}`;
  });
  set.close();
  return rows;
}

test('each series has its tenant, and one that has such a label keeps it under another name', async () => {
  const rows = await selected(federated(), [LabelMatcher.of('__name__', '=', 'up')]);
  assert.deepEqual(rows, [
    '{__name__="up", __tenant_id__="a", job="x"} 1',
    '{__name__="up", __tenant_id__="a", job="y"} 0',
    '{__name__="up", __tenant_id__="b", job="x"} 3',
    '{__name__="up", __tenant_id__="b", job="z", original___tenant_id__="mine"} 5',
  ]);
  assert.deepEqual(await selected(federated(), [LabelMatcher.of('__name__', '=', 'up')], 2), rows.slice(0, 2));
});

test('matchers on the label choose tenants, and those on the original are asked of the series', async () => {
  const up = LabelMatcher.of('__name__', '=', 'up');
  const counts: [LabelMatcher, number][] = [
    [LabelMatcher.of('__tenant_id__', '=', 'a'), 2],
    [LabelMatcher.of('__tenant_id__', '!=', 'a'), 2],
    [LabelMatcher.of('__tenant_id__', '=~', 'a|c'), 2],
    [LabelMatcher.of('__tenant_id__', '!~', '[ab]'), 0],
    [LabelMatcher.of('__tenant_id__', '=', 'mine'), 0],
    [LabelMatcher.of('original___tenant_id__', '=', 'mine'), 1],
    [LabelMatcher.of('original___tenant_id__', '=~', 'mi.*'), 1],
    [LabelMatcher.of('original___tenant_id__', '=', ''), 3],
  ];
  for (const [matcher, count] of counts) {
    assert.equal((await selected(federated(), [up, matcher])).length, count, `${matcher}`);
  }
  const all = await selected(federated(), [LabelMatcher.of('__tenant_id__', '=', 'a')]);
  assert.equal(all.length, 3, 'a tenant alone is everything that it has');
});

test('series that become the same are one, with the samples of both', async () => {
  const twins: TestSeries[] = Array.from({ length: 300 }, (_, i) => [
    { __name__: 'm', __tenant_id__: 'x', original___tenant_id__: `${i}` },
    [AT_MS - 300 + i, i],
  ]);
  const rows = await selected(federated({ a: twins, b: [] }), [LabelMatcher.of('__name__', '=', 'm')]);
  assert.deepEqual(rows, [`{__name__="m", __tenant_id__="a", original___tenant_id__="x"} ${twins.map((_, i) => i)}`]);
});

test('a stream has the same series as a selection, and breaks where some may become the same', async () => {
  const added: number[] = [];
  const context = unlimited();
  const budget = { ...context.budget, addSeries: (count: number) => added.push(count) };
  const streaming = (tenant: string): Queryable => {
    const inner = listQueryable(DATA[tenant]!);
    return {
      ...inner,
      async *stream(request, own): AsyncGenerator<SeriesBlock> {
        const set = await inner.select(request, own);
        yield { labels: set.series, warnings: [`of ${tenant}`], read: (i, out) => set.read(i, out) };
      },
    };
  };
  const blocks = async (matchers: LabelMatcher[]) => {
    const all: SeriesBlock[] = [];
    const queryable = new FederatedQueryable(TENANTS, streaming, systemClock);
    for await (const block of queryable.stream({ matchers, ...RANGE }, { ...context, budget })) all.push(block);
    return all;
  };
  const ofX = await blocks([LabelMatcher.of('job', '=', 'x')]);
  assert.deepEqual(
    ofX.flatMap(({ labels }) => labels.map(String)),
    ['{__name__="up", __tenant_id__="a", job="x"}', '{__name__="up", __tenant_id__="b", job="x"}'],
  );
  assert.deepEqual(ofX[0]!.warnings, ['warning querying tenant_id a: of a']);
  added.length = 0;
  await assert.rejects(blocks([LabelMatcher.of('__name__', '=', 'up')]), StreamBroken);
  assert.equal(
    added.reduce((sum, count) => sum + count, 0),
    0,
    'nothing of it is counted',
  );
});

test('label names and values', async () => {
  const queryable = federated();
  const names = async (...lists: LabelMatcher[][]) =>
    (await queryable.labelNames({ matchers: lists, ...RANGE }, unlimited())).values;
  const values = async (name: string, ...lists: LabelMatcher[][]) =>
    (await queryable.labelValues(name, { matchers: lists, ...RANGE }, unlimited())).values;
  const ofTenant = (tenant: string) => LabelMatcher.of('__tenant_id__', '=', tenant);
  assert.deepEqual(await names(), ['A', '__name__', '__tenant_id__', 'job', 'original___tenant_id__']);
  assert.deepEqual(await names([ofTenant('a')]), ['A', '__name__', '__tenant_id__', 'job']);
  assert.deepEqual(await names([ofTenant('c')]), []);
  assert.deepEqual(await values('__tenant_id__'), TENANTS);
  assert.deepEqual(await values('__tenant_id__', [ofTenant('c')]), ['c']);
  assert.deepEqual(await values('__tenant_id__', [LabelMatcher.of('A', '=', '1')]), ['a']);
  assert.deepEqual(await values('original___tenant_id__'), ['mine']);
  assert.deepEqual(await values('job'), ['x', 'y', 'z']);
  assert.deepEqual(await values('job', [ofTenant('b')]), ['x', 'z']);
  // either list may match
  assert.deepEqual(await values('job', [ofTenant('c')], [ofTenant('a'), LabelMatcher.of('job', '=', 'y')]), ['y']);
  assert.deepEqual((await queryable.labelValues('job', { matchers: [], ...RANGE, limit: 2 }, unlimited())).values, [
    'x',
    'y',
  ]);
});

test('expressions see the label as any other', async () => {
  const runner = new EngineRunner({
    engine: new Engine(),
    queryable: () => federated(),
    limits: () => DEFAULT_LIMITS,
    turns: new QueryTurns(systemClock),
    timeoutMs: 60_000,
    clock: systemClock,
  });
  const { signal } = new AbortController();
  const value = async (expr: string) => {
    const { value: found } = await runner.instant('a|b|c', { expr, timeMs: AT_MS }, { signal });
    assert.ok(found.type === 'vector');
    return found.pairs.map((pairs, i) => [Labels.fromSortedPairs(pairs).toJSON(), String(found.values[i])]);
  };
  assert.deepEqual(await value('sum by (__tenant_id__) (up)'), [
    [{ __tenant_id__: 'a' }, '1'],
    [{ __tenant_id__: 'b' }, '8'],
  ]);
  assert.deepEqual(await value('up{__tenant_id__="b"} - on (job) up{__tenant_id__="a"}'), [[{ job: 'x' }, '2']]);
  assert.deepEqual(await value('count(up{__tenant_id__=~"c"})'), []);
});

test('metadata of several tenants is told once, within the limits', async () => {
  const entry = (help: string) => ({ type: 'gauge' as const, help, unit: '' });
  const known: Readonly<Record<string, [string, string[]][]>> = {
    a: [
      ['up', ['one']],
      ['x', ['of a']],
    ],
    b: [['up', ['one', 'other']]],
  };
  const source = federatedMetadata({
    metadata: async (tenant) => new Map(known[tenant]!.map(([metric, helps]) => [metric, helps.map(entry)])),
  });
  const all = { metric: '', limit: 0, limitPerMetric: 0 };
  const told = async (request: typeof all) =>
    [...(await source.metadata('a|b', request, unlimited()))].map(([metric, entries]) => [
      metric,
      ...entries.map(({ help }) => help),
    ]);
  assert.deepEqual(await told(all), [
    ['up', 'one', 'other'],
    ['x', 'of a'],
  ]);
  assert.deepEqual(await told({ ...all, limit: 1, limitPerMetric: 1 }), [['up', 'one']]);
});

test('exemplars of several tenants, for the tenants that a selector chooses', async () => {
  const asked: unknown[] = [];
  const source = federatedExemplars({
    async exemplars(tenant, { matchers }) {
      asked.push([tenant, matchers.map((list) => list.map(String))]);
      return [{ labels: Labels.of({ job: tenant }), exemplars: [] }];
    },
  });
  const up = LabelMatcher.of('__name__', '=', 'up');
  const of = (matchers: LabelMatcher[][]) => source.exemplars('a|b', { matchers, ...RANGE }, unlimited());
  assert.deepEqual(
    (await of([[up]])).map(({ labels }) => `${labels}`),
    ['{__tenant_id__="a", job="a"}', '{__tenant_id__="b", job="b"}'],
  );
  asked.length = 0;
  await of([[up, LabelMatcher.of('__tenant_id__', '=', 'b')], [LabelMatcher.of('original___tenant_id__', '=', 'm')]]);
  assert.deepEqual(asked, [
    ['a', [['__tenant_id__="m"']]],
    ['b', [['__name__="up"'], ['__tenant_id__="m"']]],
  ]);
  assert.deepEqual(await of([]), []);
});

test('shards of several tenants merge into the plain answer, where no series can become another', async () => {
  const series = (factor: number) =>
    Array.from({ length: 20 }, (_, i): TestSeries => [{ __name__: 'up', pod: `p${i}` }, [AT_MS, factor * i]]);
  const runnerOn = (data: Readonly<Record<string, readonly TestSeries[]>>) =>
    new EngineRunner({
      engine: new Engine(),
      queryable: () => federated(data),
      limits: () => DEFAULT_LIMITS,
      turns: new QueryTurns(systemClock),
      timeoutMs: 10_000,
      clock: systemClock,
    });
  const runner = runnerOn({ a: series(1), b: series(0.1) });
  for (const expr of ['sum by (__tenant_id__) (up)', 'max without (pod) (up)', 'sum(abs(up{__tenant_id__="b"}))']) {
    const request = { expr, timeMs: AT_MS };
    const answer = await merged(runner, 'a|b', request, 4);
    assert.ok(!('type' in answer));
    assert.deepEqual(comparable(answer), comparable(await plain(runner, 'a|b', request)));
  }
  const twins = runnerOn({ a: [...series(1), [{ __name__: 'up', __tenant_id__: 'x' }, [AT_MS, 1]]], b: series(1) });
  const answer = await merged(twins, 'a|b', { expr: 'sum(up)', timeMs: AT_MS }, 4);
  assert.equal('type' in answer && answer.reason, 'names');
});
