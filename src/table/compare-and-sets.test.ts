import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { open } from 'lmdb';
import { CompareAndSets } from './compare-and-sets.ts';

const dir = mkdtempSync(join(tmpdir(), 'pallium-sets-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const bytes = (text: string) => Buffer.from(text);

test('compare-and-sets of one turn are one commit, each on what the one before it left', async () => {
  const db = open<Buffer, Uint8Array>({
    path: join(dir, 'a.mdb'),
    noSubdir: true,
    keyEncoding: 'binary',
    encoding: 'binary',
  });
  let commits = 0;
  let fails = false;
  const counting = Object.assign(Object.create(db) as typeof db, {
    transactionSync(work: () => unknown) {
      commits++;
      if (fails) throw new Error('the disk is full');
      return db.transactionSync(work);
    },
    getBinary: db.getBinary.bind(db),
    putSync: db.putSync.bind(db),
  });
  const sets = new CompareAndSets(counting);
  const done = await Promise.all([
    sets.add(bytes('k'), undefined, bytes('1')),
    sets.add(bytes('k'), undefined, bytes('2')),
    sets.add(bytes('k'), bytes('1'), bytes('3')),
    ...Array.from({ length: 100 }, (_, i) => sets.add(bytes(`other ${i}`), undefined, bytes('x'))),
  ]);
  assert.deepEqual(done.slice(0, 4), [true, false, true, true]);
  assert.equal(commits, 1);
  assert.equal(db.getBinary(bytes('k'))?.toString(), '3');
  fails = true;
  const refused = await Promise.allSettled([
    sets.add(bytes('k'), bytes('3'), bytes('4')),
    sets.add(bytes('l'), undefined, bytes('4')),
  ]);
  assert.deepEqual(
    refused.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  fails = false;
  assert.equal(await sets.add(bytes('k'), bytes('3'), bytes('4')), true);
  await db.close();
});
