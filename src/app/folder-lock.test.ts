import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { realDisk } from '../ingester/log/disk.ts';
import { heldDisk } from '../ingester/log/held-disk.ts';
import { FolderHold, type HoldLostError } from '../kit/folder/hold.ts';
import { FolderLock } from '../kit/folder/lock.ts';
import { makeFolder, makeFolderSync } from '../kit/folder/make-folder.ts';
import { systemClock } from '../lib/clock.ts';
import { FilesystemObjectClient } from '../object/filesystem.ts';
import { EmbeddedTableStore } from '../table/embedded.ts';

const root = mkdtempSync(join(tmpdir(), 'pallium-lock-'));
after(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const fresh = async () => {
  const folder = join(root, `f${count++}`);
  await mkdir(folder);
  return folder;
};

const times = { beatMs: 40, freshMs: 1000, watchMs: 300 };
function lockOn(folder: string, lost: HoldLostError[] = [], said: string[] = []): FolderLock {
  return new FolderLock(folder, {
    clock: systemClock,
    say: (text) => said.push(text),
    onLost: (error) => lost.push(error),
    times,
  });
}

const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
/** Process 1 of another container of this machine; its number means another process here. */
const OTHER_CONTAINER = {
  nonce: 'theirs',
  pid: process.pid,
  startTicks: '1',
  pidNamespace: 'pid:[1]',
  bootId,
  host: hostname(),
};
const OTHER_NODE = { ...OTHER_CONTAINER, bootId: 'another' };
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

test('a lock of another container is watched: touched it stands, silent it is taken', async () => {
  for (const holder of [OTHER_CONTAINER, OTHER_NODE]) {
    const folder = await fresh();
    const file = join(folder, 'lock');
    writeFileSync(file, JSON.stringify(holder));
    let at = 1;
    const beating = setInterval(() => utimesSync(file, at, at++), times.beatMs);
    const refused = lockOn(folder);
    await assert.rejects(refused.take(), /is in use by process \d+ of another container, or start, of .*-data\.dir/);
    clearInterval(beating);
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), holder, 'and left as it was');
    const said: string[] = [];
    const taken = lockOn(folder, [], said);
    await taken.take();
    assert.match(said.join(), /watching for 0\.3s whether that one lives/);
    await taken.release();
    assert.deepEqual(await readdir(folder), []);
  }
});

test('a lock from the future is watched too: clocks of machines differ', async () => {
  const folder = await fresh();
  const file = join(folder, 'lock');
  writeFileSync(file, JSON.stringify({ ...OTHER_NODE, host: 'elsewhere' }));
  utimesSync(file, 4e9, 4e9);
  const lock = lockOn(folder);
  await lock.take();
  await lock.release();
});

test('of many that come to a dead lock at once one gets it, and keeps it', async () => {
  for (let round = 0; round < 5; round++) {
    const folder = await fresh();
    writeFileSync(join(folder, 'lock'), JSON.stringify(OTHER_CONTAINER));
    const lost: HoldLostError[] = [];
    const locks = Array.from({ length: 6 }, () => lockOn(folder, lost));
    const outcomes = await Promise.allSettled(locks.map((lock) => lock.take()));
    await pause(3 * times.beatMs);
    const holders = locks.filter((lock, i) => {
      if (outcomes[i]!.status === 'rejected') return false;
      try {
        lock.hold.check();
        return true;
      } catch {
        return false;
      }
    });
    assert.equal(holders.length, 1, outcomes.map(({ status }) => status).join());
    for (const lock of locks) await lock.release();
    assert.deepEqual(await readdir(folder), []);
  }
});

