/** An owner may hold this many times what is left free: three quarters of all when alone. */
const SHARE = 3;

/**
 * Whether an owner that holds `own` may take `amount` more of a room in which `free` is left. Whoever holds nothing yet
 * always finds something: the more there are, the smaller is the share of each.
 */
export function fitsShare(own: number, amount: number, free: number): boolean {
  return own + amount <= SHARE * (free - amount);
}

/** Room that many owners share: bytes, or anything else that is counted. */
export interface Room {
  readonly size: number;
  readonly held: number;
  heldBy(owner: string): number;
  /** Takes what fits the owner's share; false where it does not. */
  take(owner: string, amount: number): boolean;
  /** Takes it whether it fits or not. */
  force(owner: string, amount: number): void;
  give(owner: string, amount: number): void;
}

/** The room of owners that are all in this thread. */
export class SharedRoom implements Room {
  readonly size: number;
  readonly #byOwner = new Map<string, number>();
  #held = 0;

  constructor(size: number) {
    this.size = size;
  }

  get held(): number {
    return this.#held;
  }

  heldBy(owner: string): number {
    return this.#byOwner.get(owner) ?? 0;
  }

  take(owner: string, amount: number): boolean {
    if (!fitsShare(this.heldBy(owner), amount, this.size - this.#held)) return false;
    this.force(owner, amount);
    return true;
  }

  force(owner: string, amount: number): void {
    this.#held += amount;
    this.#byOwner.set(owner, this.heldBy(owner) + amount);
  }

  give(owner: string, amount: number): void {
    this.#held -= amount;
    const left = this.heldBy(owner) - amount;
    if (left > 0) this.#byOwner.set(owner, left);
    else this.#byOwner.delete(owner);
  }
}
