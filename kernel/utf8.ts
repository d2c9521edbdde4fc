/** Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
export function isUtf8(p: usize, len: u32): bool {
  const end = p + len;
  while (p < end) {
    if (p + 8 <= end) {
      if ((load<u64>(p) & 0x8080808080808080) == 0) {
        p += 8;
        continue;
      }
    }
    const a = <u32>load<u8>(p);
    if (a < 0x80) {
      p++;
      continue;
    }
    if (a < 0xc2) return false;
    if (a < 0xe0) {
      if (p + 2 > end || !isTail(load<u8>(p, 1))) return false;
      p += 2;
    } else if (a < 0xf0) {
      if (p + 3 > end) return false;
      const b = <u32>load<u8>(p, 1);
      if (!isTail(<u8>b) || !isTail(load<u8>(p, 2))) return false;
      if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b >= 0xa0)) return false;
      p += 3;
    } else {
      if (a > 0xf4 || p + 4 > end) return false;
      const b = <u32>load<u8>(p, 1);
      if (!isTail(<u8>b) || !isTail(load<u8>(p, 2)) || !isTail(load<u8>(p, 3))) return false;
      if ((a == 0xf0 && b < 0x90) || (a == 0xf4 && b >= 0x90)) return false;
      p += 4;
    }
  }
  return true;
}

// @ts-ignore: decorator
@inline function isTail(b: u8): bool {
  return (b & 0xc0) == 0x80;
}
