import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MemberAnswer, MemberPush } from '../../contract/member.ts';
import { HeldRange } from '../../ingester/head/held-range.ts';
import { testFrames } from '../../ingester/shard/test-frames.ts';
import { FolderHold } from '../../kit/folder/hold.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import type { MetricSource } from '../../kit/observe/metrics.ts';
import { RpcServer } from '../../kit/rpc/server.ts';
import { Channel, connectInThread } from '../../kit/thread/channel.ts';
import { WorkerThread } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import type { AppError } from '../../model/errors.ts';
import { writeErrors } from '../../model/errors-write.ts';
import { memberRole } from '../../peer/member-role.ts';
import { RemoteMembers } from '../../peer/remote-members.ts';
import { memberOf, ringOf, after as versionAfter, viewOf } from '../../ring/test-ring.ts';
import type { RingView } from '../../ring/view.ts';
import { SliceView } from '../../wire/slices.ts';
import type { ListenerHostRole, ListenRequest } from '../cluster/listener-roles.ts';
import { NO_CREDENTIALS } from '../cluster/test-credentials.ts';
import { HandedListener, type ShardThread } from './handed-listener.ts';
import type { ShardThreadRole } from './shard-thread-role.ts';
import type { ShardData } from './shard-worker.ts';

const NOW_MS = Date.now();
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
const { signal } = new AbortController();

