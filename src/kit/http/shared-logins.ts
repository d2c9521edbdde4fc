import { createHash } from 'node:crypto';
import type { RandomBytes } from '../../lib/random.ts';
import { CELLS, KEY_BYTES, OwnerCells } from '../thread/owner-cells.ts';

/** Failed logins that an address has at once before it has to wait. */
export const LOGIN_BURST = 20;
/** Time after which it may fail once more. */
export const LOGIN_REFILL_MS = 1_000;

const FULL_MS = LOGIN_BURST * LOGIN_REFILL_MS;
/** Logins that were right and are remembered: sets of SET, of which the next one in turn gives way. */
const KNOWN = 16_384;
const SET = 4;

/**
 * Failed logins by network, which several threads count together, in shared memory: a key, then for each cell the moment at which its
 * bucket is full again (Unix ms), then 64 bits of a keyed hash for each login that was right. By the wall clock, as threads have none
 * else in common; where that jumps, a bucket is full at once, or at most empty.
 */
export class SharedLogins {
  readonly #nowMs: () => number;
  readonly #fullAt: BigInt64Array;
  readonly #known: BigInt64Array;
  readonly #cells: OwnerCells;
  readonly #key: Uint8Array;
  #turn = 0;

  /** @param nowMs the wall clock */
  constructor(buffer: SharedArrayBuffer, nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#key = Uint8Array.from(new Uint8Array(buffer, 0, KEY_BYTES));
    this.#cells = new OwnerCells(this.#key);
    this.#fullAt = new BigInt64Array(buffer, KEY_BYTES, CELLS);
    this.#known = new BigInt64Array(buffer, KEY_BYTES + 8 * CELLS, KNOWN);
  }

  static memory(randomBytes: RandomBytes): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(KEY_BYTES + 8 * CELLS + 8 * KNOWN);
    new Uint8Array(buffer).set(randomBytes(KEY_BYTES));
    return buffer;
  }

  /** A key for digests of credentials, the same in all threads. */
  get digestKey(): Uint8Array {
    return createHash('sha256').update(this.#key).update('credentials').digest();
  }

  /** Whether a login of the network may fail once more. */
  mayTry(network: string): boolean {
    const nowMs = this.#nowMs();
    const emptyMs = nowMs + FULL_MS - LOGIN_REFILL_MS;
    return this.#cells
      .of(network)
      .some((cell) => boundedMs(Number(Atomics.load(this.#fullAt, cell)), nowMs) <= emptyMs);
  }

  failed(network: string): void {
    const nowMs = this.#nowMs();
    for (const cell of this.#cells.of(network)) {
      for (;;) {
        const before = Atomics.load(this.#fullAt, cell);
        const after = Math.min(boundedMs(Number(before), nowMs) + LOGIN_REFILL_MS, nowMs + FULL_MS);
        if (Atomics.compareExchange(this.#fullAt, cell, before, BigInt(Math.round(after))) === before) break;
      }
    }
  }

  /** Whether these credentials were right from that network before. */
  isKnown(network: string, digest: string): boolean {
    const { set, print } = this.#placeOf(network, digest);
    for (let i = set; i < set + SET; i++) if (Atomics.load(this.#known, i) === print) return true;
    return false;
  }

  know(network: string, digest: string): void {
    if (this.isKnown(network, digest)) return;
    const { set, print } = this.#placeOf(network, digest);
    for (let i = set; i < set + SET; i++) if (Atomics.compareExchange(this.#known, i, 0n, print) === 0n) return;
    Atomics.store(this.#known, set + (this.#turn++ % SET), print);
  }

  #placeOf(network: string, digest: string): { readonly set: number; readonly print: bigint } {
    const hash = createHash('sha256').update(this.#key).update(`${network} ${digest}`).digest();
    return { set: SET * (hash.readUInt32LE(0) % (KNOWN / SET)), print: hash.readBigInt64LE(8) };
  }
}

function boundedMs(fullAtMs: number, nowMs: number): number {
  return Math.max(nowMs, Math.min(fullAtMs, nowMs + FULL_MS));
}
