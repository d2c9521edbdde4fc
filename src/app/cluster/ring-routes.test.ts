import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
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

  get url(): string {
    return this.#http.url;
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

test('the ring is told as JSON and as a page, by each of its paths', async () => {
  const [one, other] = [of('i0'), of('i3')];
  const oldestOwedMs = Date.parse('2026-01-02T03:04:05Z');
  other.node.tellHolds({ series: 12, samplesOwed: 340, windowsOwed: 1, oldestOwedMs });
  const told = async (path: string) => {
    const status = await one.json<RingStatus>(path);
    return { status, holds: status.members.find(({ id }) => id === other.id)?.holds };
  };
  await until('it has heard what the other holds', async () => (await told('/ring?format=json')).holds?.series === 12, {
    timeoutMs: TIMEOUT_MS,
  });
  for (const path of ['/ring?format=json', '/ingester/ring?format=json']) {
    const { status, holds } = await told(path);
    const { version, confirmed, floor, replicas, arcs, hash, members } = status;
    const { newest } = one.node.current()!;
    assert.deepEqual([version, confirmed, replicas, arcs], [newest.number, newest.number, REPLICAS, ARCS]);
    assert.ok(floor >= 1 && floor <= version, `floor ${floor}`);
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.deepEqual(holds, { series: 12, samplesOwed: 340, windowsOwed: 1, oldestOwedMs });
    const zones = Object.fromEntries(members.map(({ id, zone }) => [id.slice(0, id.lastIndexOf('-')), zone]));
    assert.deepEqual(zones, { i0: 'zone-a', i1: 'zone-b', i2: 'zone-c', i3: 'zone-a', late: 'zone-b' });
    assert.equal(
      members.reduce((sum, each) => sum + each.arcs, 0),
      ARCS * REPLICAS,
    );
    for (const each of members) {
      const { state, healthy, heartbeatAgeMs, reached, complete, lost, settling, word } = each;
      assert.deepEqual(
        { state, healthy, reached, complete, lost, settling, word, version: each.version },
        {
          state: 'active',
          healthy: true,
          reached: true,
          complete: true,
          lost: false,
          settling: false,
          word: 0,
          version,
        },
      );
      assert.ok(heartbeatAgeMs! >= 0 && heartbeatAgeMs! < 5000, `heartbeat ${heartbeatAgeMs} ms ago`);
      assert.match(each.address, /^127\.0\.0\.1:\d+$/);
    }
  }
  const accepting = await fetch(`${one.url}/ring`, { headers: { accept: 'application/json' } });
  assert.equal(((await accepting.json()) as RingStatus).version, one.node.current()!.newest.number);

  for (const path of ['/ring', '/ingester/ring']) {
    const { text } = await one.ask('GET', path);
    const [, row] = new RegExp(`<tr>(<td><code>${other.id}</code>.*)</tr>`).exec(text)!;
    const cells = [...row!.matchAll(/<td[^>]*>(.*?)<\/td>/g)].map(([, cell]) => cell!.replace(/<[^>]+>/g, ''));
    const { arcs, version, address } = (await told('/ring?format=json')).status.members.find(
      ({ id }) => id === other.id,
    )!;
    assert.match(cells[4]!, /^\d+m?s ago$/);
    cells[4] = '';
    const numbers = [arcs, version, 0, 12, 340].map(String);
    assert.deepEqual(cells, [
      other.id,
      'zone-a',
      address,
      'active',
      '',
      'yes',
      ...numbers,
      '2026-01-02T03:04:05.000Z',
      '',
    ]);
  }
});

test('one that drains has a way back, by each route', async () => {
  const one = of('i3');
  const mode = async () => (await one.ask('GET', '/ingester/mode')).text;
  const isSo = (state: string) => settled(`it is ${state}`, (status) => stateOf(status, one.id) === state);
  const drainage = () => one.json<Drainage>('/ingester/drain');
  const { status, text } = await one.ask('POST', '/ingester/drain');
  assert.deepEqual([status, (JSON.parse(text) as Drainage).wants], [202, 'drain']);
  await isSo('draining');
  assert.deepEqual(
    [await mode(), (await drainage()).standing, (await drainage()).drained],
    ['READONLY\n', 'drained', false],
  );
  const back = await one.ask('DELETE', '/ingester/drain');
  assert.deepEqual([back.status, (JSON.parse(back.text) as Drainage).wants], [200, 'join']);
  await isSo('active');
  assert.deepEqual([await mode(), (await drainage()).standing], ['ACTIVE\n', 'member']);

  assert.equal((await one.ask('POST', '/ingester/mode?mode=ODD')).status, 400);
  assert.equal((await one.ask('POST', '/ingester/mode')).status, 400);
  assert.deepEqual(await one.ask('POST', '/ingester/mode?mode=readonly'), { status: 200, text: 'READONLY\n' });
  await isSo('draining');
  assert.deepEqual(await one.ask('POST', '/ingester/mode?mode=ACTIVE'), { status: 200, text: 'ACTIVE\n' });
  await isSo('active');
});

test('an operator has another ingester drain, and return to stay', async () => {
  const { id, member } = of('i3');
  const change = (form: Readonly<Record<string, string>>, path = '/ring') => of('i0').ask('POST', path, form);
  for (const kind of ['drain', 'return', 'forget']) {
    const refused = { status: 400, text: `refused: say that it is meant by confirm=${id}\n` };
    assert.deepEqual(await change({ [kind]: id }), refused);
    assert.equal((await change({ [kind]: 'nobody', confirm: 'nobody', force: 'true' })).status, 404);
  }
  const one = { status: 400, text: 'one of forget, drain and return is wanted, with the id of a member\n' };
  assert.deepEqual(await change({ drain: id, return: id, confirm: id }), one);

  const drained = await change({ drain: id, confirm: id }, '/ingester/ring');
  assert.deepEqual([drained.status, /: drains i3-/.test(drained.text)], [200, true], drained.text);
  await settled('it drains', (status) => stateOf(status, id) === 'draining');
  await until('it knows', () => member.wants === 'drain', { timeoutMs: TIMEOUT_MS });
  const returned = await change({ return: id, confirm: id });
  assert.deepEqual([returned.status, /: has returned i3-/.test(returned.text)], [200, true], returned.text);
  await settled('it has arcs', (status) => stateOf(status, id) === 'active');
  const number = of('i0').node.current()!.newest.number;
  await sleep(3000);
  assert.deepEqual([of('i0').node.current()!.newest.number, member.wants, member.standing], [number, 'join', 'member']);
});

test('one that has left is not asked back', async () => {
  const { id, member } = of('i3');
  assert.equal((await of('i3').ask('POST', '/ingester/drain')).status, 202);
  await settled('it drains', (status) => stateOf(status, id) === 'draining');
  of('i3').owed.add('a window');
  assert.equal((await of('i3').json<Drainage>('/ingester/drain')).drained, false);
  // the store has all of it
  of('i3').owed.clear();
  member.leave();
  await settled('it is out', (status) => stateOf(status, id) === 'left');
  const { drained, standing, wants } = await of('i3').json<Drainage>('/ingester/drain');
  assert.deepEqual([drained, standing, wants], [true, 'out', 'leave']);
  for (const [method, path] of [
    ['DELETE', '/ingester/drain'],
    ['POST', '/ingester/mode?mode=ACTIVE'],
  ] as const) {
    const { status, text } = await of('i3').ask(method, path);
    assert.deepEqual(
      [status, text],
      [409, 'refused: it has left already: it joins again when it is started the next time\n'],
    );
  }
  assert.doesNotMatch(await of('i0').metrics(), new RegExp(`owed.*${id}`));
});
