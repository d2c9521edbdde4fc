import { ByteWriter } from '../chunk/group/bytes.ts';
import type { MetricMetadata } from '../storage/ingester-client.ts';
import { openRow, putText, sealRow, takeText } from './row-value.ts';

const ROW_VERSION = 1;

export function encodeMetadata(entry: MetricMetadata): Uint8Array {
  const out = new ByteWriter();
  for (const text of [entry.metric, entry.type, entry.help, entry.unit]) putText(out, text);
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeMetadata(value: Uint8Array): MetricMetadata {
  const from = openRow(ROW_VERSION, value);
  const [metric, type, help, unit] = Array.from({ length: 4 }, () => takeText(from));
  from.end();
  return { metric: metric!, type: type!, help: help!, unit: unit! };
}
