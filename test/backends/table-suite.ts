import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AppError } from '../../src/model/errors.ts';
import type { Row, RowKey, TableQuery, TableStore } from '../../src/table/client.ts';

export interface TableSuiteOptions {
  /** The beginning of the tests' names. */
  readonly name: string;
  open(): Promise<TableStore>;
  /** Rows of the batch that must be larger than what the backend takes at once. */
  readonly batchRows?: number;
}

/** Tests that every backend must pass. They use tables of their own, so that several runs may share a service. */
export function tableSuite(options: TableSuiteOptions): void {
  let store: TableStore;
  let made = 0;
  const tables: string[] = [];
  const run = `t${Date.now().toString(36)}${process.pid.toString(36)}`;

  before(async () => {
    store = await options.open();
  });
  after(async () => {
    for (const table of tables) await store.admin.drop(table);
    await store.client.close();
  });

  const check = (what: string, body: () => Promise<void>) =>
    test(`${options.name}: ${what}`, { timeout: 240_000 }, body);

  async function table(...rows: Row[]): Promise<string> {
    const name = `${run}_${made++}`;
    tables.push(name);
    await store.admin.create(name);
    if (rows.length > 0) await store.client.write(name, rows);
    return name;
  }

  /** Ranges that a query answers, in order. */
  async function ranges(query: TableQuery): Promise<string[]> {
    return (await all(store.client.query(query))).map((row) => show(row.range));
  }

  async function valueAt(name: string, key: RowKey): Promise<string | undefined> {
    const rows = await all(store.client.query({ table: name, hash: key.hash, prefix: key.range, strong: true }));
    const found = rows.find((one) => equal(one.range, key.range));
    return found && show(found.value);
  }

  check('a row comes back as it was put', async () => {
    const name = await table(row('h', 'r', 'v'));
    const [got, ...rest] = await all(store.client.query({ table: name, hash: bytes('h') }));
    assert.equal(rest.length, 0);
    assert.deepEqual([show(got!.hash), show(got!.range), show(got!.value)], ['h', 'r', 'v']);
  });

  check('putting again replaces', async () => {
    const name = await table(row('h', 'r', 'old'));
    await store.client.write(name, [row('h', 'r', 'new')]);
    assert.equal(await valueAt(name, row('h', 'r')), 'new');
    await store.client.write(name, [row('h', 'r', '')]);
    assert.equal(await valueAt(name, row('h', 'r')), '');
  });

  check('writing nothing is nothing', async () => {
    const name = await table();
    await store.client.write(name, []);
    await store.client.delete(name, []);
    assert.deepEqual(await all(store.admin.scan(name)), []);
  });

  check('the same key twice in a batch leaves the later value', async () => {
    const name = await table(row('h', 'r', '1'), row('h', 's', '2'), row('h', 'r', '3'));
    assert.equal(await valueAt(name, row('h', 'r')), '3');
    assert.deepEqual(await ranges({ table: name, hash: bytes('h') }), ['r', 's']);
  });

  check('values of any bytes', async () => {
    const every = Uint8Array.from({ length: 256 }, (_, i) => i);
    const name = await table({ hash: every, range: every, value: every });
    const [got] = await all(store.client.query({ table: name, hash: every }));
    assert.ok(equal(got!.hash, every) && equal(got!.range, every) && equal(got!.value, every));
  });

  check('what is handed out and taken in is not shared', async () => {
    const value = bytes('abc');
    const name = await table({ hash: bytes('h'), range: bytes('r'), value });
    value.fill(0);
    const [got] = await all(store.client.query({ table: name, hash: bytes('h') }));
    assert.equal(show(got!.value), 'abc');
    got!.value.fill(0);
    assert.equal(await valueAt(name, row('h', 'r')), 'abc');
  });

  const binary = [
    '',
    '\0',
    '\0\0',
    '\0\x01',
    '\0\xff',
    '\x01',
    'a',
    'a\0',
    'a\xff',
    'b',
    '\x7f',
    '\x80',
    '\xff',
    '\xff\0',
    '\xff\xff',
  ];

  check('ranges are in the order of their bytes', async () => {
    const shuffled = binary.map((range, i) => ({ range, at: (i * 7) % binary.length })).sort((a, b) => a.at - b.at);
    const name = await table(...shuffled.map(({ range }) => row('h', range)));
    assert.deepEqual(await ranges({ table: name, hash: bytes('h') }), binary);
  });

  check('hashes with bytes of all kinds are kept apart', async () => {
    const hashes = ['', '\0', '\0\0', 'a', 'aa', 'a\0', '\xff', '\xff\xff'];
    const name = await table(...hashes.flatMap((hash) => [row(hash, '', `${hash}|`), row(hash, 'a', `${hash}|a`)]));
    for (const hash of hashes) {
      const rows = await all(store.client.query({ table: name, hash: bytes(hash) }));
      assert.deepEqual(
        rows.map((one) => show(one.value)),
        [`${hash}|`, `${hash}|a`],
        JSON.stringify(hash),
      );
      assert.deepEqual(
        rows.map((one) => show(one.hash)),
        [hash, hash],
      );
    }
  });

  check('prefix, from, before and limit, alone and together', async () => {
    const name = await table(...binary.map((range) => row('h', range)), row('g', 'a'), row('i', 'a'));
    const bounds = [undefined, '', '\0', '\0\xff', 'a', 'a\0', 'b', '\xff', '\xff\xff'];
    for (const prefix of bounds) {
      for (const from of bounds) {
        for (const end of bounds) {
          const want = binary.filter(
            (range) => range.startsWith(prefix ?? '') && range >= (from ?? '') && (end === undefined || range < end),
          );
          const query = {
            table: name,
            hash: bytes('h'),
            prefix: optional(prefix),
            from: optional(from),
            before: optional(end),
          };
          const what = JSON.stringify({ prefix, from, end });
          assert.deepEqual(await ranges(query), want, what);
        }
      }
    }
    for (const limit of [0, 1, 2, 100]) {
      const query = { table: name, hash: bytes('h'), from: bytes('a'), limit };
      assert.deepEqual(await ranges(query), binary.slice(binary.indexOf('a')).slice(0, limit), `limit ${limit}`);
    }
  });

  const batchRows = options.batchRows ?? 3000;

  check(`${batchRows} rows in one write come back, each once, page by page`, async () => {
    const rows = Array.from({ length: batchRows }, (_, i) => row('h', number(i), `${i}`.padEnd(500, '.')));
    const name = await table(...rows);
    let pages = 0;
    const got: string[] = [];
    for await (const page of store.client.query({ table: name, hash: bytes('h') })) {
      assert.ok(page.length > 0, 'no page is empty');
      pages++;
      got.push(...page.map((one) => show(one.range)));
    }
    assert.deepEqual(
      got,
      rows.map((one) => show(one.range)),
    );
    assert.ok(pages > 1, `${pages} pages`);
    assert.deepEqual(
      await ranges({ table: name, hash: bytes('h'), from: bytes(number(1500)), limit: 1400 }),
      rows.slice(1500, 2900).map((one) => show(one.range)),
    );
    assert.equal((await all(store.admin.scan(name))).length, batchRows);
  });

  check('a read that is left early ends', async () => {
    const rows = Array.from({ length: batchRows }, (_, i) => row('h', number(i), ''.padEnd(300, '.')));
    const name = await table(...rows);
    for await (const page of store.client.query({ table: name, hash: bytes('h') })) {
      assert.ok(page.length > 0);
      break;
    }
  });

  check('a batch over many hashes', async () => {
    const rows = Array.from({ length: 700 }, (_, i) => row(`h${i % 70}`, number(i), `${i}`));
    const name = await table(...rows);
    const seen = (await all(store.admin.scan(name))).map((one) => show(one.value)).sort();
    assert.deepEqual(seen, rows.map((one) => show(one.value)).sort());
    assert.equal((await ranges({ table: name, hash: bytes('h7') })).length, 10);
  });

  check('scan gives every row, ranges ascending within a hash', async () => {
    const name = await table(
      ...['x', 'y', ''].flatMap((hash) => binary.map((range) => row(hash, range, hash + range))),
    );
    const rows = await all(store.admin.scan(name));
    for (const hash of ['x', 'y', '']) {
      const some = rows.filter((one) => show(one.hash) === hash);
      assert.deepEqual(
        some.map((one) => show(one.range)),
        binary,
      );
      assert.deepEqual(
        some.map((one) => show(one.value)),
        binary.map((range) => hash + range),
      );
    }
    assert.equal(rows.length, 3 * binary.length);
  });

  check('keys and values at the limit fit, one byte more is refused and nothing written', async () => {
    const { valueBytesMax, keyBytesMax } = store.limits;
    const name = await table();
    const longest = new Uint8Array(keyBytesMax).fill(0xff);
    const largest = new Uint8Array(valueBytesMax).fill(7);
    await store.client.write(name, [{ hash: longest, range: longest, value: largest }]);
    const [got] = await all(store.client.query({ table: name, hash: longest }));
    assert.ok(equal(got!.range, longest) && equal(got!.value, largest));
    const over = [
      { hash: bytes('h'), range: bytes('r'), value: new Uint8Array(valueBytesMax + 1) },
      { hash: bytes('h'), range: new Uint8Array(keyBytesMax + 1), value: bytes('') },
      { hash: new Uint8Array(keyBytesMax + 1), range: bytes('r'), value: bytes('') },
    ];
    for (const one of over) {
      await fails('store-row-too-large', () => store.client.write(name, [row('h', 'small'), one]));
      await fails('store-row-too-large', () => store.client.compareAndSet(name, one, undefined, one.value));
    }
    assert.deepEqual(await ranges({ table: name, hash: bytes('h') }), []);
  });

  check('several large values in one write, and in one read', async () => {
    const size = Math.min(store.limits.valueBytesMax, 1 << 20);
    const rows = Array.from({ length: 40 }, (_, i) => ({
      hash: bytes('h'),
      range: bytes(number(i)),
      value: new Uint8Array(size).fill(i),
    }));
    const name = await table(...rows);
    let at = 0;
    for await (const page of store.client.query({ table: name, hash: bytes('h') })) {
      for (const one of page) {
        assert.equal(show(one.range), number(at));
        assert.ok(one.value.length === size && one.value[0] === at && one.value[size - 1] === at);
        at++;
      }
    }
    assert.equal(at, rows.length);
  });

  check('delete takes those rows and no others', async () => {
    const name = await table(...binary.map((range) => row('h', range)), row('g', 'a'), row('', ''));
    await store.client.delete(name, [
      row('h', ''),
      row('h', 'a'),
      row('h', '\xff'),
      row('h', 'missing'),
      row('z', 'z'),
    ]);
    const left = binary.filter((range) => !['', 'a', '\xff'].includes(range));
    assert.deepEqual(await ranges({ table: name, hash: bytes('h') }), left);
    assert.deepEqual(await ranges({ table: name, hash: bytes('g') }), ['a']);
    await store.client.delete(
      name,
      binary.map((range) => row('h', range)),
    );
    assert.deepEqual(await ranges({ table: name, hash: bytes('h') }), []);
    await store.client.delete(name, [row('', '')]);
    assert.deepEqual(
      (await all(store.admin.scan(name))).map((one) => show(one.hash)),
      ['g'],
    );
  });

  check('deleting more rows than fit a batch', async () => {
    const rows = Array.from({ length: batchRows }, (_, i) => row(`h${i % 3}`, number(i)));
    const name = await table(...rows);
    await store.client.delete(name, rows);
    assert.deepEqual(await all(store.admin.scan(name)), []);
  });

  check('a deleted row can be put again', async () => {
    const name = await table(row('h', 'r', '1'));
    await store.client.delete(name, [row('h', 'r')]);
    assert.equal(await valueAt(name, row('h', 'r')), undefined);
    await store.client.write(name, [row('h', 'r', '2')]);
    assert.equal(await valueAt(name, row('h', 'r')), '2');
  });

  check('compareAndSet: only from what is there', async () => {
    const name = await table();
    for (const key of [row('h', 'r'), row('', '')]) {
      const set = (expected: string | undefined, next: string) =>
        store.client.compareAndSet(name, key, optional(expected), bytes(next));
      assert.equal(await set('x', 'y'), false, 'nothing is there');
      assert.equal(await set('', 'y'), false, 'nothing is not an empty value');
      assert.equal(await set(undefined, 'a'), true);
      assert.equal(await set(undefined, 'b'), false, 'something is there');
      assert.equal(await set('b', 'c'), false, 'something else is there');
      assert.equal(await set('a', ''), true);
      assert.equal(await set('a', 'c'), false);
      assert.equal(await set(undefined, 'c'), false, 'an empty value is not nothing');
      assert.equal(await set('', '\0\xff'), true);
      assert.equal(await valueAt(name, key), '\0\xff');
      assert.equal(await set('\0\xff', '\0\xff'), true, 'the same again');
    }
  });

  check('compareAndSet: a row goes only as it was seen', async () => {
    const name = await table(row('h', 'r', 'a'), row('h', 's', ''), row('h', 't', 'a'));
    const remove = (range: string, expected: string) =>
      store.client.compareAndSet(name, row('h', range), bytes(expected), undefined);
    assert.equal(await remove('r', 'b'), false);
    assert.equal(await remove('none', 'a'), false);
    assert.equal(await remove('s', 'a'), false);
    assert.deepEqual([await remove('r', 'a'), await remove('r', 'a')], [true, false]);
    assert.equal(await remove('s', ''), true);
    assert.equal(await valueAt(name, row('h', 'r')), undefined);
    assert.equal(await valueAt(name, row('h', 't')), 'a');
    assert.equal(await store.client.compareAndSet(name, row('h', 'r'), undefined, bytes('c')), true, 'made again');
    assert.equal(await valueAt(name, row('h', 'r')), 'c');
  });

  check('compareAndSet: of many at once exactly one wins', async () => {
    const name = await table();
    const key = row('h', 'r');
    for (let round = 0, held: Uint8Array | undefined; round < 5; round++) {
      const wishes = Array.from({ length: 8 }, (_, i) => bytes(`round ${round} by ${i}`));
      const won = await Promise.all(wishes.map((next) => store.client.compareAndSet(name, key, held, next)));
      assert.equal(won.filter(Boolean).length, 1, `round ${round}: ${won}`);
      held = wishes[won.indexOf(true)]!;
      assert.equal(await valueAt(name, key), show(held));
    }
  });

  check('compareAndSet: counting by several loses nothing', async () => {
    const name = await table();
    const key = row('h', 'counter');
    const increment = async () => {
      for (;;) {
        const text = await valueAt(name, key);
        if (await store.client.compareAndSet(name, key, optional(text), bytes(`${Number(text ?? 0) + 1}`))) return;
      }
    };
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 5; i++) await increment();
      }),
    );
    assert.equal(await valueAt(name, key), '20');
  });

  check('several writers at once', async () => {
    const name = await table();
    const writer = async (id: number) => {
      for (let i = 0; i < 10; i++) {
        await store.client.write(
          name,
          Array.from({ length: 30 }, (_, j) => row('h', `${number(i * 30 + j)} ${id}`, `${id}`)),
        );
      }
    };
    await Promise.all([0, 1, 2, 3].map(writer));
    assert.equal((await ranges({ table: name, hash: bytes('h') })).length, 1200);
  });

  check('a strong read sees what was confirmed before', async () => {
    const name = await table();
    for (let i = 0; i < 30; i++) {
      await store.client.write(name, [row('h', 'r', `${i}`)]);
      assert.equal(await valueAt(name, row('h', 'r')), `${i}`);
    }
  });

  check('missing tables read as empty and take no rows', async () => {
    const name = `${run}_missing`;
    assert.deepEqual(await all(store.client.query({ table: name, hash: bytes('h') })), []);
    assert.deepEqual(await all(store.admin.scan(name)), []);
    await store.client.delete(name, [row('h', 'r')]);
    await fails('store-table-missing', () => store.client.write(name, [row('h', 'r')]));
    await fails('store-table-missing', () => store.client.compareAndSet(name, row('h', 'r'), undefined, bytes('v')));
    await store.admin.drop(name);
  });

  check('create, list and drop; again changes nothing', async () => {
    const first = await table(row('h', 'r', 'v'));
    const second = await table(row('h', 'r', 'w'));
    await store.admin.create(first);
    assert.equal(await valueAt(first, row('h', 'r')), 'v');
    const listed = await store.admin.list();
    assert.deepEqual(listed, [...listed].sort());
    assert.ok(listed.includes(first) && listed.includes(second));
    await store.admin.drop(first);
    await store.admin.drop(first);
    assert.ok(!(await store.admin.list()).includes(first));
    assert.deepEqual(await all(store.client.query({ table: first, hash: bytes('h') })), []);
    assert.equal(await valueAt(second, row('h', 'r')), 'w', 'the neighbour stays');
  });

  check('a table made anew after its drop is empty and works', async () => {
    const name = await table(row('h', 'r', 'old'), row('h', 's', 'old'));
    await store.admin.drop(name);
    await store.admin.create(name);
    assert.deepEqual(await all(store.admin.scan(name)), []);
    await store.client.write(name, [row('h', 'r', 'new')]);
    assert.equal(await valueAt(name, row('h', 'r')), 'new');
  });

  check('an aborted call rejects with the reason', async () => {
    const name = await table(row('h', 'r', 'v'));
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    const rejects = (call: Promise<unknown>) => assert.rejects(call, (thrown) => thrown === reason);
    await rejects(store.client.write(name, [row('h', 'x')], signal));
    await rejects(all(store.client.query({ table: name, hash: bytes('h') }, signal)));
    await rejects(store.client.delete(name, [row('h', 'r')], signal));
    await rejects(store.client.compareAndSet(name, row('h', 'r'), undefined, bytes('w'), signal));
    await rejects(all(store.admin.scan(name, signal)));
    assert.equal(await valueAt(name, row('h', 'r')), 'v');
  });

  check('a read aborted between pages stops there', async () => {
    const rows = Array.from({ length: batchRows }, (_, i) => row('h', number(i), ''.padEnd(500, '.')));
    const name = await table(...rows);
    const reason = new Error('enough');
    const abort = new AbortController();
    let got = 0;
    await assert.rejects(
      async () => {
        for await (const page of store.client.query({ table: name, hash: bytes('h') }, abort.signal)) {
          got += page.length;
          abort.abort(reason);
        }
      },
      (thrown) => thrown === reason,
    );
    assert.ok(got > 0 && got < batchRows, `${got} rows`);
  });
}

/** A row of Latin-1 texts: one letter, one byte. */
export function row(hash: string, range: string, value = ''): Row {
  return { hash: bytes(hash), range: bytes(range), value: bytes(value) };
}

export function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

export function show(value: Uint8Array): string {
  return Buffer.from(value).toString('latin1');
}

export async function all<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  const items: T[] = [];
  for await (const page of pages) items.push(...page);
  return items;
}

/** Asserts that a call fails with the catalogue's error of this id. */
export async function fails(id: string, call: () => Promise<unknown>): Promise<void> {
  await assert.rejects(call, (thrown) => {
    assert.ok(thrown instanceof AppError, String((thrown as Error).stack));
    assert.equal(thrown.facts.id, id, thrown.message);
    return true;
  });
}

function optional(text: string | undefined): Uint8Array | undefined {
  return text === undefined ? undefined : bytes(text);
}

function number(i: number): string {
  return String(i).padStart(6, '0');
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
