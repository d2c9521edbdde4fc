import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Documents } from '../chunkstore/documents/documents.ts';
import { MEMBER_TIMING, MemberRows } from '../chunkstore/documents/member-rows.ts';
import { StateRows } from '../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import { Schema } from '../chunkstore/schema.ts';
import { CONFIG_KIND } from '../contract/alertmanager.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { systemBytes } from '../lib/random.ts';
import { peerErrors } from '../model/errors-peer.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { gatedClient } from '../table/test-gated-client.ts';
import { Alertmanagers } from './service.ts';
import { Sharing } from './sharing.ts';
import { noLimits, ok, START_MS } from './test-tenant.ts';

const TENANTS = Array.from({ length: 12 }, (_, i) => `t${i}`);
const SIGNAL = new AbortController().signal;

const CONFIG = JSON.stringify({
  alertmanager_config: JSON.stringify({
    route: {
      receiver: 'hook',
      group_by: ['alertname'],
      group_wait: '0s',
      group_interval: '10s',
      repeat_interval: '4h',
    },
    receivers: [{ name: 'hook', webhook_configs: [{ url: 'http://hook' }] }],
  }),
});

interface Node {
  readonly id: string;
  readonly address: string;
  readonly managers: Alertmanagers;
  readonly sharing: Sharing;
  /** Times that it said that tenants may have other owners. */
  moves: number;
  readonly documents: Documents;
  /** Killed: it reaches neither the store nor anybody, and nobody reaches it. */
  isDead: boolean;
}

/** Alertmanagers on one store, and the notifications that all of them sent. */
class World {
  readonly clock = new ManualClock(START_MS);
  readonly tables = new MemoryTableStore();
  readonly nodes = new Map<string, Node>();
  /** `tenant alertname status`, of those that arrived. */
  readonly told: string[] = [];
  /** Members that do not get an answer to what they send. */
  readonly unanswered = new Set<string>();
  /** Members that never let go of a tenant. */
  readonly holding = new Set<string>();
  /** Members that were told that another one has their address. */
  readonly addressShared: string[] = [];
  repeated = 0;

  async start(id: string, address = `at-${id}`): Promise<Node> {
    const { clock, tables } = this;
    const node: { id: string; isDead: boolean; moves: number; managers?: Alertmanagers } = {
      id,
      isDead: false,
      moves: 0,
    };
    const reached = () => {
      if (node.isDead) throw new Error(`${id} is dead`);
    };
    const client = gatedClient(tables, reached);
    const period = {
      fromMs: Number.NEGATIVE_INFINITY,
      tables: { client, admin: tables, limits: tables.limits },
      tablePrefix: 'p_',
      tableMs: 86_400_000,
    };
    const opened = await TenantTables.open(new Schema([period]));
    const state = new StateRows(opened, systemBytes);
    const self = { id, address };
    const sharing = new Sharing({
      members: new MemberRows({ rows: state, kind: 'alertmanagers', self, clock, isAsked: true }),
      self,
      ...MEMBER_TIMING,
      member: ({ address: at }) => {
        assert.notEqual(at, address, 'nobody asks itself');
        const there = [...this.nodes.values()].findLast((each) => each.address === at);
        if (there === undefined || there.isDead || node.isDead) {
          throw peerErrors.peerAway({ peer: at, reason: 'it is dead' });
        }
        const { asMember } = there.managers;
        if (!this.holding.has(there.id)) return asMember;
        return { ...asMember, release: (_tenant, signal) => unanswered(signal) };
      },
      clock,
    });
    let ids = 0;
    const documents = new Documents(opened, clock, systemBytes);
    const managers = new Alertmanagers({
      documents,
      state,
      sharing,
      clock,
      random: () => 0.5,
      newId: () => `${id}-${++ids}`,
      limits: () => noLimits,
      fallback: undefined,
      externalUrl: 'http://alerts',
      version: '1',
      pollIntervalMs: 15_000,
      ownersMoved: () => {
        node.moves++;
      },
      senders: () => ({
        http: {
          send: async ({ body }, signal) => {
            if (node.isDead) return unanswered(signal);
            const { status, commonLabels } = JSON.parse(body!);
            this.told.push(`${commonLabels.tenant} ${commonLabels.alertname} ${status}`);
            if (this.unanswered.has(id)) return unanswered(signal);
            return ok();
          },
        },
        mail: { send: async () => {} },
      }),
      events: {
        suppressed: () => {},
        attempt: () => {},
        notification: () => {},
        failed: () => {},
        repeated: () => {
          this.repeated++;
        },
        unclaimed: () => {},
        groupRefused: () => {},
        alertsRefused: () => {},
        configRefused: () => {},
        storeFailed: () => {},
        addressShared: () => this.addressShared.push(id),
      },
    });
    const made = Object.assign(node, { address, managers, sharing, documents });
    this.nodes.set(id, made);
    await managers.start();
    return made;
  }

