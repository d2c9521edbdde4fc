import type { GroupDecoder } from '../chunk/group/decode.ts';
import { OpenGroup } from '../chunk/group/read.ts';
import type { FoundGroup } from './index-reader.ts';

/**
 * Groups whose blocks were opened lately. A group never changes, and the next query often reads the same: it then needs no read,
 * no inflating and no parsing. Of the least recently used is let go when they hold too much.
 */
export class OpenGroups {
  readonly #decoder: GroupDecoder;
  readonly #bytesMax: number;
  /** In order of last use. */
  readonly #byId = new Map<string, OpenGroup>();

  constructor(decoder: GroupDecoder, bytesMax: number) {
    this.#decoder = decoder;
    this.#bytesMax = bytesMax;
  }

  of({ id, head, name }: FoundGroup): OpenGroup {
    const open = this.#byId.get(id) ?? new OpenGroup(this.#decoder, head, name);
    this.#byId.delete(id);
    this.#byId.set(id, open);
    return open;
  }

  /** Lets go of what is too much. Queries that use it keep theirs. */
  trim(): void {
    let held = 0;
    for (const open of this.#byId.values()) held += open.heldBytes;
    for (const [id, open] of this.#byId) {
      if (held <= this.#bytesMax) return;
      this.#byId.delete(id);
      held -= open.heldBytes;
    }
  }
}
