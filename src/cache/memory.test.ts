import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { MemoryCache } from './memory.ts';

const KEY_BYTES = 130; // one letter and the overhead

function cache(entries: number, valueBytes: number) {
  const clock = new ManualClock();
  return { clock, cache: new MemoryCache({ bytesMax: entries * (KEY_BYTES + valueBytes), clock }) };
}

const entry = (key: string, bytes = 100, ttlMs = 1000) => ({ key, value: new Uint8Array(bytes).fill(7), ttlMs });

async function held(of: MemoryCache, keys: string): Promise<string> {
  const values = await of.get([...keys]);
  return [...keys].filter((_, i) => values[i] !== undefined).join('');
}

test('keeps what was used last, within its bytes', async () => {
  const { cache: of } = cache(3, 100);
  await of.set([entry('a'), entry('b'), entry('c')]);
  assert.equal(await held(of, 'a'), 'a');
  await of.set([entry('d')]);
  assert.equal(await held(of, 'abcd'), 'acd');
  assert.equal(of.bytes, 3 * (KEY_BYTES + 100));
  await of.set([entry('e', 330)]);
  assert.equal(await held(of, 'abcde'), 'de');
});

test('what is larger than all of it is not kept, and replaces what had its key', async () => {
  const { cache: of } = cache(2, 100);
  await of.set([entry('a'), entry('b')]);
  await of.set([entry('a', 10_000)]);
  assert.equal(await held(of, 'ab'), 'b');
});

test('replacing counts the bytes once', async () => {
  const { cache: of } = cache(3, 100);
  for (let i = 0; i < 10; i++) await of.set([entry('a')]);
  assert.equal(of.bytes, KEY_BYTES + 100);
});

test('forgets in time', async () => {
  const { cache: of, clock } = cache(3, 100);
  await of.set([entry('a', 100, 50), entry('b', 100, 500), entry('c', 100, 0)]);
  clock.set(49);
  assert.equal(await held(of, 'abc'), 'ab');
  clock.set(50);
  assert.equal(await held(of, 'abc'), 'b');
  assert.deepEqual(of.stats, { hits: 3, misses: 3, failures: 0 });
  assert.equal(of.bytes, KEY_BYTES + 100);
});
