import { getOrMake } from '../lib/map.ts';

/** Writes that were let in and are not answered yet, by the version that they came under. */
export class WritesUnderWay {
  readonly #byVersion = new Map<number, Set<Promise<unknown>>>();

  /** @param writing number of the version that the write came under */
  async letIn<T>(writing: number, write: Promise<T>): Promise<T> {
    const writes = getOrMake(this.#byVersion, writing, () => new Set());
    writes.add(write);
    try {
      return await write;
    } finally {
      writes.delete(write);
      if (writes.size === 0) this.#byVersion.delete(writing);
    }
  }

  /** Resolves when no write under a version up to `number` that was let in is on its way to a shard any more. */
  async settled(number: number): Promise<void> {
    const all = [...this.#byVersion].filter(([writing]) => writing <= number);
    await Promise.allSettled(all.flatMap(([, writes]) => [...writes]));
  }
}
