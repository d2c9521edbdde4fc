import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplicaLoss } from '../contract/replica.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import type { RingMember, Standing } from '../ring/member.ts';
import { RingLife } from './ring-life.ts';

/** An ingester and its place in the ring, as a test sets them. */
class Place {
  standing: Standing = 'member';
  wants: RingMember['wants'] = 'join';
  isNeeded = true;
  refused = 0;
  word = 0;
  complete: readonly [boolean, boolean] | undefined;
  windows = new Set<string>();
  found: ReplicaLoss[] = [];
  flushes = 0;
  looks = 0;
  readonly did: string[] = [];
  readonly life: RingLife;
  readonly clock = new ManualClock();

  constructor(hurryMs?: number, readBack?: (signal: AbortSignal) => Promise<boolean>) {
    const place = this;
    const ring = {
      get standing() {
        return place.standing;
      },
      get wants() {
        return place.wants;
      },
      get isNeeded() {
        return place.isNeeded;
      },
      setComplete: (complete: boolean, lost = false) => {
        this.complete = [complete, lost];
      },
      refusedUpTo: () => this.refused,
      giveWord: (number: number) => {
        this.word = number;
      },
      join: () => void this.did.push('join'),
      leave: () => void this.did.push('leave'),
      sizesSeriesMin: 2000,
      reportSizes: async () => {},
    };
    const ingester = {
      notReady: () => undefined,
      losses: async () => {
        this.looks++;
        return this.found;
      },
      owed: async () => new Set(this.windows),
      flush: async () => {
        this.flushes++;
        this.windows.clear();
      },
    };
    const member = { settled: async () => {} };
    const { clock } = this;
    const hurry = { ...(hurryMs !== undefined && { hurryMs }), ...(readBack && { readBack }) };
    this.life = new RingLife({ ring, member, ingester, shards: () => [], clock, log: silentLogger, ...hurry });
  }
}

test('the word for a version is given once the store has what was owed when its writes had ended', async () => {
  const place = new Place();
  place.windows.add('1');
  await place.life.look();
  assert.deepEqual([place.word, place.complete], [0, [true, false]]);
  place.refused = 3;
  await place.life.look();
  place.windows.add('2');
  place.refused = 4;
  await place.life.look();
  assert.equal(place.word, 0);
  place.windows.delete('1');
  await place.life.look();
  assert.equal(place.word, 3, 'what came since is of version 4');
  place.windows.delete('2');
  place.windows.add('3');
  await place.life.look();
  assert.equal(place.word, 4);
  assert.equal(place.flushes, 0);
});

test('one without arcs writes everything and leaves, or joins anew where it was taken out', async () => {
  const place = new Place();
  place.windows.add('1');
  Object.assign(place, { standing: 'drained', wants: 'drain', refused: 5 });
  await place.life.look();
  assert.deepEqual([place.flushes, place.word, place.did], [1, 5, ['leave']]);
  const other = new Place();
  other.windows.add('1');
  Object.assign(other, { standing: 'out', wants: 'nothing', refused: 5 });
  await other.life.look();
  assert.deepEqual([other.flushes, other.word, other.did], [1, 5, ['join']]);
});

test('one that drained, and was taken out while it was away, leaves', async () => {
  const place = new Place();
  place.windows.add('1');
  Object.assign(place, { standing: 'out', wants: 'drain', refused: 5 });
  await place.life.look();
  assert.deepEqual([place.flushes, place.word, place.did], [1, 5, ['leave']]);
});

test('one that lost something gives no word, and leaves when others have given theirs', async () => {
  const place = new Place();
  place.found = [{ text: 'lost', settled: false }];
  Object.assign(place, { standing: 'drained', wants: 'drain', refused: 5 });
  await place.life.look();
  assert.deepEqual([place.word, place.complete, place.did], [0, [false, true], []]);
  place.found = [{ text: 'lost', settled: true }];
  place.isNeeded = false;
  await place.life.look();
  assert.deepEqual([place.word, place.complete, place.did], [0, [true, true], ['leave']]);
});

test('it is looked at once, and again soon, as long as somebody waits for what is found', async () => {
  const place = new Place(500);
  place.found = [{ text: 'lost', settled: false }];
  await place.life.start();
  await place.life.look();
  await place.clock.advance(1100);
  assert.deepEqual([place.looks, place.complete], [3, [false, true]]);
  place.found = [{ text: 'lost', settled: true }];
  await place.clock.advance(500);
  await place.clock.advance(10_000);
  assert.deepEqual([place.looks, place.complete], [4, [true, true]]);
  Object.assign(place, { standing: 'drained', wants: 'drain', isNeeded: false });
  await place.clock.advance(500);
  assert.equal(place.looks, 5);
  await place.life.stop();
});

test('one without arcs leaves when the store has all that is read back, and not where it was asked to stay meanwhile', async () => {
  const answers = [false, true, true];
  let onRead = () => {};
  const place = new Place(undefined, async () => {
    onRead();
    return answers.shift()!;
  });
  Object.assign(place, { standing: 'drained', wants: 'drain', refused: 5 });
  await place.life.look();
  assert.deepEqual([place.did, answers.length], [[], 2]);
  await place.clock.advance(15_000);
  onRead = () => {
    place.wants = 'join';
  };
  await place.life.look();
  assert.deepEqual([place.did, answers.length], [[], 1]);
  // as a member it takes samples again
  place.standing = 'member';
  await place.life.look();
  onRead = () => {};
  Object.assign(place, { standing: 'drained', wants: 'drain' });
  await place.life.look();
  assert.deepEqual([place.did, answers.length], [['leave'], 0]);
});

test('a read-back that fails waits before it is tried again, longer each time, and ends when it is to stop', async () => {
  let reads = 0;
  let read = async (_: AbortSignal) => false;
  const place = new Place(500, (signal) => {
    reads++;
    return read(signal);
  });
  Object.assign(place, { standing: 'drained', wants: 'drain', refused: 5 });
  await place.life.start();
  const after = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) await place.clock.advance(1000);
    return reads;
  };
  assert.equal(await after(10), 1);
  assert.equal(await after(10), 2);
  read = async () => {
    throw new Error('the store is away');
  };
  assert.equal(await after(60), 3);
  assert.ok(place.looks > 50, 'others are told what it holds all the while');
  read = (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  assert.equal(await after(60), 4);
  await place.life.stop();
  assert.deepEqual(place.did, []);
});
