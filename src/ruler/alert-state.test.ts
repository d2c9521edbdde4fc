import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { StateRows } from '../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import { Schema } from '../chunkstore/schema.ts';
import { systemBytes } from '../lib/random.ts';
import { Labels } from '../model/labels.ts';
import type { TableClient, TableStore } from '../table/client.ts';
import { EmbeddedTableStore } from '../table/embedded.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { ALERT_STATE, AlertStateRow, GroupLostError, restoreKept } from './alert-state.ts';
import type { RuleSample } from './evaluate.ts';
import { GroupRun, type RuleSink } from './group-run.ts';
import { readRuleGroup } from './rule-file.ts';

const KEY = { tenant: 'a', kind: ALERT_STATE, name: 'file;g' };
const MINUTE_MS = 60_000;

const GROUP = `
name: g
rules:
  - alert: Down
    expr: up == 0
    labels: { severity: page }
    annotations: { summary: "{{ $labels.instance }} is down at {{ $value }}" }
  - alert: Slow
    expr: latency > 1
    for: 5m
`;

async function rowsOf(tables: TableStore): Promise<StateRows> {
  const period = { fromMs: Number.NEGATIVE_INFINITY, tables, tablePrefix: 'p_', tableMs: 86_400_000 };
  return new StateRows(await TenantTables.open(new Schema([period])), systemBytes);
}

/** A group whose first rule finds the instances that are named, with an order in which things happened. */
function groupOn(state: AlertStateRow, text = GROUP) {
  const events: string[] = [];
  const found = { instances: [] as string[], value: 1 };
  const sink: RuleSink = {
    async append(_, writes) {
      const samples = writes.flatMap((write) => write.samples);
      events.push(`wrote ${samples.length}, ended ${writes.flatMap(({ stale }) => stale).length}`);
      return writes.map(() => []);
    },
  };
  const keeper = {
    async keep(...[rules, slotMs]: Parameters<AlertStateRow['keep']>) {
      await state.keep(rules, slotMs);
      events.push('kept');
      return true;
    },
  };
  const run = new GroupRun(readRuleGroup(text).groups[0]!, sink, keeper);
  const query = {
    async instant(expr: string): Promise<readonly RuleSample[]> {
      if (!expr.startsWith('up')) return [];
      return found.instances.map((instance) => ({
        labels: Labels.of({ __name__: 'up', instance }),
        value: found.value,
        histogram: undefined,
      }));
    },
  };
  const evaluate = (slotMs: number) =>
    run.evaluate({ query, slotMs, externalLabels: new Map(), externalUrl: 'http://x', nowMs: () => slotMs });
  return { run, found, events, evaluate };
}

async function taken(rows: StateRows, owner: string, fence = false) {
  const state = new AlertStateRow(rows, KEY, owner);
  const kept = await state.take(fence);
  const group = groupOn(state);
  if (kept !== undefined) restoreKept(group.run.rules, kept);
  return { state, kept, ...group };
}

test('state is kept before samples are written, when a state or a time changed, and else not at all', async () => {
  const { state, found, events, evaluate } = await taken(await rowsOf(new MemoryTableStore()), 'one');
  await evaluate(0);
  assert.deepEqual([state.writes, events], [0, []]);
  found.instances = ['a', 'b'];
  await evaluate(MINUTE_MS);
  assert.deepEqual(events.splice(0), ['kept', 'wrote 4, ended 0']);
  found.value = 2;
  for (let i = 2; i < 62; i++) await evaluate(i * MINUTE_MS);
  assert.equal(state.writes, 1, 'a quiet hour writes nothing');
  events.splice(0);
  found.instances = ['a'];
  await evaluate(62 * MINUTE_MS);
  assert.deepEqual([state.writes, events], [2, ['kept', 'wrote 2, ended 2']]);
});

test('whoever takes a group over finds its alerts, and shuts out the one before', async () => {
  const rows = await rowsOf(new MemoryTableStore());
  const one = await taken(rows, 'one');
  assert.equal(one.kept, undefined);
  one.found.instances = ['a', 'b'];
  await one.evaluate(MINUTE_MS);
  one.found.instances = ['a'];
  await one.evaluate(2 * MINUTE_MS);
  const two = await taken(rows, 'two', true);
  const alerts = (group: typeof one) => [...group.run.rules[0]!.alerts.values()];
  assert.deepEqual(
    alerts(two).map((alert) => ({ ...alert, labels: `${alert.labels}` })),
    alerts(one).map((alert) => ({ ...alert, labels: `${alert.labels}` })),
  );
  assert.deepEqual(
    alerts(two).map(({ state, annotations, firedAtMs, resolvedAtMs }) => [state, annotations, firedAtMs, resolvedAtMs]),
    [
      ['firing', ['summary', 'a is down at 1'], MINUTE_MS, undefined],
      ['inactive', ['summary', 'b is down at 1'], MINUTE_MS, 2 * MINUTE_MS],
    ],
  );
  one.events.splice(0);
  one.found.instances = [];
  await assert.rejects(one.evaluate(3 * MINUTE_MS), GroupLostError);
  assert.deepEqual(one.events, [], 'it writes nothing more');
  two.found.instances = [];
  await two.evaluate(3 * MINUTE_MS);
  assert.deepEqual(two.events, ['kept']);
});

