import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Documents } from '../chunkstore/documents/documents.ts';
import { MemberRows } from '../chunkstore/documents/member-rows.ts';
import { StateRows } from '../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import { Schema } from '../chunkstore/schema.ts';
import { ALERTMANAGERS } from '../contract/alertmanager.ts';
import type { SeriesPush } from '../contract/push.ts';
import type { InstantRequest, PackedVector } from '../contract/query.ts';
import { type AlertTarget, type PostedAlert, RULES } from '../contract/rules.ts';
import { defaultsOf } from '../kit/config/section.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { systemBytes } from '../lib/random.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { gatedClient } from '../table/test-gated-client.ts';
import { rulerConfig } from './config.ts';
import { rulerMetrics } from './metrics.ts';
import { ruleDocument } from './rule-source.ts';
import { Ruler, type RulerLimits } from './ruler.ts';

const GROUPS = 12;
const START_MS = 1_764_000_000_000;
const LIMITS: RulerLimits = {
  rulerQueryOffsetMs: 0,
  rulerMinRuleEvaluationIntervalMs: 1000,
  rulerExternalLabels: { cluster: 'eu' },
  rulerExternalUrl: 'http://here/',
  rulerAlertGeneratorUrlTemplate: '',
  rulerAlertmanagerUrl: [],
  rulerAlertRelabelConfigs: [{ action: 'labeldrop', regex: 'secret' }],
};

/** Rulers that can be reached. */
const atAddress = new Map<string, Ruler>();

interface Place {
  readonly tables: MemoryTableStore;
  readonly clock: ManualClock;
  readonly documents: Documents;
}

async function placeOf(): Promise<Place> {
  const tables = new MemoryTableStore();
  const clock = new ManualClock(START_MS);
  const period = { fromMs: Number.NEGATIVE_INFINITY, tables, tablePrefix: 'p_', tableMs: 86_400_000 };
  const documents = new Documents(await TenantTables.open(new Schema([period])), clock, systemBytes);
  return { tables, clock, documents };
}

async function putGroup({ documents }: Place, name: string, text: string, tenant = 'a'): Promise<void> {
  await documents.put({ tenant, kind: RULES, name: ruleDocument('ns', name) }, Buffer.from(text), { user: '' });
}

/** A ruler on a store that others have too (`isWithout`: its process has no Alertmanager), and that can be away for it. It stops at the end of the test, however that ends. */
async function rulerOn(t: TestContext, { tables, clock }: Place, address: string, { isWithout = false } = {}) {
  const state = { isAway: false, limits: async (_tenant: string) => LIMITS };
  const check = () => {
    if (state.isAway) throw new Error('the store is away');
  };
  const client = gatedClient(tables, check);
  const period = {
    fromMs: Number.NEGATIVE_INFINITY,
    tables: { client, admin: tables, limits: tables.limits },
    tablePrefix: 'p_',
    tableMs: 86_400_000,
  };
  const pushed: SeriesPush[] = [];
  const posted: PostedAlert[] = [];
  /** Posts that told of an end. */
  const ended: PostedAlert[] = [];
  /** Tenants of posts. */
  const tenants: string[] = [];
  const alertmanager: AlertTarget = {
    async post(tenant, alerts) {
      tenants.push(tenant);
      posted.push(...alerts);
      ended.push(...alerts.filter(({ endsAtMs }) => endsAtMs <= clock.nowMs()));
    },
  };
  const ruler = await Ruler.open({
    config: { ...defaultsOf(rulerConfig), pollIntervalMs: 300 },
    parser: {},
    schema: new Schema([period]),
    queries: {
      instants: async (_, requests) => requests.map((request) => ({ result: oneSample(request) })),
    },
    push: {
      async pushSeries(request) {
        pushed.push(request);
        return { status: 204, headers: {}, text: '' };
      },
    },
    limits: (tenant) => state.limits(tenant),
    ...(isWithout ? { alertmanagerAt: () => alertmanager } : { builtIn: alertmanager }),
    peers: {
      address,
      async rulesOf(other, tenant) {
        const there = atAddress.get(other);
        if (there === undefined) throw new Error(`${other} cannot be reached`);
        return there.rules(tenant).groups;
      },
    },
    metrics: rulerMetrics(new Registry()),
    log: silentLogger,
    clock,
    randomBytes: systemBytes,
    memberTiming: { beatMs: 100, goneMs: 600 },
  });
  t.after(() => ruler.stop(AbortSignal.abort()));
  atAddress.set(address, ruler);
  const groups = () => ruler.rules('a').groups.map(({ name }) => name);
  return { ruler, state, pushed, posted, ended, tenants, groups };
}

