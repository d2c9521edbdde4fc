import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GroupDecoder } from '../chunk/group/decode.ts';
import { Kernel } from '../chunk/kernel.ts';
import { throwIfFenced } from '../lib/fenced-signal.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { SampleColumns } from '../storage/columns.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { isMergedRange, kindOf, ROW_GROUP, windowRange } from './keys.ts';
import { PLACEMENT_DEFAULT, slotOf } from './placement.ts';
import { ChunkStoreReader } from './reader.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';
import { StoredSamples } from './stored-samples.ts';
import { Sweeper } from './sweeper.ts';
import { seriesOf, testContext } from './test-series.ts';
import { ChunkStoreWriter, type WriteGroup } from './writer.ts';

const START = Date.UTC(2026, 0, 5);
const WINDOW = 7_200_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function storeOf() {
  const clock = new ManualClock(START);
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(clock);
  const fromMs = Number.NEGATIVE_INFINITY;
  const schema = new Schema([{ fromMs, tables, objects, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT }]);
  // every group is an object of its own
  const options = { inlineBytesMax: 0, objectBytesAimed: 1, clock };
  const writer = () => new ChunkStoreWriter(schema, Kernel.create(), options);
  const group = (k: number): WriteGroup => {
    const times = Array.from({ length: 100 }, (_, i) => START + i * MINUTE + k);
    const series = [seriesOf({ __name__: 'm', k: `${k}` }, times, (_, i) => i)];
    const slot = slotOf(PLACEMENT_DEFAULT, series[0]!.labels);
    return { tenant: 't', placement: PLACEMENT_DEFAULT, slot, windowStartMs: START, windowMs: WINDOW, series };
  };
  const keys = async () => {
    const found: string[] = [];
    for await (const page of objects.list('')) found.push(...page.map(({ key }) => key));
    return found;
  };
  /** Samples of each series that is there. */
  const read = async () => {
    const reader = new ChunkStoreReader(schema, Kernel.create(), clock);
    const matchers = [LabelMatcher.of('__name__', '=', 'm')];
    const set = await reader.select('t', { matchers, startMs: START, endMs: START + DAY }, testContext());
    const out = new SampleColumns();
    return set.series.map((_, i) => {
      set.read(i, out);
      return out.count;
    });
  };
  /** Goes on for so long, and is idle. */
  const pause = (ms: number) => clock.set(clock.nowMs() + ms);
  /** Stops once for so long just before the first row of a group is written. */
  const pauseBeforeRows = (ms: number, then = async () => {}) => {
    const { write } = tables.client;
    tables.client.write = async (table, rows, ...more) => {
      if (!rows.some(({ hash }) => kindOf(hash) === ROW_GROUP)) {
        // rows that lead there come first
        await write.call(tables.client, table, rows, ...more);
        tables.client.write = write;
        pause(ms);
        await then();
        return;
      }
      await write.call(tables.client, table, rows, ...more);
    };
  };
  return { clock, schema, tables, objects, writer, group, keys, read, pause, pauseBeforeRows };
}

test('an object that was put more than an hour ago is put again before a row names it', async () => {
  const { writer, group, keys, read, pauseBeforeRows, clock, schema } = storeOf();
  pauseBeforeRows(DAY + HOUR);
  await writer().write([group(1), group(2)]);
  assert.equal((await keys()).length, 4, 'two of the day before, and two of today');
  // a sweeper that has seen the first of them without a row for long
  const sweeper = new Sweeper(schema, clock, { rowGraceMs: 0 });
  await sweeper.run();
  const left = await keys();
  assert.equal(left.length, 2);
  assert.ok(left.every((key) => key.includes(`/${START / DAY + 1}-`)));
  assert.deepEqual(await read(), [100, 100]);
});

test('one that was put a while ago stays where it is', async () => {
  const { writer, group, keys, read, pauseBeforeRows } = storeOf();
  pauseBeforeRows(HOUR - MINUTE);
  await writer().write([group(1), group(2)]);
  assert.equal((await keys()).length, 2);
  assert.deepEqual(await read(), [100, 100]);
});

