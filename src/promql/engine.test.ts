import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadedStorage } from '../../test/conformance/promqltest/loaded-storage.ts';
import { parseScript } from '../../test/conformance/promqltest/script.ts';
import { threadCpuMs } from '../lib/test-thread-cpu.ts';
import { AppError } from '../model/errors.ts';
import { queryErrors } from '../model/errors-query.ts';
import { storeErrors } from '../model/errors-store.ts';
import { Labels } from '../model/labels.ts';
import type { Queryable, QueryBudget } from '../storage/queryable.ts';
import { unlimited } from '../storage/unlimited.ts';
import { Engine, type EngineOptions } from './engine.ts';

const context = unlimited();

function storage(script: string): LoadedStorage {
  const memory = new LoadedStorage();
  for (const command of parseScript(script, {})) if (command.kind === 'load') memory.load(command);
  return memory;
}

const RANGE = { startMs: 0, endMs: 600_000, stepMs: 60_000 };

test('names dropped at once must not leave two series the same', async () => {
  const data = storage('load 1m\n a{x="1"} 1x10\n b{x="1"} 2x10');
  const query = { expr: 'abs({x="1"})', timeMs: 60_000 };
  await assert.rejects(
    new Engine().query(data, query, context),
    /vector cannot contain metrics with the same labelset/,
  );
  await assert.rejects(
    new Engine({ delayedNameRemoval: true }).query(data, query, context),
    /vector cannot contain metrics with the same labelset/,
  );
});

/** Refuses what would take more memory than this. */
function memoryLimited(limitBytes: number) {
  const budget: QueryBudget & { peakBytes: number } = { ...context.budget, peakBytes: 0, addMemory: () => {} };
  let heldBytes = 0;
  budget.addMemory = (bytes) => {
    heldBytes += bytes;
    budget.peakBytes = Math.max(budget.peakBytes, heldBytes);
    if (bytes > 0 && heldBytes > limitBytes)
      throw queryErrors.queryMemoryExceeded({ usedBytes: heldBytes, limitBytes });
  };
  return { ...context, budget };
}

