import type { ByteReader, ByteWriter } from '../../lib/bytes.ts';

/** Writes doubles as eight planes of bytes, the lowest bytes of all first. */
export function writePlanes(out: ByteWriter, values: Float64Array): void {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const planes = new Uint8Array(bytes.length);
  for (let i = 0; i < values.length; i++) {
    for (let plane = 0; plane < 8; plane++) planes[plane * values.length + i] = bytes[8 * i + plane]!;
  }
  out.bytes(planes);
}

export function readPlanes(from: ByteReader, count: number): Float64Array {
  const planes = from.take(8 * count);
  const values = new Float64Array(count);
  const bytes = new Uint8Array(values.buffer);
  for (let i = 0; i < count; i++) {
    for (let plane = 0; plane < 8; plane++) bytes[8 * i + plane] = planes[plane * count + i]!;
  }
  return values;
}

/** The bits of `b` exclusive-or those of `a`, so that equal doubles are zeros and like ones begin with some. */
export function xorBits(a: Float64Array, b: Float64Array): Float64Array {
  const out = new Float64Array(a.length);
  const x = new Uint32Array(a.buffer, a.byteOffset, 2 * a.length);
  const y = new Uint32Array(b.buffer, b.byteOffset, 2 * b.length);
  const z = new Uint32Array(out.buffer);
  for (let i = 0; i < z.length; i++) z[i] = x[i]! ^ y[i]!;
  return out;
}