function oneSample({ timeMs }: InstantRequest): PackedVector {
  return {
    type: 'vector',
    timeMs,
    pairs: JSON.stringify([['job', 'x', 'secret', 's']]),
    values: Float64Array.of(1),
    histograms: undefined,
  };
}

async function until({ clock }: Place, what: string, ask: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (ask()) return;
    await clock.advance(25);
  }
  assert.fail(what);
}

test('rulers share the groups; who takes one over goes on with its alerts, who lost one writes nothing more of it', async (t) => {
  const place = await placeOf();
  const all = Array.from({ length: GROUPS }, (_, i) => `g${i}`).sort();
  for (const name of all) {
    const text = `name: ${name}\ninterval: 1s\nrules: [{ alert: A, expr: x, for: 1s, labels: { group: ${name} } }]`;
    await putGroup(place, name, text);
  }
  const one = await rulerOn(t, place, 'one');
  await one.ruler.start();
  assert.deepEqual(one.groups(), all);
  await until(place, 'all fire', () => new Set(one.posted.map(({ labels }) => labels.join())).size === GROUPS);
  assert.deepEqual(one.posted.find(({ labels }) => labels.includes('g0'))?.labels, [
    'alertname',
    'A',
    'cluster',
    'eu',
    'group',
    'g0',
    'job',
    'x',
  ]);
  assert.equal(one.posted[0]!.generatorUrl, 'http://here/graph?g0.expr=x&g0.tab=1&tenant=a');
  const began = new Map(one.ruler.rules('a').groups.map(({ name, rules }) => [name, rules[0]!.alerts[0]!.activeAtMs]));

  const two = await rulerOn(t, place, 'two');
  await two.ruler.start();
  const parted = () => [...one.groups(), ...two.groups()].sort();
  await until(place, 'the groups are parted', () => parted().join() === all.join());
  assert.ok(one.groups().length > 1 && two.groups().length > 1, `${one.groups()} | ${two.groups()}`);
  // each tells of the other's, too, with health and times
  const evaluatedBy = ({ ruler }: typeof one) =>
    ruler.rules('a').groups.every(({ evaluatedAtMs }) => evaluatedAtMs !== undefined);
  await until(place, 'both evaluate', () => evaluatedBy(one) && evaluatedBy(two));
  for (const { ruler } of [one, two]) {
    const { groups } = await ruler.allRules('a', AbortSignal.timeout(10_000));
    for (const { name, evaluatedAtMs, rules } of groups) {
      assert.ok(evaluatedAtMs !== undefined && rules[0]!.evaluatedAtMs !== undefined, name);
      assert.equal(rules[0]!.health, 'ok', name);
    }
  }
  // and of one that does not answer with the alerts that it has kept
  atAddress.clear();
  for (const { ruler } of [one, two]) {
    const { groups } = await ruler.allRules('a', AbortSignal.timeout(10_000));
    assert.deepEqual(
      groups.map(({ name, rules }) => [name, rules[0]!.alerts[0]?.state, rules[0]!.alerts[0]?.activeAtMs]),
      all.map((name) => [name, 'firing', began.get(name)]),
    );
  }

  // it is cut off from the store, and goes on for as long as nobody else has its groups
  one.state.isAway = true;
  const ownedByOne = one.groups();
  await until(place, 'the other one takes over', () => two.groups().length === GROUPS);
  const seen = () => two.ruler.rules('a').groups.filter(({ evaluatedAtMs }) => evaluatedAtMs !== undefined).length;
  await until(place, 'and evaluates', () => seen() === GROUPS);
  for (const { name, rules } of two.ruler.rules('a').groups) {
    assert.equal(rules[0]!.alerts[0]?.activeAtMs, began.get(name), `${name} began when it did`);
    assert.equal(rules[0]!.alerts[0]?.state, 'firing');
  }
  assert.ok(ownedByOne.length > 0);

  // back again, it is a member as before
  one.state.isAway = false;
  await until(place, 'the groups are parted again', () => parted().join() === all.join());
  await two.ruler.stop(AbortSignal.timeout(2000));
  await until(place, 'one has all of them', () => one.groups().length === GROUPS);
  await one.ruler.stop(AbortSignal.timeout(2000));
  assert.deepEqual([...one.ended, ...two.ended], [], 'none was resolved');
  for (const name of all) {
    const begins = [...one.posted, ...two.posted]
      .filter(({ labels }) => labels.includes(name))
      .map(({ startsAtMs }) => startsAtMs);
    assert.equal(new Set(begins).size, 1, `${name} fired once`);
    // there, away from the one that was cut off, there again, and back: a repetition each, at the most
    assert.ok(begins.length <= 1 + 4, `${name} was sent ${begins.length} times`);
  }
});

