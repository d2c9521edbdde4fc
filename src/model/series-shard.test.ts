import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeLabels } from './canonical.ts';
import { Labels } from './labels.ts';
import { labelsHash } from './labels-hash.ts';
import { isSeriesShard, SERIES_SHARDS_MAX, shardHas, shardTouches } from './series-shard.ts';

const hashes = Array.from({ length: 1000 }, (_, i) =>
  labelsHash(encodeLabels(Labels.of({ __name__: 'up', instance: `host-${i}` }))),
);

test('each series is in one shard of any count, and only in parts that the shard touches', () => {
  for (const count of [1, 2, 3, 4, 6, 255, SERIES_SHARDS_MAX]) {
    const shards = Array.from({ length: count }, (_, index) => ({ index, count }));
    for (const hash of hashes) {
      const having = shards.filter((shard) => shardHas(shard, hash));
      assert.equal(having.length, 1);
      for (const parts of [1, 2, 3, 16, 4096]) assert.ok(shardTouches(having[0]!, hash % parts, parts));
    }
  }
  assert.ok(Math.max(...hashes) > 2 ** 31, 'the highest bit makes no difference');
});

test('of at least as many parts as shards each part is of one shard', () => {
  for (let part = 0; part < 16; part++) {
    const touching = [0, 1, 2, 3].filter((index) => shardTouches({ index, count: 4 }, part, 16));
    assert.deepEqual(touching, [part % 4]);
  }
});

test('of counts that are no power of two shards have series alike', () => {
  for (const index of [0, 1, 2]) {
    const { length } = hashes.filter((hash) => shardHas({ index, count: 3 }, hash));
    assert.ok(length > 280 && length < 390, `${length}`);
  }
});

test('shards are counted from 0, up to a bound', () => {
  assert.ok(isSeriesShard({ index: 0, count: 1 }) && isSeriesShard({ index: 255, count: 256 }));
  assert.ok(isSeriesShard({ index: 2, count: 3 }));
  for (const [index, count] of [
    [0, 0],
    [3, 3],
    [0, 257],
    [2, 2],
    [-1, 2],
    [0.5, 2],
    [0, 512],
    [0, 2 ** 32],
    [0, Number.NaN],
  ] as const) {
    assert.ok(!isSeriesShard({ index, count }), `${index} of ${count}`);
  }
});
