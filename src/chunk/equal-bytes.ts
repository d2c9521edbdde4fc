/** Lengths up to which a loop is quicker than a call. */
const LOOP_BYTES = 48;

/** Whether `length` bytes are the same, in `a` from `aFrom` and in `b` from `bFrom` on. */
export function isEqualBytes(a: Uint8Array, aFrom: number, b: Uint8Array, bFrom: number, length: number): boolean {
  if (length > LOOP_BYTES) {
    return Buffer.compare(a.subarray(aFrom, aFrom + length), b.subarray(bFrom, bFrom + length)) === 0;
  }
  for (let i = 0; i < length; i++) if (a[aFrom + i] !== b[bFrom + i]) return false;
  return true;
}
