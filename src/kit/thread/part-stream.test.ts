import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MessageChannel } from 'node:worker_threads';
import { sendParts, takenParts } from './part-stream.ts';

function parts(count: number) {
  const seen = { made: 0, ended: false };
  async function* make() {
    try {
      for (let i = 0; i < count; i++) {
        seen.made++;
        yield Uint8Array.of(i);
      }
    } finally {
      seen.ended = true;
    }
  }
  return { seen, made: make() };
}

const never = new Promise<never>(() => {});

test('parts arrive in their order, each made when the one before was taken', async () => {
  const { port1, port2 } = new MessageChannel();
  const { seen, made } = parts(4);
  const sent = sendParts(port2, made, new AbortController().signal);
  const taken: number[] = [];
  for await (const part of takenParts(port1, never)) {
    taken.push(part[0]!);
    assert.ok(seen.made <= taken.length + 1);
  }
  await sent;
  assert.deepEqual(taken, [0, 1, 2, 3]);
  assert.equal(seen.ended, true);
});

test('whoever stops taking, or is cancelled, ends what makes them', async () => {
  {
    const { port1, port2 } = new MessageChannel();
    const { seen, made } = parts(100);
    const sent = sendParts(port2, made, new AbortController().signal);
    for await (const part of takenParts(port1, never)) if (part[0] === 2) break;
    await assert.rejects(sent, /nobody takes the rest/);
    assert.deepEqual(seen, { made: 3, ended: true });
  }
  const { port2 } = new MessageChannel();
  const cancel = new AbortController();
  const { made } = parts(1);
  const sent = sendParts(port2, made, cancel.signal);
  cancel.abort(new Error('cancelled'));
  await assert.rejects(sent, /cancelled/);
  assert.deepEqual(await made.next(), { done: true, value: undefined });
});

test('the taker hears when there will be no more', async () => {
  const { port1 } = new MessageChannel();
  const taken = takenParts(port1, Promise.reject(new Error('the worker is gone')));
  await assert.rejects(taken.next(), /the worker is gone/);
});

test('parts that were taken are not held until the last one', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const { port1, port2 } = new MessageChannel();
  const { made } = parts(60);
  const sent = sendParts(port2, made, new AbortController().signal);
  const taken: WeakRef<Uint8Array>[] = [];
  for await (const part of takenParts(port1, never)) {
    taken.push(new WeakRef(part));
    if (taken.length < 50) continue;
    await new Promise(setImmediate);
    gc();
    const held = taken.filter((each) => each.deref() !== undefined).length;
    assert.ok(held < 10, `${held} of 50 are held`);
    break;
  }
  await sent.catch(() => {});
});
