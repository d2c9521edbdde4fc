import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { Edge } from '../distributor/edge.ts';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { decodeLabels } from '../model/canonical.ts';
import { RemoteMembers } from '../peer/remote-members.ts';
import { Hedges } from '../querier/hedges.ts';
import { ReplicatedIngesters } from '../querier/replicated-ingesters.ts';
import { TestRing } from '../querier/test-replicas.ts';
import { memberOf, ringOf } from '../ring/test-ring.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { SliceView } from '../wire/slices.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { WriteSamples } from '../wire/write-request.ts';
import { SECRET, security, startPeerIngester } from './test-peer-ingester.ts';

// An edge and a querier here, and three ingesters in processes of their own, one of which is killed, stopped, and comes back.

const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
const NOW_MS = Date.now();
const SERIES = 60;
/** Queries during which a process is killed. */
const QUERIES = Number(process.env.QUERIES ?? 100);
const { signal } = new AbortController();

const versionOf = (ports: readonly number[]) =>
  ringOf(
    ports.map((port, i) => ({ ...memberOf(i, 3), address: `127.0.0.1:${port}` })),
    64,
    3,
  );

/** This file in another process. */
async function ingester(): Promise<void> {
  const ring = new TestRing();
  const { port } = await startPeerIngester(ring, process.env.PEER_INGESTER!, Number(process.env.PEER_PORT));
  process.on('message', (ports: number[]) => {
    ring.set([versionOf(ports)]);
    process.send!('ready');
  });
  process.on('disconnect', () => process.exit());
  process.send!(port);
}

async function startProcess(t: TestContext, name: string, port = 0): Promise<{ child: ChildProcess; port: number }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = fork(import.meta.filename, {
    env: { ...env, PEER_INGESTER: name, PEER_PORT: `${port}` },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [own] = (await once(child, 'message')) as [number];
  return { child, port: own };
}

async function tell(child: ChildProcess, ports: readonly number[]): Promise<void> {
  child.send(ports);
  await once(child, 'message');
}

if (process.env.PEER_INGESTER !== undefined) await ingester();
else {
  test('writes and reads go on while one of three processes is stopped, killed, and back', async (t) => {
    const processes = await Promise.all([0, 1, 2].map((i) => startProcess(t, `ingester-${i}`)));
    const ports = processes.map(({ port }) => port);
    await Promise.all(processes.map(({ child }) => tell(child, ports)));
    const ring = new TestRing();
    ring.set([versionOf(ports)]);
    const remote = new RemoteMembers({ self: { name: 'front', cluster: {} }, security, clock: systemClock });
    t.after(() => remote.close());
    const member = (id: string) => remote.of(ring, id);
    const targets = { source: ring, member, learn: async () => {} };
    const edge = new Edge({ clock: systemClock, rawBytesMax: 1 << 22, seriesSecret: SECRET, ring: targets });
    const reads = new ReplicatedIngesters({ ring, member, clock: systemClock, hedges: new Hedges() });
    let pushes = 0;
    const push = async () => {
      const timeMs = NOW_MS + pushes;
      const body = encodeRemoteWrite1({
        series: Array.from({ length: SERIES }, (_, i) => ({
          pairs: ['__name__', `metric_${i % 7}`, 'i', `${i}`],
          labelsFault: undefined,
          samples: WriteSamples.of([{ timeMs, value: pushes }]),
          histograms: [],
          exemplars: [],
        })),
        metadata: [],
      });
      const request = { tenant: 't', headers: HEADERS, body: deflateSnappy(body).slice(), limits: DEFAULT_LIMITS };
      const { response } = await edge.push(request);
      if (response.status === 204) pushes++;
      return response.status;
    };
    /** Every series is there, in as many copies as answered, and the longest has all samples. */
    const check = async () => {
      const samples = new Map<string, number>();
      const request = { tenant: 't', matchers: [], startMs: -1e15, endMs: 1e15, labelsOnly: false };
      for await (const { bytes } of reads.select(request, signal)) {
        for (const series = new SliceView(bytes); series.next(); ) {
          const labels = decodeLabels(bytes, series.labelsFrom, series.labelsTo).toString();
          let count = 0;
          for (const chunk of series.chunks) count += (chunk.bytes[0]! << 8) | chunk.bytes[1]!;
          samples.set(labels, Math.max(samples.get(labels) ?? 0, count));
        }
      }
      assert.deepEqual([...new Set(samples.values())], [pushes]);
      assert.equal(samples.size, SERIES);
    };
    const both = async (times: number) => {
      for (let i = 0; i < times; i++) {
        assert.equal(await push(), 204);
        await check();
      }
    };
    await both(5);

    const [stopped, killed] = processes as [{ child: ChildProcess }, { child: ChildProcess; port: number }];
    stopped.child.kill('SIGSTOP');
    await both(10);
    stopped.child.kill('SIGCONT');
    // it has taken what it was sent meanwhile
    for (const answers = () => remote.of(ring, memberOf(0, 3).id)!; ; ) {
      const asked = await answers()
        .headStats({ tenant: 't', limit: 1 }, { number: 1, hash: ring.current()!.hash }, signal)
        .catch(() => undefined);
      if (asked?.value?.series === SERIES) break;
      await systemClock.sleep(50);
    }

    // queries go on meanwhile, and none of them fails
    let asks = true;
    let asked = 0;
    const lanes = Array.from({ length: 4 }, async () => {
      for (; asks; asked++) await check();
    });
    const askedMore = async (more: number) => {
      for (const from = asked; asked < from + more; ) await systemClock.sleep(5);
    };
    await askedMore(QUERIES / 2);
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    await askedMore(QUERIES / 2);
    asks = false;
    await Promise.all(lanes);
    await both(10);

    // comes back with nothing: it takes what is written from now on, by labels first
    const back = await startProcess(t, 'ingester-1', killed.port);
    await tell(back.child, ports);
    const own = remote.of(ring, memberOf(1, 3).id)!;
    const seriesThere = async () => {
      const { value } = await own.headStats(
        { tenant: 't', limit: 1 },
        { number: 1, hash: ring.current()!.hash },
        signal,
      );
      return value?.series;
    };
    while ((await seriesThere().catch(() => undefined)) !== SERIES) {
      assert.equal(await push(), 204);
      await systemClock.sleep(20);
    }
  });
}