test('alerts are sent again at once where whoever is to know of them may be another one', async (t) => {
  const place = await placeOf();
  const text = 'name: g\ninterval: 1s\nrules: [{ alert: A, expr: x }, { alert: B, expr: x, for: 1h }]';
  await putGroup(place, 'g', text);
  const { ruler, posted } = await rulerOn(t, place, 'alone');
  // nothing was evaluated yet
  await ruler.resend();
  await ruler.start();
  await until(place, 'it fires', () => posted.length === 1);
  await ruler.resend();
  await until(place, 'it is sent again', () => posted.length === 2);
  await ruler.stop(AbortSignal.timeout(2000));
  const [first, second] = posted;
  assert.deepEqual([second!.labels, second!.startsAtMs], [first!.labels, first!.startsAtMs]);
  assert.equal(posted.length, 2, 'what is pending is not sent');
});

test('an Alertmanager that comes is told of other tenants where one cannot be told of, and so is the next', async (t) => {
  const place = await placeOf();
  const text = 'name: g\ninterval: 1s\nrules: [{ alert: A, expr: x }]';
  for (const tenant of ['a', 'b']) await putGroup(place, 'g', text, tenant);
  const { tables, clock } = place;
  const period = { fromMs: Number.NEGATIVE_INFINITY, tables, tablePrefix: 'p_', tableMs: 86_400_000 };
  const rows = new StateRows(await TenantTables.open(new Schema([period])), systemBytes);
  const comes = async (id: string) => {
    const self = { id, address: `${id}:1` };
    await new MemberRows({ rows, kind: ALERTMANAGERS, self, clock, isAsked: true }).beat();
  };
  await comes('one');
  const { ruler, state, tenants } = await rulerOn(t, place, 'alone', { isWithout: true });
  await ruler.start();
  await until(place, 'both fire', () => new Set(tenants).size === 2);
  state.limits = async (tenant) => {
    if (tenant === 'a') throw new Error('limits are away');
    return LIMITS;
  };
  const error = (loop: string) => ruler.loopStates.find(({ name }) => name === loop)?.error ?? '';
  // limits are kept for a while
  for (let i = 0; i < 15 && error('rule-groups') === ''; i++) await clock.advance(1000);
  for (const id of ['two', 'three']) {
    tenants.length = 0;
    await comes(id);
    const isTold = () => tenants.includes('b') && /limits are away/.test(error('alertmanagers-seen'));
    await until(place, `${id} is told`, isTold);
    // no evaluation sends what was sent
    assert.ok(!tenants.includes('a'));
  }
  await ruler.stop(AbortSignal.timeout(2000));
});

test('what a group lacks is told without secrets', async (t) => {
  const place = await placeOf();
  await putGroup(place, 'g', 'name: g\ninterval: 1s\nrules: [{ record: r, expr: x }]');
  const { ruler, state } = await rulerOn(t, place, 'alone');
  await ruler.start();
  state.limits = () => Promise.reject(new Error('http://u:secret@limits is away'));
  const told = () => ruler.loopStates.find(({ name }) => name === 'rule-groups')?.error ?? '';
  // limits are kept for a while
  for (let i = 0; i < 15 && told() === ''; i++) await place.clock.advance(1000);
  assert.match(told(), /limits is away/);
  assert.doesNotMatch(told(), /secret/);
});
