import { ringErrors } from '../model/errors-ring.ts';
import type { Words } from './confirmation.ts';
import { RingSlots } from './slots.ts';
import { ownersOf, type RingVersion } from './version.ts';

export interface RingKnowledge {
  /** From the floor to the newest version known, ascending and without gaps. */
  readonly chain: readonly RingVersion[];
  /** Hash of the newest version. */
  readonly hash: string;
  /** Number of the newest version that counts; 0: the first does not yet. */
  readonly confirmed: number;
  readonly words: Words;
  readonly wordMs: number;
}

/**
 * The ring as one process knows it at a moment: never changed, another one takes its place. Writers use the newest version that
 * counts, readers every version from the floor to the newest known (docs/decisions/ring.md).
 */
export class RingView {
  readonly chain: readonly RingVersion[];
  readonly newest: RingVersion;
  readonly hash: string;
  /** Number of the newest version that counts; 0: the first does not yet. */
  readonly confirmed: number;
  readonly words: Words;
  /** Monotonic time when the last word or floor was heard: rows of the store that were listed before do not stand in for members that need not be asked. */
  readonly wordMs: number;
  #slots: RingSlots | undefined;

  constructor({ chain, hash, confirmed, words, wordMs }: RingKnowledge) {
    this.chain = chain;
    this.newest = chain.at(-1)!;
    this.hash = hash;
    this.confirmed = confirmed;
    this.words = words;
    this.wordMs = wordMs;
  }

  /**
   * The version that writers use: the newest that counts.
   * @throws errors.ringNotConfirmed
   */
  get writing(): RingVersion {
    if (this.confirmed === 0) throw ringErrors.ringNotConfirmed({ members: this.newest.members.length });
    return this.chain[this.confirmed - this.chain[0]!.number]!;
  }

  /** Slots of the version that writers use; those of older and newer ones are `asks.ts`'. */
  get slots(): RingSlots {
    this.#slots ??= new RingSlots(this.writing);
    return this.#slots;
  }

  /**
   * The address of a member of any version that still matters; undefined: there is none, or another member has it by now, which does
   * not have what was there before.
   */
  addressOf(id: string): string | undefined {
    const newer = new Set<string>();
    for (const { members } of this.chain.toReversed()) {
      const found = members.find((each) => each.id === id);
      if (found !== undefined) return newer.has(found.address) ? undefined : found.address;
      for (const { address } of members) newer.add(address);
    }
    return undefined;
  }

  /** Ids of those that a writer sends to, in their order; the arc is one of `slots`. */
  ownersOf(arc: number): readonly string[] {
    return ownersOf(this.writing, arc);
  }
}

/** Where the parts of a process learn the ring. */
export interface RingSource {
  /** The newest that is known here; undefined: none yet. */
  current(): RingView | undefined;
  /** Calls with each view that takes another's place. Returns how to stop. */
  onChange(listener: (view: RingView) => void): () => void;
}
