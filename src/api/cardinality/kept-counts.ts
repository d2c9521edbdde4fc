import { ByteReader, BytesError, ByteWriter } from '../../lib/bytes.ts';
import { LabelCounts, type LabelCountsOptions } from './label-counts.ts';

// Counts of a day's labels as bytes: version, series, pairs, error, labels. A label: its name, values that made room, values with the
// series of each. All numbers are varints, texts have their length before them.

const VERSION = 1;
/** Longer ones are not written to their end. */
const BYTES_MAX = 8 * 1024 * 1024;
/** A value is at least a length and a count, a label has two counts more. */
const VALUE_BYTES_MIN = 2;
const LABEL_BYTES_MIN = 3;
/** Values between two looks at the clock. */
const VALUES_AT_ONCE = 64;

/** @returns undefined where they are too many to be kept; yields where others may have their turn */
export function* encodingCounts(counts: LabelCounts): Generator<undefined, Uint8Array | undefined> {
  const out = new ByteWriter();
  out.u8(VERSION);
  out.uvarint(counts.series);
  out.uvarint(counts.pairs);
  out.uvarint(counts.errorMax);
  const names = [...counts.labels()];
  out.uvarint(names.length);
  let left = VALUES_AT_ONCE;
  for (const name of names) {
    const values = counts.of(name);
    text(out, name);
    out.uvarint(counts.valuesOf(name) - values.size);
    out.uvarint(values.size);
    for (const [value, series] of values) {
      text(out, value);
      out.uvarint(series);
      if (--left > 0) continue;
      if (out.length > BYTES_MAX) return undefined;
      left = VALUES_AT_ONCE;
      yield;
    }
  }
  return out.length > BYTES_MAX ? undefined : out.done().slice();
}

/** @throws BytesError where the bytes are not what was kept; yields where others may have their turn */
export function* decodingCounts(bytes: Uint8Array, options: LabelCountsOptions): Generator<undefined, LabelCounts> {
  const from = new ByteReader(bytes);
  if (from.u8() !== VERSION) throw new BytesError('another version');
  const counts = new LabelCounts(options);
  try {
    counts.series = from.uvarint();
    counts.pairs = from.uvarint();
    counts.errorMax = from.uvarint();
    let left = VALUES_AT_ONCE;
    for (let labels = from.count(LABEL_BYTES_MIN); labels > 0; labels--) {
      const name = textOf(from);
      const gone = from.uvarint();
      const values = new Map<string, number>();
      for (let count = from.count(VALUE_BYTES_MIN); count > 0; count--) {
        const value = textOf(from);
        values.set(value, from.uvarint());
        if (--left > 0) continue;
        left = VALUES_AT_ONCE;
        yield;
      }
      counts.restore(name, values, gone);
    }
    from.end();
    return counts;
  } catch (thrown) {
    counts.close();
    throw thrown;
  }
}

function text(out: ByteWriter, value: string): void {
  const bytes = Buffer.from(value);
  out.uvarint(bytes.length);
  out.bytes(bytes);
}

function textOf(from: ByteReader): string {
  const bytes = from.take(from.uvarint(from.left));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
}
