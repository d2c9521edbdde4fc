import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { deploymentOf, eventOf, type TenantEvent } from './event.ts';
import { EventBodyError, readEventBody } from './event-body.ts';
import { EventBook } from './event-book.ts';
import { MemoryRows } from './test-rows.ts';

const T = Date.parse('2026-06-15T12:00:00Z');
const DAY_MS = 86_400_000;
const service = { cluster: '', namespace: 'shop', name: 'cart' };

const event = (id: string, timeMs = T, more: Partial<TenantEvent> = {}): TenantEvent => ({
  id,
  kind: 'deployment',
  evidence: 'image',
  timeMs,
  service,
  to: '2',
  ...more,
});

function world() {
  const rows = new MemoryRows();
  const clock = new ManualClock(T);
  return { rows, clock, book: new EventBook(rows, clock) };
}

const read = (body: unknown, user = '') => readEventBody(JSON.stringify(body), { nowMs: T, user });

test('events are listed by time, and what is written twice is there once', async () => {
  const { book, rows } = world();
  await book.put('t', [event('a'), event('b', T - DAY_MS), event('c', T - 3_600_000, { endMs: T + 60_000 })]);
  const writes = rows.writes;
  await book.put('t', [event('a'), event('b', T - DAY_MS)]);
  assert.equal(rows.writes, writes, 'nothing new, nothing written');
  await book.put('t', [event('a', T, { endMs: T + 1 })]);
  const ids = async (startMs: number, endMs: number, tenant = 't') =>
    (await book.list(tenant, { startMs, endMs })).map(({ id }) => id);
  assert.deepEqual(await ids(T - 2 * DAY_MS, T), ['b', 'c', 'a']);
  assert.deepEqual(await ids(T + 30_000, T + 40_000), ['c'], 'one that goes on');
  assert.deepEqual(await ids(0, T, 'other'), []);
  assert.equal((await book.list('t', { startMs: T, endMs: T })).find(({ id }) => id === 'a')?.endMs, T + 1);
});

test('two who write at once both have written', async () => {
  const { rows, clock } = world();
  const books = [new EventBook(rows, clock), new EventBook(rows, clock)];
  await Promise.all(Array.from({ length: 20 }, (_, i) => books[i % 2]!.put('t', [event(`e${i % 4}`)])));
  assert.equal((await new EventBook(rows, clock).list('t', { startMs: 0, endMs: T })).length, 4);
});

test('a day and a tenant have bounds, and a year ends them', async () => {
  const { book, clock } = world();
  const big = Array.from({ length: 2000 }, (_, i) => event(`e${i}`, T, { text: 'x'.repeat(1000) }));
  await assert.rejects(book.put('t', big), /events of one day are too many: \d+ bytes in one of its rows/);
  await book.put('u', [event('old', T - 364 * DAY_MS), event('new')]);
  clock.set(T + 3 * DAY_MS);
  await book.trim('u');
  assert.deepEqual(
    (await book.list('u', { startMs: 0, endMs: T })).map(({ id }) => id),
    ['new'],
  );
});

test('bodies are read: ours, and those of Grafana', () => {
  assert.deepEqual(
    read({ type: 'deployment', service: { namespace: 'shop', name: 'cart' }, to: '2', from: '1', time: T }, 'ann'),
    {
      id: `/shop/cart/2/${T}`,
      kind: 'deployment',
      evidence: 'sent',
      timeMs: T,
      service,
      from: '1',
      to: '2',
      user: 'ann',
    },
  );
  const annotation = {
    dashboardUID: 'x',
    panelId: 1,
    time: T - 1000,
    timeEnd: T,
    tags: ['service:cart', 'namespace:shop', 'version:2'],
    text: 'out',
  };
  const { kind, to, text, timeMs, endMs, service: of } = read(annotation);
  assert.deepEqual([kind, to, text, timeMs, endMs, of], ['deployment', '2', 'out', T - 1000, T, service]);
  assert.equal(read({ text: 'lunch' }).kind, 'annotation');
  assert.equal(read({ text: 'x', time: T / 1000 }).timeMs, T, 'seconds');
  assert.equal(read({ text: 'x', time: new Date(T).toISOString() }).timeMs, T);
  assert.equal(read({ text: 'x' }).id, read({ text: 'x' }).id, 'sent again');
  assert.notEqual(read({ text: 'x' }).id, read({ text: 'y' }).id);
  assert.deepEqual(read({ service: '/shop/cart', to: '2' }).service, service);
  for (const odd of ['<script>alert(1)</script>', '\u202egnp.exe', 'ä'.repeat(2000), '\ud800']) {
    assert.equal(read({ text: odd }).text, odd.toWellFormed());
  }
});

test('bodies that are no events say why', () => {
  for (const [body, why] of [
    ['[]', /an object is wanted/],
    ['{', /no JSON/],
    ['{}', /text is missing/],
    [JSON.stringify({ text: 'x'.repeat(5000) }), /text has 5000 characters, more than 4096/],
    [JSON.stringify({ text: 1 }), /text is no text/],
    [JSON.stringify({ type: 'party', text: 'x' }), /type party is none of/],
    [JSON.stringify({ type: 'deployment', text: 'x' }), /needs a service/],
    [JSON.stringify({ text: 'x', time: 'soon' }), /time is no time/],
    [JSON.stringify({ text: 'x', time: T - 400 * DAY_MS }), /more than a year ago/],
    [JSON.stringify({ text: 'x', time: T + 2 * DAY_MS }), /more than a day ahead/],
    [JSON.stringify({ text: 'x', time: T, timeEnd: T - 1 }), /timeEnd is before time/],
    [JSON.stringify({ text: 'x', tags: Array(65).fill('a') }), /at most 64/],
    [JSON.stringify({ text: 'x', service: { namespace: 'a' } }), /service.name is missing/],
  ] as const) {
    const attempt = () => readEventBody(body, { nowMs: T, user: '' });
    assert.throws(attempt, (thrown: Error) => thrown instanceof EventBodyError && why.test(thrown.message), body);
  }
});

test('a deployment is the same after it was an event', () => {
  const found = {
    id: 'x',
    kind: 'canary',
    evidence: 'image',
    service,
    from: '1',
    to: '2',
    beginMs: T,
    endMs: undefined,
  } as const;
  assert.deepEqual(deploymentOf(eventOf(found)), found);
  assert.equal(deploymentOf(read({ text: 'x' })), undefined);
});
