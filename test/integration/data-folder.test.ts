import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';

const NOW_MS = Date.now();
const BODY = writeBody([{ labels: { __name__: 'm' }, samples: [[NOW_MS - 1000, 7]] }]);

/** A process namespace of its own, as a container has. */
const CONTAINER = ['unshare', '-pf', '--mount-proc', '--kill-child'];
const canUnshare = spawnSync(CONTAINER[0]!, [...CONTAINER.slice(1), 'true']).status === 0;
const skip = canUnshare ? false : 'no namespaces of processes can be made here';

async function value(server: Pallium): Promise<string | undefined> {
  const { result } = await server.api().instant('m', NOW_MS / 1000);
  return result[0]?.value?.[1];
}

/** Every file of a folder with its bytes. */
function snapshot(folder: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    files.set(file, readFileSync(file).toString('base64'));
  }
  return files;
}

test('of two containers with one data folder the second is refused', { skip }, async () => {
  await using first = await Pallium.start({ wrapper: CONTAINER });
  assert.equal((await push(`${first.url}/api/v1/push`, BODY)).status, 204);
  await using second = await Pallium.start({ wrapper: CONTAINER, dataDir: first.dataDir, waitReady: false });
  assert.equal((await second.ended).code, 1, second.logTail());
  assert.match(second.log(), /is in use by process 1 of another container/);
  await using outside = await Pallium.start({ dataDir: first.dataDir, waitReady: false });
  assert.equal((await outside.ended).code, 1, outside.logTail());
  assert.equal(await value(first), '7');
});

test('a container that was killed is followed by the next', { skip }, async () => {
  const dataDir = tempFolder('followed');
  const first = await Pallium.start({ dataDir, wrapper: CONTAINER });
  assert.equal((await push(`${first.url}/api/v1/push`, BODY)).status, 204);
  await first.kill();
  await using second = await Pallium.start({ dataDir, wrapper: CONTAINER });
  assert.equal(await value(second), '7');
});

test('a process that was stopped while another took its folder ends, and touches nothing', async () => {
  const dataDir = tempFolder('stopped');
  await using server = await Pallium.start({ dataDir });
  assert.equal((await push(`${server.url}/api/v1/push`, BODY)).status, 204);
  process.kill(server.pid, 'SIGSTOP');
  const other = { nonce: 'other', pid: 1, startTicks: '1', pidNamespace: 'pid:[1]', bootId: 'x', host: hostname() };
  rmSync(join(dataDir, 'lock'));
  writeFileSync(join(dataDir, 'lock'), JSON.stringify(other));
  const before = snapshot(dataDir);
  process.kill(server.pid, 'SIGCONT');
  assert.deepEqual(await server.ended, { code: 1, signal: null }, server.logTail());
  assert.match(server.log(), /is in use by another process: nothing is changed there; ending/);
  assert.deepEqual([...snapshot(dataDir)], [...before]);
});

test('odd files are named, and nothing of the folder is changed', async (t) => {
  const dataDir = tempFolder('odd');
  const server = await Pallium.start({ dataDir });
  assert.equal((await push(`${server.url}/api/v1/push`, BODY)).status, 204);
  await server.stop();
  const shard = 'ingester/shard-0';
  const checkpoint = join(shard, readdirSync(join(dataDir, shard)).find((name) => name.endsWith('.ckp'))!);
  const cases: readonly (readonly [file: string, harm: (path: string) => void])[] = [
    ['pallium.json', (path) => writeFileSync(path, 'null')],
    ['pallium.json', (path) => truncateSync(path, 0)],
    ['lock', (path) => mkdirSync(path)],
    ['ingester/shard-5000', (path) => mkdirSync(path)],
    ['ingester/shard-01', (path) => mkdirSync(path)],
    ['ingester/shard-x', (path) => mkdirSync(path)],
    ['ingester/shard-3', (path) => writeFileSync(path, '')],
    [join(shard, '0000009998.wal'), (path) => mkdirSync(path)],
    [join(shard, '9999999999.wal'), (path) => writeFileSync(path, '')],
    [join(shard, 'checkpoint-0000009998.ckp'), (path) => mkdirSync(path)],
    [checkpoint, (path) => truncateSync(path, 0)],
  ];
  for (const [file, harm] of cases) {
    await t.test(file, async () => {
      const copy = tempFolder('odd-copy');
      rmSync(copy, { recursive: true });
      execFileSync('cp', ['-a', dataDir, copy]);
      harm(join(copy, file));
      const before = snapshot(copy);
      await using harmed = await Pallium.start({ dataDir: copy, waitReady: false });
      assert.deepEqual(await harmed.ended, { code: 1, signal: null }, harmed.logTail());
      assert.ok(harmed.log().includes(join(copy, file)), harmed.logTail());
      assert.deepEqual([...snapshot(copy)], [...before]);
      rmSync(copy, { recursive: true });
    });
  }
});

test('a folder that cannot be used is named with its setting, before anything else is done', async () => {
  const file = join(tempFolder('file'), 'file');
  writeFileSync(file, '');
  for (const [flag, why] of [
    ['-data.dir=/proc/x', /cannot make the data folder \/proc\/x: .*-data\.dir/],
    [`-data.dir=${file}`, /cannot make the data folder .*-data\.dir/],
    [`-data.dir=${file}/deep/er`, /cannot make the data folder .*-data\.dir/],
    ['-data.dir=', /-data\.dir: it is given, but empty/],
    ['-http.prometheus-http-prefix=prom', /-http\.prometheus-http-prefix: prom is not a path that begins with a slash/],
  ] as const) {
    await using server = await Pallium.start({ flags: [flag], waitReady: false });
    const from = performance.now();
    const { code } = await server.ended;
    assert.ok(code === 1 || code === 2, `${flag}: ${code}`);
    assert.match(server.log(), why);
    assert.ok(performance.now() - from < 60_000, `${flag} took ${performance.now() - from} ms`);
  }
});

test('a full disk at the start is named with its folder and the way out', async (t) => {
  const disk = tempFolder('full');
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]).status !== 0) {
    t.skip('no disk of memory can be mounted here');
    return;
  }
  try {
    mkdirSync(join(disk, 'data'));
    // the log lies beside the folder, on another disk
    const dataDir = join(tempFolder('full-link'), 'data');
    symlinkSync(join(disk, 'data'), dataDir);
    const fill = () => spawnSync('sh', ['-c', `cat /dev/zero > ${join(disk, 'ballast')}`], { stdio: 'ignore' });
    fill();
    const refused = async () => {
      await using server = await Pallium.start({ dataDir, waitReady: false });
      assert.deepEqual(await server.ended, { code: 1, signal: null });
      return server.log();
    };
    const text = await refused();
    assert.match(text, /No space|no space|ENOSPC/);
    assert.ok(text.includes(dataDir) && text.includes('make room on its disk, or set -data.dir'), text);
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

test('SIGTERM is obeyed at any moment of the start', async () => {
  const dataDir = tempFolder('term-early');
  for (let afterMs = 0; afterMs < 1500; afterMs += 125) {
    await using server = await Pallium.start({ dataDir, waitReady: false });
    await new Promise((done) => setTimeout(done, afterMs));
    const { code, signal } = await server.stop(60_000);
    assert.ok(code === 0 || signal === 'SIGTERM', `after ${afterMs} ms: ${code} ${signal}\n${server.logTail()}`);
    assert.ok(!existsSync(join(dataDir, 'lock')), `after ${afterMs} ms`);
  }
});
