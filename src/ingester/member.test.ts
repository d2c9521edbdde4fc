import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FramePush } from '../contract/ingest.ts';
import type { MemberPush } from '../contract/member.ts';
import { membersOf, ringOf, viewOf } from '../ring/test-ring.ts';
import { FrameEncoder } from '../wire/frame-columns.ts';
import { FrameView } from '../wire/frames.ts';
import { IngesterMember } from './member.ts';
import type { ShardCalls } from './shard/shard-messages.ts';
import { testFrames } from './shard/test-frames.ts';

const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };

/** A member whose shards note what they are handed, and know of no series that a frame names. */
function member(shards: number, isSpread: boolean) {
  const pushes: (FramePush & { readonly shard: number; readonly content: Uint8Array })[] = [];
  const calls = Array.from({ length: shards }, (_, shard) => ({
    async call(_: string, request: FramePush) {
      const content = new Uint8Array(request.frames, 0, request.bytes).slice();
      pushes.push({ ...request, shard, content });
      const unknown = request.areBlocks || request.bytes === 0 ? [] : [0];
      const counts = [0, 0, 0, 0, 0, 0];
      const result = { counts, unknown, histogramsLost: 0, exemplarsLost: 0, refused: 0, first: undefined };
      return { result, frames: request.frames, keysTaken: true, tenantSeries: 7 };
    },
  }));
  const first = ringOf(membersOf(3, 3), 64, 3);
  const sizes = new Map([['t', { buckets: 64, splits: new Map() }]]);
  const version = isSpread ? { ...first, tenants: sizes } : first;
  const view = viewOf(version);
  const ring = { current: () => view, onChange: () => () => {} };
  const target = new IngesterMember({ shards: () => calls as unknown as ShardCalls[], ring });
  const stamp = { number: view.newest.number, hash: view.hash };
  const push = (frames: Uint8Array, areBlocks = false) => {
    const request: MemberPush = { tenant: 't', frames, areBlocks, limits: LIMITS, version: stamp, writing: 1 };
    return target.push(request);
  };
  return { push, pushes };
}

const frames = testFrames(
  Array.from({ length: 40 }, (_, i) => ({ labels: { __name__: `m_${i}` }, samples: [[1_790_000_000_000, i]] })),
);

test('blocks go to the only shard that has a tenant as they came, those of a tenant in several are read and split', async () => {
  const blocks = new FrameEncoder().encode(frames);
  for (const shards of [1, 4]) {
    const { push, pushes } = member(shards, false);
    const answer = await push(blocks, true);
    assert.deepEqual([answer.tenantSeries, answer.unknown], [7, []]);
    assert.equal(pushes.length, 1);
    assert.deepEqual([pushes[0]!.areBlocks, pushes[0]!.content], [true, blocks]);
  }
  const { push, pushes } = member(4, true);
  const { unknown } = await push(blocks, true);
  assert.equal(pushes.length, 4);
  const found = new Set<string>();
  let bytes = 0;
  for (const { areBlocks, content } of pushes) {
    assert.equal(areBlocks, false);
    bytes += content.length;
    for (const frame = new FrameView(content); frame.next(); ) found.add(Buffer.from(frame.bytes).toString('hex'));
  }
  assert.deepEqual([found.size, bytes], [40, frames.length]);
  // the first of each part, by its number in the request
  const all: string[] = [];
  for (const frame = new FrameView(frames); frame.next(); ) all.push(Buffer.from(frame.bytes).toString('hex'));
  const firsts = pushes.map(({ content }) => {
    const frame = new FrameView(content);
    frame.next();
    return all.indexOf(Buffer.from(frame.bytes).toString('hex'));
  });
  assert.deepEqual(
    unknown,
    firsts.sort((a, b) => a - b),
  );
});

test('blocks that are none are refused, whoever reads them', async () => {
  const { push, pushes } = member(4, true);
  await assert.rejects(push(new Uint8Array([1, 2, 3]), true), { reason: 'peer_message_invalid' });
  assert.equal(pushes.length, 0);
});

test('a push without frames tells how many series there are, with one shard too', async () => {
  const { push } = member(1, false);
  assert.equal((await push(new Uint8Array(0))).tenantSeries, 7);
});
