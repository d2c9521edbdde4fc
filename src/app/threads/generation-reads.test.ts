import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countedRead, GenerationReads } from './generation-reads.ts';

test('a tenant is unread while nobody reads, and until somebody begins', async () => {
  const reads = new GenerationReads();
  const workers = [0, 1].map((index) => new Int32Array(reads.ofWorker(index)));
  const unread = reads.unread('a');
  assert.notEqual(unread, undefined);
  await countedRead(workers[1]!, 'b', async () => {});
  assert.equal(reads.unread('a'), unread);

  const { promise, resolve } = Promise.withResolvers<void>();
  const reading = countedRead(workers[1]!, 'a', () => promise);
  assert.equal(reads.unread('a'), undefined);
  await countedRead(workers[0]!, 'a', async () => {});
  assert.equal(reads.unread('a'), undefined);
  resolve();
  await reading;
  const after = reads.unread('a');
  assert.notEqual(after, undefined);
  assert.notEqual(after, unread);
  await assert.rejects(countedRead(workers[0]!, 'a', () => Promise.reject(new Error('away'))));
  assert.notEqual(reads.unread('a'), after);
});

test('nothing is unread across the start of a worker, which may have been reading', async () => {
  const reads = new GenerationReads();
  const counts = new Int32Array(reads.ofWorker(0));
  const unread = reads.unread('a');
  void countedRead(counts, 'a', () => new Promise(() => {}));
  assert.equal(reads.unread('a'), undefined);
  reads.ofWorker(0);
  assert.notEqual(reads.unread('a'), unread);
});
