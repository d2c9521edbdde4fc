import type { Clock } from '../../lib/clock.ts';
import { writeErrors } from '../../model/errors-write.ts';
import type { Head } from '../head/head.ts';
import { encodeNote, type LogNote } from '../log/log-note.ts';
import { WAL_ASIDE, WAL_NOTE, WAL_OPS, WAL_STAGED, type WalWriter } from '../log/wal.ts';
import type { ShardLog } from './logger.ts';

export interface GroupCommitOptions {
  /** `always`: acknowledged means on the disk. */
  readonly fsync: 'always' | 'interval';
  /** Whether what is written has to be on the disk before it is acknowledged, whatever `fsync` says. */
  readonly mustSync?: () => boolean;
  readonly clock: Clock;
  readonly log: ShardLog;
  /** A sync failed: nothing is sure any more, the process must end. */
  readonly fatal: (error: Error) => void;
}

/** A request that was appended but not yet written to the log. */
interface Waiting {
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** Writes to the log what a head has taken: one record for all requests that came since the last one. */
export class GroupCommit {
  readonly #head: Head;
  readonly #wal: WalWriter;
  readonly #options: GroupCommitOptions;
  #waiting: Waiting[] = [];
  #running = false;
  #scheduled = false;
  #isBehind = false;
  /** Writes that the disk refused. */
  failures = 0;

  constructor(head: Head, wal: WalWriter, options: GroupCommitOptions) {
    this.#head = head;
    this.#wal = wal;
    this.#options = options;
  }

  /** Something could not be written, and is to be before anything else is taken on. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /**
   * Writes the kernel's payload as a record, and what it left aside as another. What cannot be written stays, and is tried again before
   * anything else is. @throws logUnavailable
   */
  now(): void {
    const { exports } = this.#head.kernel;
    const bytes = exports.logBytes();
    if (bytes > 0) {
      this.#write(() => this.#wal.write(this.#head.logAt, bytes, WAL_OPS));
      exports.logTaken();
    }
    const { asideLog } = this.#head;
    if (asideLog.length > 0) {
      this.#write(() => this.#wal.writeBytes(asideLog.bytes, WAL_ASIDE));
      asideLog.clear();
    }
    this.#isBehind = false;
  }

  /** Returns the note's LSN. @throws logUnavailable */
  note(note: LogNote): number {
    return this.#write(() => this.#wal.writeBytes(encodeNote(note), WAL_NOTE));
  }

  /** @throws logUnavailable */
  stage(payload: Uint8Array): void {
    this.#write(() => this.#wal.writeBytes(payload, WAL_STAGED));
  }

  #write<T>(write: () => T): T {
    try {
      return write();
    } catch (error) {
      this.failures++;
      this.#isBehind = true;
      throw writeErrors.logUnavailable({ reason: (error as Error).message });
    }
  }

  /** Resolves with `result` when all that is in the head now is in the log. @throws logUnavailable */
  committed<T>(result: T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ done: () => resolve(result), failed: reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      void this.#options.clock.turn().then(() => this.#run());
    });
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        this.now();
        // asked whatever is synced: it notes what is taken, too
        const mustSync = this.#options.mustSync?.() === true;
        if (this.#options.fsync === 'always' || mustSync) {
          await this.#wal.sync().catch((error) => {
            this.#options.fatal(error);
            throw writeErrors.logUnavailable({ reason: (error as Error).message });
          });
        }
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
      if (this.#wal.segmentFull) await this.#rotate();
    }
    this.#running = false;
    this.#scheduled = false;
  }

  async #rotate(): Promise<void> {
    try {
      await this.#wal.rotate();
    } catch (error) {
      this.#options.log('error', 'cannot start a new log segment', { error: (error as Error).message });
    }
  }

  /** Resolves when no request is being committed. */
  async settled(): Promise<void> {
    while (this.#running) await this.#options.clock.turn();
  }
}