  async ask(node: Node, method: string, path: string, tenant: string, body?: unknown) {
    const given =
      body === undefined ? {} : { body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) };
    const asked = node.managers.handle({ tenant, method, path, params: [], ...given }, SIGNAL);
    // tries again after a moment
    for (let isDone = false; !isDone; ) {
      isDone = await Promise.race([asked.then(() => true), this.clock.advance(50).then(() => false)]);
    }
    const { status, body: answer } = await asked;
    const text = Buffer.from(answer).toString();
    return { status, json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text };
  }

  async fire(node: Node, tenant: string, alertname: string): Promise<number> {
    const endsAt = new Date(START_MS + 86_400_000).toISOString();
    const { status } = await this.ask(node, 'POST', '/api/v2/alerts', tenant, [
      { labels: { alertname, tenant }, annotations: {}, endsAt },
    ]);
    return status;
  }

  /** Names of the alerts that a member shows of a tenant. */
  async alerts(node: Node, tenant: string): Promise<string[]> {
    const { status, json } = await this.ask(node, 'GET', '/api/v2/alerts', tenant);
    assert.equal(status, 200, `${tenant} by ${node.id}: ${JSON.stringify(json)}`);
    return json.map(({ labels }: { labels: { alertname: string } }) => labels.alertname).sort();
  }

  async held(node: Node): Promise<number> {
    return (await node.managers.counts()).tenants;
  }
}

function unanswered(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}

test('a tenant is held by one of several Alertmanagers, and asked for at any of them', async () => {
  const world = new World();
  const one = await world.start('one');
  for (const tenant of TENANTS) {
    assert.equal((await world.ask(one, 'POST', '/config/v1/alerts', tenant, CONFIG)).status, 201);
    assert.equal(await world.fire(one, tenant, 'First'), 200);
  }
  await world.clock.advance(1000);
  assert.deepEqual(world.told.sort(), TENANTS.map((tenant) => `${tenant} First firing`).sort());

  const two = await world.start('two');
  await world.clock.advance(20_000);
  const shares = [await world.held(one), await world.held(two)];
  assert.equal(shares[0]! + shares[1]!, TENANTS.length, `${shares}`);
  assert.ok(
    shares.every((share) => share > 1),
    `${shares}`,
  );
  assert.equal(world.told.length, TENANTS.length, 'a move tells nobody');
  const moves = one.moves;
  assert.ok(moves > 0, 'rulers hear of a move');

  const both = [one, two];
  for (const [i, tenant] of TENANTS.entries()) {
    assert.equal(await world.fire(both[i % 2]!, tenant, 'Second'), 200);
    for (const node of both) assert.deepEqual(await world.alerts(node, tenant), ['First', 'Second']);
    const silence = {
      matchers: [{ name: 'alertname', value: 'Third', isRegex: false, isEqual: true }],
      startsAt: new Date(world.clock.nowMs()).toISOString(),
      endsAt: new Date(world.clock.nowMs() + 3_600_000).toISOString(),
      createdBy: 'me',
      comment: 'why',
    };
    assert.equal((await world.ask(both[(i + 1) % 2]!, 'POST', '/api/v2/silences', tenant, silence)).status, 200);
    for (const node of both) assert.equal((await world.ask(node, 'GET', '/api/v2/silences', tenant)).json.length, 1);
  }
  await world.clock.advance(1000);
  assert.deepEqual(world.told.splice(0).length, 2 * TENANTS.length);
  const { cluster } = (await world.ask(one, 'GET', '/api/v2/status', TENANTS[0]!)).json;
  assert.deepEqual([cluster.status, cluster.peers.length], ['ready', 2]);
  const { data } = (await world.ask(one, 'GET', '/multitenant_alertmanager/ring', '')).json;
  assert.deepEqual(data.members, [
    { id: 'one', address: 'at-one' },
    { id: 'two', address: 'at-two' },
  ]);

  // it ends in good order: the other one has all at once
  const stopping = two.managers.stop();
  await world.clock.advance(100);
  await stopping;
  world.nodes.delete('two');
  await world.clock.advance(20_000);
  assert.equal(await world.held(one), TENANTS.length);
  assert.ok(one.moves > moves, 'and of the next');
  for (const tenant of TENANTS) {
    assert.deepEqual(await world.alerts(one, tenant), ['First', 'Second']);
    assert.equal(await world.fire(one, tenant, 'Third'), 200);
  }
  await world.clock.advance(15_000);
  assert.deepEqual(world.told, [], 'silences and the log of notifications moved as well');
  assert.equal(world.repeated, 0);
  await one.managers.stop();
});

