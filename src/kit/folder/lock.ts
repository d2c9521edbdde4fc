import { type FileHandle, link, open, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { FolderHold, HoldLostError, type HoldToken, LOCK_BYTES_MAX } from './hold.ts';

const LOCK_FILE = 'lock';
/** Start time of a process that lives, where the system does not tell. */
const UNKNOWN = 'unknown';
const TRIES_MAX = 5;

/** How long what takes; for tests shorter. */
export interface LockTimes {
  /** How often the holder shows that it lives, by the time of the lock's file, and looks whether the folder is still its own. */
  readonly beatMs: number;
  /** A lock of another machine that is younger than this is taken for alive, unseen. */
  readonly freshMs: number;
  /** For so long a lock is watched whose holder's processes cannot be seen from here, before it is taken for dead. */
  readonly watchMs: number;
}

const TIMES: LockTimes = { beatMs: 2_000, freshMs: 30_000, watchMs: 10_000 };

/** Who holds the folder, as its lock's file says. */
interface Holder {
  readonly nonce: string;
  readonly pid: number;
  /** When the process was started, in the kernel's ticks; equal numbers with the same pid are the same process. */
  readonly startTicks: string;
  /** Numbers of processes mean something within one namespace of one running kernel. Empty: the system does not tell. */
  readonly pidNamespace: string | undefined;
  readonly bootId: string;
  readonly host: string;
}

export interface LockOptions {
  readonly clock: Clock;
  /** Says why it takes long. */
  readonly say: (text: string) => void;
  /** Called once, when the folder turns out to be another process'. */
  readonly onLost: (error: HoldLostError) => void;
  readonly times?: Partial<LockTimes>;
}

/**
 * One process for a folder, whatever container, process namespace or machine it is in. The holder touches its lock's file again and
 * again; another process takes a lock away only where it sees that its holder is dead, or sees no touch for a while. Since a holder
 * may only have been stopped, all that it changes asks `hold` first.
 */
export class FolderLock {
  readonly hold: FolderHold;
  readonly #folder: string;
  readonly #options: LockOptions;
  readonly #times: LockTimes;
  readonly #ended = new AbortController();
  #file: FileHandle | undefined;
  #taking: Promise<void> = Promise.resolve();
  #beating: Promise<void> = Promise.resolve();

  constructor(folder: string, options: LockOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.hold = new FolderHold(FolderHold.draw(join(folder, LOCK_FILE)), options.clock);
  }

  get token(): HoldToken {
    return this.hold.token;
  }

  /** @throws where another process has the folder */
  take(signal?: AbortSignal): Promise<void> {
    const taking = this.#take(signal);
    this.#taking = taking.catch(() => {});
    return taking;
  }

  async #take(signal: AbortSignal | undefined): Promise<void> {
    const { file, nonce } = this.token;
    const mine: Holder = {
      nonce,
      pid: process.pid,
      host: hostname(),
      bootId: await bootId(),
      pidNamespace: await pidNamespace(),
      startTicks: await startTicks('self'),
    };
    const draft = `${file}.${nonce}`;
    try {
      await writeFile(draft, JSON.stringify(mine), { flag: 'wx' });
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        if (await linked(draft, file)) return await this.#begin(draft);
        const seen = await look(file);
        if (seen === undefined) continue; // it went away
        const user = await this.#user(seen, mine, signal);
        if (user !== undefined) throw new Error(this.#taken(`is in use by ${user}`));
        if (!(await this.#takeAway(seen, draft))) break;
      }
      throw new Error(`the data folder ${this.#folder} is being taken by another process at this moment`);
    } finally {
      await rm(draft, { force: true });
    }
  }

  async release(): Promise<void> {
    this.#ended.abort(new Error('released'));
    await this.#taking; // it may be about to have it
    await this.#beating;
    if (this.#file === undefined) return;
    await this.#file.close();
    this.#file = undefined;
    try {
      this.hold.check();
    } catch {
      return; // the lock is another process'
    }
    await rm(this.token.file, { force: true });
  }

  async #begin(draft: string): Promise<void> {
    this.#file = await open(draft, 'r+'); // the same file by its other name: it stays ours wherever it is moved
    this.hold.check();
    this.#beating = this.#beat(this.#file);
  }

  async #beat(file: FileHandle): Promise<void> {
    const { clock, onLost } = this.#options;
    const { signal } = this.#ended;
    let touchedMs = 0;
    let missing = 0;
    for (;;) {
      try {
        await clock.sleep(this.#times.beatMs, signal);
      } catch {
        return;
      }
      try {
        this.hold.check();
        missing = 0;
        // always another time, also by a clock that stands still
        touchedMs = Math.max(clock.nowMs(), touchedMs + 1);
        await file.utimes(touchedMs / 1000, touchedMs / 1000);
      } catch (thrown) {
        // a disk that does not answer may answer again; a lock that is gone for a moment may be put back
        if (!(thrown instanceof HoldLostError)) continue;
        if (!this.hold.isLost && ++missing < 2) continue;
        this.hold.lose();
        onLost(thrown);
        return;
      }
    }
  }

  /** Who holds the folder, in words; undefined where that process is no more. */
  async #user(seen: Seen, mine: Holder, signal: AbortSignal | undefined): Promise<string | undefined> {
    const holder = holderOf(seen.text);
    if (holder === undefined) return undefined; // never finished: whoever wrote it holds nothing
    const isHere = holder.host === mine.host && holder.bootId === mine.bootId;
    const isSeen =
      holder.bootId === mine.bootId &&
      (mine.pidNamespace === '' ? holder.host === mine.host : holder.pidNamespace === mine.pidNamespace);
    if (isSeen || (isHere && holder.pidNamespace === undefined)) {
      const ticks = await startTicks(String(holder.pid));
      // where start times are not to be had, a lock with our own number is one that we inherited with the number
      const lives = ticks !== '' && ticks === holder.startTicks && (ticks !== UNKNOWN || holder.pid !== mine.pid);
      if (lives) return `process ${holder.pid}`;
      if (isSeen) return undefined;
    }
    const where =
      holder.host === mine.host ? ` of another container, or start, of ${holder.host}` : ` on ${holder.host}`;
    const user = `process ${holder.pid}${where}`;
    const ageMs = this.#options.clock.nowMs() - seen.touchedMs;
    if (holder.host !== mine.host && ageMs >= 0 && ageMs <= this.#times.freshMs) return user;
    return (await this.#isTouched(seen, user, signal)) ? user : undefined;
  }

  /** Whether somebody touches the lock, or takes it, while it is watched. */
  async #isTouched(seen: Seen, user: string, signal: AbortSignal | undefined): Promise<boolean> {
    const { clock, say } = this.#options;
    const { beatMs, watchMs } = this.#times;
    const steps = Math.ceil(watchMs / (beatMs / 2));
    for (let step = 0; step < steps; step++) {
      if (step === 3) say(this.#taken(`was in use by ${user}; watching for ${watchMs / 1000}s whether that one lives`));
      await clock.sleep(beatMs / 2, signal);
      const now = await look(this.token.file);
      if (now === undefined || now.text !== seen.text || now.touchedNs !== seen.touchedNs) return now !== undefined;
    }
    return false;
  }

  /** Takes away the lock that was seen, and no other: another process may have been faster. */
  async #takeAway(seen: Seen, draft: string): Promise<boolean> {
    const aside = `${draft}.stale`;
    try {
      await rename(this.token.file, aside);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
      return true;
    }
    try {
      if ((await look(aside))?.text === seen.text) return true;
      await linked(aside, this.token.file);
      return false;
    } finally {
      await rm(aside, { force: true });
    }
  }

  #taken(what: string): string {
    return `the data folder ${this.#folder} ${what}; give this process another one with -data.dir, or end that one`;
  }
}

/** A lock's file, as it was at one moment. */
interface Seen {
  readonly text: string;
  readonly touchedMs: number;
  /** To the last digit that the system has. */
  readonly touchedNs: bigint;
}

/** Opened anew each time: over a network only that shows what others wrote. */
async function look(file: string): Promise<Seen | undefined> {
  let opened: FileHandle;
  try {
    opened = await open(file, 'r');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw thrown;
  }
  await using handle = opened;
  const stat = await handle.stat({ bigint: true });
  if (!stat.isFile()) throw new Error(`${file} is no file: is this really a data folder?`);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(LOCK_BYTES_MAX), 0, LOCK_BYTES_MAX, 0);
  return {
    text: buffer.toString('utf8', 0, bytesRead),
    touchedMs: Number(stat.mtimeMs),
    touchedNs: stat.mtimeNs,
  };
}

function holderOf(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder | null;
    return typeof holder === 'object' && holder !== null ? holder : undefined;
  } catch {
    return undefined;
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to); // fails where the file is there already
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
    return false;
  }
}

/** When a process was started; empty where it is not there. */
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

/** Which processes the numbers of this process are of; empty where the system has no such thing. */
async function pidNamespace(): Promise<string> {
  return readlink('/proc/self/ns/pid').catch(() => '');
}
