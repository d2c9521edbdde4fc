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
  assert.deepEqual(packagesNotLoaded(tree), []);

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
  // its own root is mounted to be read only
  assert.match(readFileSync(`/proc/${container.innerPid()}/mountinfo`, 'utf8'), /^\S+ \S+ \S+ \S+ \/ ro[ ,]/m);
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

/** Loads the packages that are given behind a file, and writes the files that this loads to it: a pipe may take a part of them only. */
const LOAD = `
import { registerHooks } from 'node:module';
import { writeFileSync } from 'node:fs';
const files = new Set();
registerHooks({
  resolve(name, context, next) {
    const found = next(name, context);
    files.add(found.url);
    return found;
  },
});
const [file, ...names] = process.argv.slice(1);
for (const name of names) await import(name);
writeFileSync(file, [...files].join('\\n'));
process.exit(0);
`;

/** Packages in the tree that are neither loaded with those that the build names, nor named by one that is: what is loaded late. */
function packagesNotLoaded(tree: string): string[] {
  const app = join(tree, 'app');
  const files = Map.groupBy(filesIn(join(app, 'node_modules')), packageOf);
  const named = (sources: readonly string[]) => {
    const names = sources.filter((file) => /\.[cm]?js$/.test(file)).flatMap(namesIn);
    return [...new Set(names)].filter((name) => files.has(packageOf(`node_modules/${name}`)));
  };
  const built = named(filesIn(join(app, 'dist')).filter((file) => !file.includes('dist/web/')));
  const list = `${tree}.loaded`;
  execFileSync(process.execPath, ['--input-type=module', '-e', LOAD, list, ...built], { cwd: app, timeout: 120_000 });
  const loaded = new Set(readFileSync(list, 'utf8').split('\n').map(packageOf));
  for (const name of loaded) {
    const late = named(files.get(name) ?? []).map((each) => packageOf(`node_modules/${each}`));
    for (const each of files.keys())
      if (late.some((one) => each === one || each.endsWith(`/node_modules/${one}`))) loaded.add(each);
  }
  return [...files.keys()].filter((name) => !loaded.has(name)).sort();
}

/** Packages and files that a script asks to be loaded. */
function namesIn(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/\b(?:from|import|require)\s*\(?\s*["']([\w@][\w@./-]*)["']/g)].map(([, name]) => name!);
}

/** The package that a file belongs to, with the one in whose node_modules it lies. */
function packageOf(file: string): string {
  return /^.*?node_modules\/((?:@[^/]+\/)?[^/]+(?:\/node_modules\/(?:@[^/]+\/)?[^/]+)*)/.exec(file)?.[1] ?? '';
}

function bytesIn(folder: string): number {
  return filesIn(folder).reduce((sum, file) => sum + statSync(file).size, 0);
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
