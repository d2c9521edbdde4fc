import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import { OneByOne, WorkMeter } from './one-by-one.ts';

const macrotask = () => new Promise((resolve) => setImmediate(resolve));
const { signal: never } = new AbortController();

test('queries evaluate one after another in the order in which they came, and others have their turn in between', async () => {
  let cpuMs = 0;
  const told: string[] = [];
  const clock = new ManualClock();
  const turns = new OneByOne(
    Object.assign(clock, {
      async turn() {
        told.push('turn');
      },
    }),
  );
  const evaluate = async (name: string, ms: number) => {
    const meter = new WorkMeter(() => cpuMs);
    const place = (await turns.enter(meter, never))!;
    told.push(`${name} begins`);
    await Promise.resolve();
    cpuMs += ms;
    told.push(`${name} ends`);
    place.leave();
    place.leave();
  };
  await Promise.all([evaluate('a', 2), evaluate('b', 4), evaluate('c', 1)]);
  assert.deepEqual(told, ['a begins', 'a ends', 'b begins', 'b ends', 'turn', 'c begins', 'c ends']);
  await evaluate('d', 1);
  assert.equal(told.at(-1), 'd ends');
});

test('who waits too long, or is not waited for, leaves the queue', async () => {
  const clock = new ManualClock();
  const turns = new OneByOne(clock);
  const meter = new WorkMeter(() => 0);
  const place = (await turns.enter(meter, never))!;
  const gone = new AbortController();
  const late = turns.enter(meter, never);
  const left = turns.enter(meter, gone.signal);
  gone.abort();
  assert.equal(await left, undefined);
  assert.equal(await turns.enter(meter, gone.signal), undefined);
  await clock.advance(5);
  assert.equal(await late, undefined);
  place.leave();
  assert.notEqual(await turns.enter(meter, never), undefined);
});

test('work counts from its beginning until the query waits, and what others do meanwhile does not', async () => {
  let cpuMs = 0;
  const meter = new WorkMeter(() => cpuMs);
  meter.go();
  meter.go();
  cpuMs += 1;
  await Promise.resolve();
  cpuMs += 2;
  assert.equal(meter.usedMs, 3);
  await macrotask();
  cpuMs += 10;
  await macrotask();
  assert.equal(meter.usedMs, 3);
  meter.go();
  cpuMs += 4;
  assert.equal(meter.usedMs, 7);
});
