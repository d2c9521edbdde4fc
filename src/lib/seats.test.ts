import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './manual-clock.ts';
import { Seat, Seats, type TakenSeat } from './seats.ts';

/** One seat for one call at a time, and the order in which calls got it. */
function oneSeat() {
  const clock = new ManualClock();
  const seats = new Seats<string>({ waitingMax: 1000, clock });
  seats.add(new Seat({ who: 'thread', callsMax: 1 }));
  const order: string[] = [];
  let held: { readonly costMs: number; readonly taken: TakenSeat<string> } | undefined;
  const call = (name: string, costMs: number) => {
    const asked = {
      owner: 'tenant',
      costMs,
      seated(taken: TakenSeat<string>) {
        order.push(name);
        held = { costMs, taken };
      },
    };
    seats.note(asked);
    const taken = seats.take(asked);
    if (taken !== undefined) asked.seated(taken);
    else assert.ok(seats.wait(asked));
  };
  const next = () => {
    const { costMs, taken } = held!;
    seats.free({ owner: 'tenant', costMs }, taken);
  };
  return { clock, order, call, next };
}

test('a cheap call passes many that cost a few times as much, though none of them is heavy', async () => {
  const { clock, order, call, next } = oneSeat();
  for (let i = 0; i < 50; i++) call('dear', 70);
  await clock.advance(10_000);
  call('cheap', 8);
  next();
  assert.deepEqual(order, ['dear', 'cheap']);
});

test('a call waits for cheaper ones for a while, and no longer', async () => {
  const { clock, order, call, next } = oneSeat();
  call('first', 1);
  call('dear', 140);
  for (let second = 0; second < 70; second++) {
    await clock.advance(1000);
    call('cheap', 1);
    next();
  }
  const place = order.indexOf('dear');
  assert.ok(place > 20 && place < 40, String(place));
});

test('a heavy call passes many that are much heavier, in the order of what they cost, and these wait for a while only', async () => {
  const { clock, order, call, next } = oneSeat();
  for (let i = 0; i < 100; i++) call('30 s', 30_000);
  call('2 min', 120_000);
  await clock.advance(14_000);
  for (const costMs of [10_000, 3_000, 400]) call(`${costMs} ms`, costMs);
  for (let i = 0; i < 3; i++) next();
  await clock.advance(46_000);
  call('400 ms after a minute', 400);
  next();
  assert.deepEqual(order, ['30 s', '400 ms', '3000 ms', '10000 ms', '400 ms after a minute']);
  for (let second = 0; second < 100; second++) {
    await clock.advance(1000);
    call('cheaper', 400);
    next();
  }
  assert.ok(order.filter((name) => name === '30 s').length > 20, String(order));
  assert.equal(order.includes('2 min'), false);
});
