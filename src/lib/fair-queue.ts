import { SharedRoom } from './shared-room.ts';

interface Ranked<T> {
  readonly item: T;
  readonly rank: number;
}

/** A bounded queue in which owners have turns: one with much that waits holds up only itself. */
export class FairQueue<T> {
  readonly #room: SharedRoom;
  /** In the order of their turns. Owners without items are left out. */
  readonly #byOwner = new Map<string, Ranked<T>[]>();

  constructor(options: { readonly capacity: number }) {
    this.#room = new SharedRoom(options.capacity);
  }

  get size(): number {
    return this.#room.held;
  }

  sizeOf(owner: string): number {
    return this.#room.heldBy(owner);
  }

  /**
   * False where the queue is full, or the owner's share of it.
   *
   * @param rank among the owner's items: lower ones come first, equal ones in their order
   */
  push(owner: string, item: T, rank = 0): boolean {
    const { size, held } = this.#room;
    // of a small room a share is nothing, and the first item of each is let in as long as there is any
    const isFirst = this.sizeOf(owner) === 0 && held < size;
    if (isFirst) this.#room.force(owner, 1);
    else if (!this.#room.take(owner, 1)) return false;
    const items = this.#byOwner.get(owner);
    if (items === undefined) this.#byOwner.set(owner, [{ item, rank }]);
    else items.splice(items.findLastIndex((each) => each.rank <= rank) + 1, 0, { item, rank });
    return true;
  }

  /**
   * The first item of the owner whose turn it is, of those that may have one; undefined: there is none.
   *
   * @param fits whether there is a place for an item; one that has none is passed by
   */
  shift(mayHaveTurn: (owner: string) => boolean = () => true, fits: (item: T) => boolean = () => true): T | undefined {
    for (const [owner, items] of this.#byOwner) {
      const at = mayHaveTurn(owner) ? items.findIndex(({ item }) => fits(item)) : -1;
      if (at < 0) continue;
      const { item } = items.splice(at, 1)[0]!;
      this.#room.give(owner, 1);
      this.#byOwner.delete(owner); // and to the end of the turns
      if (items.length > 0) this.#byOwner.set(owner, items);
      return item;
    }
    return undefined;
  }

  /** Takes out an item that no longer waits. */
  remove(owner: string, item: T): void {
    const items = this.#byOwner.get(owner);
    const at = items?.findIndex((each) => each.item === item) ?? -1;
    if (items === undefined || at < 0) return;
    items.splice(at, 1);
    this.#room.give(owner, 1);
    if (items.length === 0) this.#byOwner.delete(owner);
  }
}
