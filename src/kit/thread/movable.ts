/**
 * The same bytes alone in their buffer, so that it can move to another thread: a copy where they share it, as small buffers of Node's
 * pool do.
 */
export function movable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  // not `slice`: that of a Buffer is a view
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(bytes);
}
