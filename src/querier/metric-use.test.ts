import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { ParsedExprs } from '../promql/parser/parsed.ts';
import { AskedMetrics } from './asked-metrics.ts';
import { FoundMetrics } from './found-metrics.ts';
import { MetricUseBook, timesAsked, type UseHead, type UseRows } from './metric-use.ts';

const DAY_MS = 86_400_000;
const NO_TURNS = { due: false, pause: async () => {} };

/** Rows in memory. @param failing: compare-and-set loses against others so many times */
function memoryRows(failing = { times: 0 }): UseRows & { readonly all: Map<string, UseHead> } {
  const all = new Map<string, UseHead>();
  const keyOf = ({ tenant, name }: { tenant: string; name: string }) => `${tenant} ${name}`;
  return {
    all,
    get: async (key) => all.get(keyOf(key)),
    async *list(tenant) {
      for (const [key, head] of all) if (key.startsWith(`${tenant} `)) yield head;
    },
    async compareAndSet(key, expected, { body, pages }) {
      if (failing.times-- > 0 || all.get(keyOf(key)) !== expected) return undefined;
      const head = { name: key.name, pages, body, value: body };
      all.set(keyOf(key), head);
      return head;
    },
    remove: async (key) => void all.delete(keyOf(key)),
  };
}

function bookOver(rows: UseRows, clock = new ManualClock(20_000 * DAY_MS)) {
  const failures: string[] = [];
  return {
    book: new MetricUseBook({ rows, clock, onFailure: ({ message }) => failures.push(message) }),
    failures,
    clock,
  };
}

const signal = new AbortController().signal;

test('counts by source, last time and user add up over processes and days', async () => {
  const rows = memoryRows();
  const { book: one, clock } = bookOver(rows);
  const { book: two } = bookOver(rows, clock);
  one.note('t', ['up', 'm'], { user: 'ann', source: 'api' });
  two.note('t', ['up'], { user: 'bob', source: 'dashboard' });
  await Promise.all([one.save(), two.save()]);
  await clock.advance(DAY_MS);
  one.note('t', ['up'], { user: '', source: 'rule' });
  one.note('other', ['secret'], { user: 'eve', source: 'api' });
  const { metrics, sinceMs } = await one.of('t', 30, signal);
  assert.deepEqual(metrics.get('up'), { rule: 1, dashboard: 1, api: 1, lastMs: clock.nowMs(), user: '' });
  assert.deepEqual([...metrics.keys()].sort(), ['m', 'up']);
  assert.equal(sinceMs, 20_000 * DAY_MS);
  assert.equal(timesAsked((await one.of('t', 1, signal)).metrics.get('up')!), 1);
});

test('what could not be written is counted with the next ones', async () => {
  const failing = { times: 100 };
  const { book, failures } = bookOver(memoryRows(failing));
  book.note('t', ['up'], { user: '', source: 'api' });
  await book.save();
  assert.match(failures[0]!, /changed by others 10 times/);
  failing.times = 0;
  book.note('t', ['up'], { user: '', source: 'api' });
  await book.save();
  assert.equal((await book.of('t', 1, signal)).metrics.get('up')!.api, 2);
});

test('rows are bounded, and old days go', async () => {
  const rows = memoryRows();
  const { book, clock } = bookOver(rows);
  for (let i = 0; i < 3; i++) book.note('t', ['often'], { user: '', source: 'api' });
  for (let i = 0; i < 40_000; i++) book.note('t', [`m${i}_${'x'.repeat(100)}`], { user: 'u', source: 'api' });
  await book.save();
  for (const { body } of rows.all.values()) assert.ok(body.length <= 120 << 10, `${body.length}`);
  assert.equal((await book.of('t', 1, signal)).metrics.get('often')!.api, 3);
  await clock.advance(31 * DAY_MS);
  book.note('t', ['later'], { user: '', source: 'api' });
  await book.save();
  assert.equal(rows.all.size, 1);
});

