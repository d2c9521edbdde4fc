import type { RandomBytes } from '../../lib/random.ts';
import { fitsShare, type Room } from '../../lib/shared-room.ts';
import { CELLS, KEY_BYTES, OwnerCells } from './owner-cells.ts';

/** A room that several threads take from: to be handed to each. */
export interface ThreadsRoomMemory {
  readonly size: number;
  readonly buffer: SharedArrayBuffer;
}

/** One i64 for all that is held, then the cells of owners. */
const LEDGER_BYTES = 8 * (1 + CELLS);

/**
 * Room that owners in several threads share, in shared memory: a key, then a ledger of all threads and one of each. An amount stands in
 * both: that of a thread that died is taken back. No locks: an amount is added before it is looked whether it fits, so at the same moment
 * two threads may both be refused, but never both be let in beyond the room.
 */
export class ThreadsRoom implements Room {
  readonly size: number;
  readonly #all: BigInt64Array;
  readonly #own: BigInt64Array;
  readonly #cells: OwnerCells;

  /** @param thread number of this thread, below the number of threads that the memory is for */
  constructor({ size, buffer }: ThreadsRoomMemory, thread: number) {
    this.size = size;
    this.#all = ledgerOf(buffer, 0);
    this.#own = ledgerOf(buffer, 1 + thread);
    this.#cells = new OwnerCells(new Uint8Array(buffer, 0, KEY_BYTES));
  }

  static memory(size: number, threads: number, randomBytes: RandomBytes): ThreadsRoomMemory {
    const buffer = new SharedArrayBuffer(KEY_BYTES + LEDGER_BYTES * (1 + threads));
    new Uint8Array(buffer).set(randomBytes(KEY_BYTES));
    return { size, buffer };
  }

  /** Gives back all that a thread holds. It must have ended. */
  static giveBack({ buffer }: ThreadsRoomMemory, thread: number): void {
    const [all, own] = [ledgerOf(buffer, 0), ledgerOf(buffer, 1 + thread)];
    for (let i = 0; i < own.length; i++) {
      const amount = Atomics.exchange(own, i, 0n);
      if (amount !== 0n) Atomics.sub(all, i, amount);
    }
  }

  get held(): number {
    return Number(Atomics.load(this.#all, 0));
  }

  heldBy(owner: string): number {
    let least = Number.POSITIVE_INFINITY;
    for (const cell of this.#cells.of(owner)) least = Math.min(least, Number(Atomics.load(this.#all, 1 + cell)));
    return least;
  }

  take(owner: string, amount: number): boolean {
    this.force(owner, amount);
    if (fitsShare(this.heldBy(owner) - amount, amount, this.size - (this.held - amount))) return true;
    this.give(owner, amount);
    return false;
  }

  // who dies in between holds too much, and never less than nothing
  force(owner: string, amount: number): void {
    const cells = this.#cells.of(owner);
    add(this.#all, cells, BigInt(amount));
    add(this.#own, cells, BigInt(amount));
  }

  give(owner: string, amount: number): void {
    const cells = this.#cells.of(owner);
    add(this.#own, cells, -BigInt(amount));
    add(this.#all, cells, -BigInt(amount));
  }
}

function add(ledger: BigInt64Array, cells: readonly number[], amount: bigint): void {
  Atomics.add(ledger, 0, amount);
  for (const cell of cells) Atomics.add(ledger, 1 + cell, amount);
}

function ledgerOf(buffer: SharedArrayBuffer, number: number): BigInt64Array {
  return new BigInt64Array(buffer, KEY_BYTES + LEDGER_BYTES * number, 1 + CELLS);
}
