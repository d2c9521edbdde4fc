import { BytesError } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import { type Confirmations, confirmedNumber, type Words } from './confirmation.ts';
import { HANDED_VERSIONS_MAX, type KnownVersion, type RingPeer } from './meeting.ts';
import { decodeVersion, hashOfVersion, type RingVersion } from './version.ts';
import { RingView } from './view.ts';

/** A version with its name and its document. */
export interface HeldVersion {
  readonly version: RingVersion;
  readonly hash: string;
  readonly bytes: Uint8Array;
}

/** @throws BytesError */
export function heldVersion(bytes: Uint8Array): HeldVersion {
  return { bytes, version: decodeVersion(bytes), hash: hashOfVersion(bytes) };
}

/**
 * The versions that one process knows, from the floor to the newest, and what is known about them. It takes only what descends
 * from what it has, so what it has never becomes another branch.
 */
export class RingBook implements RingPeer {
  readonly #clock: Clock;
  /** Ascending, without gaps. */
  #chain: readonly HeldVersion[] = [];
  /** Number of the newest version that counts; it never falls. */
  #counts = 0;
  #confirmations: Confirmations = new Map();
  #words = new Map<string, number>();
  #wordMs: number;
  #view: RingView | undefined;
  readonly #listeners = new Set<(view: RingView) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wordMs = clock.monotonicMs();
  }

  get chain(): readonly HeldVersion[] {
    return this.#chain;
  }

  get newest(): HeldVersion | undefined {
    return this.#chain.at(-1);
  }

  current(): RingView | undefined {
    return this.#view;
  }

  onChange(listener: (view: RingView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  known(above: number): KnownVersion {
    const newest = this.newest;
    if (newest === undefined) return { number: 0, hash: '', floor: 0, confirmed: 0, documents: [] };
    const documents = this.#chain.filter(({ version }) => version.number > above).map(({ bytes }) => bytes);
    const { number, floor } = newest.version;
    return {
      number,
      hash: newest.hash,
      floor,
      confirmed: this.#counts,
      documents: documents.slice(0, HANDED_VERSIONS_MAX),
    };
  }

  learn(known: KnownVersion): void {
    for (const bytes of known.documents.slice(0, HANDED_VERSIONS_MAX)) {
      if (known.number <= (this.newest?.version.number ?? 0)) break;
      try {
        this.take(heldVersion(bytes), known.floor);
      } catch (error) {
        if (error instanceof BytesError) return;
        throw error;
      }
    }
    if (this.#chain.some(({ hash }) => hash === known.hash)) this.count(known.confirmed);
  }

  /**
   * Takes a version where it follows on the newest: it is its child, or nobody keeps what lies between. The first must not lie above the
   * floor: owners of versions below it that are still asked would not be.
   * @param floor the floor of whoever offers it
   * @returns whether it is known now
   */
  take(held: HeldVersion, floor: number): boolean {
    const { version, hash } = held;
    if (this.#chain.some((each) => each.hash === hash)) return true;
    const newest = this.newest;
    if (newest !== undefined && version.parent !== newest.hash) {
      // a member of a version that counts has confirmed it, and no floor is above that: who is behind the floor is no member
      const beyond = version.cluster === newest.version.cluster && floor > newest.version.number + 1;
      if (!beyond || version.number !== floor) return false;
      this.#chain = [held];
      this.#counts = version.number;
      this.#changed();
      return true;
    }
    if (newest === undefined ? version.number > floor : !isChild(held, newest)) return false;
    this.#chain = [...this.#chain, held].filter(({ version: each }) => each.number >= version.floor);
    if (version.floor > 1) this.#counts = Math.max(this.#counts, version.floor);
    this.#changed();
    return true;
  }

  /** Hears that a version counts. */
  count(number: number): void {
    const heard = Math.min(number, this.newest?.version.number ?? 0);
    if (heard <= this.#counts) return;
    this.#counts = heard;
    this.#changed();
  }

  /** Hears from members up to which version they confirmed, and up to which the store has all they held. */
  hear(confirmations: Confirmations, words: Words): void {
    this.#confirmations = confirmations;
    let changed = false;
    const floor = this.newest?.version.floor ?? 0;
    for (const [id, word] of words) {
      if (word < floor || word <= (this.#words.get(id) ?? 0)) continue;
      this.#words.set(id, word);
      changed = true;
    }
    if (changed) this.#wordMs = this.#clock.monotonicMs();
    if (this.newest !== undefined && (this.#recount() || changed)) this.#changed();
  }

  /** Says whether another version counts now. */
  #recount(): boolean {
    const [first] = this.#chain;
    if (first === undefined) return false;
    const from = this.#chain.findIndex(({ version }) => version.number >= this.#counts);
    const chain = this.#chain.slice(from).map(({ version }) => version);
    let counts = confirmedNumber(chain, this.#confirmations);
    if (counts === 1 && this.#counts === 0) {
      const { members } = first.version;
      if (!members.every(({ id }) => (this.#confirmations.get(id) ?? 0) >= 1)) counts = 0;
    }
    if (counts <= this.#counts) return false;
    this.#counts = counts;
    return true;
  }

  #changed(): void {
    this.#recount();
    const { hash, version } = this.newest!;
    const chain = this.#chain.map((each) => each.version);
    if (version.floor > (this.#view?.newest.floor ?? 0)) {
      this.#words = new Map([...this.#words].filter(([, word]) => word >= version.floor));
      this.#wordMs = this.#clock.monotonicMs();
    }
    this.#view = new RingView({
      chain,
      hash,
      confirmed: this.#counts,
      words: new Map(this.#words),
      wordMs: this.#wordMs,
    });
    for (const listener of [...this.#listeners]) listener(this.#view);
  }
}

/** Whether a version says itself that it comes next: its parent, cluster, number and floor. */
function isChild({ version }: HeldVersion, parent: HeldVersion): boolean {
  const before = parent.version;
  return (
    version.parent === parent.hash &&
    version.cluster === before.cluster &&
    version.number === before.number + 1 &&
    version.floor >= before.floor &&
    version.replicas === before.replicas &&
    version.arcs === before.arcs
  );
}
