import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CountingTableClient } from './counting.ts';
import { MemoryTableStore } from './memory.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const row = (range: string, value: string) => ({ hash: bytes('h'), range: bytes(range), value: bytes(value) });

test('rows and their bytes are counted as they pass', async () => {
  const store = new MemoryTableStore();
  await store.create('t');
  const client = new CountingTableClient(store);
  await client.write('t', [row('a', '123'), row('b', '4')]);
  assert.equal(await client.compareAndSet('t', row('c', ''), undefined, bytes('56')), true);
  assert.equal(await client.compareAndSet('t', row('c', ''), undefined, bytes('78')), false);
  for await (const _ of client.query({ table: 't', hash: bytes('h'), prefix: bytes('a') }));
  for await (const _ of client.query({ table: 't', hash: bytes('none') }));
  await client.delete('t', [row('a', '')]);
  assert.deepEqual(
    { ...client.counts },
    { queries: 2, rowsRead: 1, bytesRead: 5, rowsWritten: 3, bytesWritten: 12, rowsDeleted: 1 },
  );
});
