import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadSelect, IngesterClient } from '../contract/ingester.ts';
import type { ReplicaLoss } from '../contract/replica.ts';
import { membersOf, ringOf } from '../ring/test-ring.ts';
import { encodeVersion, hashOfVersion } from '../ring/version.ts';
import { type RingSource, RingView } from '../ring/view.ts';
import { Replica } from './replica.ts';

const { signal } = new AbortController();
const SELECT: HeadSelect = { tenant: 't', matchers: [], startMs: 0, endMs: 1, labelsOnly: false };

function replicaOf(number: number, refusing?: () => string | undefined) {
  const newest = { ...ringOf(membersOf(3, 3), 16, 3), number };
  const hash = hashOfVersion(encodeVersion(newest));
  const view = new RingView({ chain: [newest], hash, confirmed: number, words: new Map(), wordMs: 0 });
  const ring: RingSource = { current: () => view, onChange: () => () => {} };
  const did: string[] = [];
  const shards: IngesterClient & { losses(): Promise<readonly ReplicaLoss[]> } = {
    async *select() {
      did.push('select');
      try {
        for (let i = 0; i < 3; i++) yield { bytes: Uint8Array.of(i), alone: true, warnings: [] };
      } finally {
        did.push('closed');
      }
    },
    labels: async () => ['a'],
    metadata: async () => [],
    exemplars: async () => [],
    headStats: async () => undefined,
    async losses() {
      did.push('losses');
      return [{ text: 'lost', settled: true }];
    },
  };
  return { replica: new Replica({ ring, shards, ...(refusing && { refusing }) }), did, stamp: { number, hash } };
}

test('what shards hold is asked for before what they lost, and an answer that nobody reads is closed', async () => {
  const { replica, did, stamp } = replicaOf(1);
  const { value, losses, newer } = await replica.select(SELECT, stamp, signal);
  assert.deepEqual([did, losses.length, newer], [['select', 'losses'], 1, undefined]);
  const found: number[] = [];
  for await (const [byte] of value) found.push(byte!);
  assert.deepEqual(found, [0, 1, 2]);
  const unread = await replica.select(SELECT, stamp, signal);
  await unread.value[Symbol.asyncIterator]().return!();
  assert.deepEqual(did.slice(-3), ['select', 'losses', 'closed']);
});

test('a caller of an older version hears of the newer one, and one of a version that is not known here is refused', async () => {
  const { replica, stamp } = replicaOf(5);
  const older = await replica.labels(
    { tenant: 't', matchers: [], startMs: 0, endMs: 1 },
    { number: 4, hash: 'x' },
    signal,
  );
  assert.deepEqual(older.newer, stamp);
  for (const unknown of [
    { number: 6, hash: stamp.hash },
    { number: 5, hash: 'x' },
  ]) {
    await assert.rejects(replica.metadata('t', unknown, signal), /version \d of the ring/);
  }
});

test('a member that was taken out answers nothing, and tells callers of an older version whom to ask', async () => {
  const { replica, stamp } = replicaOf(5, () => 'it is no member of the ring any more');
  await assert.rejects(replica.select(SELECT, stamp, signal), /it is no member of the ring any more/);
  const { newer } = await replica.labels(
    { tenant: 't', matchers: [], startMs: 0, endMs: 1 },
    { number: 4, hash: 'x' },
    signal,
  );
  assert.deepEqual(newer, stamp);
});
