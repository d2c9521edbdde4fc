import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { DAY_MS, isMergedRange, kindOf } from '../chunkstore/keys.ts';
import { bucketSlot, PLACEMENT_DEFAULT } from '../chunkstore/placement.ts';
import { ChunkStoreReader } from '../chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../chunkstore/schema.ts';
import { seriesOf, testContext } from '../chunkstore/test-series.ts';
import { Tombstones } from '../chunkstore/tombstones.ts';
import { ChunkStoreWriter } from '../chunkstore/writer.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { nextTurn } from '../lib/turn.ts';
import { LabelMatcher } from '../model/matcher.ts';
import type { TableClient } from '../table/client.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { Compactor } from './compactor.ts';
import { CONFIG, FOR_EVER, HOUR } from './test-suite.ts';

// Two compactors at the same day: one applies a delete request while the other merges without it. When the request is over and
// forgotten, what it deleted must not be there again, however their calls to the store follow one another.

const INTERLEAVINGS = 60;
const DAY = 20_000;
const START = DAY * DAY_MS;
const WINDOW = 2 * HOUR;

/** Every call waits for a throw of the dice, as calls to a store elsewhere do. */
function slowed(inner: MemoryTableStore, random: () => number): TableClient {
  const wait = async () => {
    for (let turns = Math.floor(random() * 6); turns > 0; turns--) await nextTurn();
  };
  return {
    async write(...args) {
      await wait();
      await inner.write(...args);
      await wait();
    },
    async *query(...args) {
      await wait();
      yield* inner.query(...args);
      await wait();
    },
    async delete(...args) {
      await wait();
      await inner.delete(...args);
    },
    async compareAndSet(...args) {
      await wait();
      const done = await inner.compareAndSet(...args);
      await wait();
      return done;
    },
    close: async () => {},
  };
}

async function interleave(seed: number, whole: boolean): Promise<{ visible: string[]; merged: number; state: string }> {
  const random = seededRandom(seed);
  const clock = new ManualClock(START + 3 * DAY_MS);
  const inner = new MemoryTableStore();
  const tables = { client: slowed(inner, random), admin: inner, limits: inner.limits };
  const from = Number.NEGATIVE_INFINITY;
  const schema = new Schema([{ fromMs: from, tables, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT }]);
  const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock });
  for (let w = 0; w < 3; w++) {
    const windowStartMs = START + w * WINDOW;
    const series = ['gone', 'kept'].map((name) => seriesOf({ __name__: name }, [windowStartMs + 1000], () => 1));
    const slot = bucketSlot(1, 0);
    await writer.write([{ tenant: 't', placement: PLACEMENT_DEFAULT, slot, windowStartMs, windowMs: WINDOW, series }]);
  }
  const requests = new Tombstones(schema, clock, random, 0);
  const run = () =>
    new Compactor({
      schema,
      kernels: { read: Kernel.create(), write: Kernel.create() },
      clock,
      random,
      config: CONFIG,
      deleteRequestCancelPeriodMs: 0,
    }).run({ retention: FOR_EVER, sweep: 'none', signal: new AbortController().signal });
  const slow = run();
  for (let turns = Math.floor(random() * 160); turns > 0; turns--) await nextTurn();
  if (whole) await requests.deleteTenant('t');
  else await requests.create('t', [LabelMatcher.of('__name__', '=', 'gone')], START, START + DAY_MS - 1);
  for (const report of await Promise.all([slow, run(), run()])) assert.deepEqual(report.failures, []);
  // a day that another held is left to the next run
  clock.set(clock.nowMs() + 2 * DAY_MS);
  await run();
  const state = (whole ? [await requests.tenantDeletion('t')] : await requests.list('t'))
    .map((one) => one?.state)
    .join();
  clock.set(clock.nowMs() + 9 * DAY_MS);
  await run();
  await run();
  const set = await new ChunkStoreReader(schema, Kernel.create(), clock).select(
    't',
    { matchers: [LabelMatcher.of('__name__', '!=', '')], startMs: START, endMs: START + DAY_MS },
    testContext(),
  );
  let merged = 0;
  for (const table of await inner.list()) {
    for await (const page of inner.scan(table)) {
      for (const row of page) if (kindOf(row.hash) === 'g' && isMergedRange(row.range)) merged++;
    }
  }
  return { visible: set.series.map((labels) => labels.metricName), merged, state };
}

test('two compactors never bring back what was deleted', async () => {
  for (let seed = 1; seed <= INTERLEAVINGS; seed++) {
    const { visible, state } = await interleave(seed, false);
    assert.deepEqual([visible, state], [['kept'], 'processed'], `interleaving ${seed}`);
  }
});

test('nor a tenant that was deleted', async () => {
  for (let seed = 1; seed <= INTERLEAVINGS / 2; seed++) {
    const { visible, state } = await interleave(1000 + seed, true);
    assert.deepEqual([visible, state], [[], 'processed'], `interleaving ${seed}`);
  }
});