test('whoever lost the folder learns it, changes nothing there, and leaves the lock to the other', async () => {
  const folder = await fresh();
  const lost: HoldLostError[] = [];
  const lock = lockOn(folder, lost);
  await lock.take();
  // as a thread sees it
  const hold = new FolderHold(lock.token, systemClock);
  const disk = heldDisk(realDisk, hold);
  const tables = await EmbeddedTableStore.open({ dir: join(folder, 'tables'), hold });
  const objects = await FilesystemObjectClient.open({ dir: join(folder, 'objects'), hold, clock: systemClock });
  const log = disk.append(join(folder, 'a.wal'));
  log.write(Buffer.from('before'));
  await tables.create('t');
  const key = { hash: Buffer.from('h'), range: Buffer.from('r') };
  await tables.write('t', [{ ...key, value: Buffer.from('v') }]);
  await objects.put('o', Buffer.from('v'));

  const theirs = JSON.stringify(OTHER_NODE);
  rmSync(join(folder, 'lock'));
  writeFileSync(join(folder, 'lock'), theirs);
  const refused = /is in use by another process: nothing is changed there/;
  assert.throws(() => log.truncate(0), refused);
  assert.throws(() => log.write(Buffer.from('after')), refused);
  assert.throws(() => disk.append(join(folder, 'b.wal')), refused);
  assert.throws(() => disk.rename(join(folder, 'a.wal'), join(folder, 'c.wal')), refused);
  assert.throws(() => disk.remove(join(folder, 'a.wal')), refused);
  await assert.rejects(tables.write('t', [{ ...key, value: Buffer.from('w') }]), refused);
  await assert.rejects(tables.delete('t', [key]), refused);
  await assert.rejects(tables.compareAndSet('t', key, Buffer.from('v'), Buffer.from('w')), refused);
  await assert.rejects(tables.create('u'), refused);
  await assert.rejects(tables.drop('t'), refused);
  await assert.rejects(objects.put('p', Buffer.from('v')), refused);
  await assert.rejects(objects.delete('o'), refused);

  await pause(4 * times.beatMs);
  assert.equal(lost.length, 1);
  await tables.close();
  await lock.release();
  assert.equal(readFileSync(join(folder, 'lock'), 'utf8'), theirs);
  assert.equal(readFileSync(join(folder, 'a.wal'), 'utf8'), 'before');
  assert.ok(existsSync(join(folder, 'tables', 't.mdb')) && existsSync(join(folder, 'objects', 'o')));
  assert.ok(!existsSync(join(folder, 'b.wal')));
});

test('a lock that somebody deleted is lost as well', async () => {
  const folder = await fresh();
  const lost: HoldLostError[] = [];
  const lock = lockOn(folder, lost);
  await lock.take();
  rmSync(join(folder, 'lock'));
  assert.throws(() => lock.hold.check(), /has no lock any more/);
  await pause(6 * times.beatMs);
  assert.equal(lost.length, 1);
  assert.ok(lock.hold.isLost);
  await lock.release();
});

test('the start can be ended while a lock is watched', async () => {
  const folder = await fresh();
  writeFileSync(join(folder, 'lock'), JSON.stringify(OTHER_CONTAINER));
  const stop = new AbortController();
  const lock = lockOn(folder);
  setTimeout(() => stop.abort(new Error('stopping')), 50);
  await assert.rejects(lock.take(stop.signal), /stopping/);
  await lock.release();
  assert.deepEqual(await readdir(folder), ['lock']);
});

test('a folder that cannot be made says so at once', { timeout: 5_000 }, async () => {
  const folder = await fresh();
  await makeFolder(join(folder, 'a/b/c'));
  makeFolderSync(join(folder, 'a/b/d'));
  await makeFolder(join(folder, 'a/b/c'));
  assert.deepEqual((await readdir(join(folder, 'a/b'))).sort(), ['c', 'd']);
  writeFileSync(join(folder, 'file'), '');
  for (const path of [
    '/proc/x',
    '/proc/x/y',
    '/proc/self/fd/x',
    '/sys/x/y',
    join(folder, 'file'),
    join(folder, 'file/x'),
  ]) {
    await assert.rejects(makeFolder(path), /: E[A-Z]+: /, path);
    assert.throws(() => makeFolderSync(path), /: E[A-Z]+: /, path);
  }
});
