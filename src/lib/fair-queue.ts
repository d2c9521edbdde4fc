import { SharedRoom } from './shared-room.ts';

/** A bounded queue in which owners have turns: one with much that waits holds up only itself. */
export class FairQueue<T> {
  readonly #room: SharedRoom;
  /** In the order of their turns. Owners without items are left out. */
  readonly #byOwner = new Map<string, T[]>();

  constructor(options: { readonly capacity: number }) {
    this.#room = new SharedRoom(options.capacity);
  }

  get size(): number {
    return this.#room.held;
  }

  sizeOf(owner: string): number {
    return this.#room.heldBy(owner);
  }

  /** False where the queue is full, or the owner's share of it. */
  push(owner: string, item: T): boolean {
    const { size, held } = this.#room;
    // of a small room a share is nothing, and the first item of each is let in as long as there is any
    const isFirst = this.sizeOf(owner) === 0 && held < size;
    if (isFirst) this.#room.force(owner, 1);
    else if (!this.#room.take(owner, 1)) return false;
    const items = this.#byOwner.get(owner);
    if (items === undefined) this.#byOwner.set(owner, [item]);
    else items.push(item);
    return true;
  }

  /** The oldest item of the owner whose turn it is, of those that may have one; undefined: there is none. */
  shift(mayHaveTurn: (owner: string) => boolean = () => true): T | undefined {
    for (const [owner, items] of this.#byOwner) {
      if (!mayHaveTurn(owner)) continue;
      const item = items.shift()!;
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
    const at = items?.indexOf(item) ?? -1;
    if (items === undefined || at < 0) return;
    items.splice(at, 1);
    this.#room.give(owner, 1);
    if (items.length === 0) this.#byOwner.delete(owner);
  }
}
