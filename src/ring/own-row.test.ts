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

test('each start says a later heartbeat than all before it, with the store of the ring and without', async () => {
  const clock = new ManualClock();
  const kv = new MemoryKv();
  let saved: SavedMember | undefined;
  const folder = { member: () => saved, saveMember: (next: SavedMember) => (saved = next) } as unknown as RingFolder;
  const reader = {
    call: (ask: (signal: AbortSignal) => Promise<unknown>) => ask(new AbortController().signal),
    rows: new Map(),
  } as unknown as RingReader;
  let lost = 0;
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
      onLost: () => lost++,
      onWritten: () => {},
    });
  };
  let last = -1;
  // heartbeats of each start that the store takes
  for (const writes of [1, 0, 0, 0, 1, 0, 0, 2, 0, 300, 0, 1, 1, 0]) {
    const row = start();
    assert.ok(row.beat > last, `${row.beat} after ${last}, before ${writes}`);
    for (let i = 0; i < writes; i++) await row.write();
    last = row.beat;
  }
  assert.equal(lost, 0);
});
