import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../kit/observe/log.ts';
import { slotsFile } from './slots-file.ts';

test('a folder that no shard has made yet, or has just made, is that of a new process; one with logs is not', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'pallium-slots-file-'));
  t.after(() => rmSync(root, { recursive: true }));
  const folder = join(root, 'ingester');
  const file = slotsFile(
    { writeWhole: () => assert.fail('nothing is written') },
    join(folder, 'slots.json'),
    silentLogger,
  );
  assert.equal(file.load(), undefined);
  mkdirSync(join(folder, 'shard-0'), { recursive: true });
  assert.equal(file.load(), undefined);
  writeFileSync(join(folder, 'shard-0', '0000000001.wal'), '');
  assert.equal(file.load(), undefined);
  writeFileSync(join(folder, 'shard-0', '0000000002.wal'), '');
  assert.deepEqual(file.load(), { shards: 0, tenants: [] });
});
