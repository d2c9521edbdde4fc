import { copyBytes } from './copy.ts';

/**
 * Bytes that are never empty, in the same order, for stores that refuse empty keys: a 0 in front of what is empty or
 * starts with a 0.
 */
export function escapeEmpty(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 0 && bytes[0] !== 0) return bytes;
  const escaped = new Uint8Array(bytes.length + 1);
  escaped.set(bytes, 1);
  return escaped;
}

/** The bytes that `escapeEmpty` was given, as a copy. */
export function unescapeEmpty(bytes: Uint8Array): Uint8Array {
  return copyBytes(bytes[0] === 0 ? bytes.subarray(1) : bytes);
}
