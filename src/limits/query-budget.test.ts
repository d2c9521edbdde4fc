import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LimitedBudget, SharedMemory } from './query-budget.ts';

const LIMITS = { maxFetchedSeriesPerQuery: 0, maxFetchedDataBytesPerQuery: 0, maxQueryMemoryBytes: 1000 };

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