test('where it has gone meanwhile the write fails, and the same again is whole', async () => {
  const { writer, group, keys, read, pauseBeforeRows, objects } = storeOf();
  const own = writer();
  pauseBeforeRows(2 * HOUR, async () => {
    for (const key of await keys()) await objects.delete(key);
  });
  await assert.rejects(own.write([group(1), group(2)]), /not|gone|no object/);
  assert.deepEqual(await read(), []);
  await own.write([group(1), group(2)]);
  assert.deepEqual(await read(), [100, 100]);
});

test('rows are not tried again long after their object was put, as where a process stood still', async () => {
  const { writer, group, read, tables, clock, objects, keys } = storeOf();
  const { write } = tables.client;
  tables.client.write = async (table, rows, signal) => {
    if (rows.some(({ hash }) => kindOf(hash) === ROW_GROUP)) {
      clock.set(clock.nowMs() + DAY + HOUR);
      for (const key of await keys()) await objects.delete(key);
      throwIfFenced(signal);
    }
    await write.call(tables.client, table, rows, signal);
  };
  const own = writer();
  await assert.rejects(own.write([group(1)]), /was put too long ago/);
  tables.client.write = write;
  assert.deepEqual(await read(), []);
  await own.write([group(1)]);
  assert.deepEqual(await read(), [100]);
});

test('rows do not wait for others for long, so that a slow flush puts nothing twice', async () => {
  const { writer, group, keys, read, pause, objects } = storeOf();
  const put = objects.put.bind(objects);
  let puts = 0;
  objects.put = (...args) => {
    puts++;
    return put(...args);
  };
  async function* slow() {
    for (let k = 0; k < 20; k++) {
      yield group(k);
      pause(10 * MINUTE);
    }
  }
  await writer().write(slow());
  assert.equal(puts, 20);
  assert.equal((await keys()).length, 20);
  assert.equal((await read()).length, 20);
});

for (const [what, isKnown, damage] of [
  ['of an unknown version', false, (value: Uint8Array) => [9, ...value.subarray(1)]],
  ['that is cut', false, (value: Uint8Array) => [...value.subarray(0, 2)]],
  ['with a damaged header', true, (value: Uint8Array) => [...value.subarray(0, -1), value.at(-1)! ^ 1]],
] as const) {
  test(`a merged row ${what} fails no flush`, async () => {
    for (const asks of [false, true]) {
      const { writer, group, read, pause, schema, tables, clock } = storeOf();
      const [first] = await writer().write([group(1)]);
      const id = Buffer.from(first!.id, 'hex');
      await writer().write([{ ...group(2), replaces: [id] }]);
      pause(2 * DAY);
      const { table } = schema.tableOf(START / DAY);
      for await (const page of tables.admin.scan(table)) {
        for (const row of page) {
          if (kindOf(row.hash) !== ROW_GROUP || !isMergedRange(row.range)) continue;
          await tables.client.write(table, [{ ...row, value: Uint8Array.from(damage(row.value)) }]);
          // the replaced one is swept
          await tables.client.delete(table, [{ hash: row.hash, range: windowRange(START, id) }]);
        }
      }
      const send = async (k: number) => {
        const own = { windowMs: WINDOW, clock };
        const stored = asks ? { stored: new StoredSamples(schema, new GroupDecoder(Kernel.create()), own) } : {};
        return writer().write([{ ...group(k), ...stored }]);
      };
      const again = await send(1);
      assert.equal(again.length, 1);
      assert.equal(again[0]!.id === first!.id, !isKnown, 'what it lists as replaced is taken where that can be read');
      assert.equal((await send(3)).length, 1);
      if (asks) assert.deepEqual(await send(3), []);
      await assert.rejects(read(), /damaged|corrupt|version|kind|bytes/);
    }
  });
}
