import { LabelBlock } from '../chunk/group/series-block.ts';
import { copyBytes } from '../lib/copy.ts';
import { getOrMake } from '../lib/map.ts';

/** Series of all kept blocks; labels of one take some 600 bytes, with what is made of them. */
const SERIES_MAX = 16 * 1024;

/**
 * Label blocks of the last queries of a thread, by their bytes: a slot's series are mostly the same from day to day, and then labels, their
 * keys and what selectors match are made once for all days. Tenants share none: by the time an answer takes one could find out what another
 * one has.
 */
export class KeptLabelBlocks {
  readonly #seriesMax: number;
  /** Blocks of one tenant and length, the least recently asked for first. */
  readonly #alike = new Map<string, LabelBlock[]>();
  #series = 0;

  constructor(seriesMax = SERIES_MAX) {
    this.#seriesMax = seriesMax;
  }

  /** @throws BytesError */
  of(tenant: string, raw: Uint8Array): LabelBlock {
    const key = `${raw.length}/${tenant}`;
    const alike = getOrMake(this.#alike, key, () => []);
    this.#alike.delete(key);
    this.#alike.set(key, alike);
    const known = alike.find((block) => Buffer.compare(block.raw, raw) === 0);
    if (known !== undefined) return known;
    // a copy, so that nothing else of the series block stays
    const block = LabelBlock.parse(copyBytes(raw));
    alike.push(block);
    this.#series += block.count;
    for (const [oldest, blocks] of this.#alike) {
      if (this.#series <= this.#seriesMax) break;
      this.#alike.delete(oldest);
      for (const { count } of blocks) this.#series -= count;
    }
    return block;
  }
}
