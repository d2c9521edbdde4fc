import type { GroupDecoder } from '../chunk/group/decode.ts';
import { OpenGroup } from '../chunk/group/read.ts';
import { groupName } from './group-row.ts';
import type { FoundGroup } from './index-reader.ts';

/**
 * Groups whose blocks were opened lately. A group never changes, and the next query often reads the same: it then needs no read,
 * no inflating and no parsing. Of the least recently used is let go when they hold too much.
 */
export class OpenGroups {
  readonly #decoder: GroupDecoder;
  readonly #bytesMax: number;
  /** By the row's name, which is of one tenant, in order of last use. */
  readonly #byName = new Map<string, OpenGroup>();

  constructor(decoder: GroupDecoder, bytesMax: number) {
    this.#decoder = decoder;
    this.#bytesMax = bytesMax;
  }

  of({ header, name, place }: FoundGroup): OpenGroup {
    const open = this.#byName.get(name) ?? new OpenGroup(this.#decoder, header, groupName(name, place));
    this.#byName.delete(name);
    this.#byName.set(name, open);
    return open;
  }

  /** Lets go of what is too much. Queries that use it keep theirs. */
  trim(): void {
    let held = 0;
    for (const open of this.#byName.values()) held += open.heldBytes;
    for (const [name, open] of this.#byName) {
      if (held <= this.#bytesMax) return;
      this.#byName.delete(name);
      held -= open.heldBytes;
    }
  }
}
