import { assert } from '../lib/assert.ts';
import { outcomeOf, type PushOutcome, writeQuorum } from '../ring/quorum.ts';

/** The outcome of frames that all go to the same owners, as these answer: `pushOutcome` (src/ring/quorum.ts) bit by bit. */
export class PartOutcome {
  readonly #replicas: number;
  readonly #quorum: number;
  /** Owners that have not answered yet. */
  #waiting: number;
  /** Owners that answered and are not away. */
  #present = 0;
  /** By frame, of those that somebody refused: how many did. */
  readonly #refusals = new Map<number, number>();

  /** @param owners how many there are @param replicas RF */
  constructor(owners: number, replicas: number) {
    this.#waiting = owners;
    this.#replicas = replicas;
    this.#quorum = writeQuorum(replicas);
  }

  /** Takes one owner's answer: the numbers of the frames that it refused; undefined: it is away. */
  add(refused: Iterable<number> | undefined): void {
    assert(this.#waiting > 0, 'an answer of nobody');
    this.#waiting--;
    if (refused === undefined) return;
    this.#present++;
    for (const frame of new Set(refused)) this.#refusals.set(frame, (this.#refusals.get(frame) ?? 0) + 1);
  }

  /** Whether no further answer can change the outcome of any frame. */
  get isSettled(): boolean {
    if (this.#waiting === 0) return true;
    const present = this.#present;
    if (present + this.#waiting < this.#quorum) return true;
    if (present < this.#quorum) return false;
    for (const refusals of this.#refusals.values()) {
      const kept = present - refusals;
      if (kept < this.#quorum && kept + this.#waiting >= this.#quorum) return false;
    }
    return true;
  }

  /** The outcome of `frames` frames by the answers so far; who has not answered is away. */
  outcome(frames: number): PushOutcome {
    const present = this.#present;
    const refused: number[] = [];
    let isUnavailable = frames > this.#refusals.size && present < this.#quorum;
    for (const [frame, refusals] of this.#refusals) {
      const outcome = outcomeOf({ kept: present - refusals, refused: refusals }, this.#replicas);
      if (outcome === 'refused') refused.push(frame);
      if (outcome === 'unavailable') isUnavailable = true;
    }
    const outcome = isUnavailable ? 'unavailable' : refused.length > 0 ? 'refused' : 'kept';
    return { outcome, refused: refused.sort((a, b) => a - b), answeredMin: present };
  }
}
