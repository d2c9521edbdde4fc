import { PAGE_BYTES, takePage } from './pages';

// Small pieces that live as long as a series: label pairs and lists of them. Sizes are rounded up to 16 bytes (to powers of
// two above 1 KiB) and pieces that are given back wait for one of the same size.

/** Lists of free pieces, one for each size: 16, 32, … 1024, then 2, 4, 8, 16, 32, 64 KiB. */
const heads: usize = memory.data(71 * 4);
let at: usize = 0;
let end: usize = 0;

// @ts-ignore: decorator
@inline function classOf(bytes: u32): u32 {
  return bytes <= 1024 ? (bytes + 15) >> 4 : 54 + (32 - clz<u32>(bytes - 1));
}

// @ts-ignore: decorator
@inline function sizeOf(size: u32): u32 {
  return size <= 64 ? size << 4 : 1 << (size - 54);
}

/** @param bytes 1 … 65,536. Returns 0 when the instance is full. */
export function slabTake(bytes: u32): usize {
  const size = classOf(bytes);
  const head = heads + ((<usize>size) << 2);
  const first = <usize>load<u32>(head);
  if (first != 0) {
    store<u32>(head, load<u32>(first));
    return first;
  }
  const need = sizeOf(size);
  if (at + need > end) {
    // what is left of the page is a list of the pieces that still fit into it
    while (at + 16 <= end) {
      const rest = min(<u32>(end - at), 1024) & ~15;
      slabGive(at, rest);
      at += rest;
    }
    at = takePage();
    if (at == 0) {
      end = 0;
      return 0;
    }
    end = at + PAGE_BYTES;
  }
  const piece = at;
  at += need;
  return piece;
}

export function slabGive(piece: usize, bytes: u32): void {
  const head = heads + ((<usize>classOf(bytes)) << 2);
  store<u32>(piece, load<u32>(head));
  store<u32>(head, <u32>piece);
}
