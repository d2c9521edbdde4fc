import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryKv } from '../kv/memory.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { systemBytes } from '../lib/random.ts';
import type { RingFolder, SavedMember } from './folder.ts';
import { Heartbeats } from './heartbeats.ts';
import { MemberFile } from './member-file.ts';
import { OwnRow } from './own-row.ts';
import type { RingReader } from './reader.ts';
import { beatOf, rowKey } from './row.ts';

/** A member's row over its starts, with a store that may take no writes. */
function member() {
  const clock = new ManualClock();
  const kv = new MemoryKv();
  const take = kv.compareAndSet.bind(kv);
  const is = { taking: true };
  kv.compareAndSet = (...asked) =>
    is.taking ? take(...asked) : Promise.reject(new Error('the store takes no writes'));
  let saved: SavedMember | undefined;
  const folder = { member: () => saved, saveMember: (next: SavedMember) => (saved = next) } as unknown as RingFolder;
  const reader = {
    call: (ask: (signal: AbortSignal) => Promise<unknown>) => ask(new AbortController().signal),
    rows: new Map(),
  } as unknown as RingReader;
  const losses: number[] = [];
  const start = () => {
    const file = new MemberFile({
      folder,
      clock,
      randomBytes: systemBytes,
      name: 'ingester-0',
      hasLog: false,
      walAgeMaxMs: 1e9,
      takeOldLog: false,
    });
    return new OwnRow({
      kv,
      clock,
      reader,
      file,
      heartbeats: new Heartbeats(file.saved.id, 1000, 3000),
      boot: String(file.saved.boots),
      says: () => ({}) as never,
      onLost: () => losses.push(file.saved.boots),
      onWritten: () => {},
    });
  };
  return { start, kv, is, losses };
}

test('each start says a later heartbeat than all before it, with the store of the ring and without', async () => {
  const { start, losses } = member();
  let last = -1;
  // heartbeats of each start that the store takes
  for (const writes of [1, 0, 0, 0, 1, 0, 0, 2, 0, 300, 0, 1, 1, 0]) {
    const row = start();
    assert.ok(row.beat > last, `${row.beat} after ${last}, before ${writes}`);
    for (let i = 0; i < writes; i++) await row.write();
    last = row.beat;
  }
  assert.deepEqual(losses, []);
});

test('so it does where the store is read for long but takes no heartbeat, and one that it took is still there', async () => {
  const { start, is, losses } = member();
  let last = -1;
  // heartbeats of each start that the store takes, those that it does not, and those that it takes after them
  for (const [taken, failed, again] of [
    [1, 500, 0],
    [0, 300, 0],
    [0, 0, 1],
    [3, 1000, 2],
    [1, 130, 0],
    [1, 0, 0],
  ] as const) {
    const row = start();
    assert.ok(row.beat > last, `${row.beat} after ${last}`);
    for (let i = 0; i < taken; i++) await row.write();
    is.taking = false;
    for (let i = 0; i < failed; i++) await assert.rejects(row.write());
    is.taking = true;
    for (let i = 0; i < again; i++) await row.write();
    last = row.beat;
  }
  assert.deepEqual(losses, []);
});

test('a row that cannot be read is written anew, with a later heartbeat, as one that was lost', async () => {
  const { start, kv, losses } = member();
  let row = start();
  await row.write();
  const { id } = row.written!;
  for (const bytes of ['no row', '7', '{"beat":"9","boot":"1"}', '{"boot":"1"}']) {
    for (const isStart of [false, true]) {
      const { beat } = row;
      await kv.put(rowKey(id), Buffer.from(bytes));
      if (isStart) row = start();
      const before = losses.length;
      await row.write();
      assert.equal(losses.length, before + 1, `${bytes}, ${isStart}`);
      assert.ok(beatOf((await kv.get(rowKey(id)))!.value).beat > beat);
    }
  }
});

test('a row of which the store may have another one is due', async () => {
  const { start, is } = member();
  const row = start();
  await row.write();
  assert.deepEqual([row.isUnsure, row.isDue], [false, false]);
  is.taking = false;
  await assert.rejects(row.write());
  assert.deepEqual([row.isUnsure, row.isDue], [true, true]);
  is.taking = true;
  await row.write();
  assert.deepEqual([row.isUnsure, row.isDue], [false, false]);
});
