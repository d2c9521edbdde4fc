import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadedStorage } from '../../../test/conformance/promqltest/loaded-storage.ts';
import { parseScript } from '../../../test/conformance/promqltest/script.ts';
import { seededRandom } from '../../lib/random.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import type { Queryable, QueryBudget } from '../../storage/queryable.ts';
import { StreamBroken } from '../../storage/series-stream.ts';
import { unlimited } from '../../storage/unlimited.ts';
import { Engine } from '../engine.ts';
import type { QueryResult } from '../result.ts';

const AT_MS = 600_000;
const BLOCK_SERIES = 4;

/**
 * The series of `data` as a stream has them: in blocks, in any order.
 * @param brokenAfter blocks after which the stream ends broken
 * @param blockSeries series of a block; where they are all, it says so
 */
function streamedFrom(
  data: Queryable,
  seed: number,
  brokenAfter = Number.POSITIVE_INFINITY,
  blockSeries = BLOCK_SERIES,
) {
  const asked = { selects: 0, streams: 0, open: 0 };
  const random = seededRandom(seed);
  const queryable: Queryable = {
    labelNames: (request, context) => data.labelNames(request, context),
    labelValues: (name, request, context) => data.labelValues(name, request, context),
    select: (request, context) => {
      asked.selects++;
      return data.select(request, context);
    },
    async *stream(request, context) {
      asked.streams++;
      asked.open++;
      const set = await data.select(request, context);
      try {
        const order = set.series.map((_, index) => ({ index, at: random() })).sort((a, b) => a.at - b.at);
        let blocks = 0;
        for (let from = 0; from < order.length; from += blockSeries) {
          if (blocks++ === brokenAfter) throw new StreamBroken();
          const some = order.slice(from, from + blockSeries);
          let isOver = false;
          yield {
            labels: some.map(({ index }) => set.series[index]!),
            warnings: [],
            isWhole: some.length === order.length,
            read: (index, out) => {
              assert.ok(!isOver, 'a block was read after its time');
              set.read(some[index]!.index, out);
            },
          };
          isOver = true;
        }
      } finally {
        asked.open--;
      }
    },
  };
  return { queryable, asked };
}

/** Floats whose sum depends on their order, gaps, histograms, zeros of both signs, odd names. */
function mixedData(): LoadedStorage {
  const random = seededRandom(5);
  const values = ['1e16', '1', '-1e16', '0.1', '-0', '0', 'NaN', 'Inf', '3', '-7.25', '1e-300', '_'];
  const lines = ['load 1m'];
  for (let i = 0; i < 60; i++) {
    const value = values[Math.floor(random() * values.length)];
    const labels = `g="${i % 5}", i="${i}", ${i % 3 === 0 ? `zone="z${i % 2}", ` : ''}text="${'éa\u{1f600}b'[i % 4]}"`;
    lines.push(`  m_total{${labels}} ${value} ${value} ${i % 7 === 0 ? '_x9' : `${i % 4 === 0 ? '_' : '5'} 1+${i}x8`}`);
  }
  for (let i = 0; i < 10; i++) {
    lines.push(`  h_total{g="${i % 3}", i="${i}"} {{schema:0 sum:${i} count:${i + 1} buckets:[1 ${i}]}}x10`);
    lines.push(`  h_total{g="${i % 2}", i="f${i}"} ${i}x10`);
    lines.push(`  other_total{g="${i % 3}", i="${i}"} ${0.1 * i}x10`);
  }
  const data = new LoadedStorage();
  for (const command of parseScript(lines.join('\n'), {})) if (command.kind === 'load') data.load(command);
  return data;
}

const OPS = [
  'sum',
  'avg',
  'count',
  'group',
  'min',
  'max',
  'stddev',
  'stdvar',
  'quantile(0.3, ',
  'topk(2, ',
  'bottomk(3, ',
  'limitk(2, ',
  'limit_ratio(0.4, ',
  'limit_ratio(-0.4, ',
  'count_values("g", ',
  'count_values("v", ',
];
/** @param op and the parameter that it has: `topk(2, ` */
function expressionOf(op: string, grouping: string, input: string): string {
  const [name, param = ''] = op.split('(');
  return `${name} ${grouping} (${param}${input})`;
}

const EXPERIMENTAL = { parser: { experimentalFunctions: true } };

