import type { BitReader } from './bits.ts';
import { Int64 } from './int64.ts';
import { readVarbit } from './varbit.ts';

/** In the byte of starts: the first sample has one; the other bits name the sample from which on all have one. */
export const FIRST_START = 0x80;
export const START_SINCE_MAX = 0x7f;

/** Reads the start timestamps that stand behind samples: docs/formats/chunk-encodings.md. */
export class StartReader {
  /** That of the current sample; 0 where unknown. */
  readonly start = new Int64();
  /** The last sample's time before, less its start. */
  readonly difference = new Int64();
  /** The sample from which on each has a start of its own; 0: none. */
  readonly since: number;
  readonly #first: boolean;

  /** @param header the byte of starts */
  constructor(header: number) {
    this.#first = (header & FIRST_START) !== 0;
    this.since = header & START_SINCE_MAX;
  }

  /** @param time of the first sample */
  readFirst(from: BitReader, time: Int64): void {
    if (!this.#first) return;
    from.readVarint();
    this.start.setDifference(time, change.setWords(from.high, from.low));
  }

  /** @param at number of a later sample, the first is 0 @param before time of the sample before */
  read(from: BitReader, at: number, before: Int64): void {
    if (this.since === 0 || at < this.since) return;
    readVarbit(from, change);
    if (at === this.since) this.difference.set(change);
    else this.difference.setSum(this.difference, change);
    this.start.setDifference(before, this.difference);
  }
}

const change = new Int64();
