import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlockKind } from '../chunk/group/header.ts';
import { StoredWeights } from './stored-weights.ts';

test('samples and bytes of a group are dealt out to its metrics by their series', () => {
  let heldBytes = 0;
  const weights = new StoredWeights({
    addMemory(bytes) {
      heldBytes += bytes;
    },
  });
  const block = (kind: BlockKind, first: number, count: number, bytes: number) => ({
    ...{ kind, first, count, bytes, rawBytes: bytes, offset: 0, crc: 0, timesFirst: 0, timesLast: 0 },
  });
  const header = {
    ...{ windowStartMs: 0, windowMs: 7_200_000, firstMs: 5, lastMs: 10, bodyBytes: 100 },
    ...{ seriesCount: 4, sampleCount: 400, digest: new Uint8Array(16) },
    metrics: [
      { name: 'requests', first: 0, count: 3 },
      { name: 'up', first: 3, count: 1 },
    ],
    blocks: [block(1, 0, 4, 40), block(2, 0, 1, 4), block(3, 0, 2, 30), block(3, 2, 2, 10), block(5, 3, 1, 16)],
  };
  weights.add(header, () => true);
  // labels 30 and 10, times 3 and 1, values 30 + 5 and 5, starts 16
  assert.deepEqual(Object.fromEntries(weights.byMetric), {
    requests: { samples: 300, bytes: 68, lastMs: 10 },
    up: { samples: 100, bytes: 32, lastMs: 10 },
  });
  const entriesBytes = heldBytes;
  assert.ok(entriesBytes > 200, `${entriesBytes}`);
  // each metric is stored as far as its own groups are
  weights.add({ ...header, lastMs: 20 }, (name) => name === 'up');
  weights.add({ ...header, lastMs: 7 }, (name) => name === 'up');
  assert.deepEqual(weights.byMetric.get('requests'), { samples: 300, bytes: 68, lastMs: 10 });
  assert.deepEqual(weights.byMetric.get('up'), { samples: 300, bytes: 96, lastMs: 20 });
  assert.equal(heldBytes, entriesBytes);
});
