import type { RootDatabase } from 'lmdb';
import { nextTurn } from '../lib/turn.ts';
import { isSame } from './same.ts';

interface Waiting {
  readonly key: Uint8Array;
  readonly expected: Uint8Array | undefined;
  readonly next: Buffer | undefined;
  resolve(isDone: boolean): void;
  reject(error: unknown): void;
}

/** Compare-and-sets of one transaction. */
const TOGETHER_MAX = 256;

/**
 * Compare-and-sets of one LMDB environment, in the order in which they come. Those of one turn are one transaction: each commit
 * holds the thread until it is on disk.
 */
export class CompareAndSets {
  readonly #db: RootDatabase<Buffer, Uint8Array>;
  readonly #waiting: Waiting[] = [];
  #isGoing = false;

  constructor(db: RootDatabase<Buffer, Uint8Array>) {
    this.#db = db;
  }

  /** @param expected undefined: there must be no row @param next undefined: there is to be none @returns whether it is so now */
  add(key: Uint8Array, expected: Uint8Array | undefined, next: Buffer | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, expected, next, resolve, reject });
      if (!this.#isGoing) void this.#go();
    });
  }

  async #go(): Promise<void> {
    this.#isGoing = true;
    while (this.#waiting.length > 0) {
      await nextTurn();
      this.#commit(this.#waiting.splice(0, TOGETHER_MAX));
    }
    this.#isGoing = false;
  }

  #commit(some: readonly Waiting[]): void {
    const db = this.#db;
    let done: boolean[] = [];
    try {
      // synchronous: asynchronous transactions of this library do not call back under Node 24
      db.transactionSync(() => {
        done = some.map(({ key, expected, next }) => {
          const held = db.getBinary(key);
          if (!isSame(held, expected)) return false;
          if (next === undefined) db.removeSync(key);
          else db.putSync(key, next);
          return true;
        });
      });
    } catch (error) {
      for (const { reject } of some) reject(error);
      return;
    }
    for (const [i, { resolve }] of some.entries()) resolve(done[i]!);
  }
}
