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
 * Room that owners in several threads share, in shared memory: a key, then a ledger of each thread. What all hold is the sum of the
 * ledgers, so that of a thread that died is wiped, wherever it was interrupted. No locks: an amount is added before it is looked whether
 * it fits, so at the same moment two threads may both be refused, but never both be let in beyond the room.
 */
export class ThreadsRoom implements Room {
  readonly size: number;
  /** By thread. */
  readonly #ledgers: readonly BigInt64Array[];
  readonly #own: BigInt64Array;
  readonly #cells: OwnerCells;

  /** @param thread number of this thread, below the number of threads that the memory is for */
  constructor({ size, buffer }: ThreadsRoomMemory, thread: number) {
    this.size = size;
    const threads = (buffer.byteLength - KEY_BYTES) / LEDGER_BYTES;
    this.#ledgers = Array.from({ length: threads }, (_, i) => ledgerOf(buffer, i));
    this.#own = this.#ledgers[thread]!;
    this.#cells = new OwnerCells(new Uint8Array(buffer, 0, KEY_BYTES));
  }

  static memory(size: number, threads: number, randomBytes: RandomBytes): ThreadsRoomMemory {
    const buffer = new SharedArrayBuffer(KEY_BYTES + LEDGER_BYTES * threads);
    new Uint8Array(buffer).set(randomBytes(KEY_BYTES));
    return { size, buffer };
  }

  /** Gives back all that a thread holds. It must have ended. */
  static giveBack({ buffer }: ThreadsRoomMemory, thread: number): void {
    const own = ledgerOf(buffer, thread);
    for (let i = 0; i < own.length; i++) Atomics.store(own, i, 0n);
  }

  get held(): number {
    return this.#sum(0);
  }

  heldBy(owner: string): number {
    let least = Number.POSITIVE_INFINITY;
    for (const cell of this.#cells.of(owner)) least = Math.min(least, this.#sum(1 + cell));
    return least;
  }

  take(owner: string, amount: number): boolean {
    this.force(owner, amount);
    if (fitsShare(this.heldBy(owner) - amount, amount, this.size - (this.held - amount))) return true;
    this.give(owner, amount);
    return false;
  }

  force(owner: string, amount: number): void {
    this.#add(owner, BigInt(amount));
  }

  give(owner: string, amount: number): void {
    this.#add(owner, -BigInt(amount));
  }

  #add(owner: string, amount: bigint): void {
    Atomics.add(this.#own, 0, amount);
    for (const cell of this.#cells.of(owner)) Atomics.add(this.#own, 1 + cell, amount);
  }

  /** The sum of all ledgers at a place. */
  #sum(place: number): number {
    let sum = 0n;
    for (const ledger of this.#ledgers) sum += Atomics.load(ledger, place);
    return Number(sum);
  }
}

function ledgerOf(buffer: SharedArrayBuffer, number: number): BigInt64Array {
  return new BigInt64Array(buffer, KEY_BYTES + LEDGER_BYTES * number, 1 + CELLS);
}
