import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { type OwnerAnswer, pushOutcome } from '../ring/quorum.ts';
import { PartOutcome } from './part-outcome.ts';

const RUNS = 20_000;

test('answers that come one by one give what all of them together give, as soon as nothing can change it', () => {
  const random = seededRandom(1);
  const seen = new Map<string, number>();
  for (let run = 0; run < RUNS; run++) {
    const replicas = 1 + Math.floor(random() * 5);
    // an operator may have left fewer
    const owners = Math.max(1, replicas - Math.floor(random() * 2));
    const frames = 1 + Math.floor(random() * 4);
    const [away, refusing] = [random(), random() * random()];
    const answers: OwnerAnswer[] = Array.from({ length: owners }, () =>
      random() < away * away
        ? undefined
        : new Set(Array.from({ length: frames }, (_, frame) => frame).filter(() => random() < refusing)),
    );
    const model = pushOutcome(frames, answers, replicas);
    const outcome = new PartOutcome(owners, replicas);
    const left = [...answers];
    let early = false;
    while (!outcome.isSettled) outcome.add(left.shift());
    if (left.length > 0) early = true;
    const settled = outcome.outcome(frames);
    assert.deepEqual([settled.outcome, settled.refused], [model.outcome, model.refused]);
    for (const answer of left) outcome.add(answer);
    assert.deepEqual(outcome.outcome(frames), model);
    const key = `${model.outcome}${early ? ' early' : ''}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  assert.equal(seen.size, 6, [...seen.keys()].join());
});

test('it is settled only when it must be', () => {
  const outcome = new PartOutcome(3, 3);
  assert.equal(outcome.isSettled, false);
  outcome.add([]);
  assert.equal(outcome.isSettled, false, 'one of three is no quorum');
  outcome.add([1]);
  assert.equal(outcome.isSettled, false, 'the third may keep what one kept and one refused');
  assert.deepEqual(outcome.outcome(2), { outcome: 'refused', refused: [1], answeredMin: 2 });
  outcome.add([]);
  assert.equal(outcome.isSettled, true);
  assert.deepEqual(outcome.outcome(2), { outcome: 'kept', refused: [], answeredMin: 3 });
});
