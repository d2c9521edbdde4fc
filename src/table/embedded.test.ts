import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Row } from './client.ts';
import { EmbeddedTableStore } from './embedded.ts';
import { TableChanges } from './table-changes.ts';

const root = mkdtempSync(join(tmpdir(), 'pallium-embedded-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));
const row = (hash: string, range: string, value = ''): Row => ({
  hash: bytes(hash),
  range: bytes(range),
  value: bytes(value),
});

async function values(store: EmbeddedTableStore, table: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const page of store.scan(table))
    texts.push(...page.map((one) => Buffer.from(one.value).toString('latin1')));
  return texts;
}

test('what was written is there after closing and opening again', async () => {
  const dir = join(root, 'again');
  const first = await EmbeddedTableStore.open({ dir });
  await first.create('t');
  await first.write('t', [row('h', 'r', 'v')]);
  await first.close();
  const second = await EmbeddedTableStore.open({ dir });
  assert.deepEqual(await values(second, 't'), ['v']);
  await second.close();
  await assert.rejects(second.write('t', [row('h', 'r')]), /store is closed/);
});

test('every change is counted from before it can be seen, and by all that share the counts', async () => {
  const dir = join(root, 'counted');
  const memory = TableChanges.memory();
  const open = () => EmbeddedTableStore.open({ dir, changes: new TableChanges(memory) });
  const [one, other] = [await open(), await open()];
  let last = other.changes('t');
  const changed = async (change: Promise<unknown>, isUnderWay = true) => {
    assert.equal(other.changes('t') === undefined, isUnderWay);
    await change;
    const now = other.changes('t');
    assert.ok(now !== undefined && now !== last);
    last = now;
  };
  await changed(one.create('t'));
  await changed(one.write('t', [row('h', 'r', 'v')]));
  await changed(one.compareAndSet('t', row('h', 's'), undefined, bytes('w')));
  await changed(one.delete('t', [row('h', 'r')]));
  assert.equal(other.changes('u'), one.changes('u'));
  for await (const _ of one.scan('t'));
  assert.equal(other.changes('t'), last, 'reading is no change');
  await changed(one.drop('t'), false);
  await assert.rejects(one.write('t', [row('h', 'r', 'v')]));
  assert.equal(other.changes('t'), last, 'nor is what is refused');
  await Promise.all([one.close(), other.close()]);
  const alone = await EmbeddedTableStore.open({ dir });
  assert.equal(alone.changes('t'), undefined, 'others may change it, too');
  await alone.close();
});

test('dropping a table leaves no file behind', async () => {
  const dir = join(root, 'files');
  const store = await EmbeddedTableStore.open({ dir });
  await store.create('a');
  await store.create('b');
  await store.write('a', [row('h', 'r', 'v')]);
  await store.drop('a');
  assert.deepEqual(readdirSync(dir).sort(), ['b.mdb', 'b.mdb-lock']);
  await store.close();
});

test('a reader of its own sees writes, drops and tables made anew, and writes nothing', async () => {
  const dir = join(root, 'reader');
  const writer = await EmbeddedTableStore.open({ dir });
  const reader = await EmbeddedTableStore.open({ dir, readOnly: true });
  await writer.create('t');
  await writer.write('t', [row('h', 'r', 'one')]);
  assert.deepEqual(await values(reader, 't'), ['one']);
  await writer.write('t', [row('h', 'r', 'two')]);
  assert.deepEqual(await values(reader, 't'), ['two']);
  await writer.drop('t');
  assert.deepEqual(await values(reader, 't'), []);
  await writer.create('t');
  await writer.write('t', [row('h', 'r', 'three')]);
  assert.deepEqual(await values(reader, 't'), ['three']);
  await assert.rejects(reader.write('t', [row('h', 'r')]), /open for reading only/);
  await assert.rejects(reader.drop('t'), /open for reading only/);
  await Promise.all([reader.close(), writer.close()]);
});

test('a writer whose table another one dropped and made anew writes into the new one', async () => {
  const dir = join(root, 'stale');
  const [a, b] = await Promise.all([EmbeddedTableStore.open({ dir }), EmbeddedTableStore.open({ dir })]);
  await a.create('t');
  await b.write('t', [row('h', 'r', 'old')]);
  await a.drop('t');
  await assert.rejects(b.write('t', [row('h', 'r', 'lost')]), /no such table/);
  await a.create('t');
  await b.write('t', [row('h', 'r', 'new')]);
  assert.deepEqual(await values(a, 't'), ['new']);
  await Promise.all([a.close(), b.close()]);
});

test('more tables than may be open at once', async () => {
  const store = await EmbeddedTableStore.open({ dir: join(root, 'many'), tablesOpenMax: 3 });
  const tables = Array.from({ length: 12 }, (_, i) => `t${i}`);
  await Promise.all(tables.map((table) => store.create(table)));
  for (let round = 0; round < 3; round++) {
    await Promise.all(tables.map((table) => store.write(table, [row('h', `${round}`, table)])));
  }
  for (const table of tables) assert.deepEqual(await values(store, table), [table, table, table]);
  await store.close();
});

const WORKER = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { EmbeddedTableStore } = await import(workerData.module);
  const { id, dir, writes } = workerData;
  const store = await EmbeddedTableStore.open({ dir });
  const bytes = (text) => new Uint8Array(Buffer.from(text));
  const key = { hash: bytes('c'), range: bytes('') };
  for (let i = 0; i < writes; i++) {
    await store.write('t', [{ hash: bytes('w' + id), range: bytes(String(i).padStart(5, '0')), value: bytes('x'.repeat(500)) }]);
    for (;;) {
      let held;
      for await (const page of store.query({ table: 't', hash: key.hash, strong: true })) held = page[0].value;
      const next = bytes(String(Number(held === undefined ? 0 : Buffer.from(held).toString()) + 1));
      if (await store.compareAndSet('t', key, held, next)) break;
    }
    let seen = 0;
    for await (const page of store.query({ table: 't', hash: bytes('w' + id) })) seen += page.length;
    if (seen !== i + 1) throw new Error('sees ' + seen + ' rows of ' + (i + 1));
  }
  await store.close();
  parentPort.postMessage('done');
`;

test('worker threads write, compare and read one table at once', { timeout: 60_000 }, async () => {
  const dir = join(root, 'threads');
  const store = await EmbeddedTableStore.open({ dir });
  await store.create('t');
  const module = new URL('./embedded.ts', import.meta.url).href;
  const writes = 40;
  await Promise.all(
    [0, 1, 2].map(async (id) => {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(WORKER)}`), {
        workerData: { id, dir, writes, module },
      });
      await new Promise<void>((resolve, reject) => {
        worker.on('message', () => resolve()).on('error', reject);
      });
      await worker.terminate();
    }),
  );
  const found = await values(store, 't');
  assert.equal(found.length, 3 * writes + 1);
  assert.ok(found.includes(String(3 * writes)), 'the counter lost nothing');
  await store.close();
});
