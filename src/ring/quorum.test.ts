import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OwnerAnswer, outcomeOf, pushOutcome, readQuorum, writeQuorum } from './quorum.ts';

type Said = 'kept' | 'refused' | 'away';

/** Every way in which so many owners may answer. */
function* everyWay(owners: number): Generator<Said[]> {
  if (owners === 0) return yield [];
  for (const rest of everyWay(owners - 1))
    for (const said of ['kept', 'refused', 'away'] as const) yield [said, ...rest];
}

const count = (ways: readonly Said[], said: Said) => ways.filter((each) => each === said).length;

test('a read quorum meets every write quorum, for all numbers of owners', () => {
  for (let replicas = 1; replicas <= 7; replicas++) {
    for (let owners = writeQuorum(replicas); owners <= replicas; owners++) {
      const [write, read] = [writeQuorum(replicas), readQuorum(owners, replicas)];
      assert.ok(write + read > owners && write + read - 1 <= owners, `RF ${replicas}, ${owners} owners`);
      // all that wrote and all that read, as sets
      for (let wrote = 0; wrote < 2 ** owners; wrote++) {
        if (bits(wrote) < write) continue;
        for (let asked = 0; asked < 2 ** owners; asked++) {
          if (bits(asked) >= read) assert.notEqual(wrote & asked, 0);
        }
      }
    }
  }
});

test('what became of a series, for every way in which up to 5 owners may answer', () => {
  for (let replicas = 1; replicas <= 5; replicas++) {
    for (let owners = 1; owners <= replicas; owners++) {
      for (const way of everyWay(owners)) {
        const [kept, refused] = [count(way, 'kept'), count(way, 'refused')];
        const quorum = writeQuorum(replicas);
        const outcome = outcomeOf({ kept, refused }, replicas);
        assert.equal(outcome === 'kept', kept >= quorum, `${way} of RF ${replicas}`);
        if (outcome === 'refused') assert.ok(refused > 0 && kept + refused >= quorum);
        if (refused >= quorum) assert.equal(outcome, 'refused');
        // who is up decides: a sender is not sent back for ever by one that is away
        if (kept + refused >= quorum) assert.notEqual(outcome, 'unavailable');
        else assert.equal(outcome, 'unavailable');
        // one more that kept it never makes it worse, one more that is away never better
        for (const [at, said] of way.entries()) {
          if (said !== 'away') continue;
          const more = way.with(at, 'kept');
          const better = outcomeOf({ kept: count(more, 'kept'), refused: count(more, 'refused') }, replicas);
          if (outcome === 'kept') assert.equal(better, 'kept');
        }
      }
    }
  }
  const one = (...way: Said[]) => outcomeOf({ kept: count(way, 'kept'), refused: count(way, 'refused') }, 3);
  assert.equal(one('kept', 'kept', 'refused'), 'kept');
  assert.equal(one('kept', 'kept', 'away'), 'kept');
  assert.equal(one('refused', 'refused', 'kept'), 'refused');
  assert.equal(one('kept', 'refused', 'away'), 'refused');
  assert.equal(one('kept', 'away', 'away'), 'unavailable');
  assert.equal(one('refused', 'away', 'away'), 'unavailable');
});

test('outcomes are counted by series: two owners that refuse different ones refuse neither', () => {
  const of = (...answers: (readonly number[] | 'away')[]) =>
    pushOutcome(
      3,
      answers.map((each): OwnerAnswer => (each === 'away' ? undefined : new Set(each))),
      3,
    );
  assert.deepEqual(of([0], [1], []), { outcome: 'kept', refused: [], answeredMin: 3 });
  assert.deepEqual(of([0], [0], [1]), { outcome: 'refused', refused: [0], answeredMin: 3 });
  assert.deepEqual(of([], [2], 'away'), { outcome: 'refused', refused: [2], answeredMin: 2 });
  assert.deepEqual(of([1], 'away', 'away'), { outcome: 'unavailable', refused: [], answeredMin: 1 });
  assert.deepEqual(of('away', 'away', 'away'), { outcome: 'unavailable', refused: [], answeredMin: 0 });
});

test('a request has the outcome of its worst series, for all answers of three owners about two', () => {
  const answers: OwnerAnswer[] = [undefined, new Set(), new Set([0]), new Set([1]), new Set([0, 1])];
  const worst = ['kept', 'refused', 'unavailable'];
  for (const a of answers) {
    for (const b of answers) {
      for (const c of answers) {
        const got = pushOutcome(2, [a, b, c], 3);
        const each = [0, 1].map((frame) => {
          const refused = [a, b, c].filter((answer) => answer?.has(frame)).length;
          const kept = [a, b, c].filter((answer) => answer !== undefined && !answer.has(frame)).length;
          return outcomeOf({ kept, refused }, 3);
        });
        assert.equal(got.outcome, worst[Math.max(...each.map((outcome) => worst.indexOf(outcome)))]);
        assert.deepEqual(
          got.refused,
          [0, 1].filter((frame) => each[frame] === 'refused'),
        );
      }
    }
  }
});

function bits(mask: number): number {
  return mask === 0 ? 0 : (mask & 1) + bits(mask >> 1);
}
