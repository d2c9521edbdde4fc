import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../../../test/harness/wait.ts';
import { realDisk } from '../../ingester/log/disk.ts';
import { loadConfig } from '../../kit/config/load.ts';
import { defaultsOf } from '../../kit/config/section.ts';
import { Gate } from '../../kit/http/auth.ts';
import { authConfig } from '../../kit/http/config.ts';
import { HttpListener } from '../../kit/http/listener.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import { Loops } from '../../kit/service/loops.ts';
import { MemoryKv } from '../../kv/memory.ts';
import { systemClock } from '../../lib/clock.ts';
import type { RingMember } from '../../ring/member.ts';
import { sections } from '../config.ts';
import { memberRoutes } from '../routes/member.ts';
import { ringRoutes } from '../routes/ring.ts';
import { ClusterNode } from './cluster-node.ts';
import { LateKv } from './late-kv.ts';
import type { RingStatus } from './ring-status.ts';

// Ingesters of one cluster in this process, with their ring, their listeners and their routes. They hold no samples.

const REPLICAS = 3;
const ARCS = 16;
const TIMEOUT_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'pallium-ring-routes-'));
const kv = new MemoryKv();
const ingesters = new Map<string, Ingester>();

interface Answer {
  readonly status: number;
  readonly text: string;
}

class Ingester {
  readonly node: ClusterNode;
  readonly registry = new Registry();
  /** Windows that the store lacks. */
  readonly owed = new Set<string>();
  readonly #http: HttpListener;

  constructor(name: string, zone: string, kv: MemoryKv) {
    const args = [
      '-target=ingester',
      `-data.dir=${join(folder, name)}`,
      `-distributor.replication-factor=${REPLICAS}`,
      '-server.peer-listen-address=127.0.0.1:0',
      `-ring.instance-name=${name}`,
      `-ring.instance-zone=${zone}`,
      `-ring.arcs=${ARCS}`,
      '-ring.heartbeat-period=250ms',
      '-ring.heartbeat-timeout=5s',
    ];
    const config = loadConfig(sections, { args, env: {} }).values;
    const [clock, log] = [systemClock, silentLogger];
    const { registry } = this;
    const opened = { kv, close: async () => {} };
    this.node = new ClusterNode({
      config,
      kv: new LateKv(async () => opened, clock),
      disk: realDisk,
      isClosed: () => false,
      loops: new Loops(clock),
      log,
      registry,
      clock,
    });
    const gate = Gate.of(defaultsOf(authConfig), { clock });
    const shared = { config: config.server, gate, log, clock };
    this.#http = HttpListener.of({ name, host: '127.0.0.1', port: 0, ...shared });
    const ingester = { owed: async () => this.owed, losses: async () => [], vouchDeletions: async () => {} };
    this.#http.add([...ringRoutes(this.node), ...memberRoutes({ cluster: this.node, ingester })]);
  }

  get member(): RingMember {
    return this.node.member!;
  }

  get id(): string {
    return this.member.id;
  }

  async start(): Promise<void> {
    await this.node.start(new AbortController().signal);
    this.member.setComplete(true);
    await this.#http.start();
  }

  async stop(): Promise<void> {
    const stop = { signal: AbortSignal.timeout(5000), progress: () => {} };
    await this.#http.stop(stop);
    await this.node.stop(stop);
  }

  async metrics(): Promise<string> {
    await this.node.metrics();
    return this.registry.metrics();
  }

