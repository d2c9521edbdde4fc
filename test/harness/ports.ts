import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const LOWEST = 10_000;
const HIGHEST = 32_767;

/**
 * A port of 127.0.0.1 that nobody listens on. It lies below those that the system hands out for port 0 and for connections, so that
 * none of these takes it before a process that is started later, or again, listens there.
 */
export async function freePort(): Promise<number> {
  const below = Math.min(HIGHEST, firstHandedOut() - 1);
  for (;;) {
    const port = randomInt(LOWEST, Math.max(below, LOWEST) + 1);
    if (await isFree(port)) return port;
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