test('a member that is killed while it sends leaves alerts, silences and its log to the others, and one repetition', async () => {
  const world = new World();
  const [one, two] = [await world.start('one'), await world.start('two')];
  await world.clock.advance(6000);
  for (const tenant of TENANTS) {
    assert.equal((await world.ask(one, 'POST', '/config/v1/alerts', tenant, CONFIG)).status, 201);
    assert.equal(await world.fire(one, tenant, 'First'), 200);
  }
  await world.clock.advance(1000);
  assert.equal(world.told.length, TENANTS.length);
  const heldByTwo = await world.held(two);
  // its receivers have got what it sends, and it does not come to know
  world.unanswered.add('two');
  for (const tenant of TENANTS) assert.equal(await world.fire(one, tenant, 'Second'), 200);
  await world.clock.advance(1000);
  assert.equal(world.told.splice(0).length, 2 * TENANTS.length);
  two.isDead = true;
  const lost = [];
  for (const tenant of TENANTS) if ((await world.fire(one, tenant, 'Third')) !== 200) lost.push(tenant);
  assert.equal(lost.length, heldByTwo, 'who posts is told that it was not taken');

  await world.clock.advance(40_000);
  assert.equal(await world.held(one), TENANTS.length);
  for (const tenant of lost) {
    assert.deepEqual(await world.alerts(one, tenant), ['First', 'Second']);
    assert.equal(await world.fire(one, tenant, 'Third'), 200);
  }
  await world.clock.advance(15_000);
  const seconds = world.told.filter((told) => told.includes('Second')).sort();
  assert.deepEqual(seconds, lost.map((tenant) => `${tenant} Second firing`).sort(), 'one repetition each');
  assert.equal(world.repeated, lost.length, 'logged as such');
  assert.deepEqual(
    world.told.filter((told) => told.includes('First')),
    [],
  );
  assert.deepEqual(
    world.told.filter((told) => told.includes('Third')).sort(),
    TENANTS.map((tenant) => `${tenant} Third firing`).sort(),
  );

  // it was only cut off: what it still believes to hold it has lost
  world.unanswered.delete('two');
  two.isDead = false;
  const was = lost[0]!;
  assert.equal(await world.fire(two, was, 'Fourth'), 200);
  for (const node of [one, two]) {
    assert.deepEqual(await world.alerts(node, was), ['First', 'Fourth', 'Second', 'Third'], `by ${node.id}`);
  }
  await world.clock.advance(40_000);
  assert.equal((await world.held(one)) + (await world.held(two)), TENANTS.length);
  for (const node of [one, two]) {
    assert.deepEqual(await world.alerts(node, was), ['First', 'Fourth', 'Second', 'Third'], `by ${node.id}`);
  }
  assert.equal(world.told.filter((told) => told.startsWith(`${was} Fourth`)).length, 1);
  await Promise.all([one.managers.stop(), two.managers.stop()]);
});

test('who comes in the place of one that was killed has its tenants at once', async () => {
  const world = new World();
  const first = await world.start('first', 'here');
  for (const tenant of TENANTS) {
    assert.equal((await world.ask(first, 'POST', '/config/v1/alerts', tenant, CONFIG)).status, 201);
    assert.equal(await world.fire(first, tenant, 'First'), 200);
  }
  first.isDead = true;
  const second = await world.start('second', 'here');
  assert.equal(await world.held(second), TENANTS.length);
  for (const tenant of TENANTS) {
    assert.equal(await world.fire(second, tenant, 'Second'), 200);
    assert.deepEqual(await world.alerts(second, tenant), ['First', 'Second']);
  }
  await world.clock.advance(20_000);
  assert.deepEqual(world.addressShared, [], 'a row that stands still is of nobody');
  await second.managers.stop();
});

