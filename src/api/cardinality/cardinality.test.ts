import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BytesError } from '../../lib/bytes.ts';
import { DEFAULT_LIMITS } from '../../limits/limits.ts';
import { LimitedBudget } from '../../limits/query-budget.ts';
import { Labels } from '../../model/labels.ts';
import type { Queryable, QueryContext } from '../../storage/queryable.ts';
import type { TestSeries } from '../../storage/test-list.ts';
import type { ApiSources } from '../sources.ts';
import { ask, testSources } from '../test-sources.ts';
import { decodingCounts, encodingCounts } from './kept-counts.ts';
import { LabelCounts } from './label-counts.ts';

const NOW_MS = 1767231000000; // 2026-01-01T01:30:00Z
const TODAY_MS = NOW_MS - 3_600_000;
const YESTERDAY_MS = TODAY_MS - 86_400_000;

const list: TestSeries[] = [
  ...['a', 'b', 'c'].map(
    (pod): TestSeries => [{ __name__: 'requests', job: 'shop', pod }, [TODAY_MS, 1], [TODAY_MS + 1, 2]],
  ),
  [{ __name__: 'requests', job: 'shop', pod: 'old' }, [YESTERDAY_MS, 1]],
  [{ __name__: 'gone', job: 'shop' }, [YESTERDAY_MS, 1]],
  [{ __name__: 'up', job: 'node' }, [YESTERDAY_MS, 1], [TODAY_MS, 1]],
];
const sources = testSources(list);

async function data(url: string, from = sources): Promise<Record<string, unknown>> {
  const { status, text, json } = await ask(from, url);
  assert.equal(status, 200, text);
  return (json as { data: Record<string, unknown> }).data;
}

test('series of a day by metric, label and pair, beside those of another day', async () => {
  const found = await data('/api/v1/cardinality/day?date=2026-01-01&compare=2025-12-31&focus=pod');
  assert.equal(found.series, 4);
  assert.deepEqual(found.compared, { date: '2025-12-31', series: 3, label_pairs: 6 });
  assert.deepEqual(found.series_by_metric, [
    { name: 'requests', series: 3, before: 1 },
    { name: 'up', series: 1, before: 1 },
  ]);
  assert.deepEqual(found.changed_metrics, [
    { name: 'requests', series: 3, before: 1 },
    { name: 'gone', series: 0, before: 1 },
  ]);
  assert.deepEqual((found.values_by_label as object[])[0], { name: 'pod', values: 3, before: 1 });
  assert.deepEqual((found.series_by_pair as object[])[0], { label: 'job', value: 'shop', series: 3, before: 2 });
  assert.deepEqual((found.focus as { series_by_value: object[] }).series_by_value.length, 3);
});

test('samples and bytes of a day by metric: stored ones as groups tell, recent ones by reading them', async () => {
  const lastMs = TODAY_MS - 600_000;
  const stored = {
    byMetric: new Map([
      ['requests', { samples: 300, bytes: 67.5, lastMs }],
      ['up', { samples: 100, bytes: 31.75, lastMs }],
    ]),
  };
  const weighed = testSources(list, { weights: async () => [stored] });
  const found = await data('/api/v1/cardinality/day?weights=true', weighed);
  // six samples of `requests` and one of `up` are recent
  assert.deepEqual(found.weight_by_metric, [
    { name: 'requests', series: 3, samples: 306, bytes: 69 },
    { name: 'up', series: 1, samples: 101, bytes: 32 },
  ]);
  assert.deepEqual([found.samples, found.recent_samples, found.recent_unknown], [407, 7, undefined]);
  // labels that are not looked at in headers would make it another number
  assert.equal((await data('/api/v1/cardinality/day?weights=true&match[]={job="shop"}', weighed)).samples, undefined);
  const little = await data('/api/v1/cardinality/day?weights=true&date=2025-12-31', weighed);
  assert.deepEqual([little.samples, little.recent_samples], [400, 0]);
});