/** A shard in a thread that listens, and the main thread beside it: here, with a ring that the test moves. */
async function run(t: TestContext, wrong: Partial<ListenRequest>[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-handed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const hold = FolderHold.draw(join(folder, 'lock'));
  writeFileSync(hold.file, JSON.stringify({ nonce: hold.nonce }));
  let view = viewOf(
    ringOf(
      [0, 1, 2].map((i) => memberOf(i, 3)),
      64,
      3,
    ),
  );
  const listeners = new Set<(view: RingView) => void>();
  const gates: { writes: string | undefined; reads: string | undefined } = { writes: undefined, reads: undefined };
  const main = { pushes: 0, notes: 0, meets: 0 };
  const metrics: MetricSource[] = [];
  const target = {
    async push({ writing }: MemberPush): Promise<MemberAnswer> {
      main.pushes++;
      if (gates.writes !== undefined) throw writeErrors.ownerAway({ reason: gates.writes });
      return { exemplarsLost: 0, unknown: [], keysTaken: writing > 0 };
    },
    setMetadata: async () => ({ refused: {} }),
  };
  const role = {
    ...memberRole({ target }),
    meet: async ({ head }: { readonly head: unknown }) => {
      main.meets++;
      return { head };
    },
    fail: async () => Promise.reject(writeErrors.ownerAway({ reason: 'as asked' })),
  };
  const server = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    sharing: 'first',
    self: { name: 'member', cluster: {} },
    security: () => ({}),
    role,
    clock: systemClock,
    log: silentLogger,
  });
  await server.start();
  let follower = (_: ShardThread) => {};
  let onGone = () => {};
  const begin = () => {
    const data: ShardData = {
      held: HeldRange.everything().buffer,
      hold,
      folder: join(folder, 'shard-0'),
      windowMs: 7_200_000,
      headBytesMax: 1 << 28,
      seriesSecret: new Uint8Array(16),
      fsync: 'interval',
      fsyncIntervalMs: 60_000,
      keepFlushedMs: 60_000,
      walAgeMaxMs: 86_400_000,
      machineRun: undefined,
      lateAfterMs: 86_400_000,
    };
    const url = new URL('./shard-worker.ts', import.meta.url);
    const thread = WorkerThread.start<ShardThreadRole>({ name: 'shard-0', url, data });
    void thread.gone.then(() => onGone());
    follower(thread);
    return thread;
  };
  let thread = begin();
  const handed = new HandedListener({
    cluster: {
      current: () => view,
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      handedListener: () => ({
        host: '127.0.0.1',
        port: server.port,
        peers: { self: { name: 'member', cluster: {} }, files: NO_CREDENTIALS },
        ...wrong.shift(),
        methods: Object.keys(role),
      }),
      answerHanded: (method, ...asked) => role[method as keyof typeof role](asked[0]),
      addMetrics: (source) => metrics.push(source),
      leavePort: () => server.leavePort(),
      takePort: () => server.takePort(),
    },
    member: { writeGate: () => gates.writes, readGate: () => gates.reads },
    follow(begun) {
      follower = begun;
      begun(thread);
      return () => {
        follower = () => {};
      };
    },
    target,
    reads: () => ({ refused: undefined, untilMs: Number.POSITIVE_INFINITY }),
    noteLate: async () => {
      main.notes++;
      return undefined;
    },
    log: silentLogger,
    clock: systemClock,
    random: () => 0,
  });
  handed.start();
  const members = new RemoteMembers({ self: { name: 'front', cluster: {} }, security: () => ({}), clock: systemClock });
  const member = members.at(`127.0.0.1:${server.port}`);
  t.after(async () => {
    members.close();
    await handed.stop({ signal });
    await thread.terminate();
    await server.stop({ signal: AbortSignal.abort(), progress: () => {} });
  });
  const stamp = () => ({ number: view.newest.number, hash: view.hash });
  let pushes = 0;
  return {
    handed,
    server,
    member,
    main,
    gates,
    push(ageMs = 0) {
      const samples = [[NOW_MS - ageMs + pushes++, pushes]] as const;
      const frames = testFrames([0, 1].map((i) => ({ labels: { __name__: 'm', i: `${i}` }, samples })));
      return member.push({ tenant: 't', frames, limits: LIMITS, version: stamp(), writing: view.confirmed });
    },
    /** Samples of all series. */
    async count() {
      const matchers = [{ name: '__name__', op: '=' as const, value: 'm' }];
      const asked = { tenant: 't', matchers, startMs: 0, endMs: NOW_MS + 60_000, labelsOnly: false };
      const { newer, value } = await member.select({ ...asked, shard: undefined }, stamp(), signal);
      let samples = 0;
      for await (const bytes of value) {
        for (const series = new SliceView(bytes); series.next(); ) {
          for (const chunk of series.chunks) samples += (chunk.bytes[0]! << 8) | chunk.bytes[1]!;
        }
      }
      return newer === undefined ? samples : 'newer';
    },
    /** Pushes that the shard's threads answered. */
    async pushesThere() {
      const all = await Promise.all(metrics.map((source) => source().catch(() => [])));
      const found = all
        .flat()
        .filter(({ name }) => name === 'pallium_peer_served_requests_total' || name === 'peer_served_requests_total');
      const values = found.flatMap(
        (each) => (each as unknown as { values: { value: number; labels: { method?: string } }[] }).values,
      );
      return values.filter(({ labels }) => labels.method === 'push').reduce((sum, { value }) => sum + value, 0);
    },
    move(next: RingView) {
      view = next;
      for (const listener of listeners) listener(view);
    },
    get view() {
      return view;
    },
    loops: () => thread.channel.call('loops', {}),
    async kill() {
      await thread.terminate();
    },
    begin() {
      thread = begin();
    },
    /** Kills it; the next one begins before anybody else hears of it, as `ShardThreads` has it. */
    async replace() {
      await new Promise<void>((resolve) => {
        onGone = () => {
          onGone = () => {};
          thread = begin();
          resolve();
        };
        void thread.terminate();
      });
    },
    /** Resolves when the shard's thread listens. */
    async isThere() {
      for (let i = 0; i < 600; i++) {
        const before = main.pushes;
        const answer = await member
          .push({ tenant: 'probe', frames: testFrames([]), limits: LIMITS, version: stamp(), writing: view.confirmed })
          .catch(() => undefined);
        if (answer !== undefined && main.pushes === before) return;
        await sleep(50);
      }
      assert.fail('the shard does not listen');
    },
  };
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error) => (error as AppError).reason,
  );
}

