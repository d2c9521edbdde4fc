import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CountingObjectClient } from '../object/counting.ts';
import { MemoryObjectClient } from '../object/memory.ts';
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

test('objects and their bytes are counted as they pass', async () => {
  const client = new CountingObjectClient(new MemoryObjectClient());
  await client.put('a/b', bytes('12345'));
  await client.get('a/b');
  await client.getRange('a/b', 3, 10);
  await assert.rejects(client.get('a/c'));
  for await (const _ of client.list('a'));
  await client.delete('a/b');
  assert.deepEqual(
    { ...client.counts },
    { objectsRead: 2, bytesRead: 7, objectsWritten: 1, bytesWritten: 5, objectsListed: 1, objectsDeleted: 1 },
  );
});