test('while a window is being stored, samples of metrics that are still to come are counted as recent', async () => {
  // the window with today's samples is there of `up`; `requests` has one before it, a new metric none
  const list: TestSeries[] = [
    [{ __name__: 'requests' }, [TODAY_MS - 600_000, 1], [TODAY_MS, 1], [TODAY_MS + 60_000, 1]],
    [{ __name__: 'up' }, [TODAY_MS, 1], [TODAY_MS + 60_000, 1], [TODAY_MS + 900_000, 1]],
    [{ __name__: 'fresh' }, [TODAY_MS - 300_000, 1], [TODAY_MS, 1]],
  ];
  const byMetric = new Map([
    ['requests', { samples: 10, bytes: 10, lastMs: TODAY_MS - 600_000 }],
    ['up', { samples: 12, bytes: 12, lastMs: TODAY_MS + 60_000 }],
  ]);
  const found = await data(
    '/api/v1/cardinality/day?weights=true',
    testSources(list, { weights: async () => [{ byMetric }] }),
  );
  assert.deepEqual([found.samples, found.recent_samples], [27, 5]);
  assert.deepEqual(
    (found.weight_by_metric as { name: string; samples: number }[]).map(({ name, samples }) => [name, samples]),
    [
      ['up', 13],
      ['requests', 12],
      ['fresh', 2],
    ],
  );
});

test('the count of a day that is over is kept, whatever is asked of it next', async () => {
  const values = new Map<string, Uint8Array>();
  const asked: string[] = [];
  const keptDay: ApiSources['keptDay'] = async (question, day) => {
    const key = JSON.stringify([question, day]);
    asked.push(key);
    return { value: values.get(key), keep: async (value) => void values.set(key, value) };
  };
  let walks = 0;
  const kept = testSources(list, {
    keptDay,
    queryable: (tenant) => {
      walks++;
      return sources.queryable(tenant);
    },
  });
  const first = '/api/v1/cardinality/day?date=2025-12-31&compare=2025-12-30';
  const counted = await data(first);
  assert.deepEqual(await data(first, kept), counted);
  assert.deepEqual([walks, values.size], [2, 2]);
  assert.deepEqual(await data(first, kept), counted);
  const other = '/api/v1/cardinality/day?date=2025-12-31&focus=pod&limit=1';
  assert.deepEqual(await data(other, kept), await data(other));
  assert.equal(walks, 2);
  // another selector is another question, and a day that a limit cuts is none that is kept
  const narrow = '/api/v1/cardinality/day?date=2025-12-31&match[]=up';
  assert.deepEqual(await data(narrow, kept), await data(narrow));
  assert.equal(walks, 3);
  asked.length = 0;
  const limits = () => ({ ...DEFAULT_LIMITS, maxQueryLookbackMs: 7_200_000 });
  await data('/api/v1/cardinality/day?date=2025-12-31', { ...kept, limits });
  assert.deepEqual(asked, []);
  // what is not what was kept is counted anew
  for (const key of values.keys()) values.set(key, Uint8Array.of(1, 200));
  assert.deepEqual(await data(first, kept), counted);
});

test('counts are the same as bytes and back, and count as memory', () => {
  const budget = new LimitedBudget({ ...DEFAULT_LIMITS, maxQueryMemoryBytes: 0 });
  const counts = new LabelCounts({ valuesMax: 100, budget });
  for (let i = 0; i < 1_000; i++) counts.add(Labels.of({ job: `jöb${i % 5}`, id: `${i}` }));
  const heldBytes = budget.memoryBytes;
  const bytes = lastOf(encodingCounts(counts))!;
  const back = lastOf(decodingCounts(bytes, { valuesMax: 100, budget }));
  assert.equal(budget.memoryBytes, 2 * heldBytes);
  assert.deepEqual([back.series, back.pairs, back.errorMax], [1_000, counts.pairs, counts.errorMax]);
  assert.deepEqual([back.valuesOf('id'), back.valuesOf('job')], [counts.valuesOf('id'), 5]);
  assert.deepEqual(back.of('job'), counts.of('job'));
  back.close();
  assert.equal(budget.memoryBytes, heldBytes);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => lastOf(decodingCounts(bytes.subarray(0, length), { valuesMax: 100, budget })), BytesError);
  }
  assert.equal(budget.memoryBytes, heldBytes);
});

function lastOf<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

test('a day is today, a list is bounded, a selector narrows', async () => {
  const found = await data('/api/v1/cardinality/day?limit=1&match[]=requests');
  assert.equal(found.date, '2026-01-01');
  assert.equal(found.series, 3);
  assert.equal((found.values_by_label as object[]).length, 1);
  for (const [params, why] of [
    ['date=tomorrow', /tomorrow.* is no day/],
    ['date=2026-13-01', /is no day/],
    ['limit=1001', /must not exceed 1000/],
    ['limit=0', /a positive number is wanted/],
    ['match[]=a&match[]=b', /one selector is wanted/],
    [`focus=${'x'.repeat(2_000)}`, /more than 1024 characters/],
  ] as const) {
    const { status, text } = await ask(sources, `/api/v1/cardinality/day?${params}`);
    assert.equal(status, 400, params);
    assert.match(text, why);
  }
});