const INPUTS = [
  'm_total',
  'h_total',
  '{__name__=~".+_total"}',
  'rate(m_total[5m])',
  'rate(h_total[5m])',
  'last_over_time({i=~"[1-9]"}[3m])',
  'sum_over_time({__name__="m_total",i!="7"}[8m])',
  'absent_total',
];
const GROUPINGS = ['', 'by (g)', 'without (i)', 'by (text, zone)', 'by (i)', 'without ()'];

test('aggregations of series that come in any order answer the same as of series that are all there', async () => {
  const data = mixedData();
  let streams = 0;
  for (const options of [{}, { delayedNameRemoval: true }]) {
    const engine = new Engine({ ...options, ...EXPERIMENTAL });
    for (const [seed, input] of INPUTS.entries()) {
      for (const grouping of GROUPINGS) {
        for (const op of OPS) {
          const expr = expressionOf(op, grouping, input);
          const query = { expr, timeMs: AT_MS, perStepStats: true };
          const { queryable, asked } = streamedFrom(data, seed);
          const want = await engine.query(data, query, unlimited());
          const got = await engine.query(queryable, query, unlimited());
          // the most samples at a time are those of the result and one window: which window is there last depends on the order
          const atPeak = got.stats.peakSamples - want.stats.peakSamples;
          assert.ok(input.includes('[') ? Math.abs(atPeak) < 100 : atPeak === 0, expr);
          const { peakSamples } = want.stats;
          assert.deepStrictEqual({ ...got, stats: { ...got.stats, peakSamples } }, want, expr);
          assert.deepEqual([asked.selects, asked.streams, asked.open], [0, 1, 0], expr);
          streams += asked.streams;
        }
      }
    }
  }
  assert.equal(streams, 2 * INPUTS.length * GROUPINGS.length * OPS.length);
});

/** Values as numbers: typed arrays are compared by their bytes, and there are several NaN. */
function withLists({ value, ...rest }: QueryResult): unknown {
  assert.ok(value.type === 'matrix');
  return { ...rest, value: value.series.map((series) => ({ ...series, values: [...series.values] })) };
}

test('range queries, and series that all come in one block, answer the same too', async () => {
  const data = mixedData();
  const engine = new Engine(EXPERIMENTAL);
  const at = { startMs: 0, endMs: AT_MS + 300_000, stepMs: 45_000 };
  for (const [seed, input] of INPUTS.entries()) {
    for (const grouping of ['', 'by (g)', 'without (i)']) {
      for (const op of OPS) {
        const query = { expr: expressionOf(op, grouping, input), ...at, perStepStats: true };
        const want = await engine.queryRange(data, query, unlimited());
        for (const blockSeries of [7, 10_000]) {
          const { queryable, asked } = streamedFrom(data, seed, Number.POSITIVE_INFINITY, blockSeries);
          const got = await engine.queryRange(queryable, query, unlimited());
          const { peakSamples } = want.stats;
          const gotAlike = { ...got, stats: { ...got.stats, peakSamples } };
          assert.deepStrictEqual(withLists(gotAlike), withLists(want), query.expr);
          assert.deepEqual([asked.selects, asked.streams, asked.open], [0, 1, 0], query.expr);
        }
      }
    }
  }
  // where values would take more than the series themselves they are not kept; counting keeps none
  for (const [op, streams] of [
    ['sum', 0],
    ['count', 1],
  ] as const) {
    const { queryable, asked } = streamedFrom(data, 1);
    await engine.queryRange(queryable, { expr: `${op}(m_total)`, ...at, stepMs: 5_000 }, unlimited());
    assert.deepEqual([asked.streams, asked.selects], [streams, 1 - streams]);
  }
});

test('where a stream breaks all series are asked for, and nothing is counted twice', async () => {
  const data = mixedData();
  for (const expr of ['sum by (g) (m_total)', 'count(m_total)', 'sum(rate(h_total[5m]))']) {
    for (const brokenAfter of [0, 1, 4]) {
      const { queryable, asked } = streamedFrom(data, 1, brokenAfter);
      let heldBytes = 0;
      const budget: QueryBudget = { ...unlimited().budget, addMemory: (bytes) => (heldBytes += bytes) };
      const query = { expr, timeMs: AT_MS, perStepStats: true };
      const want = await new Engine().query(data, query, unlimited());
      assert.deepStrictEqual(await new Engine().query(queryable, query, { ...unlimited(), budget }), want);
      assert.deepEqual([asked.selects, asked.streams, asked.open, heldBytes], [1, 1, 0, 0]);
    }
  }
});

