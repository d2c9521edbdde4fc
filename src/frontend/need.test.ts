import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExpr } from '../promql/parser/parser.ts';
import { mayNeedMuch, needsMuch, refuseHopeless, type SelectionSize, type SizesOf } from './need.ts';
import { NO_LIMITS } from './parts-budget.ts';

const DAY_MS = 86_400_000;
const SIGNAL = new AbortController().signal;
const NONE = { ...NO_LIMITS, maxQueryResponseSize: 0, samplesMax: 1e9 };

/** A store that has 1000 series of a sample each 15 s on each day, in one group a day; `i="1"` is on one in a hundred. */
function store(all = 1000) {
  let days = 0;
  const sizesOf: SizesOf = async (_, { matchers, startMs, endMs, bound }, __, see) => {
    const series = bound === 'least' && matchers.some(({ name }) => name === 'i') ? all / 100 : all;
    for (let day = Math.floor(startMs / DAY_MS); day * DAY_MS <= endMs; day++) {
      days++;
      const firstMs = day * DAY_MS;
      const span = { firstMs, lastMs: firstMs + DAY_MS - 15_000, series, samplesEach: DAY_MS / 15_000 };
      const size: SelectionSize = { series, chunks: series, chunkBytes: 5000 * series, spans: [span] };
      see(size);
    }
  };
  return { sizesOf, days: () => days };
}

async function refusal(text: string, limits: Partial<typeof NONE>, stepMs = 15_000): Promise<string | undefined> {
  const steps = {
    tenant: 't',
    ranges: [{ startMs: DAY_MS, endMs: 31 * DAY_MS - stepMs }],
    stepMs,
    lookbackMs: 300_000,
  };
  try {
    await refuseHopeless(parseExpr(text), steps, { ...NONE, ...limits }, [store().sizesOf], SIGNAL);
    return undefined;
  } catch (thrown) {
    return (thrown as Error).message;
  }
}

test('a query is refused before anything is fetched where heads of groups tell that it exceeds a limit', async () => {
  const samples = await refusal('{__name__=~".+"}', { samplesMax: 50_000_000 });
  assert.match(
    samples!,
    /too many samples .*\(more than 50000000, querier.max-samples\): some 5\d{7} by what there is/,
  );
  assert.match((await refusal('rate(x[5m]) * 8', { samplesMax: 50_000_000 }))!, /querier.max-samples/);
  assert.match(
    (await refusal('x', { maxQueryMemoryBytes: 2 ** 30 }))!,
    /more than 1073741824 bytes .*: some \d{10} by/,
  );
  assert.match((await refusal('sum(x)', { maxFetchedSeriesPerQuery: 999 }))!, /at least 1000 series, more than 999/);
  assert.match(
    (await refusal('sum(x)', { maxFetchedChunksPerQuery: 20_000 }))!,
    /at least 21000 chunks, more than 20000/,
  );
  assert.match((await refusal('sum(x)', { maxFetchedChunkBytesPerQuery: 1e7 }))!, /at least 15000000 bytes of chunks/);
  // by both selectors together
  assert.match((await refusal('sum(x) / sum(y)', { maxFetchedChunksPerQuery: 40_000 }))!, /at least 41000 chunks/);
});

test('an answer that would be too long is refused before anything is fetched', async () => {
  assert.match(
    (await refusal('x', { maxQueryResponseSize: 100_000_000 }))!,
    /at least \d{9} bytes, more than 100000000 \(max_query_response_size\)/,
  );
  assert.equal(await refusal('sum(x)', { maxQueryResponseSize: 100_000_000 }), undefined);
});

test('labels are looked at only where all series of a metric would be too many', async () => {
  assert.match((await refusal('{i=~".+"}', { samplesMax: 1_000_000 }))!, /some 1\d{6} by what there is/);
  assert.equal(await refusal('{i="1"}', { samplesMax: 2_000_000 }), undefined);
  const { sizesOf, days } = store();
  const steps = { tenant: 't', ranges: [{ startMs: DAY_MS, endMs: 4 * DAY_MS - 1 }], stepMs: 60_000, lookbackMs: 0 };
  const bounds: string[] = [];
  const watched: SizesOf = (tenant, selection, signal, see) => {
    bounds.push(selection.bound);
    return sizesOf(tenant, selection, signal, see);
  };
  await refuseHopeless(parseExpr('x{i="1"}'), steps, { ...NONE, samplesMax: 1e8 }, [watched], SIGNAL);
  assert.deepEqual([bounds, days()], [['most'], 3]);
});

