import { Region } from '../../chunk/region.ts';
import type { HeadSize, HeadSizeRequest } from '../../contract/ingester.ts';
import type { MatchTurn } from '../../model/match-turn.ts';
import type { Head } from './head.ts';

/** Series that the kernel looks at in one call. */
const REFS_AT_ONCE = 4_096;
/** Steps that looking at a series' chunks counts. */
const SERIES_STEPS = 6;

/** Sizes of selections, by what chunks tell without being read. */
export class HeadSizes {
  readonly #head: Head;
  readonly #refs: Region;

  constructor(head: Head) {
    this.#head = head;
    this.#refs = new Region(head.kernel, 4 * REFS_AT_ONCE);
  }

  /** @param refs series with chunks in the range, held until the answer is there */
  async of(
    refs: Uint32Array,
    { coverFromMs, endMs, spacingMs }: Pick<HeadSizeRequest, 'coverFromMs' | 'endMs' | 'spacingMs'>,
    turn: MatchTurn,
  ): Promise<HeadSize> {
    const { kernel } = this.#head;
    let coveredMs = 0;
    for (let from = 0; from < refs.length; from += REFS_AT_ONCE) {
      const some = refs.subarray(from, from + REFS_AT_ONCE);
      const at = this.#refs.ensure(4 * some.length);
      new Uint32Array(kernel.u8.buffer, at, some.length).set(some);
      coveredMs += kernel.exports.coveredTime(at, some.length, coverFromMs, endMs, spacingMs);
      turn.steps -= SERIES_STEPS * some.length;
      if (turn.isDue()) await turn.pause();
    }
    return { series: refs.length, coveredMs };
  }
}
