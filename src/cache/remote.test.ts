import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { RemoteCache, type RemoteStore } from './remote.ts';

const value = new Uint8Array([1, 2, 3]);

function make(store: Partial<RemoteStore>, timeoutMs = 20) {
  const clock = Object.assign(new ManualClock(), { sleep: systemClock.sleep });
  const held = new Map<string, Uint8Array>();
  const whole: RemoteStore = {
    get: async (keys) => keys.map((key) => held.get(key)),
    set: async (entries) => {
      for (const entry of entries) held.set(entry.key, entry.value);
    },
    close: async () => {},
    ...store,
  };
  const options = { keyPrefix: 'p:', timeoutMs, valueBytesMax: 100, parallelMax: 2, clock };
  return { clock, held, cache: new RemoteCache(whole, options) };
}

test('keys of any kind become short and plain', async () => {
  const { cache, held } = make({});
  await cache.set([{ key: `a b\n${'x'.repeat(5000)}`, value, ttlMs: 5000 }]);
  assert.match([...held.keys()].join(), /^p:[A-Za-z0-9_-]{43}$/);
  assert.deepEqual(await cache.get([`a b\n${'x'.repeat(5000)}`, 'other']), [value, undefined]);
  assert.deepEqual(cache.stats, { hits: 1, misses: 1, failures: 0 });
});

test('what is too large or too short-lived is not sent', async () => {
  const { cache, held } = make({});
  await cache.set([
    { key: 'large', value: new Uint8Array(101), ttlMs: 5000 },
    { key: 'short', value, ttlMs: 999 },
  ]);
  assert.equal(held.size, 0);
});

test('failures and what hangs are misses', async () => {
  const failing = make({ get: () => Promise.reject(new Error('down')), set: () => Promise.reject(new Error('down')) });
  assert.deepEqual(await failing.cache.get(['a', 'b']), [undefined, undefined]);
  await failing.cache.set([{ key: 'a', value, ttlMs: 5000 }]);
  assert.deepEqual(failing.cache.stats, { hits: 0, misses: 2, failures: 2 });
  const hanging = make({ get: () => new Promise(() => {}) });
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => hanging.cache.get(['a']))), [
    [undefined],
    [undefined],
    [undefined],
  ]);
  assert.equal(hanging.cache.stats.failures, 3);
});

test('a server that fails again and again is left alone for a while', async () => {
  let calls = 0;
  const { cache, clock } = make({
    get: async () => {
      calls++;
      throw new Error('down');
    },
  });
  for (let i = 0; i < 30; i++) await cache.get(['a']);
  assert.equal(calls, 10);
  clock.set(5000);
  await cache.get(['a']);
  assert.equal(calls, 11);
});

test('an abort is not a miss', async () => {
  const { cache } = make({ get: () => new Promise(() => {}) }, 10_000);
  const reason = new Error('enough');
  const abort = new AbortController();
  setTimeout(() => abort.abort(reason), 5);
  await assert.rejects(cache.get(['a'], abort.signal), (thrown) => thrown === reason);
});