test('what may pass is not refused', async () => {
  // answers are small, whatever is read
  for (const text of [
    'sum(x)',
    'count(x > 1)',
    'topk(5, x)',
    'x > 1e9',
    'x and y',
    'absent(x)',
    'max_over_time(x[1h:15s])',
  ]) {
    assert.equal(await refusal(text, { samplesMax: 1e6, maxQueryMemoryBytes: 1e6 }), undefined, text);
  }
  // the same selector twice is read once
  assert.equal(await refusal('sum(x) / count(x)', { maxFetchedChunksPerQuery: 40_000 }), undefined);
  // a larger step has fewer points
  assert.equal(await refusal('x', { samplesMax: 50_000_000 }, 60_000), undefined);
  assert.equal(await refusal('x @ 17', { maxFetchedChunksPerQuery: 1 }), undefined);
});

test('what heads of ingesters hold is held against the limits by itself, from the first step to the last', async () => {
  const asked: unknown[] = [];
  const heads: SizesOf = async (_, { startMs, endMs, coverFromMs, spacingMs }, __, see) => {
    asked.push([startMs, endMs, coverFromMs, spacingMs]);
    see({ series: 400, chunks: 0, chunkBytes: 0, spans: [], coveredMs: 400 * 3_600_000 });
  };
  const steps = {
    tenant: 't',
    ranges: [{ startMs: DAY_MS, endMs: 2 * DAY_MS + 14_000 }],
    stepMs: 15_000,
    lookbackMs: 300_000,
  };
  const refused = (text: string, limits: Partial<typeof NONE>, places: readonly SizesOf[]) =>
    refuseHopeless(parseExpr(text), steps, { ...NONE, ...limits }, places, SIGNAL).then(
      () => undefined,
      (thrown: Error) => thrown.message,
    );
  const few = store(10).sizesOf;
  // 400 series of an hour each, one sample a step
  assert.match((await refused('x', { samplesMax: 95_000 }, [few, heads]))!, /more than 95000,.*: some 96000 by/);
  assert.deepEqual(asked, [[DAY_MS - 300_000, 2 * DAY_MS, DAY_MS, 15_000]]);
  assert.equal(await refused('x', { samplesMax: 96_000 }, [few, heads]), undefined);
  assert.equal(await refused('sum(x)', { samplesMax: 95_000 }, [few, heads]), undefined);
  assert.match((await refused('sum(x)', { maxFetchedSeriesPerQuery: 399 }, [few, heads]))!, /at least 400 series/);
  // the store's 57,600 points are not added to those
  assert.equal(await refused('x', { samplesMax: 100_000 }, [few, heads]), undefined);
});

test('reading of heads ends with the refusal', async () => {
  const { sizesOf, days } = store();
  const steps = {
    tenant: 't',
    ranges: [{ startMs: DAY_MS, endMs: 300 * DAY_MS }],
    stepMs: 15_000,
    lookbackMs: 300_000,
  };
  await assert.rejects(refuseHopeless(parseExpr('x'), steps, { ...NONE, samplesMax: 5e7 }, [sizesOf], SIGNAL));
  assert.ok(days() < 30);
});

test('a query that is not split is looked at where it is long, has many steps, or names no metric', () => {
  const isMuch = (text: string, endMs = 0, stepMs = 60_000) => {
    const steps = { startMs: 0, endMs, stepMs };
    const needs = needsMuch(parseExpr(text), steps);
    // what is not looked at needs little
    assert.ok(mayNeedMuch(text, steps) || !needs, text);
    return needs;
  };
  for (const text of [
    'rate(x[2d])',
    'rate(x[25h]) > 0',
    'rate(x[90000])',
    'rate(x[1500m])',
    'sum(rate(x[1d1s] offset 5m))',
    '{job="a"}',
    'sum({__name__=~".+"})',
    'x + on () {__name__=~"x.*"}',
    '-{"job"=~"a|b"}',
  ]) {
    assert.equal(isMuch(text), true, text);
  }
  for (const text of [
    'x',
    'rate(x[1d])',
    'rate(x[10h])',
    'x {job="a"}',
    '{"x.y"}',
    '{__name__=~"x|y"}',
    'x offset 7d',
    '1',
  ]) {
    assert.equal(isMuch(text), false, text);
  }
  assert.equal(isMuch('x', DAY_MS, 300_000), false);
  assert.equal(isMuch('x', DAY_MS + 1, 300_000), true);
  assert.equal(isMuch('x', 4_000 * 1000, 1000), false);
  assert.equal(isMuch('x', 4_001 * 1000, 1000), true);
  assert.equal(mayNeedMuch('sum by (job) (rate(x{job="a"}[5m]))', undefined), false);
});
