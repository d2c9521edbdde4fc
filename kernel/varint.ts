// LEB128 as protobuf and Go have it. Readers leave the position after the number in `at` and set `bad` where the bytes end
// or the number has more than ten bytes; callers look at `bad` before they trust anything.

export let at: usize = 0;
export let bad: bool = false;

export function start(p: usize): void {
  at = p;
  bad = false;
}

export function moveTo(p: usize): void {
  at = p;
}

// @ts-ignore: decorator
@inline export function readUvarint(end: usize): u64 {
  if (at < end) {
    const b = <u64>load<u8>(at);
    if (b < 128) {
      at++;
      return b;
    }
  }
  return readLong(end);
}

function readLong(end: usize): u64 {
  let n: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) break;
    const b = <u64>load<u8>(at++);
    n |= (b & 127) << shift;
    if (b < 128) return n;
  }
  bad = true;
  return 0;
}

// @ts-ignore: decorator
@inline export function readSvarint(end: usize): i64 {
  const n = readUvarint(end);
  return <i64>(n >> 1) ^ -(<i64>(n & 1));
}

export function writeUvarint(p: usize, n: u64): usize {
  while (n >= 128) {
    store<u8>(p++, <u8>(n | 128));
    n >>= 7;
  }
  store<u8>(p, <u8>n);
  return p + 1;
}

export function writeSvarint(p: usize, n: i64): usize {
  return writeUvarint(p, ((<u64>n) << 1) ^ <u64>(n >> 63));
}
