import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { CountingObjectClient } from './counting.ts';
import { MemoryObjectClient } from './memory.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

test('objects and their bytes are counted as they pass', async () => {
  const client = new CountingObjectClient(new MemoryObjectClient(systemClock));
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
