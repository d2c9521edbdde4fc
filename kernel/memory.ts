// Memory is handed out once, upwards, and never given back: an instance has a few long-lived regions, and whoever owns one
// divides it. A call may grow the memory, so views that JavaScript holds die there and nowhere else.

let next: usize = __heap_base;

/** Reserves `bytes` (rounded up to 16) and returns where they start, aligned to 16; 0 when the instance is full. */
export function reserve(bytes: u32): usize {
  const at = (next + 15) & ~15;
  const end = <u64>at + ((<u64>bytes + 15) & ~15);
  const have = (<u64>memory.size()) << 16;
  if (end > have) {
    const pages = <i32>((end - have + 0xffff) >> 16);
    if (end > 0xffff0000 || memory.grow(pages) < 0) return 0;
  }
  next = <usize>end;
  return at;
}
