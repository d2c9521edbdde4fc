import type { Random } from '../../src/lib/random.ts';

/** A changed copy of bytes: bits turned, pieces cut out, doubled, put elsewhere, numbers made extreme. */
export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let out = Buffer.from(bytes);
  const times = 1 + Math.floor(random() ** 3 * 12);
  for (let i = 0; i < times; i++) out = mutateOnce(out, random);
  return out;
}

const EXTREMES = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x12];

function mutateOnce(bytes: Buffer, random: Random): Buffer<ArrayBuffer> {
  const out = Buffer.from(bytes);
  if (out.length === 0) return Buffer.from([Math.floor(random() * 256)]);
  const at = Math.floor(random() * out.length);
  const length = Math.floor(random() ** 2 * (out.length - at)) + 1;
  switch (Math.floor(random() * 8)) {
    case 0:
      out[at]! ^= 1 << Math.floor(random() * 8);
      return out;
    case 1:
      out[at] = EXTREMES[Math.floor(random() * EXTREMES.length)]!;
      return out;
    case 2:
      return out.subarray(0, at);
    case 3:
      return Buffer.concat([out.subarray(0, at), out.subarray(at + length)]);
    case 4:
      return Buffer.concat([out.subarray(0, at + length), out.subarray(at)]);
    case 5:
      // a varint that says too much
      return Buffer.concat([out.subarray(0, at), Buffer.alloc(1 + Math.floor(random() * 10), 0xff), out.subarray(at)]);
    case 6: {
      const random8 = Buffer.from(Array.from({ length: 8 }, () => Math.floor(random() * 256)));
      return Buffer.concat([out.subarray(0, at), random8, out.subarray(at)]);
    }
    default:
      out.copyWithin(at, Math.floor(random() * out.length), out.length);
      return out;
  }
}
