import { type Ask, asksOf, type Confirmations, confirmedNumber, type Words } from './confirmation.ts';
import { RingSlots } from './slots.ts';
import { ownersOf, type RingVersion } from './version.ts';

export interface RingKnowledge {
  /** From the floor to the newest version known, ascending and without gaps. */
  readonly chain: readonly RingVersion[];
  /** Hash of the newest version: with its number the version that requests between members carry. */
  readonly hash: string;
  readonly confirmations: Confirmations;
  readonly words: Words;
}

/** The ring as one process knows it at a moment: never changed, another one takes its place. */
export class RingView {
  readonly chain: readonly RingVersion[];
  readonly newest: RingVersion;
  readonly hash: string;
  /** Number of the newest version that counts. */
  readonly confirmed: number;
  readonly words: Words;
  /** Slots of the newest version. */
  readonly slots: RingSlots;

  constructor({ chain, hash, confirmations, words }: RingKnowledge) {
    this.chain = chain;
    this.newest = chain.at(-1)!;
    this.hash = hash;
    this.confirmed = confirmedNumber(chain, confirmations);
    this.words = words;
    this.slots = new RingSlots(this.newest);
  }

  /** Ids of those that a writer sends to, in their order. */
  ownersOf(arc: number): readonly string[] {
    return ownersOf(this.newest, arc);
  }

  /** Quorums that a reader of an arc of the newest version needs. Arcs of older versions are the same: their number never changes. */
  asksOf(arc: number): readonly Ask[] {
    return asksOf(this.chain, this.words, arc);
  }
}

/** Where the parts of a process learn the ring. */
export interface RingSource {
  /** The newest that is known here; undefined: none yet. */
  current(): RingView | undefined;
  /** Calls with each view that takes another's place. Returns how to stop. */
  onChange(listener: (view: RingView) => void): () => void;
}
