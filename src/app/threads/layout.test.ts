import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadLayout } from './layout.ts';

const layout = (processors: number, shards = 0, edgeWorkers = 0, workers = 0) =>
  threadLayout({ ingester: { shards }, distributor: { edgeWorkers }, querier: { workers } }, processors);

test('threads go by the processors', () => {
  assert.deepEqual(layout(1), {
    shards: 1,
    edges: 1,
    edgeWithinShard: true,
    queryThreads: 2,
    queryThreadsMin: 1,
    directQueries: 32,
  });
  assert.deepEqual([layout(2).shards, layout(2).edgeWithinShard], [1, true]);
  assert.deepEqual([layout(3).shards, layout(3).edgeWithinShard], [2, false]);
  assert.deepEqual(layout(64), {
    shards: 8,
    edges: 4,
    edgeWithinShard: false,
    queryThreads: 32,
    queryThreadsMin: 1,
    directQueries: 4,
  });
});

test('what is configured is what there is', () => {
  assert.deepEqual(layout(64, 3, 2, 5), {
    shards: 3,
    edges: 2,
    edgeWithinShard: false,
    queryThreads: 5,
    queryThreadsMin: 5,
    directQueries: 4,
  });
  assert.equal(layout(2, 2).edgeWithinShard, false, 'an edge within one of several shards');
  assert.equal(layout(2, 1, 1).edgeWithinShard, false, 'an edge thread was asked for');
  assert.equal(layout(64, 1).edgeWithinShard, false);
});
