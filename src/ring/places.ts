import { createHash } from 'node:crypto';
import type { RingView } from './view.ts';

/** The address where a member listens, as it says itself. */
export interface MemberPlace {
  readonly id: string;
  readonly address: string;
  /** Its heartbeat at that time: the higher one is newer, over restarts as well. */
  readonly beat: number;
}

/** Places that are kept, and handed over in one go. */
export const PLACES_MAX = 4096;

/**
 * The addresses of members as one process knows them: the ring has those of when it was made. They come with rows of the key-value
 * store and from whoever meets this process, so that a member that was started elsewhere is found without the store.
 */
export class MemberPlaces {
  readonly #places = new Map<string, MemberPlace>();
  readonly #onChange: () => void;

  /** @param onChange called when a member has another address than before */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  addressOf(id: string): string | undefined {
    return this.#places.get(id)?.address;
  }

  /** Addresses by id. */
  get addresses(): ReadonlyMap<string, string> {
    return new Map([...this.#places.values()].map(({ id, address }) => [id, address]));
  }

  take(places: Iterable<MemberPlace>): void {
    let hasChanged = false;
    for (const { id, address, beat } of places) {
      const before = this.#places.get(id);
      if (before === undefined ? this.#places.size >= PLACES_MAX : before.beat >= beat) continue;
      this.#places.set(id, { id, address, beat });
      if (before?.address !== address) hasChanged = true;
    }
    if (hasChanged) this.#onChange();
  }

  /** Forgets all but these. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#places.keys()) if (!ids.has(id)) this.#places.delete(id);
  }

  /** Members that listen elsewhere than the ring says, by id: two processes that know the same say the same. */
  moved({ chain }: RingView): MemberPlace[] {
    const said = new Map(chain.flatMap(({ members }) => members.map(({ id, address }) => [id, address])));
    return [...this.#places.values()]
      .filter(({ id, address }) => (said.get(id) ?? address) !== address)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}

/** A short name of what is known of places, heartbeats apart. */
export function nameOfPlaces(places: readonly MemberPlace[]): string {
  const hash = createHash('sha256');
  for (const { id, address } of places) hash.update(`${id}\0${address}\n`);
  return hash.digest('hex').slice(0, 16);
}
