const EVERYTHING = [-(2n ** 62n), 2n ** 62n] as const;
const NOTHING = [EVERYTHING[1], EVERYTHING[0]] as const;

/**
 * Between which times a shard holds anything, and which of its lives it is in, in memory that other threads share: who asks for other times need not wake it. Never too
 * narrow for what is acknowledged; until the shard says otherwise it is everything.
 */
export class HeldRange {
  readonly buffer: SharedArrayBuffer;
  /** First and last time, Unix ms; then how many threads of the shard have ended. */
  readonly #times: BigInt64Array;

  /** @param buffer of a range that was made by `everything` */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#times = new BigInt64Array(buffer);
  }

  /** A range that says that everything may be held. */
  static everything(): HeldRange {
    const range = new HeldRange(new SharedArrayBuffer(24));
    range.#set(EVERYTHING);
    return range;
  }

  /** @param windows numbers of those that hold something; undefined: nobody knows */
  publish(windows: readonly number[] | undefined, windowMs: number): void {
    if (windows === undefined) this.#set(EVERYTHING);
    else if (windows.length === 0) this.#set(NOTHING);
    else this.#set([BigInt(Math.min(...windows) * windowMs), BigInt((Math.max(...windows) + 1) * windowMs)]);
  }

  #set([first, last]: readonly [bigint, bigint]): void {
    Atomics.store(this.#times, 0, first);
    Atomics.store(this.#times, 1, last);
  }

  /** The shard's thread has ended, and with it this life of the shard. */
  ended(): void {
    Atomics.add(this.#times, 2, 1n);
  }

  /** Lives of the shard that have ended: memory of another one than the last is not to be looked at. */
  get life(): number {
    return Number(Atomics.load(this.#times, 2));
  }

  /** Whether something may be held between these times, Unix ms, both included. */
  touches(startMs: number, endMs: number): boolean {
    // as numbers they lose at most a few ms at times that lie beyond every window
    return Number(Atomics.load(this.#times, 0)) <= endMs && Number(Atomics.load(this.#times, 1)) >= startMs;
  }
}
