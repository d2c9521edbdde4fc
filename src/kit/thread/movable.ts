/**
 * The same bytes alone in their buffer, so that it can move to another thread: a copy where they share it, as small buffers of Node's
 * pool do.
 */
export function movable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  // who has none may share it with others
  if (byteLength === 0) return new Uint8Array(0);
  // not `slice`: that of a Buffer is a view
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(bytes);
}

/**
 * Frees memory that has moved here and is not looked at again, in place of leaving it to V8: what lies outside of a heap counts towards
 * the limit of the heap until it is found, so that a small heap is collected as a whole again and again.
 * Memory that moved on meanwhile, or was freed, is left alone.
 */
export function freeMoved({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}
