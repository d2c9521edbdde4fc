import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ingesterConfig } from '../../ingester/config.ts';
import { defaultsOf } from '../../kit/config/section.ts';
import type { Logger } from '../../kit/observe/log.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { decodeRow, rowKey } from '../../ring/row.ts';
import { TestWorld } from '../../ring/test-world.ts';
import type { ClusterNode } from './cluster-node.ts';
import { MemberService, type MemberServiceOptions } from './member-service.ts';

const DRAIN_MS = 60_000;

type Node = TestWorld['nodes'][number];

async function begun(members: number): Promise<TestWorld> {
  const world = new TestWorld(1);
  for (let i = 0; i < members; i++) world.add();
  await world.run(30_000);
  return world;
}

/** The end of a member's process that drains. */
function end({ member, clock }: Node, onOver = () => {}) {
  const warnings: string[] = [];
  const say = (_: unknown, text: string) => warnings.push(text);
  const log = { ...silentLogger, warn: say, error: say } as unknown as Logger;
  const service = new MemberService({
    cluster: { member, isComingBack: false } as unknown as ClusterNode,
    config: { ...defaultsOf(ingesterConfig), drainOnShutdown: true, drainTimeoutMs: DRAIN_MS },
    log,
    clock,
  } as unknown as MemberServiceOptions);
  const state = { isOver: false, warnings };
  const deadline = new AbortController();
  void service.stop({ signal: deadline.signal, progress: () => {} }).then(() => {
    state.isOver = true;
    onOver();
  });
  return { state, deadline };
}

for (const [what, run] of [
  ['of one that is told to end', 0],
  ['of one that drains already', 30_000],
] as const) {
  test(`the end ${what} waits until the store has all that it held`, async () => {
    const world = await begun(5);
    const node = world.nodes[1]!;
    if (run > 0) {
      node.member!.drain();
      await world.run(run);
      assert.equal(node.member!.standing, 'drained');
    }
    const { state } = end(node);
    await world.run(30_000);
    assert.deepEqual([state.isOver, node.member!.standing, node.member!.wants], [false, 'drained', 'drain']);
    world.flush(node);
    await world.run(20_000);
    assert.deepEqual([state, node.member!.standing], [{ isOver: true, warnings: [] }, 'out']);
    await world.end();
  });
}

test('one that was taken out ends when the store has all that it held', async () => {
  const world = await begun(5);
  const node = world.nodes[1]!;
  const { id } = node.member!;
  await world.nodes[0]!.member!.change({ kind: 'remove', id }, { force: true });
  await world.run(30_000);
  assert.deepEqual([node.member!.standing, node.member!.wants], ['out', 'nothing']);
  const { state } = end(node);
  await world.run(10_000);
  assert.deepEqual([state.isOver, node.member!.wants], [false, 'drain']);
  node.member!.leave();
  await world.run(10_000);
  assert.equal(state.isOver, true);
  await world.end();
});

test('draining takes its own time only: what ends after it has the rest', async () => {
  const world = await begun(5);
  const { state, deadline } = end(world.nodes[1]!);
  await world.run(DRAIN_MS - 10_000);
  assert.equal(state.isOver, false);
  await world.run(20_000);
  assert.equal(state.isOver, true);
  assert.equal(deadline.signal.aborted, false);
  assert.deepEqual(state.warnings, ['not drained in time: what it held is in its log, and the wish to drain stays']);
  assert.equal(world.nodes[1]!.member!.wants, 'drain');
  await world.end();
});

test('one that nobody could take over from ends at once, and is a member when it comes back', async () => {
  const few = await begun(3);
  const { state } = end(few.nodes[0]!);
  await few.run(1000);
  assert.deepEqual(
    [state, few.nodes[0]!.member!.wants],
    [{ isOver: true, warnings: ['not drained: what it holds is in its log'] }, 'join'],
  );
  await few.end();

  // all are told to end at once, and one may go
  const world = await begun(4);
  const ends = world.nodes.map((node) => ({ node, ...end(node) }));
  await world.run(30_000);
  const over = ends.filter((each) => each.state.isOver);
  assert.equal(over.length, 3);
  for (const { node } of over) assert.deepEqual([node.member!.standing, node.member!.wants], ['member', 'join']);
  await world.end();
});

for (const [what, lostAnswers] of [
  ['', 0],
  [', also where answers of the store are lost', 0.5],
] as const) {
  test(`one that takes its drain back ends when the store has that${what}`, async () => {
    const world = await begun(4);
    world.kv.lostAnswers = lostAnswers;
    const told: (string | undefined)[] = [];
    for (const node of world.nodes) {
      const key = rowKey(node.member!.id);
      end(node, () => {
        const { wants } = decodeRow(key, world.kv.saved().get(key)!.value)!;
        told.push(wants);
        // it is down
        void world.crash(node);
      });
    }
    await world.run(DRAIN_MS / 2, 100);
    assert.deepEqual(told, ['join', 'join', 'join']);
    await world.end();
  });
}

test('one whose disk takes no wish to drain ends as others do', async () => {
  const world = await begun(5);
  const node = world.nodes[1]!;
  node.disk.writeWhole = () => {
    throw new Error('no space left');
  };
  const { state } = end(node);
  await world.run(1000);
  assert.deepEqual(state, {
    isOver: true,
    warnings: ['not drained: its wish could not be kept, and what it holds is in its log'],
  });
  assert.equal(node.member!.wants, 'join');
  await world.end();
});
