import { LabelsDecoder } from '../model/canonical.ts';
import type { Labels } from '../model/labels.ts';

/** As many as a query usually sees, several times over. While queries run, those of theirs are kept that must be the same object. */
const SERIES_KEPT_MAX = 100_000;
const BLOCK_BYTES = 1024 * 1024;

/** Canonical bytes at [from, to) of `block`, and what they say. Others with the same hash follow in `next`. */
interface Known {
  readonly block: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly labels: Labels;
  readonly next: Known | undefined;
  /** The series that came behind it the last time: mostly it does so again, and need not be looked for. */
  after: Known | undefined;
}

/**
 * Labels of series of heads, decoded once: the same series are asked for again and again. While a query holds on (`open` … `close`),
 * equal labels are the same object, but for those that were asked for as `once`.
 */
export class HeadLabels {
  readonly #byHash = new Map<number, Known>();
  readonly #decoder = new LabelsDecoder();
  #block = new Uint8Array(0);
  #blockAt = 0;
  #count = 0;
  #users = 0;
  #last: Known | undefined;

  open(): void {
    this.#users++;
  }

  close(): void {
    this.#users--;
    if (this.#users > 0 || this.#count <= SERIES_KEPT_MAX) return;
    this.#byHash.clear();
    this.#last = undefined;
    this.#block = new Uint8Array(0);
    this.#count = 0;
  }

  /**
   * The labels at [labelsFrom, labelsTo) of a slice.
   * @param once the query does not ask for this series again: beyond those that are kept it is not remembered
   */
  at(slice: Uint8Array, labelsFrom: number, labelsTo: number, once: boolean): Labels {
    const expected = this.#last?.after;
    if (expected !== undefined && isEqual(expected, slice, labelsFrom, labelsTo)) {
      this.#last = expected;
      return expected.labels;
    }
    const hash = hashOf(slice, labelsFrom, labelsTo);
    const first = this.#byHash.get(hash);
    for (let known = first; known !== undefined; known = known.next) {
      if (isEqual(known, slice, labelsFrom, labelsTo)) return this.#came(known);
    }
    if (once && this.#count >= SERIES_KEPT_MAX) return this.#decoder.decode(slice, labelsFrom, labelsTo);
    return this.#learn(hash, first, slice, labelsFrom, labelsTo);
  }

  #learn(hash: number, next: Known | undefined, slice: Uint8Array, sliceFrom: number, sliceTo: number): Labels {
    const length = sliceTo - sliceFrom;
    if (this.#blockAt + length > this.#block.length) {
      this.#block = new Uint8Array(Math.max(BLOCK_BYTES, length));
      this.#blockAt = 0;
    }
    const from = this.#blockAt;
    this.#blockAt += length;
    this.#block.set(slice.subarray(sliceFrom, sliceTo), from);
    const labels = this.#decoder.decode(slice, sliceFrom, sliceTo);
    const known = { block: this.#block, from, to: from + length, labels, next, after: undefined };
    this.#byHash.set(hash, known);
    this.#count++;
    return this.#came(known);
  }

  #came(known: Known): Labels {
    if (this.#last !== undefined) this.#last.after = known;
    this.#last = known;
    return known.labels;
  }
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = -2128831035;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 16777619);
  return hash;
}

function isEqual({ block, from, to }: Known, slice: Uint8Array, sliceFrom: number, sliceTo: number): boolean {
  if (to - from !== sliceTo - sliceFrom) return false;
  const shift = sliceFrom - from;
  for (let i = from; i < to; i++) if (block[i] !== slice[i + shift]) return false;
  return true;
}
