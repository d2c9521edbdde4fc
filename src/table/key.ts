/**
 * One key for stores that have only one: hash length (2 bytes, big-endian), hash, range. Rows of a hash lie together,
 * in the order of their ranges.
 */

const LENGTH_BYTES = 2;

export function joinKey(hash: Uint8Array, range: Uint8Array): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(LENGTH_BYTES + hash.length + range.length);
  key[0] = hash.length >>> 8;
  key[1] = hash.length;
  key.set(hash, LENGTH_BYTES);
  key.set(range, LENGTH_BYTES + hash.length);
  return key;
}

/** Views of both parts; undefined where the key is not one that `joinKey` made. */
export function splitKey(key: Uint8Array): { hash: Uint8Array; range: Uint8Array } | undefined {
  if (key.length < LENGTH_BYTES) return undefined;
  const end = LENGTH_BYTES + ((key[0]! << 8) | key[1]!);
  if (key.length < end) return undefined;
  return { hash: key.subarray(LENGTH_BYTES, end), range: key.subarray(end) };
}