test('members that tell the same address each work alone, and say so', async () => {
  const world = new World();
  const both = [await world.start('one', 'here'), await world.start('two', 'here')];
  await world.clock.advance(20_000);
  assert.deepEqual(world.addressShared.sort(), ['one', 'two'], 'once each');
  for (const [i, tenant] of TENANTS.entries()) {
    const [here, there] = [both[i % 2]!, both[(i + 1) % 2]!];
    assert.equal((await world.ask(here, 'POST', '/config/v1/alerts', tenant, CONFIG)).status, 201);
    assert.equal(await world.fire(here, tenant, 'First'), 200);
    assert.equal(await world.fire(there, tenant, 'Second'), 200);
    assert.deepEqual(await world.alerts(there, tenant), ['First', 'Second']);
    assert.equal(await world.fire(here, tenant, 'Third'), 200);
    assert.deepEqual(await world.alerts(here, tenant), ['First', 'Second', 'Third']);
  }
  await Promise.all(both.map(({ managers }) => managers.stop()));
});

test('members without an address work alone', async () => {
  const world = new World();
  const all = [await world.start('one', ''), await world.start('two', ''), await world.start('three')];
  await world.clock.advance(20_000);
  for (const { sharing } of all) assert.equal(sharing.live.length, 1);
  for (const tenant of TENANTS) {
    for (const node of all) assert.equal(await world.fire(node, tenant, node.id), 200);
    assert.deepEqual(await world.alerts(all[2]!, tenant), ['one', 'three', 'two']);
  }
  assert.deepEqual(world.addressShared, []);
  await Promise.all(all.map(({ managers }) => managers.stop()));
});

test('a member that takes long to take tenants over is seen to live meanwhile', async () => {
  const world = new World();
  const one = await world.start('one');
  for (let i = 0; i < 30; i++) assert.equal(await world.fire(one, `many${i}`, 'First'), 200);
  world.holding.add('one');
  let hasStarted = false;
  const starting = world.start('two').then((two) => {
    hasStarted = true;
    return two;
  });
  while (one.sharing.live.length === 1) await world.clock.advance(1000);
  for (let seconds = 0; seconds < 45; seconds++) await world.clock.advance(1000);
  assert.equal(hasStarted, false);
  assert.deepEqual(
    one.sharing.live.map(({ id }) => id),
    ['one', 'two'],
  );
  while (!hasStarted) await world.clock.advance(1000);
  await Promise.all([one.managers.stop(), (await starting).managers.stop()]);
});

test('a member that learns that another is gone when it is asked to let go takes over what is its own', async () => {
  const world = new World();
  const one = await world.start('one');
  await world.clock.advance(2000);
  const two = await world.start('two');
  await world.clock.advance(6000);
  for (const tenant of TENANTS) assert.equal(await world.fire(one, tenant, 'First'), 200);
  const own = TENANTS.find((tenant) => one.sharing.owns(tenant))!;
  // more often than it looks by itself
  const asked = async () => {
    await world.clock.advance(300);
    await assert.rejects(one.managers.asMember.release(own, SIGNAL), /another Alertmanager holds/);
  };
  for (let times = 0; times < 20; times++) await asked();
  two.isDead = true;
  while (one.sharing.live.length === 2) await asked();
  await world.clock.advance(6000);
  assert.equal(await world.held(one), TENANTS.length);
  await one.managers.stop();
});

test('one configuration that is wrong does not hide those of others', async () => {
  const world = new World();
  const [one, two] = [await world.start('one'), await world.start('two')];
  await world.clock.advance(6000);
  for (const tenant of TENANTS) await world.ask(one, 'POST', '/config/v1/alerts', tenant, CONFIG);
  const wrong = TENANTS.find((tenant) => two.sharing.owns(tenant))!;
  const key = { tenant: wrong, kind: CONFIG_KIND, name: '' };
  await one.documents.put(key, Buffer.from('alertmanager_config: "route: {}"'), { user: '' }, SIGNAL);
  const { status, json } = await world.ask(one, 'GET', '/multitenant_alertmanager/configs', '');
  assert.equal(status, 200, json);
  for (const tenant of TENANTS) assert.equal(json.includes(`${tenant}: |`), tenant !== wrong, json);
  await Promise.all([one.managers.stop(), two.managers.stop()]);
});
