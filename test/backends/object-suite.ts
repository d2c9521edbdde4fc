import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ObjectClient, ObjectInfo } from '../../src/object/client.ts';
import { all, bytes, fails, show } from './table-suite.ts';

export interface ObjectSuiteOptions {
  /** The beginning of the tests' names. */
  readonly name: string;
  open(): Promise<ObjectClient>;
}

/** Tests that every backend must pass. They stay below a prefix of their own, so that several runs may share a service. */
export function objectSuite(options: ObjectSuiteOptions): void {
  let client: ObjectClient;
  let made = 0;
  const run = `o${Date.now().toString(36)}${process.pid.toString(36)}`;

  before(async () => {
    client = await options.open();
  });
  after(async () => {
    await deleteAll(run);
    await client.close();
  });

  const check = (what: string, body: () => Promise<void>) =>
    test(`${options.name}: ${what}`, { timeout: 240_000 }, body);

  const folder = () => `${run}/f${made++}`;

  async function deleteAll(prefix: string): Promise<void> {
    const keys = (await all(client.list(prefix))).map((info) => info.key);
    for (let at = 0; at < keys.length; at += 32) {
      await Promise.all(keys.slice(at, at + 32).map((key) => client.delete(key)));
    }
  }

  const keysOf = async (prefix: string) => (await all(client.list(prefix))).map((info) => info.key);

  check('a body comes back as it was put', async () => {
    const key = `${folder()}/a-b_c.d=e/1`;
    const every = Uint8Array.from({ length: 1024 }, (_, i) => i);
    await client.put(key, every);
    assert.deepEqual(new Uint8Array(await client.get(key)), every);
  });

  check('an empty body', async () => {
    const key = `${folder()}/empty`;
    await client.put(key, bytes(''));
    assert.equal((await client.get(key)).length, 0);
    assert.equal((await client.getRange(key, 0, 10)).length, 0);
    assert.equal((await all(client.list(key)))[0]!.bytes, 0);
  });

  check('putting again replaces', async () => {
    const key = `${folder()}/again`;
    await client.put(key, bytes('a longer first body'));
    await client.put(key, bytes('second'));
    assert.equal(show(await client.get(key)), 'second');
  });

  check('what is handed out and taken in is not shared', async () => {
    const key = `${folder()}/own`;
    const body = bytes('abc');
    await client.put(key, body);
    body.fill(0);
    (await client.get(key)).fill(0);
    (await client.getRange(key, 0, 3)).fill(0);
    assert.equal(show(await client.get(key)), 'abc');
  });

  check('ranges: inside, over the end, at the end, beyond, of nothing', async () => {
    const key = `${folder()}/range`;
    await client.put(key, bytes('0123456789'));
    const cases: [offset: number, length: number, want: string][] = [
      [0, 10, '0123456789'],
      [0, 1, '0'],
      [3, 4, '3456'],
      [9, 1, '9'],
      [8, 100, '89'],
      [0, 1000, '0123456789'],
      [10, 1, ''],
      [11, 5, ''],
      [1000, 1000, ''],
      [5, 0, ''],
    ];
    for (const [offset, length, want] of cases) {
      assert.equal(show(await client.getRange(key, offset, length)), want, `[${offset}, ${offset + length})`);
    }
  });

  check('what is not there is said to be so, by get and getRange', async () => {
    const key = `${folder()}/missing`;
    await fails('object-not-found', () => client.get(key));
    await fails('object-not-found', () => client.getRange(key, 0, 10));
    await fails('object-not-found', () => client.getRange(key, 5, 0));
    await fails('object-not-found', () => client.get(`${key}/below`));
  });

  check('delete takes that object and no other, again changes nothing', async () => {
    const at = folder();
    for (const name of ['a', 'ab', 'b/c']) await client.put(`${at}/${name}`, bytes(name));
    await client.delete(`${at}/a`);
    await client.delete(`${at}/a`);
    await client.delete(`${at}/b`);
    await client.delete(`${at}/never/was`);
    await fails('object-not-found', () => client.get(`${at}/a`));
    assert.deepEqual(await keysOf(`${at}/`), [`${at}/ab`, `${at}/b/c`]);
    await client.put(`${at}/a`, bytes('back'));
    assert.equal(show(await client.get(`${at}/a`)), 'back');
  });

  check('20 MB', async () => {
    const key = `${folder()}/big`;
    const size = 20_000_003;
    const body = new Uint8Array(size);
    for (let i = 0; i < size; i += 997) body[i] = i % 251;
    await client.put(key, body);
    assert.equal(Buffer.compare(await client.get(key), body), 0);
    for (const [offset, length] of [
      [size - 10, 100],
      [5_242_875, 20],
      [12_000_000, 1_000_000],
    ] as const) {
      const got = await client.getRange(key, offset, length);
      assert.equal(Buffer.compare(got, body.subarray(offset, offset + length)), 0, `${offset}`);
    }
    const [info] = await all(client.list(key));
    assert.equal(info!.bytes, size);
  });

  check('list: by prefix, ascending, with sizes and times', async () => {
    const at = folder();
    const names = ['a', 'a-b', 'a.b', 'ab', 'b/1', 'b/10', 'b/2', 'b-1', 'b.1', 'b1', 'B', '_', '=', '0/a/b/c', 'z'];
    // rounded down: some services keep whole seconds
    const startMs = Math.floor(Date.now() / 1000) * 1000 - 5000;
    await Promise.all(names.map((name) => client.put(`${at}/${name}`, bytes(name))));
    for (const prefix of ['', 'a', 'b', 'b/', 'b/1', 'b/10', 'b/100', '0', '0/a', '0/a/', 'zz', 'a-']) {
      const want = names.filter((name) => name.startsWith(prefix)).sort();
      const infos: ObjectInfo[] = await all(client.list(`${at}/${prefix}`));
      assert.deepEqual(
        infos.map((info) => info.key.slice(at.length + 1)),
        want,
        prefix,
      );
      for (const info of infos) {
        assert.equal(info.bytes, info.key.length - at.length - 1);
        assert.ok(info.modifiedMs >= startMs && info.modifiedMs <= Date.now() + 5000, `${info.modifiedMs}`);
      }
    }
    assert.deepEqual(await keysOf(`${run}/nothing/here`), []);
  });

  check('list of 2,500 keys, page by page', async () => {
    const at = folder();
    const keys = Array.from({ length: 2500 }, (_, i) => `${at}/${i % 3}/${String(i).padStart(5, '0')}`);
    for (let i = 0; i < keys.length; i += 50) {
      await Promise.all(keys.slice(i, i + 50).map((key) => client.put(key, bytes('x'))));
    }
    let pages = 0;
    const got: string[] = [];
    for await (const page of client.list(at)) {
      assert.ok(page.length > 0, 'no page is empty');
      pages++;
      got.push(...page.map((info) => info.key));
    }
    assert.deepEqual(got, keys.sort());
    assert.ok(pages > 1, `${pages} pages`);
  });

  check('many at once', async () => {
    const at = folder();
    const numbers = Array.from({ length: 60 }, (_, i) => i);
    await Promise.all(numbers.map((i) => client.put(`${at}/${i}`, new Uint8Array(10_000).fill(i))));
    const bodies = await Promise.all(numbers.map((i) => client.get(`${at}/${i}`)));
    for (const i of numbers) assert.ok(bodies[i]!.length === 10_000 && bodies[i]!.every((byte) => byte === i));
  });

  check('the same key put by several at once holds one of the bodies whole', async () => {
    const key = `${folder()}/contended`;
    await Promise.all(Array.from({ length: 8 }, (_, i) => client.put(key, new Uint8Array(100_000).fill(i))));
    const body = await client.get(key);
    assert.equal(body.length, 100_000);
    assert.ok(body.every((byte) => byte === body[0]));
  });

  check('an aborted call rejects with the reason', async () => {
    const key = `${folder()}/abort`;
    await client.put(key, bytes('v'));
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    const rejects = (call: Promise<unknown>) => assert.rejects(call, (thrown) => thrown === reason);
    await rejects(client.put(key, bytes('w'), signal));
    await rejects(client.get(key, signal));
    await rejects(client.getRange(key, 0, 1, signal));
    await rejects(all(client.list(key, signal)));
    await rejects(client.delete(key, signal));
    assert.equal(show(await client.get(key)), 'v');
  });

  check('a put aborted on its way leaves all or nothing', async () => {
    const key = `${folder()}/half`;
    const body = new Uint8Array(20_000_000).fill(1);
    const abort = new AbortController();
    const put = client.put(key, body, abort.signal);
    setTimeout(() => abort.abort(new Error('enough')), 3);
    const done = await put.then(
      () => true,
      (thrown) => {
        assert.equal((thrown as Error).message, 'enough');
        return false;
      },
    );
    if (done) assert.equal((await client.get(key)).length, body.length);
    const [info] = await all(client.list(key));
    assert.ok(info === undefined || info.bytes === body.length);
  });
}