test('labels that a query makes are bounded before they are made, each and together', async () => {
  const data = storage('load 1m\n a{x="1"} 1x10');
  const engine = new Engine({ parser: { experimentalFunctions: true } });
  const ask = (expr: string, limitBytes = 64 << 20) =>
    engine.query(data, { expr, timeMs: 60_000 }, memoryLimited(limitBytes));
  const refused = (expr: string, text: RegExp, limitBytes?: number) =>
    assert.rejects(ask(expr, limitBytes), (error: Error) => {
      assert.match(error.message, text);
      assert.equal(AppError.from(error).facts.http, 422);
      return true;
    });
  const tooLong = /label value of \d+ characters for "x", more than 65536 \(querier\.max-label-value-length\)/;
  const start = `label_replace(a, "x", "${'A'.repeat(1000)}", "", "")`;
  const doubled = (times: number) => {
    let expr = start;
    for (let i = 0; i < times; i++) expr = `label_join(${expr}, "x", "", "x", "x")`;
    return expr;
  };
  assert.equal((await ask(doubled(6))).value.type, 'vector');
  await refused(doubled(19), tooLong);
  await refused(`label_join(${start}, "x", "${'B'.repeat(70_000)}", "x", "x")`, tooLong);
  let replaced = start;
  for (let i = 0; i < 19; i++) replaced = `label_replace(${replaced}, "x", "$1$1", "x", "(.*)")`;
  await refused(replaced, tooLong);
  await refused(`label_replace(${start}, "x", "${'$1'.repeat(30_000)}", "x", "(.*)")`, tooLong);
  await refused(`label_replace(${start}, "x", "${'$1'.repeat(40_000)}", "x", "(.*)")`, /regex_length_max/);
  await refused(`label_replace(a, "x", "$1", "y", "${'.{0,1000}'.repeat(3000)}")`, /regex_program_size_max/);
  await refused(`label_replace(a, "x", "$1", "y", "${'(a?)'.repeat(20_000)}")`, /regex_length_max/);
  // a wide set of labels, none of them long
  let wide = 'a';
  for (let i = 0; i < 60; i++) wide = `label_replace(${wide}, "l${i}", "${'C'.repeat(30_000)}", "", "")`;
  await refused(wide, /labels of \d+ characters, more than 1048576 \(16 times/);
  await refused(`${'label_replace('.repeat(20)}a${', "x", "D", "", "")'.repeat(20)}`, /max_query_memory_bytes/, 5000);
});

test('what a query is made of is bounded in number', async () => {
  const data = storage('load 1m\n a 1x10');
  const refused = (expr: string, text: RegExp) =>
    assert.rejects(new Engine().query(data, { expr, timeMs: 60_000 }, context), text);
  const names = Array.from({ length: 1001 }, (_, i) => `l${i}`).join();
  await refused(`sum by (${names}) (a)`, /1001 labels in a list, more than 1000 \(query_label_list_max\)/);
  await refused(`a + on (${names}) a`, /query_label_list_max/);
  await refused(`a{${'b="",'.repeat(1001)}}`, /more than 1000 \(query_matchers_max\)/);
  const sums = Array.from({ length: 10 }, () => `(${Array.from({ length: 110 }, () => 'a').join(' + ')})`);
  await refused(sums.join(' + '), /1001 selectors, more than 1000 \(query_selectors_max\)/);
  await refused('max_over_time(a[70d:1s])', /steps in all its parts, more than 6000000 \(query_steps_max, whatever/);
  await refused(`label_join(a, "x", "", ${'"y", '.repeat(20_000)}"y")`, /more than 20000 parts/);
});

test('what a query has to say of its series is bounded', async () => {
  const nothing = { values: [], warnings: [] };
  const many: Queryable = {
    labelNames: () => Promise.resolve(nothing),
    labelValues: () => Promise.resolve(nothing),
    select: () =>
      Promise.resolve({
        series: Array.from({ length: 5000 }, (_, i) =>
          Labels.of({ __name__: `metric_${String(i).padStart(6, '0')}`, i: String(i) }),
        ),
        warnings: [],
        read: (_index, out) => {
          out.clear();
          out.pushFloat(0, 1);
          out.pushFloat(30_000, 2);
        },
        close: () => {},
      }),
  };
  const { infos } = await new Engine().query(
    many,
    { expr: 'rate({x!="y",__name__!=""}[5m])', timeMs: 60_000 },
    context,
  );
  assert.equal(infos.length, 1001);
  assert.match(infos.at(-1)!, /omitted/);
});

test('a query that was cancelled ends within 100 ms', async () => {
  const controller = new AbortController();
  const nothing = { values: [], warnings: [] };
  const slow: Queryable = {
    labelNames: () => Promise.resolve(nothing),
    labelValues: () => Promise.resolve(nothing),
    select: () =>
      Promise.resolve({
        series: Array.from({ length: 20_000 }, (_, i) => Labels.of({ __name__: 'a', i: String(i).padStart(6, '0') })),
        warnings: [],
        read: (_index, out) => {
          out.clear();
          for (let i = 0; i < 1000; i++) out.pushFloat(i * 1000, i);
        },
        close: () => {},
      }),
  };
  const running = new Engine().queryRange(
    slow,
    { expr: 'sum(rate(a[5m]))', startMs: 0, endMs: 1_000_000, stepMs: 1000 },
    unlimited(controller.signal),
  );
  await new Promise((resolve) => setTimeout(resolve, 30));
  const before = threadCpuMs();
  controller.abort();
  await assert.rejects(running, (error) => AppError.from(error).facts.id === 'query-canceled');
  assert.ok(threadCpuMs() - before < 100);
});

test('a query over its time says so', async () => {
  let nowMs = 0;
  const engine = new Engine({ timeoutMs: 1000, nowMs: () => (nowMs += 300) });
  const data = storage('load 1m\n a{i="1"} 1x10\n a{i="2"} 1x10');
  await assert.rejects(engine.queryRange(data, { expr: 'sum(a)', ...RANGE }, context), /query timed out/);
});

test('a query over its samples says so', async () => {
  const data = storage('load 1m\n a{i="1"} 1x10\n a{i="2"} 1x10');
  const run = (samplesMax: number): Promise<unknown> =>
    new Engine({ samplesMax }).queryRange(data, { expr: 'sum by (i) (a)', ...RANGE }, context);
  await assert.rejects(run(20), /too many samples/);
  await run(1000);
});

test('what a query holds is accounted for, and let go', async () => {
  let held = 0;
  let most = 0;
  const budget: QueryBudget = {
    ...context.budget,
    addMemory: (bytes) => {
      held += bytes;
      most = Math.max(most, held);
    },
  };
  const data = storage('load 1m\n a{i="1"} 1x10\n a{i="2"} 1x10');
  await new Engine().queryRange(data, { expr: 'topk(1, a)', ...RANGE }, { ...context, budget });
  assert.equal(held, 0);
  assert.ok(most > 100);

  const limit: QueryBudget = {
    ...context.budget,
    addMemory: (bytes) => {
      if (bytes > 0) throw queryErrors.queryMemoryExceeded({ usedBytes: bytes, limitBytes: 1 });
    },
  };
  await assert.rejects(
    new Engine().queryRange(data, { expr: 'topk(1, a)', ...RANGE }, { ...context, budget: limit }),
    /more than 1 bytes/,
  );
});

test('samples are counted for each step', async () => {
  const data = storage('load 1m\n a 1x10');
  const { stats } = await new Engine().queryRange(
    data,
    { expr: 'rate(a[2m])', startMs: 0, endMs: 240_000, stepMs: 120_000, perStepStats: true },
    context,
  );
  assert.deepEqual(stats.totalQueryableSamplesPerStep, [
    [0, 1],
    [120_000, 2],
    [240_000, 2],
  ]);
  assert.equal(stats.totalQueryableSamples, 5);
});

test('explain tells what each part did', async () => {
  const data = storage('load 1m\n a{i="1"} 1x10\n a{i="2"} 1x10');
  const { explain } = await new Engine().queryRange(
    data,
    { expr: 'sum(rate(a[2m]))', ...RANGE, explain: true },
    context,
  );
  assert.equal(explain!.what, 'sum by ()');
  assert.equal(explain!.series, 1);
  assert.equal(explain!.children[0]!.what, 'rate()');
  assert.equal(explain!.children[0]!.series, 2);
  assert.equal(explain!.children[0]!.points, 20);
});

test('a range query of a range vector or string is refused', async () => {
  const data = storage('load 1m\n a 1x10');
  await assert.rejects(
    new Engine().queryRange(data, { expr: 'a[5m]', ...RANGE }, context),
    /invalid expression type "range vector" for range query, must be Scalar or instant Vector/,
  );
});

test('an interval without steps is empty', async () => {
  const data = storage('load 1m\n a 1x10');
  const { value } = await new Engine().queryRange(
    data,
    { expr: 'a', startMs: 10_000, endMs: 0, stepMs: 1000 },
    context,
  );
  assert.deepEqual(value, { type: 'matrix', series: [] });
});

test('more steps than a query may hold samples are refused before anything is made', async () => {
  const data = storage('load 1m\n a 1x10');
  const query = { expr: 'sum_over_time((a + 1)[10y:1ms])', timeMs: 600_000 };
  await assert.rejects(new Engine().query(data, query, context), /too many samples/);
});

test('all selectors are fetched at the same time', async () => {
  const data = storage('load 1m\n a 1x10\n b 1x10\n c 1x10');
  let running = 0;
  let most = 0;
  const slow: Queryable = {
    labelNames: (request) => data.labelNames(request),
    labelValues: (name, request) => data.labelValues(name, request),
    select: async (request) => {
      running++;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      return data.select(request);
    },
  };
  await new Engine().query(
    slow,
    { expr: 'sum(a) + sum(rate(b[5m])) + sum_over_time(c[5m:1m])', timeMs: 600_000 },
    context,
  );
  assert.equal(most, 3);
});

test("a failure of the storage is the query's, and what was opened is closed", async () => {
  const data = storage('load 1m\n a 1x10');
  let closed = 0;
  const failing: Queryable = {
    labelNames: (request) => data.labelNames(request),
    labelValues: (name, request) => data.labelValues(name, request),
    select: async (request) => {
      if (String(request.matchers[0]).includes('b')) throw storeErrors.storeClosed({ backend: 'test' });
      const set = await data.select(request);
      return { ...set, close: () => void closed++ };
    },
  };
  await assert.rejects(
    new Engine().query(failing, { expr: 'sum(a) + sum(b)', timeMs: 600_000 }, context),
    /the test store is closed/,
  );
  assert.equal(closed, 1);
});

test('the timestamp of a smoothed selector is that of its sample', async () => {
  const data = storage('load 1m\n a 1 2 3');
  const engine = new Engine({ parser: { extendedRangeSelectors: true } });
  const { value } = await engine.query(data, { expr: 'timestamp(a smoothed)', timeMs: 90_000 }, context);
  assert.deepEqual(value.type === 'vector' && value.samples.map((sample) => sample.value), [60]);
});

test('a histogram counts against the limit of samples as much as it weighs', async () => {
  const data = storage('load 1m\n h {{schema:0 count:6 sum:9 buckets:[1 2 3]}}x10');
  for (const expr of ['h', 'sum by (x) (h)', 'h * 2', 'limitk(1, h)']) {
    const engine = new Engine({ samplesMax: 40, parser: { experimentalFunctions: true } });
    await assert.rejects(engine.queryRange(data, { expr, ...RANGE }, context), /too many samples/, expr);
  }
  const { value } = await new Engine({ samplesMax: 400 }).queryRange(data, { expr: 'h', ...RANGE }, context);
  assert.equal(value.type === 'matrix' && value.series[0]?.times.length, 11);
});

test('topk asks for no memory that the limit of samples does not allow', async () => {
  const nothing = { values: [], warnings: [] };
  const wide: Queryable = {
    labelNames: () => Promise.resolve(nothing),
    labelValues: () => Promise.resolve(nothing),
    select: () =>
      Promise.resolve({
        series: Array.from({ length: 50_000 }, (_, i) => Labels.of({ __name__: 'a', i: String(i) })),
        warnings: [],
        read: (_index, out) => out.clear(),
        close: () => {},
      }),
  };
  const range = { startMs: 0, endMs: 99_999_000, stepMs: 1000 };
  await assert.rejects(
    new Engine().queryRange(wide, { expr: 'topk(50000, a)', ...range }, context),
    /too many samples/,
  );
});

test('a label tells what is a counter, where that is switched on', async () => {
  const data = storage('load 1m\n a{__type__="counter"} 1x10\n b_total{__type__="gauge"} 1x10');
  const infos = async (expr: string, typeAndUnitLabels: boolean): Promise<readonly string[]> =>
    (await new Engine({ typeAndUnitLabels }).query(data, { expr, timeMs: 600_000 }, context)).infos;
  assert.deepEqual(await infos('rate(a[5m])', true), []);
  assert.equal((await infos('rate(a[5m])', false)).length, 1);
  assert.deepEqual(await infos('rate(b_total[5m])', true), [
    'PromQL info: metric might not be a counter, __type__ label is not set to "counter" or "histogram", got "gauge": "b_total" (1:6)',
  ]);
  assert.deepEqual(await infos('rate(b_total[5m])', false), []);
});

test('type and unit are no labels to match, group or miss a series by', async () => {
  const data = storage('load 1m\n a{__type__="gauge",x="1"} 2x10\n b{__unit__="s",x="1"} 3x10');
  const labels = async (expr: string): Promise<string[]> => {
    const { value } = await new Engine().query(data, { expr, timeMs: 600_000 }, context);
    return value.type === 'vector' ? value.samples.map((sample) => `${sample.labels} ${sample.value}`) : [];
  };
  assert.deepEqual(await labels('a * b'), ['{x="1"} 6']);
  assert.deepEqual(await labels('sum without (y) ({__name__=~"a|b"})'), ['{x="1"} 5']);
  assert.deepEqual(await labels('absent(c{__type__="gauge",x="2"})'), ['{x="2"} 1']);
});

test('with group_right a fill is of the side that it names', async () => {
  const data = storage(
    'load 1m\n one{i="a"} 10x10\n one{i="b"} 20x10\n many{i="a",j="1"} 1x10\n many{i="c",j="1"} 3x10',
  );
  const values = async (expr: string): Promise<number[]> => {
    const { value } = await new Engine({ parser: { binopFillModifiers: true } }).query(
      data,
      { expr, timeMs: 600_000 },
      context,
    );
    return value.type === 'vector' ? value.samples.map((sample) => sample.value).sort((a, b) => a - b) : [];
  };
  assert.deepEqual(await values('one + on(i) group_right fill_left(100) many'), [11, 103]);
  assert.deepEqual(await values('one + on(i) group_right fill_right(100) many'), [11, 120]);
});

test('range functions merge series that differ in their name only and never meet', async () => {
  const data = storage('load 1m\n a 1x3 _x20\n b _x20 1x3\n c 1x30');
  const rows = async (expr: string): Promise<number> => {
    const range = { expr, startMs: 0, endMs: 1_500_000, stepMs: 60_000 };
    const { value } = await new Engine().queryRange(data, range, context);
    return value.type === 'matrix' ? value.series.length : 0;
  };
  assert.equal(await rows('sum_over_time({__name__=~"a|b"}[2m])'), 1);
  await assert.rejects(rows('sum_over_time({__name__=~"a|c"}[2m])'), /same labelset/);
});

/** Warnings and infos of a query at the end of ten minutes. */
async function notesOf(
  script: string,
  expr: string,
  options: EngineOptions = {},
): Promise<{ warnings: readonly string[]; infos: readonly string[] }> {
  const parser = { experimentalFunctions: true, binopFillModifiers: true };
  const { warnings, infos } = await new Engine({ parser, ...options }).query(
    storage(script),
    { expr, timeMs: 600_000 },
    context,
  );
  return { warnings, infos };
}

const GAUGE = '{{count:1 sum:1 counter_reset_hint:gauge buckets:[1]}}x10';
const NOT_A_COUNTER = 'PromQL warning: this native histogram metric is not a counter: "h"';

test('what nobody asks for is evaluated for what there is to say of it', async () => {
  const script = `load 1m\n h ${GAUGE}`;
  for (const [before, after] of [
    ['limitk(0, ', ')'],
    ['topk(0, ', ')'],
    ['limit_ratio(0, ', ')'],
    ['start_timestamp(-', ')'],
    ['timestamp(', ')'],
  ] as const) {
    const { warnings } = await notesOf(script, `${before}rate(h[5m])${after}`);
    assert.deepEqual(warnings, [`${NOT_A_COUNTER} (1:${before.length + 'rate('.length + 1})`]);
  }
});

test('a text is told of the place that Prometheus evaluates last, what is around something after it', async () => {
  const mixed =
    'load 1m\n m{i="1",j="1"} 1x10\n m{i="1",j="2"} {{count:1}}x10\n m{i="2",j="1"} 1x10\n m{i="3",j="1"} {{count:1}}x10';
  const { warnings } = await notesOf(mixed, 'sum(sum by (i) (m))');
  assert.deepEqual(warnings, ['PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)']);
  const { warnings: quantiles } = await notesOf('load 1m\n a 1x10', 'quantile(-1, quantile_over_time(-1, a[5m]))');
  assert.deepEqual(quantiles, ['PromQL warning: quantile value should be between 0 and 1, got -1 (1:10)']);
  const range = await notesOf(`load 1m\n h ${GAUGE}`, '1 * increase((rate(h[2m]))[5m:1m])');
  assert.deepEqual(range.warnings, [`${NOT_A_COUNTER} (1:20)`, `${NOT_A_COUNTER.replace('"h"', '""')} (1:1)`]);
  const beside = await notesOf(mixed, 'sum by (i) (m) or sum by (i) (m)');
  assert.deepEqual(beside.warnings, [
    'PromQL warning: encountered a mix of histograms and floats for aggregation (1:31)',
  ]);
});

test('overlapping starts are counted, each time that they are asked for', async () => {
  const script =
    'load 1m\n a_total{i="1"}@st _ -90sx9\n a_total{i="1"} 1x10\n a_total{i="2"}@st _ -90sx9\n a_total{i="2"} 1x10';
  const text =
    'PromQL warning: sample has start time that overlaps with previous sample timestamp for metric "a_total"';
  const on = { startTimestamps: true };
  assert.deepEqual((await notesOf(script, 'rate(a_total[5m])', on)).warnings, [`${text} (2 occurrences) (1:6)`]);
  assert.deepEqual((await notesOf(script, 'sum(rate(a_total[5m])) / sum(rate(a_total[5m]))', on)).warnings, [
    `${text} (4 occurrences) (1:10)`,
  ]);
  assert.deepEqual((await notesOf(script, 'rate(a_total{i="1"}[5m])', on)).warnings, [`${text} (1:6)`]);
});

test('of what an operator finds at a step the last is told', async () => {
  const script = 'load 1m\n l{i="1"} 1x10\n l{i="2"} {{count:1}}x10\n r{i="1"} {{count:1}}x10\n r{i="2"} 1x10';
  const found = (kinds: string) => [
    `PromQL info: incompatible sample types encountered for binary operator "<": ${kinds} (1:1)`,
  ];
  assert.deepEqual((await notesOf(script, 'l < r')).infos, found('histogram < float'));
  // none of them matched, so those on the right are filled, too
  assert.deepEqual((await notesOf(script, 'l < on(i) fill(1) r')).infos, found('float < histogram'));
});

test('sorting is said to be in vain in a subquery of one step, too', async () => {
  const { warnings } = await notesOf('load 1m\n a 1x10', 'last_over_time(sort(a)[40s:35s])');
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^PromQL warning: sort is ineffective for range queries/);
});

test('where only counts and sums are asked for, bounds of buckets do not matter', async () => {
  const script =
    'load 1m\n h{i="1"} {{schema:-53 count:2 custom_values:[1 2] buckets:[1 1]}}x10\n h{i="2"} {{schema:-53 count:3 custom_values:[1 3] buckets:[2 1]}}x10';
  assert.deepEqual((await notesOf(script, 'histogram_count(sum(h))')).infos, []);
  assert.deepEqual((await notesOf(script, 'sum(h)')).infos, [
    'PromQL info: mismatched custom buckets were reconciled during aggregation (1:5)',
  ]);
});

test('numbers in labels are numbers as far as an int64 reaches, all else is sorted by its bytes', async () => {
  const values = ['a9', 'a10', '\uffee', '😀', '9223372036854775808', '99999999999999999999'];
  const data = storage(`load 1m\n${values.map((value) => ` m{x="${value}"} 1x10`).join('\n')}`);
  const order = async (func: string): Promise<string[]> => {
    const engine = new Engine({ parser: { experimentalFunctions: true } });
    const { value } = await engine.query(data, { expr: `${func}(m, "x")`, timeMs: 600_000 }, context);
    return value.type === 'vector' ? value.samples.map(({ labels }) => labels.get('x')) : [];
  };
  const ascending = ['9223372036854775808', '99999999999999999999', 'a9', 'a10', '\uffee', '😀'];
  assert.deepEqual(await order('sort_by_label'), ascending);
  assert.deepEqual(await order('sort_by_label_desc'), ascending.toReversed());
});

test('of several quantiles one tells that buckets had to be mended, and each sees them mended', async () => {
  const script = 'load 1m\n b{le="1"} 5x10\n b{le="2"} 3x10\n b{le="+Inf"} 9x10';
  const { infos } = await notesOf(script, 'histogram_quantiles(b, "q", 0.9, 0.5, 0.1)');
  assert.equal(infos.length, 1);
  assert.match(infos[0]!, /max diff of 2, over 1 samples/);
});