test('what is read more than once, or by others too, is not streamed', async () => {
  const data = mixedData();
  const ask = async (expr: string) => {
    const { queryable, asked } = streamedFrom(data, 2);
    const query = { expr, timeMs: AT_MS };
    const { value } = await new Engine().query(queryable, query, unlimited());
    assert.deepStrictEqual(value, (await new Engine().query(data, query, unlimited())).value);
    return [asked.streams, asked.selects];
  };
  assert.deepEqual(await ask('sum(m_total) / count(m_total)'), [0, 1]);
  assert.deepEqual(await ask('sum(m_total) / count(h_total)'), [2, 0]);
  assert.deepEqual(await ask('count(m_total) + count(m_total)'), [1, 0]);
  assert.deepEqual(await ask('topk(3, m_total)'), [1, 0]);
  assert.deepEqual(await ask('topk(0, m_total)'), [1, 1]);
  assert.deepEqual(await ask('sum(m_total > 3)'), [0, 1]);
  assert.deepEqual(await ask('sum(rate({__name__=~"m_total"}[5m]))'), [0, 1]);
});

const MANY = 1_000_000;
const MANY_BLOCK = 5_000;

/** Series that are made as they are asked for. */
function manySeries(count: number): Queryable {
  const pairsOf = (i: number) => {
    const instance = `host-${Math.floor(i / 200)}.example.org:9100`;
    return ['__name__', `restart_metric_${i % 200}`, 'instance', instance, 'job', 'restart', 'path', `/${i % 17}`];
  };
  const nothing = async () => ({ values: [], warnings: [] });
  return {
    labelNames: nothing,
    labelValues: nothing,
    select: () => assert.fail('all series at once were asked for'),
    async *stream(_request, { budget }) {
      for (let from = 0; from < count; from += MANY_BLOCK) {
        const labels = Array.from({ length: MANY_BLOCK }, (_, i) => Labels.fromSortedPairs(pairsOf(from + i)));
        const bytes = 700 * MANY_BLOCK + encodeLabels(labels[0]!).length * MANY_BLOCK;
        budget.addMemory(bytes);
        yield {
          labels,
          warnings: [],
          read(index, out) {
            out.clear();
            out.pushFloat(AT_MS, (from + index) % 1000);
          },
        };
        budget.addMemory(-bytes);
      }
    },
  };
}

test('a million series within 256 MiB', { timeout: 120_000 }, async () => {
  const ask = async (expr: string, series = MANY) => {
    const data = manySeries(series);
    let bytes = 0;
    let peakBytes = 0;
    const addMemory = (more: number) => {
      bytes += more;
      peakBytes = Math.max(peakBytes, bytes);
    };
    const budget: QueryBudget = { ...unlimited().budget, addMemory };
    const { value } = await new Engine(EXPERIMENTAL).query(data, { expr, timeMs: AT_MS }, { ...unlimited(), budget });
    assert.ok(value.type === 'vector');
    return { values: value.samples.map((sample) => sample.value), peakMb: peakBytes / 2 ** 20 };
  };
  const counted = await ask('count({job="restart"})');
  assert.deepEqual(counted.values, [MANY]);
  assert.ok(counted.peakMb < 16, `${counted.peakMb} MiB`);
  const summed = await ask('sum by (path) ({job="restart"})');
  assert.equal(
    summed.values.reduce((sum, value) => sum + value, 0),
    (MANY / 1000) * 499_500,
  );
  assert.ok(summed.peakMb < 160, `${summed.peakMb} MiB`);
  for (const expr of [
    'topk(5, {job="restart"})',
    'limitk by (path) (5, {job="restart"})',
    'quantile(0.9, {job="restart"})',
    'count_values("value", {job="restart"})',
    'sum by (path) (last_over_time({job="restart"}[5m]))',
  ]) {
    // a tenth of them, in a tenth of the memory beside a block
    const { peakMb } = await ask(expr, MANY / 10);
    assert.ok(peakMb < 20, `${expr}: ${peakMb} MiB`);
  }
});
