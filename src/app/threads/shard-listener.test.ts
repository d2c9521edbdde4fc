import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import type { HeldDays } from '../../distributor/late-samples.ts';
import { HeldRange } from '../../ingester/head/held-range.ts';
import type { OwnShardRole } from '../../ingester/shard/shard-role.ts';
import { testFrames } from '../../ingester/shard/test-frames.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { RpcServer } from '../../kit/rpc/server.ts';
import { serve } from '../../kit/thread/channel.ts';
import { systemClock } from '../../lib/clock.ts';
import { RemoteMembers } from '../../peer/remote-members.ts';
import type { ListenerHostRole, MemberStanding } from '../cluster/listener-roles.ts';
import { NO_CREDENTIALS } from '../cluster/test-credentials.ts';
import { ShardListener } from './shard-listener.ts';

const DAY_MS = 86_400_000;
const STAMP = { number: 1, hash: 'one' };
const STANDING: MemberStanding = {
  change: 1,
  ...STAMP,
  writing: 1,
  refused: undefined,
  readsUntilMs: Number.POSITIVE_INFINITY,
};
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
const SELF = { name: 'member', cluster: {} };

/** The listener in this thread, before a shard that says of all samples that they are three days old. Its time stands still. */
async function run(t: TestContext, host: Partial<ListenerHostRole>) {
  // keeps the port, as the main thread's does; nobody connects to it
  const keeper = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    sharing: 'first',
    self: SELF,
    security: () => ({}),
    role: {},
    clock: systemClock,
    log: silentLogger,
  });
  await keeper.start();
  keeper.leavePort();
  let monotonicMs = 0;
  const nowMs = 1000 * DAY_MS;
  const clock = { ...systemClock, nowMs: () => nowMs + monotonicMs, monotonicMs: () => monotonicMs };
  const { port1, port2 } = new MessageChannel();
  serve(port1, { standing: () => STANDING, ...host });
  const change = new Int32Array(new SharedArrayBuffer(4));
  Atomics.store(change, 0, 1);
  const shard = {
    take: async () => ({
      result: { counts: [], exemplarsLost: 0, unknown: [], lateMs: nowMs - 3 * DAY_MS },
      keysTaken: true,
      tenantSeries: 0,
    }),
  } as unknown as OwnShardRole;
  const listener = new ShardListener(
    {
      host: '127.0.0.1',
      port: keeper.port,
      peers: { self: SELF, files: NO_CREDENTIALS },
      methods: [],
      change: change.buffer as SharedArrayBuffer,
      calls: port2,
    },
    { shard, held: HeldRange.everything(), lateAfterMs: DAY_MS, clock, log: silentLogger },
  );
  await listener.start();
  const members = new RemoteMembers({ self: { name: 'front', cluster: {} }, security: () => ({}), clock: systemClock });
  t.after(async () => {
    members.close();
    await listener.stop();
    await keeper.stop();
    port1.close();
  });
  const frames = testFrames([{ labels: { __name__: 'm' }, samples: [[nowMs, 1]] }]);
  const member = members.at(`127.0.0.1:${keeper.port}`);
  return {
    member,
    change,
    push: () => member.push({ tenant: 't', frames, limits: LIMITS, version: STAMP, writing: 1 }),
    wait(ms: number) {
      monotonicMs += ms;
    },
  };
}

test('late samples are noted until their days are held, and again after half a second or when they are held no more', async (t) => {
  let notes = 0;
  let held: HeldDays | undefined;
  const { push, wait } = await run(t, {
    noteLate: async () => {
      notes++;
      return held;
    },
  });
  await push();
  await push();
  assert.equal(notes, 2);
  held = { firstDay: 0, lastDay: 10_000, forMs: 60_000, untilWallMs: Number.POSITIVE_INFINITY };
  for (let i = 0; i < 3; i++) await push();
  assert.equal(notes, 3);
  wait(499);
  await push();
  assert.equal(notes, 3);
  wait(1);
  held = { ...held, forMs: 100 };
  for (let i = 0; i < 2; i++) await push();
  assert.equal(notes, 4);
  wait(100);
  await push();
  assert.equal(notes, 5);
});

test('a read that nobody waits for any more asks no more what holds', async (t) => {
  let asks = 0;
  let asked = () => {};
  const { member, change } = await run(t, {
    standing: () => {
      asks++;
      if (asks === 10) asked();
      return STANDING;
    },
  });
  const isAsking = new Promise<void>((resolve) => {
    asked = resolve;
  });
  // what it is told is never what holds
  Atomics.store(change, 0, 2);
  const left = new AbortController();
  const read = member.metadata('t', STAMP, left.signal);
  await isAsking;
  left.abort(new Error('nobody waits'));
  await assert.rejects(read, /nobody waits/);
  for (let before = -1; before !== asks; ) {
    before = asks;
    await systemClock.sleep(100);
  }
});
