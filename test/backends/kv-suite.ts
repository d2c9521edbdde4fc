import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, type KvClient, type KvEntry } from '../../src/kv/client.ts';
import { TableKv } from '../../src/kv/table.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemBytes } from '../../src/lib/random.ts';
import type { TableStore } from '../../src/table/client.ts';

/** Tests that every key-value store must pass. They use keys of their own, so that several runs may share a service. */
export function kvSuite(options: { readonly name: string; open(): Promise<KvClient> }): void {
  let kv: KvClient;
  let made = 0;
  const run = `t${Date.now().toString(36)}${process.pid.toString(36)}`;
  const freshKey = () => `${run}/${made++}/key`;

  before(async () => {
    kv = await options.open();
  });

  const check = (what: string, body: () => Promise<void>) =>
    test(`${options.name}: ${what}`, { timeout: 240_000 }, body);

  check('a value comes back as it was put, whatever its bytes', async () => {
    const key = freshKey();
    assert.equal(await kv.get(key), undefined);
    const value = Uint8Array.from({ length: 300 }, (_, i) => i);
    await kv.put(key, value);
    const got = await kv.get(key);
    assert.equal(got!.key, key);
    assert.deepEqual([...got!.value], [...value]);
    value.fill(7);
    got!.value.fill(8);
    assert.equal((await kv.get(key))!.value[2], 2);
    await kv.put(key, new Uint8Array(0));
    assert.equal((await kv.get(key))!.value.length, 0);
  });

  check('compare-and-set takes the newest revision only', async () => {
    const key = freshKey();
    assert.equal(await kv.compareAndSet(key, 'never', bytes('x')), false);
    assert.equal(await kv.compareAndSet(key, undefined, bytes('a')), true);
    assert.equal(await kv.compareAndSet(key, undefined, bytes('b')), false);
    const first = (await kv.get(key))!;
    assert.equal(await kv.compareAndSet(key, first.revision, bytes('b')), true);
    assert.equal(await kv.compareAndSet(key, first.revision, bytes('c')), false);
    // the same bytes again are another revision
    await kv.put(key, bytes('a'));
    assert.equal(await kv.compareAndSet(key, first.revision, bytes('c')), false);
    assert.equal(text(await kv.get(key)), 'a');
  });

  check('a key is removed at its newest revision only, and is new when it is put again', async () => {
    const key = freshKey();
    assert.equal(await kv.remove(key, 'never'), false);
    await kv.put(key, bytes('a'));
    const first = (await kv.get(key))!;
    await kv.put(key, bytes('b'));
    assert.equal(await kv.remove(key, first.revision), false);
    const second = (await kv.get(key))!;
    assert.equal(await kv.remove(key, second.revision), true);
    assert.equal(await kv.get(key), undefined);
    assert.equal(await kv.remove(key, second.revision), false);
    assert.equal(await kv.compareAndSet(key, second.revision, bytes('c')), false);
    assert.equal(await kv.compareAndSet(key, undefined, bytes('b')), true);
    assert.equal(await kv.compareAndSet(key, second.revision, bytes('c')), false, 'no revision comes twice');
  });

  check('of many that compare and set at once one succeeds', async () => {
    const key = freshKey();
    for (let round = 0; round < 5; round++) {
      const held = await kv.get(key);
      const done = await Promise.all(
        Array.from({ length: 10 }, (_, i) => kv.compareAndSet(key, held?.revision, bytes(`${round}.${i}`))),
      );
      assert.equal(done.filter(Boolean).length, 1);
      assert.equal(text(await kv.get(key)), `${round}.${done.indexOf(true)}`);
    }
  });

  check('a watcher sees what is there and what changes, of its prefix only', async () => {
    const [key, other] = [freshKey(), freshKey()];
    const prefix = key.slice(0, -'key'.length);
    await kv.put(key, bytes('1'));
    await kv.put(other, bytes('not mine'));
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const entry of kv.watch(prefix, stop.signal)) {
      seen.push(`${entry.key.slice(prefix.length)}=${text(entry)}`);
      if (seen.length === 1) {
        await kv.put(other, bytes('not mine either'));
        setImmediate(() => void kv.put(`${prefix}more`, bytes('2')));
      } else if (seen.length === 2) {
        setImmediate(() => void kv.compareAndSet(`${prefix}third`, undefined, bytes('3')));
      } else setImmediate(() => stop.abort());
    }
    assert.deepEqual(seen, ['key=1', 'more=2', 'third=3']);
  });

  check('a slow watcher ends with the newest state, and takes no more than one entry a key', async () => {
    const key = freshKey();
    const stop = new AbortController();
    const seen: string[] = [];
    await kv.put(key, bytes('0'));
    for await (const entry of kv.watch(key, stop.signal)) {
      seen.push(text(entry)!);
      if (seen.length === 1) for (let i = 1; i <= 100; i++) await kv.put(key, bytes(String(i)));
      if (seen.at(-1) === '100') stop.abort();
    }
    assert.equal(seen.at(-1), '100');
    assert.ok(seen.length <= 101);
  });

  check('a watch that is aborted ends, before it began and while it waits', async () => {
    const key = freshKey();
    for await (const _ of kv.watch(key, AbortSignal.abort())) assert.fail('nothing is there');
    const stop = new AbortController();
    setImmediate(() => stop.abort());
    for await (const _ of kv.watch(key, stop.signal)) assert.fail('nothing is there');
  });

  check('values up to the limit are held, larger ones are refused whole', async () => {
    const key = freshKey();
    await kv.put(key, new Uint8Array(KV_VALUE_BYTES_MAX).fill(1));
    assert.equal((await kv.get(key))!.value.length, KV_VALUE_BYTES_MAX);
    await assert.rejects(kv.put(key, new Uint8Array(KV_VALUE_BYTES_MAX + 1)), /1048577 bytes.*1048576/);
    await assert.rejects(kv.compareAndSet(key, undefined, new Uint8Array(KV_VALUE_BYTES_MAX + 1)), /1048577 bytes/);
    await assert.rejects(kv.put('k'.repeat(KV_KEY_BYTES_MAX + 1), bytes('x')), /513 bytes.*512/);
    assert.equal((await kv.get(key))!.value[0], 1);
  });

  check('a call that is aborted does nothing', async () => {
    const key = freshKey();
    const gone = AbortSignal.abort();
    await assert.rejects(kv.put(key, bytes('x'), gone), { name: 'AbortError' });
    await assert.rejects(kv.compareAndSet(key, undefined, bytes('x'), gone), { name: 'AbortError' });
    await assert.rejects(kv.get(key, gone), { name: 'AbortError' });
    assert.equal(await kv.get(key), undefined);
  });
}

/** Keys in a table of a store that another suite opens. */
export async function tableKv(open: () => Promise<TableStore>): Promise<KvClient> {
  return new TableKv({
    store: await open(),
    table: 'kv_suite',
    clock: systemClock,
    randomBytes: systemBytes,
    pollMs: 50,
  });
}

const bytes = (of: string) => new TextEncoder().encode(of);
const text = (entry: KvEntry | undefined) => entry && Buffer.from(entry.value).toString();
