import type { KvClient } from '../kv/client.ts';
import type { RingBook } from './book.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { RingReader } from './reader.ts';
import { beatOf, rowKey, sizesKey, versionKey } from './row.ts';
import type { RingView } from './view.ts';

/** Versions below the floor that are removed in one go. */
const TRIMMED_MAX = 1024;

export interface RingTrimOptions {
  readonly ownId: string;
  readonly kv: KvClient;
  readonly book: RingBook;
  readonly reader: RingReader;
  readonly heartbeats: Heartbeats;
  readonly forgetMs: number;
}

/**
 * Forgets rows that nobody asks for any more. The first member that lives takes them out of the store, with versions below the floor, and
 * puts back versions from the floor on that the store lacks or has damaged: nobody could start without them.
 */
export class RingTrim {
  readonly #options: RingTrimOptions;

  constructor(options: RingTrimOptions) {
    this.#options = options;
  }

  async trim(view: RingView): Promise<void> {
    const { ownId, reader, heartbeats, forgetMs } = this.#options;
    const known = new Set(view.chain.flatMap(({ members }) => members.map(({ id }) => id)));
    const isGone = (id: string) => !known.has(id) && id !== ownId && heartbeats.ageMs(id) > forgetMs;
    const gone = [...reader.rows.keys()].filter(isGone);
    if (heartbeats.firstOf(view.newest.members.map(({ id }) => id)) === ownId) {
      for (const id of gone) await this.#removeRow(id);
      await this.#removeVersions(view.chain[0]!.parent);
      await this.#putVersionsBack();
    }
    for (const id of gone) {
      reader.forget(id);
      heartbeats.forget(id);
    }
  }

  async #removeRow(id: string): Promise<void> {
    const { kv, reader } = this.#options;
    const entry = await reader.call((signal) => kv.get(rowKey(id), signal));
    // one that lives has written another since
    if (entry === undefined || beatOf(entry.value).beat !== reader.rows.get(id)?.beat) return;
    await this.#remove(sizesKey(id));
    await reader.call((signal) => kv.remove(entry.key, entry.revision, signal));
  }

  /** Removes a version and those that it descends from, the oldest first: whoever goes on finds the others. */
  async #removeVersions(newest: string | undefined): Promise<void> {
    const { reader } = this.#options;
    const hashes: string[] = [];
    for (let hash = newest; hash !== undefined && hashes.length < TRIMMED_MAX; ) {
      const held = await reader.version(hash);
      if (held === undefined) break;
      hashes.push(hash);
      hash = held.version.parent;
    }
    for (const hash of hashes.reverse()) await this.#remove(versionKey(hash));
  }

  async #putVersionsBack(): Promise<void> {
    const { kv, reader, book } = this.#options;
    for (const { hash, bytes } of book.chain) {
      if ((await reader.version(hash)) !== undefined) continue;
      await reader.call((signal) => kv.put(versionKey(hash), bytes, signal));
    }
  }

  async #remove(key: string): Promise<void> {
    const { kv, reader } = this.#options;
    const entry = await reader.call((signal) => kv.get(key, signal));
    if (entry !== undefined) await reader.call((signal) => kv.remove(key, entry.revision, signal));
  }
}
