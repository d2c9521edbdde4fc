import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import type { TableClient } from '../table/client.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { DayLeases } from './day-lease.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';

const DAY = 20_000;
const MINUTE = 60_000;

/** Fate of the next changes: made and answered, made without an answer, not made, or made and told as if somebody else had. */
type Fate = 'answered' | 'lost after' | 'lost before' | 'told twice';

async function storeOf() {
  const inner = new MemoryTableStore();
  const clock = new ManualClock(DAY * 86_400_000);
  const fates: Fate[] = [];
  let readsFail = false;
  const client: TableClient = {
    write: (...args) => inner.write(...args),
    async *query(...args) {
      if (readsFail) throw new Error('away');
      yield* inner.query(...args);
    },
    delete: (...args) => inner.delete(...args),
    async compareAndSet(...args) {
      const fate = fates.shift() ?? 'answered';
      if (fate === 'lost before') throw new Error('lost');
      const done = await inner.compareAndSet(...args);
      if (fate === 'lost after') throw new Error('lost');
      return fate === 'told twice' ? false : done;
    },
    close: async () => {},
  };
  const tables = { client, admin: inner, limits: inner.limits, oneProcess: false };
  const fromMs = Number.NEGATIVE_INFINITY;
  const schema = new Schema([{ fromMs, tables, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT }]);
  await inner.create(schema.tableOf(DAY).table);
  const owner = (seed: number) => new DayLeases(schema, clock, seededRandom(seed));
  return { clock, fates, owner, readsFail: (fail: boolean) => (readsFail = fail) };
}

test('a lease whose answer was lost is held by who took it, and by nobody else', async () => {
  for (const fate of ['lost after', 'lost before', 'told twice'] as const) {
    const { fates, owner, clock } = await storeOf();
    const own = owner(1);
    fates.push(fate);
    const lease = await own.take('t', DAY);
    assert.ok(lease, fate);
    assert.equal(await owner(2).take('t', DAY), undefined, fate);
    clock.set(clock.nowMs() + 5 * MINUTE);
    fates.push(fate);
    await lease.keep();
    assert.equal(await owner(2).take('t', DAY), undefined, fate);
    fates.push(fate);
    await lease.release();
    assert.ok(await owner(2).take('t', DAY), fate);
  }
});

test('an owner that could not learn what became of its lease takes it again; another waits until it has run out', async () => {
  const { fates, owner, clock, readsFail } = await storeOf();
  const own = owner(1);
  fates.push('lost after');
  // the first read finds no row, the one after the lost answer fails
  const taking = own.take('t', DAY);
  await Promise.resolve();
  readsFail(true);
  await assert.rejects(taking, /away/);
  readsFail(false);
  assert.equal(await owner(2).take('t', DAY), undefined);
  const lease = await own.take('t', DAY);
  assert.ok(lease);
  // a release that did not come about, too
  fates.push('lost before', 'lost before', 'lost before');
  await assert.rejects(lease.release(), /lost/);
  assert.equal(await owner(2).take('t', DAY), undefined);
  assert.ok(await own.take('t', DAY));
  clock.set(clock.nowMs() + 11 * MINUTE);
  assert.ok(await owner(2).take('t', DAY));
  assert.equal(await own.take('t', DAY), undefined, 'what was its own is another’s by now');
});
