import { BytesError, ByteWriter } from '../lib/bytes.ts';
import { openRow, putText, sealRow, takeText } from './row-value.ts';

/** That the compactor has been through a tenant's day. */
export interface CompactedDay {
  readonly tenant: string;
  readonly atMs: number;
  /** Whether all of it was past retention, and is gone. */
  readonly removed: boolean;
}

const ROW_VERSION = 1;

export function encodeCompacted({ tenant, atMs, removed }: CompactedDay): Uint8Array {
  const out = new ByteWriter();
  putText(out, tenant);
  out.f64(atMs);
  out.u8(removed ? 1 : 0);
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeCompacted(value: Uint8Array): CompactedDay {
  const from = openRow(ROW_VERSION, value);
  const tenant = takeText(from);
  const atMs = from.f64();
  const removed = from.u8();
  if (removed > 1) throw new BytesError('a state that is none');
  from.end();
  return { tenant, atMs, removed: removed === 1 };
}
