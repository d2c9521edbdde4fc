import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../../chunk/kernel.ts';
import { DAY_MS } from '../../lib/day.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { systemBytes } from '../../lib/random.ts';
import { AppError } from '../../model/errors.ts';
import { MemoryTableStore } from '../../table/memory.ts';
import { Schema, type StorePeriod } from '../schema.ts';
import { TableManager } from '../table-manager.ts';
import { verify } from '../verify.ts';
import { type DocumentKey, Documents } from './documents.ts';
import { wholeRows } from './parts.ts';
import { StateRows } from './state-rows.ts';
import { removeTenantRows, TenantTables } from './tables.ts';

const START_MS = Date.UTC(2026, 0, 5);
const KEY: DocumentKey = { tenant: 'team-a', kind: 'rules', name: 'ns/group' };

function period(tables: MemoryTableStore, more: Partial<StorePeriod> = {}): StorePeriod {
  return { fromMs: Number.NEGATIVE_INFINITY, tables, tablePrefix: 'p_', tableMs: DAY_MS, ...more };
}

async function opened(tables = new MemoryTableStore()) {
  const clock = new ManualClock(START_MS);
  const schema = new Schema([period(tables)]);
  const both = await TenantTables.open(schema);
  return {
    tables,
    clock,
    schema,
    documents: new Documents(both, clock, systemBytes),
    state: new StateRows(both, systemBytes),
  };
}

const bytes = (text: string) => Buffer.from(text);
const text = (content: Uint8Array | undefined) => content && Buffer.from(content).toString();
const isError = (id: string) => (thrown: unknown) => thrown instanceof AppError && thrown.facts.id === id;

test('a document is there as it was put, with its versions and who made them, and the way back', async () => {
  const { documents, clock } = await opened();
  assert.equal(await documents.get(KEY), undefined);
  await documents.put(KEY, bytes('one'), { user: 'ann', expected: 0 });
  await clock.advance(5000);
  const two = await documents.put(KEY, bytes('two'), { user: 'bob', expected: 1 });
  assert.deepEqual(two, { number: 2, timeMs: START_MS + 5000, user: 'bob', deleted: false, bytes: 3 });
  assert.equal(text((await documents.get(KEY))?.content), 'two');
  // the same again is no change
  assert.equal((await documents.put(KEY, bytes('two'), { user: 'eve' })).number, 2);
  assert.equal((await documents.delete(KEY, { user: 'ann', expected: 2 }))?.deleted, true);
  assert.equal(await documents.delete(KEY, { user: 'ann' }), undefined);
  assert.equal(await documents.get(KEY), undefined);
  assert.deepEqual(await documents.list('team-a', 'rules'), []);
  const users = (await documents.versions(KEY)).map(({ number, user, deleted }) => [number, user, deleted]);
  assert.deepEqual(users, [
    [1, 'ann', false],
    [2, 'bob', false],
    [3, 'ann', true],
  ]);
  assert.equal(text(await documents.contentOf(KEY, 1)), 'one');
  assert.equal(await documents.contentOf(KEY, 3), undefined);
  await documents.put(KEY, (await documents.contentOf(KEY, 1))!, { user: 'ann', expected: 0 });
  assert.equal(text((await documents.get(KEY))?.content), 'one');
});