test('writes and reads come to the shard, what else is asked to the main thread', async (t) => {
  const { member, main, push, count, isThere, pushesThere, handed, server } = await run(t);
  await isThere();
  main.pushes = 0;
  for (let i = 0; i < 5; i++) assert.deepEqual((await push()).unknown, []);
  assert.equal(await count(), 10);
  assert.equal(main.pushes, 0);
  assert.ok((await pushesThere()) >= 5);
  assert.deepEqual(
    await member
      .labels(
        { tenant: 't', matchers: [], name: 'i', startMs: 0, endMs: NOW_MS + 60_000 },
        { number: 1, hash: 'another' },
        signal,
      )
      .catch((error) => error.reason),
    'ring_version_unknown',
  );
  await assert.rejects(member.meet({} as never));
  assert.equal(main.meets, 1);
  await handed.stop({ signal });
  // the main thread listens again, at the same port
  await push();
  assert.equal(main.pushes, 1);
  assert.equal(server.connections, 1);
});

test('what the main thread has learnt of the ring holds for the next request', async (t) => {
  const { main, gates, push, count, isThere, move, view, handed } = await run(t);
  await isThere();
  await push();
  main.pushes = 0;
  const second = versionAfter(view.newest, { kind: 'join', member: memberOf(3, 3) });
  const next = viewOf(second);
  // it counts for nobody yet: writes come under the first, and hear of it
  move(Object.assign(Object.create(Object.getPrototypeOf(next)), next, { chain: [view.newest, second], confirmed: 1 }));
  await push();
  assert.equal(main.pushes, 0);
  gates.writes = 'it drains';
  await handed.settled(2);
  assert.equal(await reasonOf(push()), 'owner_away');
  assert.equal(main.pushes, 1);
  gates.reads = 'it is no member';
  move(next);
  assert.equal(await reasonOf(count()), 'ring_reader_away');
});

test('late samples are noted before they are answered', async (t) => {
  const { main, push, isThere } = await run(t);
  await isThere();
  await push(3 * 86_400_000);
  await push(3 * 86_400_000);
  assert.equal(main.notes, 2);
});

test('where the shard dies the main thread answers until another one has taken its place', async (t) => {
  const { main, push, kill, begin, count, isThere, member } = await run(t);
  await isThere();
  await push();
  await kill();
  main.pushes = 0;
  for (let i = 0; i < 200 && (await push().catch(() => undefined)) === undefined; i++) await sleep(50);
  assert.equal(main.pushes, 1);
  begin();
  await isThere();
  main.pushes = 0;
  await push();
  assert.equal(main.pushes, 0);
  assert.equal(await count(), 4);
  await assert.rejects(member.meet({} as never));
});

test('one that begins as soon as the one before is gone hears of changes', async (t) => {
  const { main, gates, push, replace, isThere, handed, server } = await run(t);
  await isThere();
  await replace();
  await isThere();
  main.pushes = 0;
  await push();
  assert.equal(main.pushes, 0);
  gates.writes = 'it drains';
  await handed.settled(2);
  assert.equal(await reasonOf(push()), 'owner_away');
  assert.equal(main.pushes, 1);
  assert.equal(server.connections, 0);
});

