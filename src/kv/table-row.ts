import { ByteReader, BytesError, ByteWriter } from '../lib/bytes.ts';
import { copyBytes } from '../lib/copy.ts';
import { KV_VALUE_BYTES_MAX } from './client.ts';

/** A key's row: its value, where the value's parts are, or a mark that the key was removed. */
export type Head =
  | { readonly kind: 'inline'; readonly nonce: string; readonly value: Uint8Array }
  | { readonly kind: 'parts'; readonly nonce: string; readonly bytes: number }
  | { readonly kind: 'removed'; readonly nonce: string; readonly atMs: number };

/** Bytes of a nonce; in a `Head` it is hexadecimal digits. */
export const NONCE_BYTES = 16;
/** Larger values lie in parts, so that a watch reads little of keys that do not change. */
export const INLINE_BYTES_MAX = 4096;
const FORMAT = 1;
const KINDS = ['inline', 'parts', 'removed'] as const;

export function encodeHead(head: Head): Uint8Array {
  const out = new ByteWriter();
  out.u8(FORMAT);
  out.u8(KINDS.indexOf(head.kind));
  out.bytes(Buffer.from(head.nonce, 'hex'));
  if (head.kind === 'inline') out.bytes(head.value);
  else if (head.kind === 'parts') out.u32(head.bytes);
  else out.f64(head.atMs);
  return copyBytes(out.done());
}

/** @throws BytesError */
export function decodeHead(bytes: Uint8Array): Head {
  const from = new ByteReader(bytes);
  const format = from.u8();
  if (format !== FORMAT) throw new BytesError(`format ${format}`);
  const kind = KINDS[from.u8()];
  const nonce = Buffer.from(from.take(NONCE_BYTES)).toString('hex');
  switch (kind) {
    case 'inline':
      return { kind, nonce, value: copyBytes(from.take(from.left)) };
    case 'parts': {
      const length = from.u32();
      if (length > KV_VALUE_BYTES_MAX) throw new BytesError(`parts of ${length} bytes`);
      return { kind, nonce, bytes: length };
    }
    case 'removed':
      return { kind, nonce, atMs: from.f64() };
    default:
      throw new BytesError('a row of no known kind');
  }
}
