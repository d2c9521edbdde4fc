import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { systemClock } from '../lib/clock.ts';
import { seededRandom } from '../lib/random.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { SampleColumns } from '../storage/columns.ts';
import { ROW_ENTRY_WORDS, ROW_FROM, ROW_OTHERWISE, ROW_RATE, ROW_TO } from '../storage/row-layout.ts';
import type { RowProgram } from '../storage/series-rows.ts';
import type { SourceSeries } from '../storage/source.ts';
import { MemoryTableStore } from '../table/memory.ts';
import type { RowCache } from './kept-rows.ts';
import { PLACEMENT_DEFAULT, slotOf } from './placement.ts';
import { ChunkStoreReader } from './reader.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';
import { CountingBudget, seriesOf, testContext } from './test-series.ts';
import { Tombstones } from './tombstones.ts';
import { ChunkStoreWriter } from './writer.ts';

const START = Date.UTC(2026, 0, 5);
const WINDOW = 7_200_000;
const SERIES = 20;
const PROGRAM: RowProgram = {
  func: ROW_RATE,
  steps: 5,
  firstEndMs: START + 300_000,
  stepMs: 1_200_000,
  backMs: 300_000,
  rangeSeconds: 300,
};
const SELECT = {
  matchers: [LabelMatcher.of('__name__', '=', 'm_total')],
  startMs: START,
  endMs: START + WINDOW - 1,
  program: PROGRAM,
};

class Cache implements RowCache {
  readonly kept = new Map<string, Uint8Array>();
  isWorth = () => true;
  get = async (key: string) => this.kept.get(key);
  set = (_tenant: string, key: string, rows: Uint8Array) => void this.kept.set(key, rows);
}

/** A store in which one series of twenty has what only its samples tell: a NaN. */
async function setUp(odd = 1) {
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(systemClock);
  const period = { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT };
  const schema = new Schema([period]);
  const kernel = Kernel.create();
  const writer = new ChunkStoreWriter(schema, kernel, { clock: systemClock, inlineBytesMax: 0 });
  const random = seededRandom(3);
  const times = Array.from({ length: WINDOW / 15_000 }, (_, i) => START + i * 15_000);
  for (const tenant of ['one', 'two']) {
    const series = Array.from({ length: SERIES }, (_, i) =>
      seriesOf({ __name__: 'm_total', i: String(i).padStart(2, '0') }, times, (_time, at) =>
        i < odd && at === 7 ? Number.NaN : at * i + random(),
      ),
    );
    const slot = slotOf(PLACEMENT_DEFAULT, series[0]!.labels);
    const group = { tenant, placement: PLACEMENT_DEFAULT, slot, windowStartMs: START, windowMs: WINDOW };
    await writer.write([{ ...group, series }]);
  }
  const rowsCache = new Cache();
  // another one for each query: what a reader has open needs no inflating
  const select = async (more: object = {}, tenant = 'one', context = testContext()) => {
    const reader = new ChunkStoreReader(schema, kernel, systemClock, { rowsCache });
    const request = { ...SELECT, ...more };
    const set = (await reader.selectUpTo(tenant, request, Number.POSITIVE_INFINITY, context)) as SourceSeries;
    return { set, context };
  };
  return { schema, rowsCache, select };
}

function told(set: SourceSeries): string[] {
  const out = { values: new Float64Array(SERIES * 5), entries: new Uint32Array(SERIES * ROW_ENTRY_WORDS) };
  const columns = new SampleColumns();
  for (let from = 0; from < set.labels.length; ) from = set.rows!(PROGRAM, undefined, from, set.labels.length, out);
  return set.labels.map((labels, i) => {
    const entry = out.entries.subarray(i * ROW_ENTRY_WORDS, (i + 1) * ROW_ENTRY_WORDS);
    if (entry[ROW_FROM] === ROW_OTHERWISE) {
      set.read(i, columns);
      return `${labels} ${columns.values.subarray(0, columns.count).join()}`;
    }
    return `${labels} ${entry.join()} ${out.values.subarray(i * 5 + entry[ROW_FROM]!, i * 5 + entry[ROW_TO]!).join()}`;
  });
}

