/** A copy of its own, whatever the class: `Buffer.slice` would be a view of the same memory. */
export function copyBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
