// Snappy block format (github.com/google/snappy, format_description.txt). The bytes come from outside: every length is
// checked before it is used, and nothing is written past `dst + capacity`.

export const SNAPPY_CORRUPT: i32 = -1;
export const SNAPPY_TOO_LARGE: i32 = -2;

/** The length that the block declares, or SNAPPY_CORRUPT. It is only what the sender says. */
export function snappyLength(src: usize, len: u32): i32 {
  let n: u64 = 0;
  for (let i: u32 = 0; i < 5 && i < len; i++) {
    const b = <u64>load<u8>(src + i);
    n |= (b & 127) << (7 * i);
    if (b < 128) return n > 0x7fffffff ? SNAPPY_CORRUPT : <i32>n;
  }
  return SNAPPY_CORRUPT;
}

/**
 * Decodes into `dst` and returns the length. 16 bytes before `dst + capacity` and after `src + len` may be touched
 * by wide copies, so both regions end in 16 bytes that hold nothing.
 */
export function snappyDecode(src: usize, len: u32, dst: usize, capacity: u32): i32 {
  const declared = snappyLength(src, len);
  if (declared < 0) return SNAPPY_CORRUPT;
  if (<u32>declared + 16 > capacity) return SNAPPY_TOO_LARGE;
  let p = src;
  while (load<u8>(p) >= 128) p++;
  p++;
  const end = src + len;
  let o = dst;
  const oEnd = dst + declared;
  while (p < end) {
    const tag = <u32>load<u8>(p++);
    let n: u32;
    let offset: u32;
    const kind = tag & 3;
    if (kind == 0) {
      n = tag >> 2;
      if (n >= 60) {
        const bytes = n - 59;
        if (<u32>(end - p) < bytes) return SNAPPY_CORRUPT;
        n = load<u32>(p) & (0xffffffff >> ((4 - bytes) << 3));
        p += bytes;
      }
      // in 64 bits: n + 1 may not fit in 32
      if (<u64>n + 1 > <u64>(end - p) || <u64>n + 1 > <u64>(oEnd - o)) return SNAPPY_CORRUPT;
      n++;
      if (n <= 16) {
        v128.store(o, v128.load(p));
      } else {
        memory.copy(o, p, n);
      }
      p += n;
      o += n;
      continue;
    }
    if (kind == 1) {
      if (p >= end) return SNAPPY_CORRUPT;
      n = ((tag >> 2) & 7) + 4;
      offset = ((tag & 0xe0) << 3) | <u32>load<u8>(p);
      p += 1;
    } else if (kind == 2) {
      if (end - p < 2) return SNAPPY_CORRUPT;
      n = (tag >> 2) + 1;
      offset = <u32>load<u16>(p);
      p += 2;
    } else {
      if (end - p < 4) return SNAPPY_CORRUPT;
      n = (tag >> 2) + 1;
      offset = load<u32>(p);
      p += 4;
    }
    if (offset == 0 || offset > <u32>(o - dst) || n > <u32>(oEnd - o)) return SNAPPY_CORRUPT;
    let s = o - offset;
    if (offset >= 16) {
      // n is at most 64: up to four wide copies, the last of which may run 15 bytes over
      const stop = o + n;
      do {
        v128.store(o, v128.load(s));
        o += 16;
        s += 16;
      } while (o < stop);
      o = stop;
    } else if (offset >= 8) {
      const stop = o + n;
      do {
        store<u64>(o, load<u64>(s));
        o += 8;
        s += 8;
      } while (o < stop);
      o = stop;
    } else {
      const stop = o + n;
      while (o < stop) store<u8>(o++, load<u8>(s++));
    }
  }
  return o == oEnd ? declared : SNAPPY_CORRUPT;
}
