import { processErrors } from '../model/errors-process.ts';
import { writeErrors } from '../model/errors-write.ts';

// The snappy block format. Source: github.com/google/snappy, format_description.txt.

/** No copy reaches further back, and none of the encoder's goes beyond a block of this size. */
const BLOCK_BYTES = 65_536;

/** The shortest block that is worth looking for repetitions in. */
const SHORT_BYTES = 16;

/** A tag of two bytes makes three of output out of each of input at most, one of three 64 of 3. */
const EXPANSION_MAX = 22;

/**
 * The bytes of a compressed block.
 * @param limitBytes the most that it may hold. What the block says of its length is believed only as far as its own length allows
 * @throws AppError snappy-invalid, or body-too-large with `limit` for the limit's name
 */
export function inflateSnappy(block: Uint8Array, limitBytes: number, limit: string): Uint8Array {
  const header = readLength(block);
  const { length } = header;
  if (length > limitBytes) throw processErrors.bodyTooLarge({ limitBytes, limit });
  let from = header.at;
  const end = block.length;
  if (length > (end - from) * EXPANSION_MAX) {
    invalid(`${end - from} bytes cannot hold the ${length} that are declared`);
  }
  const out = new Uint8Array(length);
  let to = 0;
  while (from < end) {
    const tag = block[from]!;
    if ((tag & 3) === 0) {
      let size = tag >> 2;
      from++;
      if (size >= 60) {
        const bytes = size - 59;
        if (bytes > end - from) invalid('it ends within the length of a literal');
        size = 0;
        for (let i = bytes - 1; i >= 0; i--) size = size * 256 + block[from + i]!;
        from += bytes;
      }
      size++;
      if (size > end - from) invalid(`a literal of ${size} bytes with ${end - from} left`);
      if (size > length - to) invalid(`more than the ${length} bytes that are declared`);
      out.set(block.subarray(from, from + size), to);
      from += size;
      to += size;
      continue;
    }
    const kind = tag & 3;
    const tagBytes = kind === 3 ? 5 : kind + 1;
    if (tagBytes > end - from) invalid('it ends within a copy');
    let size: number;
    let offset: number;
    if (kind === 1) {
      size = ((tag >> 2) & 7) + 4;
      offset = ((tag >> 5) << 8) | block[from + 1]!;
    } else {
      size = (tag >> 2) + 1;
      offset = block[from + 1]! | (block[from + 2]! << 8);
      if (kind === 3) offset += block[from + 3]! * 65_536 + block[from + 4]! * 16_777_216;
    }
    from += tagBytes;
    if (offset === 0 || offset > to) invalid(`a copy from ${offset} bytes back with ${to} behind it`);
    if (size > length - to) invalid(`more than the ${length} bytes that are declared`);
    if (offset >= size) out.copyWithin(to, to - offset, to - offset + size);
    else for (let i = 0; i < size; i++) out[to + i] = out[to + i - offset]!; // repeats itself
    to += size;
  }
  if (to !== length) invalid(`${to} bytes where ${length} are declared`);
  return out;
}

function invalid(reason: string): never {
  throw writeErrors.snappyInvalid({ reason });
}

/** A uvarint of 32 bits. */
function readLength(block: Uint8Array): { length: number; at: number } {
  let length = 0;
  for (let at = 0; at < 5; at++) {
    if (at >= block.length) invalid('it ends within its length');
    const byte = block[at]!;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) {
      if (length > 0xffffffff) break;
      return { length, at: at + 1 };
    }
  }
  return invalid('its length is longer than 32 bits');
}

/** The most that `deflateSnappy` makes of so many bytes. */
function boundOf(bytes: number): number {
  return 32 + bytes + Math.floor(bytes / 6);
}

/** Compresses as the reference encoder does: greedy, with a hash of four bytes, in blocks that do not look at each other. */
export function deflateSnappy(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(boundOf(bytes.length));
  let to = putLength(out, bytes.length);
  const table = new Uint16Array(1 << 14);
  for (let start = 0; start < bytes.length; start += BLOCK_BYTES) {
    to = deflateBlock(bytes, start, Math.min(start + BLOCK_BYTES, bytes.length), out, to, table.fill(0));
  }
  return out.slice(0, to);
}

/** A compressed block that holds the bytes as they are: for who has them inflated at once on the same machine. */
export function storeSnappy(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(5 + bytes.length + 3 * Math.ceil(bytes.length / BLOCK_BYTES));
  let to = putLength(out, bytes.length);
  for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
    const literal = bytes.subarray(from, from + BLOCK_BYTES);
    out[to++] = 61 << 2;
    out[to++] = (literal.length - 1) & 0xff;
    out[to++] = (literal.length - 1) >> 8;
    out.set(literal, to);
    to += literal.length;
  }
  return out.subarray(0, to);
}

/** @returns where it ends */
function putLength(out: Uint8Array, length: number): number {
  let to = 0;
  let rest = length;
  while (rest >= 0x80) {
    out[to++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  out[to++] = rest;
  return to;
}

function deflateBlock(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  outStart: number,
  table: Uint16Array,
): number {
  let to = outStart;
  let literal = start;
  const last = end - SHORT_BYTES;
  let misses = 32;
  for (let at = start + 1; at < last; ) {
    const word = wordAt(bytes, at);
    const slot = Math.imul(word, 0x1e35a7bd) >>> 18;
    const candidate = start + table[slot]!;
    table[slot] = at - start;
    if (wordAt(bytes, candidate) !== word || candidate >= at) {
      // the longer nothing repeats, the larger the steps
      at += misses++ >> 5;
      continue;
    }
    misses = 32;
    let size = 4;
    while (at + size < end && bytes[candidate + size] === bytes[at + size]) size++;
    if (literal < at) to = putLiteral(bytes, literal, at, out, to);
    to = putCopy(at - candidate, size, out, to);
    at += size;
    literal = at;
  }
  return literal < end ? putLiteral(bytes, literal, end, out, to) : to;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function putLiteral(bytes: Uint8Array, from: number, end: number, out: Uint8Array, at: number): number {
  const size = end - from - 1;
  let to = at;
  if (size < 60) out[to++] = size << 2;
  else {
    out[to++] = (size < 0x100 ? 60 : 61) << 2;
    out[to++] = size & 0xff;
    if (size >= 0x100) out[to++] = size >> 8;
  }
  out.set(bytes.subarray(from, end), to);
  return to + end - from;
}

function putCopy(offset: number, length: number, out: Uint8Array, at: number): number {
  let to = at;
  let left = length;
  // at least four are left for the last one, which a short copy needs
  while (left >= 68) {
    to = putLongCopy(offset, 64, out, to);
    left -= 64;
  }
  if (left > 64) {
    to = putLongCopy(offset, 60, out, to);
    left -= 60;
  }
  if (left >= 12 || offset >= 2048) return putLongCopy(offset, left, out, to);
  out[to++] = ((offset >> 8) << 5) | ((left - 4) << 2) | 1;
  out[to++] = offset & 0xff;
  return to;
}

function putLongCopy(offset: number, length: number, out: Uint8Array, at: number): number {
  out[at] = ((length - 1) << 2) | 2;
  out[at + 1] = offset & 0xff;
  out[at + 2] = offset >> 8;
  return at + 3;
}
