import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryKv } from '../src/kv/memory.ts';
import { TableKv } from '../src/kv/table.ts';
import { systemClock } from '../src/lib/clock.ts';
import { ManualClock } from '../src/lib/manual-clock.ts';
import { systemBytes } from '../src/lib/random.ts';
import type { TableStore } from '../src/table/client.ts';
import { CountingTableClient } from '../src/table/counting.ts';
import { MemoryTableStore } from '../src/table/memory.ts';
import { kvSuite } from './backends/kv-suite.ts';

kvSuite({ name: 'memory', open: async () => new MemoryKv() });

const table = 'pallium_ring';
const open = (store: TableStore, clock = systemClock) =>
  new TableKv({ store, table, clock, randomBytes: systemBytes, pollMs: 5 });

kvSuite({ name: 'table', open: async () => open(new MemoryTableStore()) });

test('table: two that write to one store see each other, and large values leave nothing behind', async () => {
  const store = new MemoryTableStore();
  const [one, other] = [open(store), open(store)];
  await one.put('large', new Uint8Array(300_000).fill(1));
  const first = (await other.get('large'))!;
  assert.equal(await other.compareAndSet('large', first.revision, new Uint8Array(600_000).fill(2)), true);
  assert.equal(await one.compareAndSet('large', first.revision, new Uint8Array(600_000).fill(3)), false);
  assert.equal((await one.get('large'))!.value[599_999], 2);
  assert.equal(await one.remove('large', (await one.get('large'))!.revision), true);
  const ranges: string[] = [];
  for await (const page of store.scan(table)) for (const { range } of page) ranges.push(Buffer.from(range).toString());
  assert.deepEqual(ranges, ['large'], 'only that it was removed is left');
});

test('table: the mark of a removed key goes after one to two days', async () => {
  const store = new MemoryTableStore();
  const clock = new ManualClock();
  const kv = open(store, clock);
  const rows = async () => {
    let count = 0;
    for await (const page of store.scan(table)) count += page.length;
    return count;
  };
  const list = async () => {
    const stop = new AbortController();
    for await (const _ of kv.watch('', stop.signal)) stop.abort();
  };
  await kv.put('a', new Uint8Array(1));
  await kv.put('b', new Uint8Array(1));
  await kv.remove('a', (await kv.get('a'))!.revision);
  await clock.advance(24 * 3_600_000);
  await list();
  assert.equal(await rows(), 2);
  await clock.advance(24 * 3_600_000);
  await list();
  assert.equal(await rows(), 1);
  assert.equal(await kv.compareAndSet('a', undefined, new Uint8Array(2)), true);
});

test('table: a key that is made again while its mark is being taken away stays', async () => {
  const store = new MemoryTableStore();
  const clock = new ManualClock();
  const kv = open(store, clock);
  await kv.put('a', new Uint8Array(1));
  await kv.remove('a', (await kv.get('a'))!.revision);
  await clock.advance(48 * 3_600_000);
  /** Another process makes the key again as soon as this one has read the mark. */
  class Interrupted extends CountingTableClient {
    override async *query(...asked: Parameters<CountingTableClient['query']>) {
      for await (const page of super.query(...asked)) {
        yield page;
        assert.equal(await kv.compareAndSet('a', undefined, Uint8Array.of(7)), true);
      }
    }
  }
  const late = open({ client: new Interrupted(store.client), admin: store.admin, limits: store.limits }, clock);
  const stop = new AbortController();
  const watching = (async () => {
    for await (const { key } of late.watch('', stop.signal)) assert.fail(`${key} was no mark`);
  })();
  while (clock.timers === 0) await clock.turn();
  stop.abort();
  await watching;
  assert.deepEqual([...(await kv.get('a'))!.value], [7]);
});

test('table: a row that is no value is an error to who asks for it, left out of a watch, and replaced by a put', async () => {
  const store = new MemoryTableStore();
  const kv = open(store);
  await kv.put('b', new Uint8Array(1));
  await store.write(table, [{ hash: Buffer.from('kv'), range: Buffer.from('a'), value: Uint8Array.of(9) }]);
  await assert.rejects(kv.get('a'), /the value of a in the table key-value store is damaged/);
  const stop = new AbortController();
  for await (const { key } of kv.watch('', stop.signal)) {
    assert.equal(key, 'b');
    stop.abort();
  }
  await kv.put('a', Uint8Array.of(1));
  assert.deepEqual([...(await kv.get('a'))!.value], [1]);
});

test('table: a look of a watch is one query, however many small values changed', async () => {
  const store = new MemoryTableStore();
  const writer = open(store);
  const client = new CountingTableClient(store.client);
  const watcher = open({ client, admin: store.admin, limits: store.limits });
  const keys = Array.from({ length: 50 }, (_, i) => `row-${String(i).padStart(2, '0')}`);
  const change = (round: number) => Promise.all(keys.map((key) => writer.put(key, Uint8Array.of(round))));
  await change(1);
  const stop = new AbortController();
  const seen: string[] = [];
  const looksBefore: number[] = [];
  for await (const { key, value } of watcher.watch('row-', stop.signal)) {
    seen.push(`${key}=${value[0]}`);
    if (seen.length % keys.length !== 0) continue;
    looksBefore.push(client.counts.queries);
    if (looksBefore.length === 2) stop.abort();
    else await change(2);
  }
  assert.deepEqual(seen, [...keys.map((key) => `${key}=1`), ...keys.map((key) => `${key}=2`)]);
  assert.deepEqual(looksBefore, [1, 2]);
});
