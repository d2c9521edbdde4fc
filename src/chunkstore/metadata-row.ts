import { ByteReader, BytesError, ByteWriter } from '../chunk/group/bytes.ts';
import type { MetricMetadata } from '../storage/ingester-client.ts';

const ROW_VERSION = 1;

export function encodeMetadata(entry: MetricMetadata): Uint8Array {
  const out = new ByteWriter();
  out.u8(ROW_VERSION);
  for (const text of [entry.metric, entry.type, entry.help, entry.unit]) {
    const bytes = Buffer.from(text);
    out.uvarint(bytes.length);
    out.bytes(bytes);
  }
  return out.done();
}

/** @throws BytesError */
export function decodeMetadata(value: Uint8Array): MetricMetadata {
  const from = new ByteReader(value);
  const version = from.u8();
  if (version !== ROW_VERSION) throw new BytesError(`version ${version}, known is ${ROW_VERSION}`);
  const [metric, type, help, unit] = Array.from({ length: 4 }, () => Buffer.from(from.take(from.count(1))).toString());
  from.end();
  return { metric: metric!, type: type!, help: help!, unit: unit! };
}
