import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import type { Pallium } from '../harness/pallium.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';
import { tableServices } from './e2e-stores.ts';

// Real processes as a cluster on one store.

const { port: storePort, flags: storeFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
/** A browser's visit to the page of the ring; it says so where there is none. */
const RING_PAGE = join(import.meta.dirname, '../../web/test/ring-page.ts');
const RUN = Date.now().toString(36);
const SERIES = 20;
let clusters = 0;

function clusterOf(...flags: readonly string[]): Cluster {
  const store = [...storeFlags(storePort!), `-schema.prefix=c${RUN}${clusters++}_`, '-schema.object-store=none'];
  return new Cluster([...store, ...QUICK_RING, ...ONE_THREAD, ...flags]);
}

/** Writes a sample of each series again and again, and knows which were acknowledged. */
class Sender {
  readonly acknowledged: number[] = [];
  readonly failures: string[] = [];
  #value = 0;
  /** Where it sends to: the next one when one fails. */
  readonly #to: readonly Pallium[];

  constructor(to: readonly Pallium[]) {
    this.#to = to;
  }

  /** Sends one request until it is taken. */
  async send(): Promise<void> {
    const timeMs = Date.now();
    const value = ++this.#value;
    const body = writeBody(
      Array.from({ length: SERIES }, (_, i) => ({
        labels: { __name__: 'steps', series: String(i) },
        samples: [[timeMs, value] as const],
      })),
    );
    await until(
      `a write is taken (${this.failures.at(-1)})`,
      async () => {
        const to =
          this.#to.filter(({ alive }) => alive)[(value + this.failures.length) % this.#to.length] ??
          this.#to.find(({ alive }) => alive)!;
        const answer = await fetch(`${to.url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
        if (answer.ok) return true;
        this.failures.push(`${answer.status} ${await answer.text()}`);
        return false;
      },
      { timeoutMs: 120_000, intervalMs: 100 },
    );
    this.acknowledged.push(value);
  }
}

/** Values of each series that a query finds. */
async function found(server: Pallium): Promise<Map<string, number[]>> {
  const { result } = await server
    .api()
    .data<{ result: { metric: { series: string }; values: [number, string][] }[] }>('/api/v1/query', {
      query: 'steps[30m]',
      time: Date.now() / 1000 + 1,
    });
  return new Map(result.map(({ metric, values }) => [metric.series, values.map(([, value]) => Number(value))]));
}

async function checkAll(servers: Iterable<Pallium>, { acknowledged }: Sender): Promise<void> {
  for (const server of servers) {
    const values = await found(server);
    assert.equal(values.size, SERIES);
    for (const [series, has] of values) {
      assert.deepEqual(has, acknowledged, `series ${series} by ${server.url}`);
    }
  }
}

/** Whether a process reaches the member that was started under a name. */
async function reaches(server: Pallium, name: string): Promise<boolean | undefined> {
  const { members } = JSON.parse((await server.api().ask('/ring?format=json')).text) as {
    members: { id: string; reached?: boolean }[];
  };
  return members.find(({ id }) => id.startsWith(`${name}-`))?.reached;
}

if (storePort === undefined) test('cluster: needs DYNAMODB_PORT', { skip: true });
else {
  test('three processes of all on one store: one is killed, nothing acknowledged is lost, queries stay right', async () => {
    await using cluster = clusterOf();
    const names = ['a', 'b', 'c'];
    for (const name of names) await cluster.start(name);
    await cluster.ready();
    const all = [...cluster.processes.values()];
    const sender = new Sender(all);
    for (let i = 0; i < 20; i++) await sender.send();
    await checkAll(all, sender);
    for (const path of ['active_queries', 'running_queries']) {
      const told = await all[0]!.api().ask(`/api/v1/status/${path}`);
      assert.deepEqual(JSON.parse(told.text), { status: 'ok', data: [] }, 'the others tell theirs, too');
    }
    await promisify(execFile)(process.execPath, [RING_PAGE, all[0]!.url, ...names], { timeout: 300_000 });

    await cluster.of('b').kill();
    for (let i = 0; i < 20; i++) await sender.send();
    const left = all.filter(({ alive }) => alive);
    assert.equal(left.length, 2);
    await checkAll(left, sender);
    await until('c misses b', async () => (await reaches(cluster.of('c'), 'b')) === false);

    const back = await cluster.start('b');
    await cluster.ready();
    for (let i = 0; i < 10; i++) await sender.send();
    await checkAll([...left, back], sender);

    // the one that was there all the time goes: what came meanwhile has a quorum without it
    await until('c reaches b at its new address', () => reaches(cluster.of('c'), 'b'));
    await cluster.of('a').kill();
    await checkAll([cluster.of('c'), back], sender);

    const ring = await back.api().ask('/ring?format=json');
    const { members, version } = JSON.parse(ring.text);
    assert.equal(version, 1);
    assert.equal(members.length, 3);
    await until('each tells what it holds', async () => {
      const told = await back.api().ask('/ring?format=json');
      const holds = JSON.parse(told.text).members.map((member: { holds?: { series: number } }) => member.holds?.series);
      return holds.filter((series: number | undefined) => series === SERIES).length >= 2;
    });
    await until('its metrics tell what c holds', async () => {
      const { text } = await back.api().ask('/metrics');
      assert.match(text, /^pallium_ring_member_owed_samples\{member="c-[^"]+"\} [1-9]/m);
      assert.match(text, /^pallium_ring_member_owed_windows\{member="c-[^"]+"\} [1-9]/m);
      assert.match(text, /^pallium_ring_member_oldest_owed_seconds\{member="c-[^"]+"\} [1-9]/m);
      return true;
    });
  });

  test('ingesters that are restarted in turn right after a flush: a querier that has read the store before misses nothing', async () => {
    await using cluster = clusterOf();
    const ingesters = ['i1', 'i2', 'i3'];
    for (const name of ingesters) await cluster.start(name, ['-target=ingester']);
    await cluster.ready();
    const distributor = await cluster.start('d', ['-target=distributor']);
    const querier = await cluster.start('q', ['-target=querier']);
    await cluster.ready();
    const sender = new Sender([distributor]);
    for (let i = 0; i < 5; i++) await sender.send();
    // from here on it knows for minutes that the store has nothing
    await checkAll([querier], sender);
    await Promise.all(ingesters.map((name) => cluster.of(name).flush()));
    for (const name of ingesters) {
      assert.equal((await cluster.of(name).stop()).code, 0);
      await cluster.start(name, ['-target=ingester']);
      await cluster.ready();
    }
    await until('an answer', () => found(querier));
    await checkAll([querier], sender);
  });

  test('distributors, ingesters and queriers of their own: an ingester drains and goes, one whose settings differ stays out', async () => {
    await using cluster = clusterOf('-ingester.flush-check-interval=1s');
    const ingesters = ['i1', 'i2', 'i3', 'i4'];
    for (const name of ingesters) await cluster.start(name, ['-target=ingester']);
    await cluster.ready();
    const [d1, d2] = [
      await cluster.start('d1', ['-target=distributor']),
      await cluster.start('d2', ['-target=distributor']),
    ];
    const [q1, q2] = [await cluster.start('q1', ['-target=querier']), await cluster.start('q2', ['-target=querier'])];
    await cluster.ready();
    assert.ok(!existsSync(join(d1.dataDir, 'ingester')) && !existsSync(join(q1.dataDir, 'ingester')));
    const sender = new Sender([d1, d2]);
    for (let i = 0; i < 10; i++) await sender.send();
    await checkAll([q1, q2], sender);
    for (const server of [d1, q1]) {
      const { text } = await server.api().ask('/metrics');
      assert.match(text, /^pallium_ring_version 1$/m);
      assert.match(text, /^pallium_ring_arcs_without_quorum 0$/m);
      assert.match(text, /^pallium_peer_sent_bytes_total\{peer="127.0.0.1:\d+"\} [1-9]/m);
    }

    const odd = await cluster.start('odd', ['-target=ingester', '-ingester.window=1h']);
    assert.notEqual((await odd.ended).code, 0);
    assert.match(odd.logTail(), /does not join.*-ingester.window is 3600000 here and 7200000 in the cluster/);
    cluster.processes.delete('odd');

    const i4 = cluster.of('i4');
    assert.match((await i4.api().ask('/ring')).text, /<code>i4-/);
    const { id } = JSON.parse((await i4.api().ask('/ingester/drain')).text);
    const post = (body: string) =>
      i4.api().ask('/ring', { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    assert.deepEqual(await post(`forget=${id}`).then(({ status, text }) => [status, text]), [
      400,
      `refused: say that it is meant by confirm=${id}\n`,
    ]);
    assert.match((await post(`forget=${id}&confirm=${id}`)).text, /^refused: i4-.* shows that it lives/);
    const standing = async () => JSON.parse((await i4.api().ask('/ingester/drain')).text).standing;
    assert.equal((await i4.api().ask('/ingester/drain', { method: 'POST' })).status, 202);
    await until('others own its part', async () => (await standing()) === 'drained');
    assert.equal((await i4.api().ask('/ingester/mode')).text, 'READONLY\n');
    assert.equal((await i4.api().ask('/ingester/drain', { method: 'DELETE' })).status, 200);
    await until('it owns a part again', async () => (await standing()) === 'member');
    await sender.send();

    assert.equal((await i4.api().ask('/ingester/drain', { method: 'POST' })).status, 202);
    const drained = async () => {
      await sender.send();
      return JSON.parse((await i4.api().ask('/ingester/drain')).text).drained === true;
    };
    await until('it has drained', drained, { timeoutMs: 120_000, intervalMs: 500 });
    await i4.stop();
    cluster.processes.delete('i4');
    await checkAll([q1, q2], sender);
    const last = await cluster.of('i1').api().ask('/ingester/drain', { method: 'POST' });
    assert.equal(last.status, 409);
    assert.match(last.text, /2 members would own arcs, and each arc has 3 owners/);

    // told to end while it drains: it ends when it has left
    const i5 = await cluster.start('i5', ['-target=ingester', '-ingester.drain-on-shutdown=true']);
    await cluster.ready('i5');
    for (let i = 0; i < 10; i++) await sender.send();
    assert.equal((await i5.api().ask('/ingester/drain', { method: 'POST' })).status, 202);
    assert.deepEqual(await i5.stop(), { code: 0, signal: null }, i5.logTail());
    cluster.processes.delete('i5');
    const { members } = JSON.parse((await cluster.of('i1').api().ask('/ring?format=json')).text) as {
      members: { id: string; state: string }[];
    };
    assert.equal(members.find(({ id }) => id.startsWith('i5-'))?.state, 'left');
    await checkAll([q1, q2], sender);

    await d1.kill();
    await q1.kill();
    await cluster.of('i1').kill();
    for (let i = 0; i < 5; i++) await sender.send();
    await checkAll([q2], sender);

    await cluster.of('i2').kill();
    const lacking = /\d+ of \d+ arcs of the ring have fewer than 2 owners that can be reached; away: i1-\S+, i2-/;
    await until('who needs a quorum is not ready, and says whom it cannot reach', async () => {
      const { status, text } = await q2.api().ask('/ready');
      return status === 503 && lacking.test(text);
    });
  });
}
