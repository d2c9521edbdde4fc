import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { isMergedRange, kindOf } from '../chunkstore/keys.ts';
import { bucketSlot, PLACEMENT_DEFAULT } from '../chunkstore/placement.ts';
import { ChunkStoreReader } from '../chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../chunkstore/schema.ts';
import { Sweeper } from '../chunkstore/sweeper.ts';
import { seriesOf, testContext } from '../chunkstore/test-series.ts';
import { Tombstones } from '../chunkstore/tombstones.ts';
import { verify } from '../chunkstore/verify.ts';
import { ChunkStoreWriter } from '../chunkstore/writer.ts';
import { DAY_MS } from '../lib/day.ts';
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

/** A store with a tenant's day of two metrics, one of which is to go, and what works on it; each run is a compactor of its own. */
async function storeOf(inner: MemoryTableStore, client: TableClient, random: () => number, oneProcess = false) {
  const clock = new ManualClock(START + 3 * DAY_MS);
  const tables = { client, admin: inner, limits: inner.limits, oneProcess };
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
      walAgeMaxMs: 7 * DAY_MS,
    }).run({ retention: FOR_EVER, sweep: 'none', signal: new AbortController().signal });
  const deleteGone = () => requests.create('t', [LabelMatcher.of('__name__', '=', 'gone')], START, START + DAY_MS - 1);
  /** Samples of groups that stand. */
  const samples = async () => {
    await new Sweeper(schema, clock, { rowGraceMs: 0 }).run();
    return (await verify(schema, Kernel.create())).samples;
  };
  /** When the request is over and forgotten. */
  const visible = async () => {
    clock.set(clock.nowMs() + 9 * DAY_MS);
    await run();
    await run();
    const set = await new ChunkStoreReader(schema, Kernel.create(), clock).select(
      't',
      { matchers: [LabelMatcher.of('__name__', '!=', '')], startMs: START, endMs: START + DAY_MS },
      testContext(),
    );
    return set.series.map((labels) => labels.metricName);
  };
  return { clock, schema, requests, run, deleteGone, visible, samples };
}

async function interleave(seed: number, whole: boolean): Promise<{ visible: string[]; state: string }> {
  const random = seededRandom(seed);
  const inner = new MemoryTableStore();
  const { clock, requests, run, deleteGone, visible } = await storeOf(inner, slowed(inner, random), random);
  const slow = run();
  for (let turns = Math.floor(random() * 160); turns > 0; turns--) await nextTurn();
  if (whole) await requests.deleteTenant('t');
  else await deleteGone();
  for (const report of await Promise.all([slow, run(), run()])) assert.deepEqual(report.failures, []);
  // a day that another held is left to the next run
  clock.set(clock.nowMs() + 2 * DAY_MS);
  await run();
  const state = (whole ? [await requests.tenantDeletion('t')] : await requests.list('t'))
    .map((one) => one?.state)
    .join();
  return { visible: await visible(), state };
}

/** Lets the first call that is asked for wait until it is let go. */
function stoppedAt(inner: MemoryTableStore, at: 'write' | 'query') {
  const reached = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  let armed = false;
  const stop = async (isIt: boolean) => {
    if (!armed || !isIt) return;
    armed = false;
    reached.resolve();
    await letGo.promise;
  };
  const client: TableClient = {
    async write(table, rows, ...more) {
      await stop(at === 'write' && rows.some(({ hash, range }) => kindOf(hash) === 'g' && isMergedRange(range)));
      await inner.write(table, rows, ...more);
    },
    async *query(query, ...more) {
      yield* inner.query(query, ...more);
      // what it has read is old when it goes on
      await stop(at === 'query' && kindOf(query.hash) === 'g');
    },
    delete: (...args) => inner.delete(...args),
    compareAndSet: (...args) => inner.compareAndSet(...args),
    close: async () => {},
  };
  return { client, arm: () => (armed = true), reached: reached.promise, letGo: () => letGo.resolve() };
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

test('a merge that has yet to write what is deleted meanwhile: without a lease it brings it back, until the last look', async () => {
  for (const oneProcess of [false, true]) {
    const inner = new MemoryTableStore();
    const { client, arm, reached, letGo } = stoppedAt(inner, 'write');
    const { clock, requests, run, deleteGone, visible, samples } = await storeOf(
      inner,
      client,
      seededRandom(1),
      oneProcess,
    );
    arm();
    const slow = run();
    await reached;
    await deleteGone();
    await run();
    const state = async () => (await requests.list('t')).map((each) => each.state).join();
    // the look of the other finds nothing: what brings it back has not been written yet
    assert.equal(await state(), oneProcess ? 'processed' : 'pending');
    letGo();
    assert.deepEqual((await slow).failures, []);
    clock.set(clock.nowMs() + 2 * DAY_MS);
    await run();
    assert.equal(await state(), 'processed');
    // the embedded store, which has no leases, belongs to one process, where one run follows another
    // without a lease both merges stand
    assert.equal(await samples(), oneProcess ? 6 + 3 : 3);
    assert.deepEqual(await visible(), ['kept']);
    assert.equal(await samples(), 3);
  }
});

test('what a tenant sends after its deletion stays, also where it comes while that day is cleared', async () => {
  const inner = new MemoryTableStore();
  const reached = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  const client: TableClient = {
    write: (...args) => inner.write(...args),
    query: (...args) => inner.query(...args),
    async delete(table, keys, ...more) {
      await inner.delete(table, keys, ...more);
      if (!keys.some(({ hash }) => kindOf(hash) === 'g')) return;
      reached.resolve();
      await letGo.promise;
    },
    compareAndSet: (...args) => inner.compareAndSet(...args),
    close: async () => {},
  };
  const { clock, schema, requests, run, visible } = await storeOf(inner, client, seededRandom(1));
  clock.set(START + 22.5 * HOUR);
  await requests.deleteTenant('t');
  clock.set(START + 25 * HOUR);
  const clearing = run();
  await reached.promise;
  // the last window, which is flushed late
  const windowStartMs = START + 22 * HOUR;
  const series = [seriesOf({ __name__: 'anew' }, [windowStartMs + HOUR], () => 1)];
  const at = { placement: PLACEMENT_DEFAULT, slot: bucketSlot(1, 0), windowStartMs, windowMs: WINDOW };
  await new ChunkStoreWriter(schema, Kernel.create(), { clock }).write([{ tenant: 't', ...at, series }]);
  letGo.resolve();
  assert.deepEqual((await clearing).failures, []);
  assert.equal((await requests.tenantDeletion('t'))?.state, 'processed');
  assert.deepEqual(await visible(), ['anew']);
});

test('a merge whose lease ran out while it read writes nothing', async () => {
  const inner = new MemoryTableStore();
  const { client, arm, reached, letGo } = stoppedAt(inner, 'query');
  const { clock, requests, run, deleteGone, visible } = await storeOf(inner, client, seededRandom(1));
  arm();
  const slow = run();
  await reached;
  await deleteGone();
  clock.set(clock.nowMs() + 11 * 60_000);
  assert.deepEqual((await run()).failures, []);
  assert.deepEqual(
    (await requests.list('t')).map((each) => each.state),
    ['processed'],
  );
  letGo();
  assert.match((await slow).failures.join(), /another compactor has taken over the day/);
  assert.deepEqual(await visible(), ['kept']);
});
