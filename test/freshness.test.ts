import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RangeRequest } from '../src/contract/query.ts';
import { answersOf, comparableAnswer } from '../src/frontend/test-answers.ts';
import type { TestSeries } from '../src/ingester/shard/test-frames.ts';
import { type Random, seededRandom } from '../src/lib/random.ts';
import { HOUR_MS, MINUTE_MS, NOW_MS, SPAN_MS, startWorld, TENANT } from './freshness/world.ts';

// Two front ends that share a cache, or that have one each: a query that begins after late samples, an import or a delete were acknowledged
// sees them, whichever front end it asks and whichever has cached. `npm run test:freshness` asks 10,000 times.

const ROUNDS = Number(process.env.ROUNDS ?? 120);
/** Rounds of one store: each change makes all later queries slower, for nothing is ever compacted. */
const WORLD_ROUNDS = Math.min(250, ROUNDS / 2);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);

const EXPRS = [
  'm',
  'sum by (a) (m)',
  'max_over_time(m[10m])',
  'sum(rate(m[20m]))',
  'count(m offset 1h)',
  'm offset -40m',
];

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!;

const labelsOf = (i: number) => ({ __name__: 'm', a: `${i % 3}`, b: `${i}` });

test(`${ROUNDS} queries after late samples, imports and deletes see them`, async () => {
  console.log(`SEED=${SEED}`);
  const totals: Record<string, number> = {};
  for (let first = 0; first < ROUNDS; first += WORLD_ROUNDS) {
    const world = first / WORLD_ROUNDS;
    // all four, the first two of which differ in both
    const isHeld = Math.floor((world + 1) / 2) % 2 === 1;
    const options = { isShared: world % 2 === 0, isHeld, isCounted: !isHeld };
    const done = await rounds(SEED + first, Math.min(WORLD_ROUNDS, ROUNDS - first), options);
    for (const [what, count] of Object.entries(done)) totals[what] = (totals[what] ?? 0) + count;
  }
  console.log(JSON.stringify(totals));
  const { late, held, deletes, hits, evaluated, steps } = totals as Record<
    'late' | 'held' | 'deletes' | 'hits' | 'evaluated' | 'steps',
    number
  >;
  // few rounds may have none of something
  if (ROUNDS >= 1000) assert.ok(late > ROUNDS / 20 && deletes > 0 && held > 0);
  assert.ok(hits > ROUNDS);
  // most steps were answered from the cache
  assert.ok(evaluated < steps);
});

/** Changes and queries of one store. @returns how many there were of what */
async function rounds(
  seed: number,
  count: number,
  options: { readonly isShared: boolean; readonly isHeld: boolean; readonly isCounted: boolean },
): Promise<Record<string, number>> {
  const random = seededRandom(seed);
  const world = await startWorld(random, options);
  const { clock } = world;
  const all = Array.from({ length: SPAN_MS / (5 * MINUTE_MS) }, (_, i) => NOW_MS - SPAN_MS + i * 5 * MINUTE_MS);
  await world.write(
    Array.from({ length: 6 }, (_, i) => ({
      labels: labelsOf(i),
      samples: all.map((timeMs) => [timeMs, Math.floor(random() * 1000)] as const),
    })),
  );
  await world.flush();
  await world.drop();

  const someTime = () => clock.nowMs() - Math.floor(random() * SPAN_MS);
  const someSeries = (count: number, timeMs: () => number): TestSeries[] =>
    Array.from({ length: count }, () => ({
      labels: labelsOf(Math.floor(random() * 8)),
      samples: [[timeMs(), Math.floor(random() * 1000)]],
    }));
  /** The same few questions again and again, over a sliding time. */
  const someRequest = (): RangeRequest => {
    const stepMs = pick(random, [10, 30]) * MINUTE_MS;
    const endMs = Math.floor(clock.nowMs() / stepMs) * stepMs - Math.floor(random() * 4) * stepMs;
    return { expr: pick(random, EXPRS), startMs: endMs - pick(random, [12, 24]) * HOUR_MS, endMs, stepMs };
  };
  const done = { late: 0, imports: 0, deletes: 0, cancels: 0, flushes: 0, steps: 0 };
  const change = async () => {
    const dice = random();
    if (dice < 0.35) {
      // days of a backfill are held
      const writes = options.isHeld && random() < 0.1 ? 12 : 1;
      for (let i = 0; i < writes; i++) {
        if (await world.write(someSeries(1 + Math.floor(random() * 3), someTime))) done.late++;
      }
    } else if (dice < 0.4) {
      await world.import(someSeries(2, someTime));
      done.imports++;
    } else if (dice < 0.45) {
      const startMs = someTime();
      await world.delete(`${Math.floor(random() * 3)}`, startMs, startMs + Math.floor(random() * 2 * HOUR_MS));
      done.deletes++;
    } else if (dice < 0.5) {
      await world.cancel();
      done.cancels++;
    } else if (dice < 0.53) {
      await world.flush();
      done.flushes++;
    } else if (dice < 0.7) {
      await clock.advance(Math.floor(random() * (options.isHeld ? 12 : 3)) * MINUTE_MS);
      await world.write(someSeries(3, () => clock.nowMs()));
    }
  };
  const ask = (request: RangeRequest) => {
    done.steps += (request.endMs - request.startMs) / request.stepMs + 1;
    return answersOf(pick(random, world.frontends), request, TENANT);
  };
  for (let round = 0; round < count; round++) {
    // some ask meanwhile, and keep what they found
    const meanwhile = random() < 0.4 ? ask(someRequest()) : undefined;
    if (random() < 0.5) await change();
    const request = someRequest();
    const [answer, plain] = await Promise.all([ask(request), answersOf(world.plain, request, TENANT)]);
    const where = `${JSON.stringify(request)} in round ${round}, SEED=${seed}`;
    assert.deepEqual(comparableAnswer(answer), comparableAnswer(plain), where);
    await meanwhile;
    if (random() < 0.2) await world.drop();
    if (random() < 0.5) for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  }
  await world.close();
  return { ...done, evaluated: world.evaluated(), hits: world.hits(), held: world.held() };
}
