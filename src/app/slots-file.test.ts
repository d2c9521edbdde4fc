import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { realDisk } from '../ingester/log/disk.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { slotsFile } from './slots-file.ts';

test('slots are read as they were written; without them a folder with logs is of an earlier run', async (t) => {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'slots-'));
  t.after(() => rm(dir, { recursive: true }));
  await mkdir(path.join(dir, 'shard-0'));
  await writeFile(path.join(dir, 'shard-0', '0000000001.wal'), '');
  const name = path.join(dir, 'slots.json');
  const file = slotsFile(realDisk, name, silentLogger);
  assert.equal(file.load(), undefined, 'a new folder');
  await writeFile(path.join(dir, 'shard-0', '0000000002.wal'), '');
  assert.deepEqual(file.load(), { shards: 0, tenants: [] });
  const slots = { shards: 2, tenants: [{ tenant: 'a', buckets: 16, changedMs: 1, series: 20_001 }] };
  file.save(slots);
  assert.deepEqual({ ...file.load() }, { version: 1, ...slots });
  for (const text of ['', '{}', '{"version":2,"shards":2,"tenants":[]}', '{"version":1,"shards":2,"tenants":[{}]}']) {
    await writeFile(name, text);
    assert.deepEqual(file.load(), { shards: 0, tenants: [] });
  }
});

test('a folder that no shard has made yet, or has just made, is that of a new process', async (t) => {
  const root = await mkdtemp(path.join(os.tmpdir(), 'slots-'));
  t.after(() => rm(root, { recursive: true }));
  const folder = path.join(root, 'ingester');
  const file = slotsFile(realDisk, path.join(folder, 'slots.json'), silentLogger);
  assert.equal(file.load(), undefined);
  await mkdir(path.join(folder, 'shard-0'), { recursive: true });
  assert.equal(file.load(), undefined);
});