test('names are those that a query spells', async () => {
  const asked = new AskedMetrics(new ParsedExprs());
  const names = async (query: string) => [...(await asked.of(query, NO_TURNS)).names].sort();
  assert.deepEqual(await names('rate(a[5m]) / on (x) sum(b offset 1h) or {__name__=~"c|d", x="y"}'), [
    'a',
    'b',
    'c',
    'd',
  ]);
  assert.deepEqual(await names('{__name__=~"c.*"} + 1'), []);
  assert.deepEqual(await names('broken('), []);
  assert.deepEqual(await names(`a + ${'b +'.repeat(2_000)} c`), []);
  assert.deepEqual(await asked.ofAll(['a', 'a + b', '{x="y"} + {__name__=~"c.*"}', 'sum({x="y"})'], NO_TURNS), {
    names: ['a', 'b'],
    selectors: ['{x="y"}', '{__name__=~"c.*"}'],
  });
});

test('metrics that selectors find by other labels are counted, looked up once for many requests', async () => {
  const counted: string[] = [];
  const looked: string[] = [];
  const clock = new ManualClock(20_000 * DAY_MS);
  const found = new FoundMetrics({
    find: async (tenant, selector) => {
      looked.push(`${tenant} ${selector}`);
      if (selector === '{bad}') throw new Error('refused');
      return ['a', 'b'];
    },
    note: (tenant, names, { user, source }) => counted.push(`${tenant} ${names} ${user} ${source}`),
    clock,
  });
  found.asked('t', ['{x="y"}', '{bad}'], { user: 'ann', source: 'api' });
  found.asked('t', ['{x="y"}'], { user: 'bob', source: 'dashboard' });
  await found.idle();
  found.asked('t', ['{x="y"}'], { user: '', source: 'rule' });
  assert.deepEqual(
    counted.filter((text) => text.includes('a,b')),
    ['t a,b ann api', 't a,b bob dashboard', 't a,b  rule'],
  );
  assert.deepEqual(looked, ['t {x="y"}', 't {bad}']);
  await clock.advance(11 * 60_000);
  found.asked('t', ['{x="y"}'], { user: '', source: 'rule' });
  await found.idle();
  assert.equal(looked.length, 3);
  for (let i = 0; i < 1_000; i++) found.asked('t', [`{n="${i}"}`], { user: '', source: 'api' });
  await found.idle();
  assert.ok(looked.length <= 3 + 201, `${looked.length} look-ups`);
  await found.stop();
});

test('names that are looked up again are held once, and who asks when the last look-up is through begins anew', async () => {
  const clock = new ManualClock(20_000 * DAY_MS);
  const names = Array.from({ length: 1_000 }, (_, i) => `a_metric_of_some_thirty_chars_${i}`);
  const looked: string[] = [];
  let asksLate = false;
  const asker = { user: '', source: 'api' } as const;
  const found = new FoundMetrics({
    find: async (_, selector) => {
      looked.push(selector);
      return names;
    },
    note: () => {
      if (!asksLate) return;
      asksLate = false;
      queueMicrotask(() => found.asked('t', ['{late}'], asker));
    },
    clock,
  });
  const selectors = Array.from({ length: 60 }, (_, i) => `{job="${i}"}`);
  for (let round = 1; round < 6; round++) {
    found.asked('t', selectors, asker);
    await found.idle();
    await clock.advance(60_000);
    found.asked('t', selectors, asker);
    await found.idle();
    assert.equal(looked.length, round * selectors.length);
    await clock.advance(10 * 60_000);
  }
  asksLate = true;
  found.asked('t', ['{one}'], asker);
  await found.idle();
  assert.deepEqual(looked.slice(-2), ['{one}', '{late}']);
  await found.stop();
  found.asked('t', ['{stopped}'], asker);
  await found.idle();
  assert.notEqual(looked.at(-1), '{stopped}');
});
