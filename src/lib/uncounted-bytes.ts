/** V8 hears of one in so many bytes. */
const HEARD_SHARE = 4;

let unheard = 0;

/**
 * Memory of which V8 counts a part only, for what lies outside of the heap and comes and goes by the megabyte: V8 collects all of a small
 * heap whenever such memory has grown by half of that heap. Shared memory is not counted at all, and freed all the same when nobody has
 * it any more; so that there is never much more of it than that, one in HEARD_SHARE bytes is ordinary.
 */
export function uncountedBytes(length: number): Uint8Array {
  unheard += length;
  if (unheard < HEARD_SHARE * length) return new Uint8Array(new SharedArrayBuffer(length));
  unheard -= HEARD_SHARE * length;
  return new Uint8Array(length);
}
