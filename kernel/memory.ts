// Memory is handed out once, upwards, and never given back: an instance has a few long-lived regions, and whoever owns one
// divides it. A call may grow the memory, so views that JavaScript holds die there and nowhere else.

let next: usize = __heap_base;

const MEMORY_BYTES_MAX: u64 = 0xffff0000;

/** Reserves `bytes` (rounded up to 16) and returns where they start, aligned to 16; 0 when the instance is full. */
export function reserve(bytes: u32): usize {
  return reserveAhead(bytes, 0);
}

/**
 * As `reserve`, for who comes again soon: memory that has to grow does so by `aheadBytes` more, where it can. V8 takes each growth for
 * that much new memory beside all there was, and collects garbage. Untouched memory takes no place.
 */
export function reserveAhead(bytes: u32, aheadBytes: u32): usize {
  const at = (next + 15) & ~15;
  const end = <u64>at + ((<u64>bytes + 15) & ~15);
  const have = (<u64>memory.size()) << 16;
  if (end > have) {
    if (end > MEMORY_BYTES_MAX) return 0;
    const ahead = min<u64>(end + <u64>aheadBytes, MEMORY_BYTES_MAX);
    if (memory.grow(pagesOf(ahead - have)) < 0 && memory.grow(pagesOf(end - have)) < 0) return 0;
  }
  next = <usize>end;
  return at;
}

/** Pages of 64 KiB that the memory has; it never has fewer. */
export function memoryPages(): u32 {
  return memory.size();
}

// @ts-ignore: decorator
@inline function pagesOf(bytes: u64): i32 {
  return <i32>((bytes + 0xffff) >> 16);
}