test('a write whose answer was lost is no reason to give a group up', async () => {
  const tables = new MemoryTableStore();
  let losing = false;
  const client: TableClient = {
    write: (...args) => tables.write(...args),
    query: (...args) => tables.query(...args),
    delete: (...args) => tables.delete(...args),
    async compareAndSet(...args) {
      const done = await tables.compareAndSet(...args);
      if (losing) throw new Error('the connection is gone');
      return done;
    },
    close: async () => {},
  };
  const { found, evaluate, state } = await taken(await rowsOf({ limits: tables.limits, admin: tables, client }), 'one');
  found.instances = ['a'];
  losing = true;
  await assert.rejects(evaluate(0), /the connection is gone/);
  losing = false;
  await evaluate(MINUTE_MS);
  assert.equal(state.writes, 3);
});

test('edits keep what stays the same, first with first', async () => {
  const { run, found, evaluate, state } = await taken(await rowsOf(new MemoryTableStore()), 'one');
  found.instances = ['a'];
  await evaluate(0);
  const edited = groupOn(state, GROUP.replace('up == 0', 'up == bool 0').replace('alert: Slow', 'alert: Slower'));
  edited.run.copyState(run);
  assert.equal(edited.run.rules[0]!.alerts, run.rules[0]!.alerts);
  assert.equal(edited.run.staleSeries.length, 0);
  const renamed = groupOn(state, GROUP.replace('severity: page', 'severity: low'));
  renamed.run.copyState(run);
  assert.equal(renamed.run.rules[0]!.alerts.size, 0);
  assert.equal(renamed.run.staleSeries.length, 2);
  await renamed.evaluate(MINUTE_MS);
  assert.deepEqual(renamed.events, ['kept', 'wrote 0, ended 2']);
});

test('10,000 alerts that begin in one slot are one compare-and-set, and of a few that change only their pages are written', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'pallium-alerts-'));
  after(() => rmSync(dir, { recursive: true, force: true }));
  const tables = await EmbeddedTableStore.open({ dir });
  const rows = await rowsOf(tables);
  const pages: number[] = [];
  const counted: StateRows = Object.assign(Object.create(rows) as StateRows, {
    writePages(...args: Parameters<StateRows['writePages']>) {
      pages.push(args[1].size);
      return rows.writePages(...args);
    },
  });
  for (const method of [
    'get',
    'read',
    'compareAndSet',
    'newPageId',
    'removePages',
    'remove',
    'list',
    'pageIds',
  ] as const) {
    Object.assign(counted, { [method]: (rows[method] as (...args: unknown[]) => unknown).bind(rows) });
  }
  const { state, found, evaluate } = await taken(counted, 'one');
  found.instances = Array.from({ length: 10_000 }, (_, i) => `host-${i}.example.org:9100`);
  const cpu = process.cpuUsage();
  await evaluate(0);
  const { user, system } = process.cpuUsage(cpu);
  assert.equal(state.writes, 1);
  assert.ok(pages[0]! > 10 && pages[0]! < 60, `${pages[0]} pages`);
  // half a second on a quiet machine, the templates of 10,000 alerts included
  assert.ok((user + system) / 1000 < 2000, `${(user + system) / 1000} ms of CPU`);
  found.instances = found.instances.slice(3);
  await evaluate(MINUTE_MS);
  assert.equal(state.writes, 2);
  assert.equal(pages[1], 1);
  const again = new AlertStateRow(rows, KEY, 'two');
  const [down] = (await again.take(false))!;
  assert.equal(down!.alerts.length, 10_000);
  assert.equal(down!.alerts.filter(({ state }) => state === 'inactive').length, 3);
  found.instances = [];
  await evaluate(2 * MINUTE_MS);
  await evaluate(20 * MINUTE_MS);
  assert.deepEqual(await rows.pageIds(KEY), []);
  await tables.close();
});

test('an hour in which values change and states do not writes nothing', async () => {
  const rows = await rowsOf(new MemoryTableStore());
  const { state, found, events, evaluate } = await taken(rows, 'one');
  found.instances = Array.from({ length: 500 }, (_, i) => `host-${i}`);
  await evaluate(0);
  const head = (await rows.read(KEY))!.head;
  events.length = 0;
  for (let minute = 1; minute <= 60; minute++) {
    found.value = minute;
    await evaluate(minute * MINUTE_MS);
  }
  assert.equal(state.writes, 1);
  assert.equal(events.includes('kept'), false);
  assert.deepEqual((await rows.read(KEY))!.head, head);
});
