import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { tempFolder } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../harness/wait.ts';

const root = join(import.meta.dirname, '../..');
const launcher = join(root, 'bin/pallium.js');

/** A server behind whatever starts it. */
class Launched {
  readonly child: ChildProcess;
  readonly dataDir = tempFolder('launched');
  readonly port: number;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  private constructor(command: readonly string[], port: number) {
    this.port = port;
    const [first, ...args] = command;
    const log = openSync(this.logFile, 'a');
    this.child = spawn(first!, [...args, `-data.dir=${this.dataDir}`, `-server.http-listen-port=${port}`], {
      cwd: root,
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    this.ended = new Promise((done) => this.child.once('exit', (code, signal) => done({ code, signal })));
  }

  static async start(t: TestContext, command: readonly string[]): Promise<Launched> {
    const launched = new Launched(command, await freePort());
    t.after(() => launched.killAll());
    await until('the server ready', async () => (await fetch(`${launched.url}/ready`)).status === 200, {
      timeoutMs: 180_000,
      intervalMs: 50,
    });
    return launched;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get logFile(): string {
    return `${this.dataDir}.log`;
  }

  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  killAll(): void {
    try {
      process.kill(-this.child.pid!, 'SIGKILL');
    } catch {
      // it is gone
    }
  }

  /** The server ended by itself: it said so, and its lock is gone. */
  get isClean(): boolean {
    return /msg=stopped/.test(this.log()) && !existsSync(join(this.dataDir, 'lock'));
  }
}

const NPM = ['npm', 'start', '--silent', '--'];
/** A process namespace of its own, as a container has. */
const CONTAINER = ['unshare', '-pf', '--mount-proc'];
const canUnshare = spawnSync(CONTAINER[0]!, [...CONTAINER.slice(1), 'true']).status === 0;

test('npm start ends its server clean and waits for it, whether npm alone or all of the group is told', async (t) => {
  for (const group of [false, true]) {
    const server = await Launched.start(t, NPM);
    process.kill(group ? -server.child.pid! : server.child.pid!, 'SIGTERM');
    await server.ended;
    assert.ok(server.isClean, server.log());
    await assert.rejects(fetch(`${server.url}/ready`));
  }
});

test('npm that is killed takes its server with it, clean', async (t) => {
  const server = await Launched.start(t, NPM);
  process.kill(server.child.pid!, 'SIGKILL');
  await until('the server ended', async () => server.isClean, { intervalMs: 100 });
});

test('as the first process of a container it heeds SIGTERM', {
  skip: !canUnshare && 'no namespaces here',
}, async (t) => {
  // the first process of a namespace gets no signal that it does not wait for
  for (const command of [NPM, [process.execPath, launcher]]) {
    const server = await Launched.start(t, [...CONTAINER, ...command]);
    const [first] = readFileSync(`/proc/${server.child.pid}/task/${server.child.pid}/children`, 'utf8').split(' ');
    process.kill(Number(first), 'SIGTERM');
    await server.ended;
    assert.ok(server.isClean, server.log());
  }
});

test('a launcher with an older Node that is killed takes its server with it, clean; a signal is handed on', async (t) => {
  const old = ['/usr/bin/node', '/usr/local/bin/node'].find((node) => {
    const { stdout, status } = spawnSync(node, ['--version'], { encoding: 'utf8' });
    return status === 0 && Number(/^v(\d+)/.exec(stdout)?.[1]) < 24;
  });
  if (old === undefined) {
    t.skip('no older Node is installed');
    return;
  }
  const killed = await Launched.start(t, [old, launcher]);
  process.kill(killed.child.pid!, 'SIGKILL');
  await until('the server ended', async () => killed.isClean, { intervalMs: 100 });
  const told = await Launched.start(t, [old, launcher]);
  process.kill(told.child.pid!, 'SIGTERM');
  assert.deepEqual(await told.ended, { code: 0, signal: null });
  assert.ok(told.isClean);
  // a terminal's ^C comes to both
  const typed = await Launched.start(t, [old, launcher]);
  process.kill(-typed.child.pid!, 'SIGINT');
  assert.deepEqual(await typed.ended, { code: 0, signal: null });
  assert.ok(typed.isClean);
});

test('other signals end nothing and open nothing', async (t) => {
  const server = await Launched.start(t, [process.execPath, launcher]);
  for (const signal of [
    'SIGHUP',
    'SIGUSR1',
    'SIGUSR2',
    'SIGQUIT',
    'SIGPIPE',
    'SIGALRM',
    'SIGIO',
    'SIGVTALRM',
  ] as const) {
    process.kill(server.child.pid!, signal);
    await new Promise((done) => setTimeout(done, 100));
    assert.equal((await fetch(`${server.url}/ready`)).status, 200, signal);
  }
  assert.doesNotMatch(server.log(), /Debugger listening|inspector/);
  await until('read again', async () => /were read again/.test(server.log()), { intervalMs: 50 });
  process.kill(server.child.pid!, 'SIGTERM');
  assert.deepEqual(await server.ended, { code: 0, signal: null });
});
