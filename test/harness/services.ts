import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './ports.ts';

const run = promisify(execFile);
const scripts = join(import.meta.dirname, '../services');
const home = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');

/** A service that was started for whoever holds it. `await using` ends it. */
export interface StartedService extends AsyncDisposable {
  readonly port: number;
}

/** Starts a service of `test/services` on a free port; where the environment names a port, that one is used and left running. */
export async function startService(name: string): Promise<StartedService> {
  const variable = `${name.toUpperCase().replaceAll('-', '_')}_PORT`;
  const given = process.env[variable];
  if (given !== undefined) return { port: Number(given), [Symbol.asyncDispose]: async () => {} };
  const port = await freePort();
  const instance = `${name}-${process.pid}`;
  const env = { ...process.env, [variable]: String(port), SERVICES_INSTANCE: instance };
  await run(join(scripts, `start-${name}`), [], { env });
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await run(join(scripts, 'stop'), [instance]);
      rmSync(join(home, 'run', instance), { recursive: true, force: true });
    },
  };
}
