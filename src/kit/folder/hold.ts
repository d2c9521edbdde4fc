import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';

/** A process' hold on its data folder as plain data, for its threads. */
export interface HoldToken {
  /** The lock's file. */
  readonly file: string;
  /** Drawn anew for each hold: the file names it as long as the hold lasts. */
  readonly nonce: string;
  /** One number: 1 when the hold is lost. */
  readonly shared: SharedArrayBuffer;
}

/** Bytes of a lock's file, inclusive; a longer one is no lock. */
export const LOCK_BYTES_MAX = 4096;
/** Appending trusts a look at the lock for so long. Less than any process waits before it takes a silent one's folder. */
const LOOK_LASTS_MS = 5_000;

/** The folder is another process' now, or nobody's: whoever finds that changes nothing any more. */
export class HoldLostError extends Error {
  override readonly name = 'HoldLostError';
}

/**
 * Whether the data folder is still this process'. Threads ask it before they change a file there: what is deleted or cut is gone
 * for whoever has the folder meanwhile. A process that was stopped for a while, by a debugger or with its machine, finds out here.
 */
export class FolderHold {
  readonly token: HoldToken;
  readonly #clock: Clock;
  /** When this thread last looked at the file, by the monotonic clock, and by the wall clock, which goes on while a machine sleeps. */
  #lookedMonotonicMs = Number.NEGATIVE_INFINITY;
  #lookedWallMs = Number.NEGATIVE_INFINITY;
  /** 1: lost. */
  readonly #lost: Int32Array;

  constructor(token: HoldToken, clock: Clock) {
    this.token = token;
    this.#clock = clock;
    this.#lost = new Int32Array(token.shared);
  }

  /** A hold that no thread has yet. */
  static draw(file: string): HoldToken {
    return { file, nonce: randomUUID(), shared: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) };
  }

  get isLost(): boolean {
    return Atomics.load(this.#lost, 0) === 1;
  }

  /** For what deletes, cuts or replaces: looks at the lock each time. @throws HoldLostError */
  check(): void {
    if (this.isLost) throw new HoldLostError(this.#text('is in use by another process'));
    const found = readLock(this.token.file);
    if (found === undefined) throw new HoldLostError(this.#text('has no lock any more'));
    if (!names(found, this.token.nonce)) {
      this.lose();
      throw new HoldLostError(this.#text('is in use by another process'));
    }
    this.#lookedMonotonicMs = this.#clock.monotonicMs();
    this.#lookedWallMs = this.#clock.nowMs();
  }

  /** For what only adds: looks at the lock when nobody has for a while. @throws HoldLostError */
  checkLately(): void {
    const isFresh =
      !this.isLost &&
      this.#clock.monotonicMs() - this.#lookedMonotonicMs < LOOK_LASTS_MS &&
      Math.abs(this.#clock.nowMs() - this.#lookedWallMs) < LOOK_LASTS_MS;
    if (!isFresh) this.check();
  }

  /** From now on every check of every thread fails. */
  lose(): void {
    Atomics.store(this.#lost, 0, 1);
  }

  #text(what: string): string {
    return `the data folder of ${this.token.file} ${what}: nothing is changed there`;
  }
}

/** A lock's text, or undefined where there is none. @throws the system's error */
function readLock(file: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw thrown;
  }
  try {
    if (!fstatSync(fd).isFile()) throw new Error(`${file} is no file`);
    const bytes = Buffer.alloc(LOCK_BYTES_MAX);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** Whether a lock's text is of the hold with this nonce. */
function names(text: string, nonce: string): boolean {
  try {
    return (JSON.parse(text) as { nonce?: unknown } | null)?.nonce === nonce;
  } catch {
    return false;
  }
}
