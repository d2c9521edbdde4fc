import { HIGH, LOW } from '../lib/float-bits.ts';
import type { Labels } from '../model/labels.ts';
import { PlainSeriesWriter, timeBytes } from '../wire/plain-series.ts';

/** A vector of floats. */
export interface PackedFloats {
  /** Labels as JSON, a list of name, value, … for each series. */
  readonly pairs: string;
  readonly values: Float64Array;
}

/** Series that a rule wrote with its last good evaluation. */
export interface WrittenSeries {
  readonly size: number;
  labels(): Iterable<Labels>;
}

/** Series of one encoded part. */
export const PART_SERIES_MAX = 5000;
const VALUE_BYTES = 8;

interface Part {
  /** Fields of a `prometheus.WriteRequest`: a series each, with one sample. */
  readonly bytes: Uint8Array;
  /** Where the value of each series lies; behind it are a tag and the time. */
  readonly valuesAt: Uint32Array;
}

const writer = new PlainSeriesWriter();

/**
 * Series that a recording rule writes, encoded: mostly an evaluation has the series of the one before, and only time and values differ.
 * Labels are not kept, for a ruler may have hundreds of thousands of series.
 */
export class RecordedSeries implements WrittenSeries {
  /** Labels of the answer that they were made of. */
  readonly pairs: string;
  readonly size: number;
  readonly #labelsOf: (pairs: string) => readonly Labels[];
  #parts: readonly Part[] = [];
  /** Bytes of a time in the parts. */
  #timeBytes = -1;

  /** @param labelsOf makes the rule's labels of those of an answer, the same for the same */
  constructor(pairs: string, size: number, labelsOf: (pairs: string) => readonly Labels[]) {
    this.pairs = pairs;
    this.size = size;
    this.#labelsOf = labelsOf;
  }

  labels(): readonly Labels[] {
    return this.#labelsOf(this.pairs);
  }

  /** @returns the parts, which are good until they are asked for the next time */
  encoded(timeMs: number, { values }: PackedFloats): readonly Uint8Array[] {
    if (this.#timeBytes !== timeBytes(timeMs)) this.#encode(timeMs);
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
    let index = 0;
    for (const { bytes, valuesAt } of this.#parts) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      // the same for all
      const first = valuesAt[0]! + VALUE_BYTES;
      writeTime(bytes, first, timeMs, this.#timeBytes);
      for (const at of valuesAt) {
        view.setUint32(at, words[2 * index + LOW]!, true);
        view.setUint32(at + 4, words[2 * index + HIGH]!, true);
        index++;
        if (at !== valuesAt[0]) bytes.copyWithin(at + VALUE_BYTES, first, first + this.#timeBytes);
      }
    }
    return this.#parts.map(({ bytes }) => bytes);
  }

  #encode(timeMs: number): void {
    const parts: Part[] = [];
    const labels = this.labels();
    this.#timeBytes = timeBytes(timeMs);
    for (let from = 0; from < labels.length; from += PART_SERIES_MAX) {
      const some = labels.slice(from, from + PART_SERIES_MAX);
      const valuesAt = Uint32Array.from(some, ({ pairs }) => {
        writer.add(pairs, [{ timeMs, high: 0, low: 0 }]);
        return writer.size - this.#timeBytes - VALUE_BYTES;
      });
      parts.push({ bytes: writer.take().slice(), valuesAt });
    }
    this.#parts = parts;
  }
}

/** The tag of a sample's time, and the time. */
function writeTime(bytes: Uint8Array, at: number, timeMs: number, size: number): void {
  if (size === 0) return;
  bytes[at] = 0x10;
  let rest = BigInt.asUintN(64, BigInt(timeMs));
  for (let i = 1; i < size; i++) {
    bytes[at + i] = Number(rest & 0x7fn) | (i + 1 < size ? 0x80 : 0);
    rest >>= 7n;
  }
}

/** Series whose labels are kept. */
export class WrittenLabels implements WrittenSeries {
  static readonly none = new WrittenLabels([]);
  readonly #byKey: ReadonlyMap<string, Labels>;

  constructor(labels: Iterable<Labels>) {
    this.#byKey = new Map(Array.from(labels, (each) => [each.key, each]));
  }

  get size(): number {
    return this.#byKey.size;
  }

  labels(): Iterable<Labels> {
    return this.#byKey.values();
  }
}

/** Series of `before` that are not in `after`. */
export function endedSeries(before: WrittenSeries, after: WrittenSeries): Labels[] {
  if (before === after || before.size === 0) return [];
  const keys = new Set(Array.from(after.labels(), ({ key }) => key));
  return [...before.labels()].filter(({ key }) => !keys.has(key));
}
