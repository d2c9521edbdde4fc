import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RangeRequest } from '../contract/query.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import { NO_LIMITS, PartsBudget } from './parts-budget.ts';
import { testSteps } from './test-answers.ts';

const NONE = { ...NO_LIMITS, samplesMax: 1e6, maxQueryResponseSize: 0 };
const NO_MEMORY = { addMemory() {}, close() {} };

test('each part is told what the others have used', () => {
  const budget = new PartsBudget(NO_MEMORY, { ...NONE, samplesMax: 100 });
  budget.add(testSteps(1, 10, { fetchedChunks: 3, fetchedChunkBytes: 300, fetchedBytes: 40 }));
  budget.add(testSteps(2, 10, { fetchedChunks: 4, fetchedChunkBytes: 400, fetchedBytes: 50 }));
  assert.deepEqual(budget.used, { chunks: 7, chunkBytes: 700, fetchedBytes: 90 });
  const request: Pick<RangeRequest, 'used'> = { used: budget.used };
  const limits = { ...DEFAULT_LIMITS, maxFetchedChunksPerQuery: 10 };
  const part = new LimitedBudget(limits, undefined, request.used);
  part.addChunks(3, 100);
  assert.throws(() => part.addChunks(1, 100), /at least 11 chunks, more than 10 \(max_fetched_chunks_per_query\)/);
});

test('parts that began together are held against the limits together', () => {
  const read = { fetchedChunks: 6, fetchedChunkBytes: 600, fetchedBytes: 60 };
  const limited = (limits: Partial<typeof NONE>) => {
    const budget = new PartsBudget(NO_MEMORY, { ...NONE, ...limits });
    budget.add(testSteps(1, 10, read));
    budget.add(testSteps(1, 10, read));
  };
  limited({ maxFetchedChunksPerQuery: 12, maxFetchedChunkBytesPerQuery: 1200, maxFetchedDataBytesPerQuery: 120 });
  assert.throws(
    () => limited({ maxFetchedChunksPerQuery: 11 }),
    /at least 12 chunks, more than 11 \(max_fetched_chunks_per_query\)/,
  );
  assert.throws(
    () => limited({ maxFetchedChunkBytesPerQuery: 1199 }),
    /at least 1200 bytes of chunks, more than 1199 \(max_fetched_chunk_bytes_per_query\)/,
  );
  assert.throws(
    () => limited({ maxFetchedDataBytesPerQuery: 119 }),
    /at least 120 bytes, more than 119 \(max_fetched_data_bytes_per_query\)/,
  );
});

test('points and memory of all parts together are bounded', () => {
  const many = new PartsBudget(NO_MEMORY, { ...NONE, samplesMax: 100 });
  many.add(testSteps(9, 10));
  assert.throws(
    () => many.add(testSteps(2, 10)),
    /\(more than 100, querier.max-samples\): its answer has at least 110$/,
  );

  const long = new PartsBudget(NO_MEMORY, { ...NONE, maxQueryResponseSize: 1700 });
  long.add(testSteps(9, 10));
  assert.throws(() => long.add(testSteps(2, 10)), /at least 1870 bytes, more than 1700 \(max_query_response_size\)/);

  const held = new LimitedBudget({ ...DEFAULT_LIMITS, maxQueryMemoryBytes: 10_000 });
  const large = new PartsBudget(held, NONE);
  large.add(testSteps(5, 10));
  assert.throws(() => large.add(testSteps(5, 100)), /max_query_memory_bytes/);
  large.close();
  assert.equal(held.memoryBytes, 0);
});