/** Beside a thread that does only what the test says. */
function runBeside(t: TestContext, role: Partial<ShardThreadRole>) {
  const { channel, close } = connectInThread({ ready: async () => {}, ...role } as ShardThreadRole);
  let end = (_: Error) => {};
  const gone = new Promise<Error>((resolve) => {
    end = resolve;
  });
  const gates: { reads: string | undefined } = { reads: undefined };
  let leave = () => {};
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const answered = async () => ({ exemplarsLost: 0, unknown: [], keysTaken: false });
  const handed = new HandedListener({
    cluster: {
      current: () => undefined,
      onChange: () => () => {},
      handedListener: () => ({
        host: '127.0.0.1',
        port: 1,
        peers: { self: { name: 'member', cluster: {} }, files: NO_CREDENTIALS },
        methods: [],
      }),
      answerHanded: async () => ({ head: undefined }),
      addMetrics: () => {},
      leavePort: () => leave(),
      takePort: async () => {},
    },
    member: { writeGate: () => undefined, readGate: () => gates.reads },
    follow(begun) {
      begun({ channel, gone });
      return () => {};
    },
    target: { push: answered, setMetadata: async () => ({ refused: {} }) },
    reads: () => ({ refused: undefined, untilMs: Number.POSITIVE_INFINITY }),
    noteLate: async () => undefined,
    log: silentLogger,
    clock: systemClock,
    random: () => 0,
  });
  t.after(() => {
    end(new Error('the test is over'));
    close();
  });
  handed.start();
  return { handed, gates, left };
}

test('a thread that does not stop in its time still hears what holds, and knows that it is what holds', async (t) => {
  let listens = (_: ListenRequest) => {};
  const listening = new Promise<ListenRequest>((resolve) => {
    listens = resolve;
  });
  const { handed, gates } = runBeside(t, {
    listen: async (request) => listens(request),
    standing: () => {},
    stopListening: async () => {},
  });
  const { calls, change } = await listening;
  const host = new Channel<ListenerHostRole>(calls);
  await handed.stop({ signal });
  // a read is left that asks
  gates.reads = 'it is no member';
  const told = await host.call('standing', {});
  assert.equal(told.refused, 'it is no member');
  assert.equal(Atomics.load(new Int32Array(change), 0), told.change);
});

for (const method of ['listen', 'stopListening'] as const) {
  test(`a thread that does not answer ${method} holds up no stop beyond its deadline`, async (t) => {
    let called = () => {};
    const isCalled = new Promise<void>((resolve) => {
      called = resolve;
    });
    const never = () => {
      called();
      return new Promise<void>(() => {});
    };
    const { handed, left } = runBeside(t, { listen: async () => {}, standing: () => {}, [method]: never });
    await (method === 'listen' ? isCalled : left);
    const deadline = new AbortController();
    let hasStopped = false;
    const stopped = handed.stop({ signal: deadline.signal }).then(() => {
      hasStopped = true;
    });
    await isCalled;
    assert.equal(hasStopped, false);
    deadline.abort();
    await stopped;
  });
}

test('the port to a thread that could not listen is closed, and another one handed over', async (t) => {
  const ends: Promise<void>[] = [];
  const { left } = runBeside(t, {
    async listen({ calls }) {
      ends.push(new Promise((resolve) => calls.once('close', resolve)));
      if (ends.length === 1) throw new Error('not yet');
    },
  });
  await left;
  assert.equal(ends.length, 2);
  await ends[0];
});

test('a thread that could not listen leaves nothing behind, and is asked again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-handed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const peerKeyFile = join(folder, 'key');
  writeFileSync(peerKeyFile, 'k'.repeat(32));
  const self = { name: 'member', cluster: {} };
  const wrong: Partial<ListenRequest>[] = [
    // its certificates are being replaced
    { peers: { self, files: { ...NO_CREDENTIALS, peerTlsCertPath: join(folder, 'away.crt') } } },
    // no address of this machine
    { peers: { self, files: { ...NO_CREDENTIALS, peerKeyFile } }, host: '192.0.2.1' },
  ];
  const { isThere, push, main, loops } = await run(t, wrong);
  await isThere();
  assert.deepEqual(wrong, []);
  main.pushes = 0;
  await push();
  assert.equal(main.pushes, 0);
  // certificates are read again only by who listens, and that one has none
  assert.ok(!(await loops()).some(({ name }) => name === 'peer-certificates'));
});
