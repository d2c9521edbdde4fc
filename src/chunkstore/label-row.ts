import { compress } from '../chunk/group/header.ts';
import { inflate } from '../chunk/group/inflate.ts';
import { ByteReader, ByteWriter } from '../lib/bytes.ts';
import { openRow, putText, sealRow, takeText } from './row-value.ts';

const ROW_VERSION = 1;
const RAW_BYTES_MAX = 16 * 2 ** 20;

/** A label name as a label row has it: its values, each with the slots (hex) that have it. */
export interface LabelValues {
  readonly name: string;
  /** Values of this name are also in rows of their own. */
  readonly elsewhere: boolean;
  readonly values: ReadonlyMap<string, ReadonlySet<string>>;
}

export function encodeLabelRow(labels: readonly LabelValues[]): Uint8Array {
  const raw = new ByteWriter();
  const slots = new Set<string>();
  for (const { values } of labels) for (const has of values.values()) for (const slot of has) slots.add(slot);
  const sorted = [...slots].sort();
  const indexOf = new Map(sorted.map((slot, i) => [slot, i]));
  raw.uvarint(sorted.length);
  for (const slot of sorted) {
    const bytes = Buffer.from(slot, 'hex');
    raw.uvarint(bytes.length);
    raw.bytes(bytes);
  }
  raw.uvarint(labels.length);
  for (const { name, elsewhere, values } of labels) {
    putText(raw, name);
    raw.u8(elsewhere ? 1 : 0);
    raw.uvarint(values.size);
    for (const value of [...values.keys()].sort()) {
      putText(raw, value);
      const has = values.get(value)!;
      raw.uvarint(has.size);
      for (const slot of [...has].sort()) raw.uvarint(indexOf.get(slot)!);
    }
  }
  const bytes = raw.done();
  const out = new ByteWriter();
  out.uvarint(bytes.length);
  out.bytes(compress(bytes));
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeLabelRow(value: Uint8Array): LabelValues[] {
  const frame = openRow(ROW_VERSION, value);
  const rawBytes = frame.uvarint(RAW_BYTES_MAX);
  const from = new ByteReader(inflate(frame.take(frame.left), rawBytes));
  const slots = Array.from({ length: from.count(1) }, () => Buffer.from(from.take(from.count(1))).toString('hex'));
  const labels = Array.from({ length: from.count(3) }, () => {
    const name = takeText(from);
    const elsewhere = from.u8() === 1;
    const values = new Map<string, ReadonlySet<string>>();
    for (let left = from.count(2); left > 0; left--) {
      const text = takeText(from);
      const has = Array.from({ length: from.count(1) }, () => slots[from.uvarint(slots.length - 1)]!);
      values.set(text, new Set(has));
    }
    return { name, elsewhere, values };
  });
  from.end();
  return labels;
}
