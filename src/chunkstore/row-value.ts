import zlib from 'node:zlib';
import { ByteReader, BytesError, ByteWriter } from '../lib/bytes.ts';

/** A row's value: version byte, CRC-32 of the rest, the rest. */
export function sealRow(version: number, content: Uint8Array): Uint8Array {
  const out = new ByteWriter();
  out.u8(version);
  out.u32(zlib.crc32(content));
  out.bytes(content);
  return out.done();
}

/** A reader of the rest. @throws BytesError */
export function openRow(version: number, value: Uint8Array): ByteReader {
  const frame = new ByteReader(value);
  const found = frame.u8();
  if (found !== version) throw new BytesError(`version ${found}, known is ${version}`);
  const crc = frame.u32();
  const content = frame.take(frame.left);
  if (zlib.crc32(content) !== crc) throw new BytesError('the checksum differs');
  return new ByteReader(content);
}

export function putText(out: ByteWriter, value: string): void {
  const bytes = Buffer.from(value);
  out.uvarint(bytes.length);
  out.bytes(bytes);
}

export function takeText(from: ByteReader): string {
  return Buffer.from(from.take(from.count(1))).toString();
}
