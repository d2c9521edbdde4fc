import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from './limits.ts';
import { LimitedBudget, SharedMemory } from './query-budget.ts';

const LIMITS = { ...DEFAULT_LIMITS, maxQueryMemoryBytes: 1000 };

test('chunks are limited in number and in bytes', () => {
  const limits = { ...LIMITS, maxFetchedChunksPerQuery: 3, maxFetchedChunkBytesPerQuery: 100 };
  const budget = new LimitedBudget(limits);
  budget.addChunks(2, 50);
  budget.addChunks(1, 50);
  assert.throws(() => budget.addChunks(1, 0), /at least 4 chunks, more than 3 \(max_fetched_chunks_per_query\)/);
  const bytes = new LimitedBudget(limits);
  assert.throws(
    () => bytes.addChunks(1, 101),
    /101 bytes of chunks, more than 100 \(max_fetched_chunk_bytes_per_query\)/,
  );
  new LimitedBudget({ ...limits, maxFetchedChunksPerQuery: 0, maxFetchedChunkBytesPerQuery: 0 }).addChunks(1e9, 1e12);
});

test('queries of a thread share its memory: who holds more than a share is refused, others go on', () => {
  const shared = new SharedMemory(1150);
  const [large, small, third] = [1, 2, 3].map(() => new LimitedBudget(LIMITS, shared)) as [
    LimitedBudget,
    LimitedBudget,
    LimitedBudget,
  ];
  large.addMemory(800);
  small.addMemory(100);
  third.addMemory(50);
  assert.throws(() => large.addMemory(30), /querier\.worker-heap-mb/);
  // what does not fit one query is a matter of its own limit
  assert.throws(() => large.addMemory(300), /max_query_memory_bytes/);
  small.addMemory(150);
  large.close();
  assert.equal(large.memoryBytes, 0);
  small.addMemory(550);
  third.close();
  small.close();
  const again = new LimitedBudget(LIMITS, shared);
  again.addMemory(820);
});
