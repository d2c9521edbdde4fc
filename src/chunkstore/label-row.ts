import { ByteReader, ByteWriter } from '../chunk/group/bytes.ts';
import { compress, decompress } from '../chunk/group/head.ts';
import { openRow, putText, sealRow, takeText } from './row-value.ts';

const ROW_VERSION = 1;
const RAW_BYTES_MAX = 16 * 2 ** 20;

/** What a label row says: values of one label, each with the slots (hex) that have it. */
export interface LabelValues {
  /** The label's name; `''` where the values are the label names themselves. */
  readonly name: string;
  readonly values: ReadonlyMap<string, ReadonlySet<string>>;
}

export function encodeLabelRow(row: LabelValues): Uint8Array {
  const raw = new ByteWriter();
  putText(raw, row.name);
  const slots = [...new Set([...row.values.values()].flatMap((each) => [...each]))].sort();
  const indexOf = new Map(slots.map((slot, i) => [slot, i]));
  raw.uvarint(slots.length);
  for (const slot of slots) {
    const bytes = Buffer.from(slot, 'hex');
    raw.uvarint(bytes.length);
    raw.bytes(bytes);
  }
  raw.uvarint(row.values.size);
  for (const value of [...row.values.keys()].sort()) {
    putText(raw, value);
    const has = row.values.get(value)!;
    raw.uvarint(has.size);
    for (const slot of [...has].sort()) raw.uvarint(indexOf.get(slot)!);
  }
  const bytes = raw.done();
  const out = new ByteWriter();
  out.uvarint(bytes.length);
  out.bytes(compress(bytes));
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeLabelRow(value: Uint8Array): LabelValues {
  const frame = openRow(ROW_VERSION, value);
  const rawBytes = frame.uvarint(RAW_BYTES_MAX);
  const from = new ByteReader(decompress(frame.take(frame.left), rawBytes));
  const name = takeText(from);
  const slots = Array.from({ length: from.count(1) }, () => Buffer.from(from.take(from.count(1))).toString('hex'));
  const values = new Map<string, ReadonlySet<string>>();
  for (let left = from.count(2); left > 0; left--) {
    const value = takeText(from);
    const has = Array.from({ length: from.count(1) }, () => slots[from.uvarint(slots.length - 1)]!);
    values.set(value, new Set(has));
  }
  from.end();
  return { name, values };
}