  async ask(method: string, path: string, form?: Readonly<Record<string, string>>): Promise<Answer> {
    const body = form === undefined ? {} : { body: new URLSearchParams(form) };
    const answer = await fetch(this.#http.url + path, { method, ...body, signal: AbortSignal.timeout(10_000) });
    return { status: answer.status, text: await answer.text() };
  }

  async json<T>(path: string): Promise<T> {
    const { status, text } = await this.ask('GET', path);
    assert.equal(status, 200, text);
    return JSON.parse(text) as T;
  }
}

async function start(name: string, zone: string): Promise<Ingester> {
  const ingester = new Ingester(name, zone, kv);
  ingesters.set(name, ingester);
  await ingester.start();
  return ingester;
}

const of = (name: string) => ingesters.get(name)!;

/** Waits until all know one version that counts, of which something is so. */
async function settled(what: string, isSo: (status: RingStatus) => boolean): Promise<void> {
  await until(
    what,
    () =>
      [...ingesters.values()].every(({ node }) => {
        const status = node.status();
        return status.version > 0 && status.confirmed === status.version && isSo(status);
      }),
    { timeoutMs: TIMEOUT_MS },
  );
}

const stateOf = ({ members }: RingStatus, id: string) => members.find((each) => each.id === id)?.state;

before(async () => {
  for (const [name, zone] of ['a', 'b', 'c', 'a'].entries()) await start(`i${name}`, `zone-${zone}`);
  await settled('the ring has begun', ({ members }) => members.filter(({ state }) => state === 'active').length === 4);
});

after(async () => {
  // timers of the parts keep no process alive, and their ends wait for some
  const awake = setInterval(() => {}, 1000);
  await Promise.all([...ingesters.values()].map((ingester) => ingester.stop()));
  clearInterval(awake);
  rmSync(folder, { recursive: true, force: true });
});

test('one whose log the store lacks is not asked to join, by either route', async () => {
  mkdirSync(join(folder, 'late', 'ingester', 'shard-0'), { recursive: true });
  const late = await start('late', 'zone-b');
  await settled('others know of it', (status) => stateOf(status, late.id) === 'waiting');
  const refused = [
    409,
    'refused: it is no member of the ring, and joins by itself when the store has what its log holds\n',
  ];
  for (const [method, path] of [
    ['DELETE', '/ingester/drain'],
    ['POST', '/ingester/mode?mode=ACTIVE'],
  ] as const) {
    const { status, text } = await late.ask(method, path);
    assert.deepEqual([status, text], refused, path);
  }
  assert.equal(late.member.wants, 'nothing');
  // nobody else has what its log holds
  const oldestOwedMs = Date.now() - 3_600_000;
  late.node.tellHolds({ series: 7, samplesOwed: 500, windowsOwed: 2, oldestOwedMs });
  const owed = (name: string, value: string) =>
    new RegExp(`^pallium_ring_member_${name}\\{member="${late.id}"\\} ${value}`, 'm');
  for (const each of [of('i0'), late]) {
    await until('its metrics tell what it owes', async () => owed('owed_samples', '500$').test(await each.metrics()), {
      timeoutMs: 10_000,
    });
    assert.match(await each.metrics(), owed('owed_windows', '2$'));
    assert.match(await each.metrics(), owed('oldest_owed_seconds', '36\\d\\d'));
  }
  assert.equal((await late.ask('GET', '/ingester/mode')).text, 'READONLY\n');
  // the store has it
  late.member.join();
  await settled('it has joined', (status) => stateOf(status, late.id) === 'active');
  assert.equal((await late.ask('GET', '/ingester/mode')).text, 'ACTIVE\n');
  assert.equal((await late.ask('DELETE', '/ingester/drain')).status, 200, 'it is what is asked for');
});

interface Drainage {
  readonly standing: string;
  readonly wants: string;
  readonly drained: boolean;
  readonly refused?: string;
}

test('one whose part nobody could take is not drained, and says why', async () => {
  const { id, member } = of('i2');
  const reason =
    'drain refused: it would leave 2 zones for 3 owners of an arc; add members in other zones first, or force it';
  for (const path of ['/ingester/drain', '/ingester/mode?mode=READONLY']) {
    assert.deepEqual(await of('i2').ask('POST', path), { status: 409, text: `refused: ${reason}\n` }, path);
  }
  assert.equal(member.wants, 'join');
  const byOther = await of('i0').ask('POST', '/ring', { drain: id, confirm: id });
  assert.deepEqual(byOther, { status: 409, text: `${reason}\n` });

  // both could be taken in when they wished it
  const both = [of('i0'), of('i3')];
  for (const each of both) each.member.drain();
  await settled('one drains', (status) => both.some((each) => stateOf(status, each.id) === 'draining'));
  const told = await Promise.all(both.map((each) => each.json<Drainage>('/ingester/drain')));
  assert.deepEqual(told.map(({ wants, standing, refused }) => [wants, standing, refused]).sort(), [
    ['drain', 'drained', undefined],
    ['drain', 'member', reason],
  ]);
  for (const each of both) assert.equal((await each.ask('DELETE', '/ingester/drain')).status, 200);
  await settled('both have stayed', (status) => both.every((each) => stateOf(status, each.id) === 'active'));
});

test('one that knows no ring has nothing to drain, and shows what it waits for', async () => {
  const alone = new Ingester('alone', '', new MemoryKv());
  await alone.start();
  try {
    const { status, text } = await alone.ask('POST', '/ingester/drain');
    assert.deepEqual([status, text], [409, 'refused: no version of the ring is known yet\n']);
    assert.equal(alone.member.wants, 'join');
    assert.match(String(alone.node.notReady()), /^no version of the ring is known: \d of 3 ingesters wait for it$/);
    assert.match((await alone.ask('GET', '/ring')).text, /<p>No version is known\.<\/p>/);
  } finally {
    await alone.stop();
  }
});
