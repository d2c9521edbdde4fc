import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { Service } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';

/** Of the folder's layout. A process refuses a folder that is newer than itself. */
const FORMAT_VERSION = 1;
const VERSION_FILE = 'pallium.json';
const LOCK_FILE = 'lock';
/** How often the holder shows that it lives, and after how long without it another machine may take over. */
const HEARTBEAT_MS = 5_000;
const HEARTBEAT_EXPIRES_MS = 30_000;
/** Start time of a process that lives, where the system does not tell. */
const UNKNOWN = 'unknown';

interface VersionFile {
  readonly format: number;
  /** Of Pallium, when the folder was made. */
  readonly createdBy: string;
  readonly createdAt: string;
}

/** Who holds the folder. On one machine the process and its start time tell whether it lives; across machines the heartbeat. */
interface Lock {
  readonly pid: number;
  /** Of the process, in the kernel's ticks; equal numbers with the same pid are the same process. */
  readonly startTicks: string;
  readonly bootId: string;
  readonly host: string;
}

/** The folder for everything on this machine: says which version wrote it, and that only one process uses it. */
export class DataFolder implements Service {
  readonly name = 'data-folder';
  readonly path: string;
  readonly #version: string;
  readonly #clock: Clock;
  #heartbeat: NodeJS.Timeout | undefined;

  private constructor(path: string, version: string, clock: Clock) {
    this.path = resolve(path);
    this.#version = version;
    this.#clock = clock;
  }

  static of(path: string, version: string, clock: Clock): DataFolder {
    return new DataFolder(path, version, clock);
  }

  /** @throws where the folder cannot be made, is another process', or of a later version */
  async start(): Promise<void> {
    try {
      await mkdir(this.path, { recursive: true });
    } catch (cause) {
      throw new Error(`cannot make the data folder ${this.path}: ${(cause as Error).message}; set -data.dir`, {
        cause,
      });
    }
    await this.#lock();
    try {
      await this.#checkVersion();
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
    const file = join(this.path, LOCK_FILE);
    this.#heartbeat = setInterval(() => {
      const now = new Date(this.#clock.nowMs());
      // one missed heartbeat does no harm; the folder itself gone is noticed by those who write to it
      utimes(file, now, now).catch(() => {});
    }, HEARTBEAT_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#heartbeat);
    await rm(join(this.path, LOCK_FILE), { force: true });
  }

  async #lock(): Promise<void> {
    const file = join(this.path, LOCK_FILE);
    const mine: Lock = {
      pid: process.pid,
      host: hostname(),
      bootId: await bootId(),
      startTicks: await startTicks('self'),
    };
    const draft = `${file}.${process.pid}`;
    await writeFile(draft, JSON.stringify(mine));
    try {
      for (let attempt = 0; attempt < 3; attempt++) {
        try {
          await link(draft, file); // fails where the file is there already
          return;
        } catch (cause) {
          if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
        }
        const holder = await this.#holder(file, mine);
        if (holder !== undefined) {
          throw new Error(
            `the data folder ${this.path} is in use by ${holder}; give this process another one with -data.dir, or end that one`,
          );
        }
        await rename(file, `${draft}.stale`).catch(() => {}); // gone already: another process was faster
        await rm(`${draft}.stale`, { force: true });
      }
      throw new Error(`the data folder ${this.path} is being taken by another process at this moment`);
    } finally {
      await rm(draft, { force: true });
    }
  }

  /** Who holds the folder, in words; undefined where that process is no more. */
  async #holder(file: string, mine: Lock): Promise<string | undefined> {
    let lock: Lock;
    let ageMs: number;
    try {
      lock = JSON.parse(await readFile(file, 'utf8'));
      ageMs = this.#clock.nowMs() - (await stat(file)).mtimeMs;
    } catch {
      return undefined; // it went away, or was never finished: whoever wrote it holds nothing
    }
    if (lock.host === mine.host && lock.bootId === mine.bootId) {
      const ticks = await startTicks(String(lock.pid));
      // where start times are not to be had, a lock with our own number is one that we inherited with the number
      const alive = ticks !== '' && ticks === lock.startTicks && (ticks !== UNKNOWN || lock.pid !== mine.pid);
      return alive ? `process ${lock.pid}` : undefined;
    }
    if (lock.host === mine.host || ageMs > HEARTBEAT_EXPIRES_MS) return undefined; // the machine was started anew
    return `process ${lock.pid} on ${lock.host}`;
  }

  async #checkVersion(): Promise<void> {
    const file = join(this.path, VERSION_FILE);
    let found: VersionFile;
    try {
      found = JSON.parse(await readFile(file, 'utf8'));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
        throw new Error(`${file} cannot be read (${(cause as Error).message}): is ${this.path} really a data folder?`, {
          cause,
        });
      }
      const createdAt = new Date(this.#clock.nowMs()).toISOString();
      const fresh: VersionFile = { format: FORMAT_VERSION, createdBy: this.#version, createdAt };
      await writeFile(`${file}.new`, `${JSON.stringify(fresh)}\n`, { flush: true });
      await rename(`${file}.new`, file);
      return;
    }
    if (!(found.format <= FORMAT_VERSION)) {
      throw new Error(
        `the data folder ${this.path} has format ${found.format}, this version (${this.#version}) knows formats up to ${FORMAT_VERSION}: use the version that wrote it, or a later one`,
      );
    }
  }
}

/** When a process was started; empty where it is not there, or this is no Linux. */
async function startTicks(pid: string): Promise<string> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, 'utf8');
    // the name, in parentheses, may hold anything
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    // one that ended and that nobody has waited for holds nothing
    return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
  } catch {
    return isAlive(pid) ? UNKNOWN : '';
  }
}

function isAlive(pid: string): boolean {
  if (pid === 'self') return true;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}