test('a tenant sees no further back than its limit says', async () => {
  const limits = () => ({ ...DEFAULT_LIMITS, maxQueryLookbackMs: 7_200_000 });
  const found = await data('/api/v1/cardinality/day?date=2025-12-31', testSources(list, { limits }));
  assert.equal(found.series, 0);
});

test('values with the fewest series make room, and the error is told', () => {
  const budget = new LimitedBudget({ ...DEFAULT_LIMITS, maxQueryMemoryBytes: 0 });
  const counts = new LabelCounts({ valuesMax: 100, budget });
  for (let i = 0; i < 5_000; i++) counts.add(Labels.of({ job: `j${i % 5}`, id: `${i}` }));
  assert.equal(counts.series, 5_000);
  for (let i = 0; i < 5; i++) {
    const found = counts.seriesOf('job', `j${i}`);
    assert.ok(found <= 1_000 && found + counts.errorMax >= 1_000, `${found} ± ${counts.errorMax}`);
  }
  assert.equal(counts.valuesOf('id'), 5_000);
  assert.ok(budget.memoryBytes < 100 * 200, `${budget.memoryBytes}`);
  counts.close();
  assert.equal(budget.memoryBytes, 0);
});

test('memory is that of a query', async () => {
  const many = Array.from({ length: 2_000 }, (_, i): TestSeries => [{ __name__: 'm', id: `${i}` }, [TODAY_MS, 1]]);
  const limits = () => ({ ...DEFAULT_LIMITS, maxQueryMemoryBytes: 50_000, maxFetchedSeriesPerQuery: 10 });
  const { status, text } = await ask(testSources(many, { limits }), '/api/v1/cardinality/day');
  assert.equal(status, 422);
  assert.match(text, /max_query_memory_bytes/);
});

test('rules and limits save what they say', async () => {
  const saved = async (params: string) => {
    const { series, left, saved_by } = await data(`/api/v1/cardinality/savings?${params}`);
    return { series, left, ...(saved_by as object) };
  };
  const none = { series: 4, drop: 0, drop_label: 0, max_series_per_metric: 0, max_series: 0 };
  assert.deepEqual(await saved(''), { ...none, left: 4 });
  assert.deepEqual(await saved('drop[]={pod=~"a|b"}&drop[]=up'), { ...none, left: 1, drop: 3 });
  assert.deepEqual(await saved('drop_label[]=pod'), { ...none, left: 2, drop_label: 2 });
  assert.deepEqual(await saved('max_series_per_metric=2&max_series=1'), {
    ...none,
    left: 1,
    max_series_per_metric: 1,
    max_series: 2,
  });
  const { metrics } = await data('/api/v1/cardinality/savings?drop[]={pod="a"}');
  assert.deepEqual(metrics, [{ name: 'requests', series: 3, left: 2 }]);
  for (const params of ['drop_label[]=__name__', 'drop[]=sum(x)', 'max_series=-1']) {
    assert.equal((await ask(sources, `/api/v1/cardinality/savings?${params}`)).status, 400, params);
  }
});

test('a deletion is previewed with its series and samples, also where it is switched off', async () => {
  const url = '/api/v1/admin/tsdb/delete_series/preview?match[]={job="shop"}';
  const found = await data(`${url}&start=${(TODAY_MS - 1_000) / 1e3}`);
  assert.deepEqual([found.series, found.samples, found.metrics], [3, 6, 1]);
  assert.deepEqual(found.series_by_metric, [{ name: 'requests', series: 3 }]);
  assert.deepEqual([found.enabled, found.flag, found.cancel_period_seconds], [false, '-web.enable-admin-api', 86_400]);
  const limits = () => ({ ...DEFAULT_LIMITS, maxFetchedSeriesPerQuery: 2 });
  const few = await data(url, testSources(list, { limits }));
  assert.equal(few.samples, null);
  assert.match(String(few.samples_unknown), /max_fetched_series_per_query/);
  assert.equal((await ask(sources, '/api/v1/admin/tsdb/delete_series/preview')).status, 400);
});

test('who runs out of time is told so', async () => {
  const { status, text } = await ask(testSources(list, { timeoutMs: 0, queryable: slow }), '/api/v1/cardinality/day');
  assert.equal(status, 503);
  assert.match(text, /querier\.timeout/);
});

/** A store that answers nobody. */
function slow(): Queryable {
  const never = (_: unknown, { signal }: QueryContext) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  return { select: never, labelNames: never, labelValues: (_, request, context) => never(request, context) };
}
