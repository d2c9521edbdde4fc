import { ByteWriter } from '../lib/bytes.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { openRow, putText, sealRow, takeText } from './row-value.ts';

const ROW_VERSION = 1;

/** Metadata of several metrics in one row, since a tenant has hundreds. */
export function encodeMetadata(entries: readonly MetricMetadata[]): Uint8Array {
  const out = new ByteWriter();
  out.uvarint(entries.length);
  for (const { metric, type, help, unit } of entries) for (const text of [metric, type, help, unit]) putText(out, text);
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeMetadata(value: Uint8Array): MetricMetadata[] {
  const from = openRow(ROW_VERSION, value);
  const entries = Array.from({ length: from.count(4) }, () => {
    const [metric, type, help, unit] = Array.from({ length: 4 }, () => takeText(from));
    return { metric: metric!, type: type!, help: help!, unit: unit! };
  });
  from.end();
  return entries;
}
