import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Generations } from '../chunkstore/generations.ts';
import { Schema, TABLE_MS_DEFAULT } from '../chunkstore/schema.ts';
import { LateSamples } from '../distributor/late-samples.ts';
import type { Clock } from '../lib/clock.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { MemoryTableStore } from '../table/memory.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 0, 10, 12);
const LATE_MS = NOW_MS - 30 * HOUR_MS;
/** Clocks of readers differ from those of ingesters by less. */
const SKEW_MS = 4 * 60_000;

/** A clock that goes as another one, but shows another time. */
function shifted(clock: ManualClock, ms: number): Clock {
  return {
    nowMs: () => clock.nowMs() + ms,
    monotonicMs: () => clock.monotonicMs(),
    sleep: (...how) => clock.sleep(...how),
    every: (...how) => clock.every(...how),
    turn: () => clock.turn(),
  };
}

test('whoever asks sees each late sample that was acknowledged before, from a cache too, while three ingesters hold days', async () => {
  let held = 0;
  let cached = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const random = seededRandom(seed);
    const clock = new ManualClock(NOW_MS);
    const period = {
      fromMs: Number.NEGATIVE_INFINITY,
      tables: new MemoryTableStore(),
      objects: new MemoryObjectClient(clock),
      tablePrefix: 't_',
      tableMs: TABLE_MS_DEFAULT,
    };
    const randomBytes = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
    const generations = new Generations(new Schema([period]), clock, randomBytes);
    const slow = async () => {
      for (let turns = Math.floor(random() * 6); turns > 0; turns--) await undefined;
    };
    const ingesters = ['a', 'b', 'c'].map((name) => {
      const move = async (tenant: string, fromMs: number, toMs: number) => {
        await slow();
        await generations.move(tenant, fromMs, toMs);
      };
      const hold = async (tenant: string, fromMs: number, toMs: number, settledMs: number) => {
        held++;
        await slow();
        await generations.hold(tenant, fromMs, toMs, settledMs, name);
      };
      return new LateSamples(move, 2 * HOUR_MS, clock, { hold });
    });
    let visible = 0;
    let acknowledged = 0;
    const write = async () => {
      const sample = ++visible;
      await slow();
      await ingesters[Math.floor(random() * 3)]!.note('t', LATE_MS);
      acknowledged = Math.max(acknowledged, sample);
    };
    const cache = new Map<string, number>();
    const readers = [-SKEW_MS, 0, SKEW_MS].map((ms) => shifted(clock, ms));
    const query = async () => {
      const least = acknowledged;
      const days = await generations.of('t');
      const nowMs = readers[Math.floor(random() * 3)]!.nowMs();
      await slow();
      const token = days.token(LATE_MS, LATE_MS);
      const known = cache.get(token);
      if (known !== undefined) cached++;
      const seen = known ?? visible;
      assert.ok(seen >= least, `${seen} where ${least} were acknowledged, seed ${seed}`);
      await slow();
      if (days.isSettled(LATE_MS, LATE_MS, nowMs)) cache.set(token, seen);
    };
    for (let round = 0; round < 300; round++) {
      const isBusy = round % 60 < 40;
      const work = Array.from({ length: isBusy ? 4 : 1 }, () => (random() < (isBusy ? 0.7 : 0.2) ? write() : query()));
      await Promise.all(work);
      await clock.advance(isBusy ? Math.floor(random() * 400) : Math.floor(random() * 120_000));
    }
  }
  assert.ok(held > 30 && cached > 60, `${held} ${cached}`);
});
