// Bodies of remote write that are built to cost more than they weigh.

/** A snappy block of `unit` again and again, some `bytes` inflated: a twentieth of that in size. */
export function repeatedBlock(unit: Uint8Array, bytes: number): Uint8Array {
  const total = Math.floor(bytes / unit.length) * unit.length;
  const base = Buffer.alloc(Math.max(1, Math.floor(64 / unit.length)) * unit.length, unit);
  const literal = base.length - 1;
  const parts = [varint(total), literal < 60 ? Buffer.from([literal << 2]) : Buffer.from([60 << 2, literal]), base];
  const copies: number[] = [];
  for (let have = base.length; have < total; ) {
    const length = Math.min(64, total - have);
    copies.push(((length - 1) << 2) | 2, base.length & 255, base.length >> 8);
    have += length;
  }
  return Buffer.concat([...parts, Buffer.from(copies)]);
}

export function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) out.push((left % 128) | 128);
  return Buffer.from([...out, left]);
}
