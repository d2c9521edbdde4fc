interface SavedSet {
  readonly slots: BigUint64Array<ArrayBuffer>;
  readonly size: number;
}

/** Seen rows by day and tenant, as one writer hands them to the next. Plain data. */
export type SavedSeen = ReadonlyMap<string, SavedSet>;

/** A set of 64-bit hashes in 8 bytes each, at most three quarters full. An equal hash counts as seen. */
class HashSet {
  #slots: BigUint64Array<ArrayBuffer>;
  size: number;

  constructor({ slots, size }: SavedSet = { slots: new BigUint64Array(64), size: 0 }) {
    this.#slots = slots;
    this.size = size;
  }

  save(): SavedSet {
    return { slots: this.#slots, size: this.size };
  }

  /** Whether it was new. */
  add(hash: bigint): boolean {
    if (4 * this.size >= 3 * this.#slots.length) this.#grow();
    // 0 stands for an empty place
    const kept = hash === 0n ? 1n : hash;
    const at = this.#find(kept);
    if (this.#slots[at] === kept) return false;
    this.#slots[at] = kept;
    this.size++;
    return true;
  }

  has(hash: bigint): boolean {
    const kept = hash === 0n ? 1n : hash;
    return this.#slots[this.#find(kept)] === kept;
  }

  get bytes(): number {
    return this.#slots.byteLength;
  }

  #find(hash: bigint): number {
    const mask = this.#slots.length - 1;
    let at = Number(hash & BigInt(mask));
    while (this.#slots[at] !== 0n && this.#slots[at] !== hash) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new BigUint64Array(old.length * 2);
    for (const hash of old) if (hash !== 0n) this.#slots[this.#find(hash)] = hash;
  }
}

/** Hashes in the order in which they came, in 8 bytes each. */
export class HashList {
  #hashes = new BigUint64Array(16);
  #count = 0;

  push(hash: bigint): void {
    if (this.#count === this.#hashes.length) {
      const grown = new BigUint64Array(2 * this.#count);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashes[this.#count++] = hash;
  }

  [Symbol.iterator](): Iterator<bigint> {
    return this.#hashes.subarray(0, this.#count)[Symbol.iterator]();
  }
}

/** Confirmed rows of each tenant and day, so that they are not written again. Forgetting is harmless: rows are additive. */
export class SeenRows {
  readonly #bytesMax: number;
  /** In order of last use. */
  readonly #days = new Map<string, HashSet>();
  #bytes = 0;

  constructor(bytesMax: number, saved: SavedSeen = new Map()) {
    this.#bytesMax = bytesMax;
    for (const [key, set] of saved) {
      this.#days.set(key, new HashSet(set));
      this.#bytes += set.slots.byteLength;
    }
  }

  /** Rows of the newest day and the one before: older ones are hardly written again. */
  save(): SavedSeen {
    const dayOf = (key: string) => Number(key.slice(0, key.indexOf(' ')));
    let newest = Number.NEGATIVE_INFINITY;
    for (const key of this.#days.keys()) newest = Math.max(newest, dayOf(key));
    const recent = [...this.#days].filter(([key]) => dayOf(key) >= newest - 1);
    return new Map(recent.map(([key, set]) => [key, set.save()]));
  }

  has(tenant: string, day: number, hash: bigint): boolean {
    return this.#days.get(`${day} ${tenant}`)?.has(hash) ?? false;
  }

  add(tenant: string, day: number, hashes: Iterable<bigint>): void {
    const key = `${day} ${tenant}`;
    const set = this.#days.get(key) ?? new HashSet();
    this.#days.delete(key);
    this.#days.set(key, set);
    const before = set.size === 0 ? 0 : set.bytes;
    for (const hash of hashes) set.add(hash);
    this.#bytes += set.bytes - before;
    for (const [oldest, other] of this.#days) {
      if (this.#bytes <= this.#bytesMax || other === set) break;
      this.#days.delete(oldest);
      this.#bytes -= other.bytes;
    }
  }
}
