import { ByteWriter } from '../../lib/bytes.ts';
import { type FrameExemplar, writeFrameExemplar } from '../../wire/frame-exemplars.ts';
import { RECORD_BYTES_AIMED } from '../../wire/record-layout.ts';
import type { StoredSeries } from './exemplars.ts';

// Entries of the log for what the kernel leaves aside (docs/formats/wal.md); the first byte says which it is:
/** uvarint ref · the sample (wire/rich-samples.ts) */
export const ASIDE_SAMPLE = 0;
/** In logs of the first version: uvarint tenant · uvarint bytes of labels · labels · the exemplar (wire/frame-exemplars.ts) */
export const ASIDE_EXEMPLAR = 1;
/** A series that exemplars name by its number: uvarint number · uvarint tenant · uvarint bytes of labels · labels */
export const ASIDE_SERIES = 2;
/** uvarint number of the series · the exemplar */
export const ASIDE_NUMBERED_EXEMPLAR = 3;

/** Entries for one record after another. Labels of a series with exemplars stand in a record once. */
export class AsideLog {
  readonly #out = new ByteWriter();
  /** Those told in this record. */
  readonly #numbers = new Map<StoredSeries, number>();

  get length(): number {
    return this.#out.length;
  }

  /** Whether another entry belongs into another record. */
  get isFull(): boolean {
    return this.#out.length >= RECORD_BYTES_AIMED;
  }

  /** @param sample encoded */
  sample(ref: number, sample: Uint8Array): void {
    this.#out.u8(ASIDE_SAMPLE);
    this.#out.uvarint(ref);
    this.#out.bytes(sample);
  }

  exemplar(series: StoredSeries, exemplar: FrameExemplar): void {
    let number = this.#numbers.get(series);
    if (number === undefined) {
      number = this.#numbers.size;
      this.series(number, series);
    }
    this.#out.u8(ASIDE_NUMBERED_EXEMPLAR);
    this.#out.uvarint(number);
    writeFrameExemplar(this.#out, exemplar);
  }

  /** Tells a series and its number. */
  series(number: number, series: StoredSeries): void {
    this.#numbers.set(series, number);
    this.#out.u8(ASIDE_SERIES);
    this.#out.uvarint(number);
    this.#out.uvarint(series.tenant);
    this.#out.uvarint(series.labels.length);
    this.#out.bytes(series.labels);
  }

  /** The entries so far; only until the next one. */
  get bytes(): Uint8Array {
    return this.#out.done();
  }

  /** Begins another record. */
  clear(): void {
    this.#out.length = 0;
    this.#numbers.clear();
  }

  /** Begins another record of a file whose series all have been told. */
  clearEntries(): void {
    this.#out.length = 0;
  }
}
