import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { Generations } from './generations.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';

const NOW_MS = Date.UTC(2026, 0, 10);

function generations() {
  const clock = new ManualClock(NOW_MS);
  const random = seededRandom(1);
  const period = {
    fromMs: Number.NEGATIVE_INFINITY,
    tables: new MemoryTableStore(),
    objects: new MemoryObjectClient(clock),
    tablePrefix: 't_',
    tableMs: TABLE_MS_DEFAULT,
  };
  const bytes = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
  return new Generations(new Schema([period]), clock, bytes);
}

test('days that several hold are settled when the last of them is, and each change makes another token', async () => {
  const all = generations();
  const [fromMs, toMs] = [NOW_MS - 3 * DAY_MS, NOW_MS - 2 * DAY_MS];
  const seen = new Set<string>();
  const look = async (nowMs: number) => {
    const days = await all.of('t');
    seen.add(days.token(fromMs, toMs));
    return days.isSettled(fromMs, toMs, nowMs);
  };
  assert.equal(await look(NOW_MS), true);
  await all.hold('t', fromMs, toMs, NOW_MS + 60_000, 'a');
  assert.equal(await look(NOW_MS), false);
  await all.hold('t', fromMs, fromMs, NOW_MS + 30_000, 'b');
  assert.equal(await look(NOW_MS + 40_000), false);
  // whoever does not hold them takes nothing from those who do
  await all.move('t', fromMs, toMs);
  assert.equal(await look(NOW_MS + 40_000), false);
  assert.equal(await look(NOW_MS + 60_000), true);
  // held again by the same: its row takes the place of the one before
  await all.hold('t', fromMs, toMs, NOW_MS + 90_000, 'a');
  assert.equal(await look(NOW_MS + 60_000), false);
  assert.equal(await look(NOW_MS + 90_000), true);
  assert.equal(seen.size, 5);
  const days = await all.of('t');
  // other days are as they were
  assert.equal(days.isSettled(NOW_MS - DAY_MS, NOW_MS, NOW_MS), true);
  assert.equal(days.token(NOW_MS - DAY_MS, NOW_MS), (await all.of('u')).token(0, NOW_MS));
});