test('rows of a select are made once, the next query fetches no values for them, and is charged the same', async () => {
  const { rowsCache, select } = await setUp(0);
  const first = await select();
  const want = told(first.set);
  first.set.close();
  const { fetchedBytes, memoryBytes } = first.context.budget;
  assert.equal(rowsCache.kept.size, 1);
  const again = await select();
  assert.deepEqual(told(again.set), want);
  assert.equal(again.set.giveBack !== undefined, true);
  assert.throws(() => again.set.read(0, new SampleColumns()), /bug: samples of a series that has rows/);
  assert.throws(
    () =>
      again.set.rows!({ ...PROGRAM, backMs: 1 }, undefined, 0, 1, {
        values: new Float64Array(5),
        entries: new Uint32Array(6),
      }),
    /bug/,
  );
  again.set.close();
  const { budget } = again.context;
  assert.ok(budget.fetchedBytes < fetchedBytes / 4, `${budget.fetchedBytes} of ${fetchedBytes} bytes`);
  assert.equal(memoryBytes, 0);
  assert.equal(budget.memoryBytes, 0);
  for (const count of ['series', 'chunks', 'chunkBytes'] as const) {
    assert.equal(budget[count], first.context.budget[count], count);
  }
});

test('samples are fetched of series that have no rows, unless these are most of them', async () => {
  const { select } = await setUp(1);
  const first = await select();
  const want = told(first.set);
  const again = await select();
  assert.equal(again.set.giveBack !== undefined, true);
  assert.deepEqual(told(again.set), want);
  assert.ok(want[0]!.includes('NaN'));
  assert.equal(again.context.budget.chunkBytes, first.context.budget.chunkBytes);

  const odd = await setUp(SERIES - 5);
  told((await odd.select()).set);
  assert.equal(odd.rowsCache.kept.size, 0);
});

test('what is not read to its end is not kept', async () => {
  const { rowsCache, select } = await setUp();
  const { set } = await select();
  const out = { values: new Float64Array(10), entries: new Uint32Array(12) };
  set.rows!(PROGRAM, undefined, 0, 2, out);
  set.close();
  assert.equal(rowsCache.kept.size, 0);
});

test('whoever asks again for samples is charged for them alone', async () => {
  const { select } = await setUp();
  const first = await select();
  told(first.set);
  const { budget } = first.context;
  const { set, context } = await select();
  set.close();
  set.giveBack!();
  const { series, chunks, chunkBytes, memoryBytes } = context.budget;
  assert.deepEqual([series, chunks, chunkBytes, memoryBytes], [0, 0, 0, 0]);
  (await select({ program: undefined }, 'one', context)).set.close();
  for (const count of ['series', 'chunks', 'chunkBytes'] as const) {
    assert.equal(context.budget[count], budget[count], count);
  }
});

test('rows are made for others only where the query has memory for them', async () => {
  const { rowsCache, select } = await setUp();
  const budget = new (class extends CountingBudget {
    peakBytes = 0;
    bytesMax = Number.POSITIVE_INFINITY;

    override addMemory(bytes: number): void {
      super.addMemory(bytes);
      if (bytes > 0 && this.memoryBytes > this.bytesMax) throw new Error('no memory left');
      this.peakBytes = Math.max(this.peakBytes, this.memoryBytes);
    }
  })();
  const context = { ...testContext(), budget };
  (await select({ program: undefined }, 'one', context)).set.close();
  budget.bytesMax = budget.peakBytes;
  const { set } = await select({}, 'one', context);
  assert.equal(told(set).length, SERIES);
  set.close();
  assert.equal(rowsCache.kept.size, 0);
  assert.equal(context.budget.memoryBytes, 0);
});

test('another selector, range, program or tenant has rows of its own', async () => {
  const { rowsCache, select } = await setUp();
  told((await select()).set);
  for (const more of [
    { matchers: [...SELECT.matchers, LabelMatcher.of('i', '!=', '03')] },
    { startMs: START + 1 },
    { endMs: START + WINDOW - 2 },
    { program: { ...PROGRAM, func: ROW_RATE + 1 } },
    { program: { ...PROGRAM, backMs: 200_000 } },
  ]) {
    assert.equal((await select(more)).set.giveBack, undefined, JSON.stringify(more));
  }
  assert.equal((await select({}, 'two')).set.giveBack, undefined);
  for (const more of [{ program: undefined }, { limit: 3 }, { isOnce: true }, { shard: { index: 0, count: 2 } }]) {
    const { set } = await select(more);
    assert.equal(set.giveBack, undefined, JSON.stringify(more));
    set.close();
  }
  assert.equal(rowsCache.kept.size, 1);
});

test('with tombstones rows are neither kept nor taken', async () => {
  const { schema, rowsCache, select } = await setUp();
  told((await select()).set);
  const tombstones = new Tombstones(schema, systemClock, seededRandom(1), 0);
  await tombstones.create('one', [LabelMatcher.of('i', '=', '05')], START, START + WINDOW);
  const { set } = await select();
  assert.equal(set.giveBack, undefined);
  assert.equal(set.labels.length, SERIES - 1);
  told(set);
  assert.equal(rowsCache.kept.size, 1);
});
