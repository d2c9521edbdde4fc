import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SavedArena } from '../log/checkpoint.ts';
import { MemoryDisk } from '../log/test-disk.ts';
import { DELETIONS_FILE, DeletionsRead } from './deletions-read.ts';

const arena = (id: number, flushedMs = 0): SavedArena => ({ id, window: id, sealLsn: 0, flushedMs });

function folderOn(disk: MemoryDisk) {
  disk.makeFolder('shard');
  return (nowMs: number) => new DeletionsRead(disk, 'shard', nowMs);
}

test('a read counts once the store has all that was there, and is remembered', () => {
  const disk = new MemoryDisk();
  const open = folderOn(disk);
  const read = open(100);
  assert.equal(read.sinceMs, 100, 'a new folder has nothing that is older');
  read.done(200, [arena(1), arena(2, 150)]);
  assert.equal(read.sinceMs, 100);
  // what came since is no matter, nor is a later read
  read.done(300, [arena(1), arena(3)]);
  read.settle([arena(1, 320), arena(3)]);
  assert.equal(read.sinceMs, 200);
  read.done(400, [arena(3)]);
  assert.equal(open(1000).sinceMs, 200, 'what waits is forgotten with the process');
  read.settle([]);
  assert.equal(open(1000).sinceMs, 400);
  read.vouch(900);
  assert.equal(open(1000).sinceMs, 900);
});

test('a file that nobody can read counts as never read', () => {
  for (const text of ['', 'null', '{}', '{"sinceMs":-1}', '{"sinceMs":"1"}', 'x'.repeat(10_000)]) {
    const disk = new MemoryDisk();
    const open = folderOn(disk);
    disk.writeWhole(`shard/${DELETIONS_FILE}`, new TextEncoder().encode(text));
    assert.equal(open(1000).sinceMs, 0, text.slice(0, 20));
  }
});

test('a disk that is full keeps nothing from going on: the older time holds until it can be written', (t) => {
  const disk = new MemoryDisk();
  const open = folderOn(disk);
  open(100);
  const full = t.mock.method(disk, 'writeWhole', () => {
    throw new Error('ENOSPC');
  });
  const read = open(1000);
  read.done(200, []);
  assert.equal(read.sinceMs, 100);
  full.mock.restore();
  read.done(300, []);
  assert.equal(read.sinceMs, 200);
  assert.equal(open(1000).sinceMs, 200);
});