test('of two who change the same version one is told so', async () => {
  const { documents } = await opened();
  await documents.put(KEY, bytes('one'), { user: '' });
  const both = await Promise.allSettled([
    documents.put(KEY, bytes('mine'), { user: 'a', expected: 1 }),
    documents.put(KEY, bytes('yours'), { user: 'b', expected: 1 }),
  ]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.deepEqual((await documents.versions(KEY)).length, 2);
  await assert.rejects(documents.put(KEY, bytes('x'), { user: '', expected: 1 }), isError('document-changed'));
  await assert.rejects(documents.delete(KEY, { user: '', expected: 7 }), isError('document-changed'));
  // without an expectation both get in, one after the other
  await Promise.all(['c', 'd'].map((user) => documents.put(KEY, bytes(user), { user })));
  assert.equal((await documents.versions(KEY)).length, 4);
});

test('a hundred versions are kept, and nothing lies around of the others', async () => {
  const { documents, tables } = await opened();
  const large = (i: number) => Buffer.from(Array.from({ length: 300_000 }, (_, k) => (k * k * (i + 3)) >> 5));
  for (let i = 1; i <= 104; i++) await documents.put(KEY, i % 26 === 0 ? large(i) : bytes(`v${i}`), { user: '' });
  const versions = await documents.versions(KEY);
  assert.deepEqual([versions.length, versions[0]!.number, versions.at(-1)!.number], [100, 5, 104]);
  assert.deepEqual(Buffer.from((await documents.get(KEY))!.content), large(104));
  assert.deepEqual(Buffer.from((await documents.contentOf(KEY, 52))!), large(52));
  assert.equal(await documents.contentOf(KEY, 4), undefined);
  let rows = 0;
  for await (const page of tables.scan('p_config')) rows += page.length;
  assert.ok(rows >= 102 && rows < 120, `${rows}`);
});

test('documents are listed with their content, and tenants with a mark that changes', async () => {
  const { documents } = await opened();
  const long = `${'n'.repeat(300)}`;
  await documents.put({ ...KEY, name: long }, bytes('l'), { user: '' });
  await documents.put({ ...KEY, name: 'b' }, bytes('2'), { user: '' });
  await documents.put({ ...KEY, name: 'a' }, bytes(''), { user: '' });
  await documents.put({ ...KEY, kind: 'other', name: 'z' }, bytes('2'), { user: '' });
  await documents.put({ ...KEY, tenant: 'team-b', name: 'c' }, bytes('3'), { user: '' });
  const listed = (await documents.list('team-a', 'rules')).map(({ name, content }) => [name, text(content)]);
  assert.deepEqual(listed, [
    ['a', ''],
    ['b', '2'],
    [long, 'l'],
  ]);
  assert.deepEqual(
    (await documents.heads('team-a', 'rules')).map(({ name }) => name),
    ['a', 'b', long],
  );
  const before = await documents.tenants('rules');
  assert.deepEqual(before.map(({ tenant }) => tenant).sort(), ['team-a', 'team-b']);
  await documents.delete({ ...KEY, name: 'a' }, { user: '' });
  const after = await documents.tenants('rules');
  const mark = (of: typeof before, tenant: string) => of.find((each) => each.tenant === tenant)!.mark;
  assert.notEqual(mark(before, 'team-a'), mark(after, 'team-a'));
  assert.equal(mark(before, 'team-b'), mark(after, 'team-b'));
});

test('limits of documents are told by name', async () => {
  const { documents } = await opened();
  await assert.rejects(
    documents.put(KEY, new Uint8Array(8_388_609), { user: '' }),
    /the content of a document of kind rules is too large: 8388609, limit 8388608/,
  );
  await assert.rejects(
    documents.put({ ...KEY, name: 'x'.repeat(1025) }, bytes(''), { user: '' }),
    /the name of a document of kind rules is too large: 1025, limit 1024/,
  );
});

test('a head of state changes by compare-and-set, and names pages that belong to it', async () => {
  const { state } = await opened();
  const ids = [state.newPageId(), state.newPageId()];
  await state.writePages(KEY, new Map([[ids[0]!, bytes('p0')], [ids[1]!, bytes('p1')]])); // biome-ignore format: a pair a page
  const one = await state.compareAndSet(KEY, undefined, { pages: ids.toReversed(), body: bytes('body') });
  assert.ok(one);
  assert.equal(await state.compareAndSet(KEY, undefined, { pages: [], body: bytes('late') }), undefined);
  const read = await state.read(KEY);
  assert.deepEqual(read?.pages.map(text), ['p1', 'p0']);
  assert.equal(text(read?.head.body), 'body');
  const two = await state.compareAndSet(KEY, read!.head, { pages: [ids[0]!], body: bytes('next') });
  assert.ok(two);
  assert.equal(await state.compareAndSet(KEY, one, { pages: [], body: bytes('fenced') }), undefined);
  await state.removePages(KEY, [ids[1]!]);
  assert.deepEqual((await state.read(KEY))?.pages.map(text), ['p0']);
  await state.removePages(KEY, [ids[0]!]);
  await assert.rejects(state.read(KEY), isError('row-corrupt'));
  const names: string[] = [];
  for await (const { name } of state.list('team-a', 'rules')) names.push(name);
  assert.deepEqual(names, ['ns/group']);
  assert.deepEqual(await state.tenants('rules'), ['team-a']);
  await state.remove(KEY);
  assert.equal(await state.get(KEY), undefined);
  await assert.rejects(
    state.writePages(KEY, new Map([[ids[0]!, new Uint8Array(131_073)]])),
    /the page of a document of kind rules is too large: 131073, limit 131072/,
  );
});

test('a tenant that is deleted has nothing left, and others all of theirs', async () => {
  const { documents, state, schema, tables } = await opened();
  for (const tenant of ['team-a', 'team-b']) {
    const key = { ...KEY, tenant };
    await documents.put(key, bytes('one'), { user: '' });
    await documents.put(key, bytes('two'), { user: '' });
    const id = state.newPageId();
    await state.writePages(key, new Map([[id, bytes('p')]]));
    await state.compareAndSet(key, undefined, { pages: [id], body: bytes('') });
  }
  // of no tenant, as members of a service have one
  await state.compareAndSet({ tenant: '', kind: 'members', name: 'm' }, undefined, { pages: [], body: bytes('') });
  assert.equal(await removeTenantRows(schema, 'team-a'), 7);
  for (const table of ['p_config', 'p_state']) {
    for await (const page of tables.scan(table)) {
      for (const { hash, value } of page) {
        assert.ok(!Buffer.concat([hash, value]).includes('team-a'));
      }
    }
  }
  assert.deepEqual(await documents.versions(KEY), []);
  assert.deepEqual((await documents.tenants('rules')).map(({ tenant }) => tenant), ['team-b']); // biome-ignore format: short
  assert.equal(text((await documents.get({ ...KEY, tenant: 'team-b' }))?.content), 'two');
  assert.equal((await state.read({ ...KEY, tenant: 'team-b' }))?.pages.length, 1);
});

test('a new period that lies elsewhere gets what the one before has, once', async () => {
  const { documents, state, tables } = await opened();
  await documents.put(KEY, bytes('one'), { user: 'ann' });
  await state.compareAndSet(KEY, undefined, { pages: [], body: bytes('s') });
  const elsewhere = new MemoryTableStore();
  const schema = new Schema([period(tables), period(elsewhere, { fromMs: START_MS + DAY_MS, tablePrefix: 'q_' })]);
  const clock = new ManualClock(START_MS);
  const moved = async () => {
    const both = await TenantTables.open(schema);
    return { documents: new Documents(both, clock, systemBytes), state: new StateRows(both, systemBytes) };
  };
  const first = await moved();
  assert.equal(text((await first.documents.get(KEY))?.content), 'one');
  assert.equal(text((await first.state.get(KEY))?.body), 's');
  assert.deepEqual((await first.documents.tenants('rules')).length, 1);
  await first.state.remove(KEY);
  await documents.put(KEY, bytes('behind'), { user: '' });
  const second = await moved();
  assert.equal(text((await second.documents.get(KEY))?.content), 'one');
  assert.equal(await second.state.get(KEY), undefined);
  // retention drops neither
  await clock.advance(900 * DAY_MS);
  await new TableManager(schema, clock).run(DAY_MS);
  assert.equal(text((await second.documents.get(KEY))?.content), 'one');
  assert.deepEqual((await verify(schema, Kernel.create())).problems, []);
  assert.equal(await removeTenantRows(schema, 'team-a'), 10);
});

test('verify finds damaged and missing parts, and what is copied while it changes belongs together', async () => {
  const { documents, state, schema, tables } = await opened();
  const id = state.newPageId();
  await state.writePages(KEY, new Map([[id, bytes('p')]]));
  let head = await state.compareAndSet(KEY, undefined, { pages: [id], body: bytes('') });
  await documents.put(KEY, bytes('one'), { user: '' });
  assert.deepEqual((await verify(schema, Kernel.create())).problems, []);

  const seen = new Set<string>();
  let lastHead: string[] = [];
  for await (const page of wholeRows(changing(tables), 'p_state')) {
    for (const row of page) {
      const hash = Buffer.from(row.hash).toString('latin1');
      if (hash.includes('P\x05rules')) seen.add(Buffer.from(row.range).toString('hex'));
      if (hash.includes('S\x05rules')) lastHead = [Buffer.from(row.value.subarray(-16)).toString('hex')];
    }
  }
  assert.equal(lastHead.length, 1);
  assert.ok(seen.has(lastHead[0]!), 'the page of the head that was copied');

  await state.removePages(KEY, head!.pages);
  const { problems } = await verify(schema, Kernel.create());
  assert.equal(problems.length, 1);
  assert.match(problems[0]!.reason, /the part [0-9a-f]{32} that it names is missing/);

  /** The table, of which the page is replaced between the look at the head and the look at its pages. */
  function changing(store: MemoryTableStore) {
    let changes = 0;
    return {
      admin: store,
      client: Object.assign(Object.create(store) as MemoryTableStore, {
        async *query(...[query, signal]: Parameters<MemoryTableStore['query']>) {
          if (changes < 3) {
            changes++;
            const next = state.newPageId();
            await state.writePages(KEY, new Map([[next, bytes('p')]]));
            const before = head!;
            head = await state.compareAndSet(KEY, before, { pages: [next], body: bytes('') });
            await state.removePages(KEY, before.pages);
          }
          yield* store.query(query, signal);
        },
      }),
    };
  }
});
