import { Region } from '../../chunk/region.ts';
import { LABELS_BYTES_MAX } from '../../contract/ingest.ts';
import type { MatchTurn } from '../../model/match-turn.ts';
import { HEAD_BLOCK_SHIFT, HEAD_SERIES_BYTES, HEAD_SERIES_KEY_AT } from '../../wire/head-layout.ts';
import { SERIES_HEADER_BYTES, SERIES_LABELS_BYTES_AT, SERIES_REF_AT } from '../../wire/slice-layout.ts';
import type { Head } from './head.ts';
import type { KeptSelect } from './head-reader.ts';

/** Series of a select that is kept, and bytes of their headers and labels. */
export const KEPT_SERIES_MAX = 2048;
const HEADS_BYTES_MAX = 256 * 1024;
/** Steps of a turn that the copy of a series' labels is worth: some 5 µs. */
const COPY_STEPS = 400;

/** Makes selects to be kept, in the head's own thread. */
export class KeptSelects {
  readonly #head: Head;
  readonly #labels: Region;

  constructor(head: Head) {
    this.#head = head;
    this.#labels = new Region(head.kernel);
  }

  /**
   * Undefined: they are too many, or some have samples that do not lie in the memory.
   * @param refs of all that match, as of when the counter had the value; they are not used again meanwhile
   */
  async of(refs: Uint32Array, counter: number, value: number, turn: MatchTurn): Promise<KeptSelect | undefined> {
    if (refs.length > KEPT_SERIES_MAX) return undefined;
    const { kernel, rich } = this.#head;
    const { exports } = kernel;
    const ascending = refs.slice().sort();
    const keys = new Uint32Array(4 * refs.length);
    const headEnds = new Uint32Array(refs.length);
    const heads: Uint8Array[] = [];
    let bytes = 0;
    for (const [i, ref] of ascending.entries()) {
      turn.steps -= COPY_STEPS;
      if (turn.isDue()) await turn.pause();
      if (!exports.seriesIsLive(ref) || rich.has(ref)) return undefined;
      const at = this.#labels.ensure(LABELS_BYTES_MAX);
      const labelsBytes = exports.seriesLabels(ref, at, LABELS_BYTES_MAX);
      const head = new Uint8Array(SERIES_HEADER_BYTES + ((labelsBytes + 7) & ~7));
      const view = new DataView(head.buffer);
      view.setUint32(SERIES_LABELS_BYTES_AT, labelsBytes, true);
      view.setUint32(SERIES_REF_AT, ref, true);
      head.set(kernel.u8.subarray(at, at + labelsBytes), SERIES_HEADER_BYTES);
      bytes += head.length;
      if (bytes > HEADS_BYTES_MAX) return undefined;
      heads.push(head);
      headEnds[i] = bytes >>> 2;
      const words = kernel.u32;
      const directory = exports.seriesDirectory() >>> 2;
      const record = words[directory + (ref >>> HEAD_BLOCK_SHIFT)]! + (ref & BLOCK_MASK) * HEAD_SERIES_BYTES;
      keys.set(words.subarray((record + HEAD_SERIES_KEY_AT) >>> 2, ((record + HEAD_SERIES_KEY_AT) >>> 2) + 4), 4 * i);
    }
    const all = new Uint8Array(bytes);
    let end = 0;
    for (const head of heads) {
      all.set(head, end);
      end += head.length;
    }
    return { refs: ascending, keys, heads: new Uint32Array(all.buffer), headEnds, counter, value };
  }
}

const BLOCK_MASK = (1 << HEAD_BLOCK_SHIFT) - 1;
