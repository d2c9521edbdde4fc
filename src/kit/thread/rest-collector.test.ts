import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { ManualClock } from '../../lib/manual-clock.ts';
import { RestCollector } from './rest-collector.ts';

const MB = 2 ** 20;

test('a thread that rests is collected once for what it has grown by', async () => {
  const thread = { worked: 0, lately: 0, bytes: 30 * MB, used: 20 * MB, live: 20 * MB, collections: 0 };
  const clock = new ManualClock();
  const timer = new RestCollector({
    // the second one is that of a second
    utilization: () => (clock.monotonicMs() % 10_000 === 0 ? thread.worked : thread.lately),
    usedBytes: () => thread.used,
    heapBytes: () => thread.bytes,
    collect() {
      thread.bytes = thread.live;
      thread.collections++;
    },
  }).start(clock);
  const after = async (s: number) => {
    await clock.advance(s * 1000);
    return thread.collections;
  };
  thread.worked = 0.5;
  assert.equal(await after(60), 0);
  thread.worked = 0.01;
  thread.lately = 0.01;
  assert.equal(await after(61), 0, 'something came in the last second');
  thread.lately = 0.001;
  thread.used = 40 * MB;
  assert.equal(await after(59), 0, 'it would take long');
  thread.used = 20 * MB;
  assert.equal(await after(62), 1);
  thread.bytes += 2 * MB;
  assert.equal(await after(60), 1);
  thread.bytes += 2 * MB;
  assert.equal(await after(60), 2);
  // what lives has grown: no collection makes it less
  thread.live = 40 * MB;
  thread.bytes = 41 * MB;
  assert.equal(await after(600), 3);
  // what V8 gave back by itself may come again
  thread.bytes = 30 * MB;
  assert.equal(await after(10), 3);
  thread.bytes = 34 * MB;
  assert.equal(await after(10), 4);
  timer.cancel();
  thread.bytes = 100 * MB;
  assert.equal(await after(600), 4);
});

test('what work left in the heap of this thread goes back to the system', async () => {
  const collector = new RestCollector();
  let held: object[] | undefined = Array.from({ length: 150_000 }, (_, i) => ({ i, text: `${i}` }));
  assert.equal(held.length, 150_000);
  const heldBytes = () => getHeapStatistics().total_physical_size;
  const before = heldBytes();
  held = undefined;
  const untilMs = performance.now() + 20_000;
  while (heldBytes() > before - 4 * MB && performance.now() < untilMs) {
    if (collector.isDue()) {
      await sleep(200);
      collector.collectIfQuiet();
    }
    await sleep(200);
  }
  assert.ok(heldBytes() < before - 4 * MB, `${before} bytes before, ${heldBytes()} after`);
});
