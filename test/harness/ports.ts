import { randomInt } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LOWEST = 10_000;
const HIGHEST = 32_767;
/** Files named like the ports that test processes have chosen, for tests that run beside each other. */
const CHOSEN = join(tmpdir(), 'pallium-test-ports');
/** Age after which a file is of a process that was killed. */
const CHOSEN_MS_MAX = 3_600_000;

const own = new Set<string>();
process.on('exit', () => {
  for (const file of own) rmSync(file, { force: true });
});

/**
 * A port of 127.0.0.1 that nobody listens on, and that no other test is given while this process lives. It lies below those that the
 * system hands out for port 0 and for connections, so that none of these takes it before a process that is started later, or again,
 * listens there.
 */
export async function freePort(): Promise<number> {
  const below = Math.min(HIGHEST, firstHandedOut() - 1);
  for (;;) {
    const port = randomInt(LOWEST, Math.max(below, LOWEST) + 1);
    if (reserves(port) && (await isFree(port))) return port;
  }
}

/** Whether the port is this process' now, and not another test's. */
function reserves(port: number): boolean {
  mkdirSync(CHOSEN, { recursive: true });
  const file = join(CHOSEN, String(port));
  try {
    closeSync(openSync(file, 'wx'));
    own.add(file);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
    const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    // free for the next one who asks
    if (Date.now() - mtimeMs > CHOSEN_MS_MAX) rmSync(file, { force: true });
    return false;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
  const free = await promise;
  if (free) await new Promise((done) => server.close(done));
  return free;
}

function firstHandedOut(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
  } catch {
    // of macOS and Windows
    return 49_152;
  }
}
