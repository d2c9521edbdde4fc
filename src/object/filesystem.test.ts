import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { FilesystemObjectClient } from './filesystem.ts';

const root = mkdtempSync(join(tmpdir(), 'pallium-filesystem-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

const body = new TextEncoder().encode('body');

test('one file per object, nothing left aside, and no empty folders after a delete', async () => {
  const dir = join(root, 'files');
  const client = await FilesystemObjectClient.open({ dir, clock: systemClock });
  await client.put('a/b/c', body);
  await client.put('a/d', body);
  assert.deepEqual(readdirSync(join(dir, 'a')).sort(), ['b', 'd']);
  assert.deepEqual(readdirSync(join(dir, '.aside')), []);
  await client.delete('a/b/c');
  assert.deepEqual(readdirSync(join(dir, 'a')), ['d']);
  await client.delete('a/d');
  assert.ok(!existsSync(join(dir, 'a')));
});

test('puts and deletes that make and remove the same folder do not disturb each other', async () => {
  const client = await FilesystemObjectClient.open({ dir: join(root, 'folders'), clock: systemClock });
  await Promise.all(
    Array.from({ length: 20 }, async (_, id) => {
      for (let i = 0; i < 20; i++) {
        await client.put(`x/y/${id}`, body);
        if (i < 19) await client.delete(`x/y/${id}`);
      }
    }),
  );
  let keys = 0;
  for await (const page of client.list('x/')) keys += page.length;
  assert.equal(keys, 20);
});

test('opening removes what is long left aside, not what is being written', async () => {
  const dir = join(root, 'aside');
  await FilesystemObjectClient.open({ dir, clock: systemClock });
  for (const name of ['old', 'young']) writeFileSync(join(dir, '.aside', name), 'half');
  const twoHoursAgoS = Date.now() / 1000 - 7200;
  utimesSync(join(dir, '.aside', 'old'), twoHoursAgoS, twoHoursAgoS);
  const client = await FilesystemObjectClient.open({ dir, clock: systemClock });
  assert.deepEqual(readdirSync(join(dir, '.aside')), ['young']);
  for await (const page of client.list('')) assert.fail(`lists ${page[0]?.key}`);
});

test('keys that would leave the folder are bugs', async () => {
  const client = await FilesystemObjectClient.open({ dir: join(root, 'keys'), clock: systemClock });
  for (const key of ['../x', '/x', 'a//b', 'a/../b', '', 'a/', '.aside/x', 'a\0b', 'a b', 'é', 'x'.repeat(300)]) {
    await assert.rejects(client.put(key, body), /bug: object key/, key);
  }
});
