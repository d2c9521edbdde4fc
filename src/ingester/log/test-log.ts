import type { Kernel } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';

// Logs of the first version, whose records had no key (docs/formats/wal.md).

/** A record with its header. */
export function oldRecord(kernel: Kernel, type: number, lsn: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0x4c41577f);
  header.writeUInt32LE(payload.length, 4);
  header.writeBigUInt64LE(BigInt(lsn), 8);
  header[16] = type;
  const sum = (bytes: Uint8Array) => kernel.exports.checksum(scratchOf(kernel).put(bytes), bytes.length);
  const ofHeader = Math.imul(sum(header.subarray(4, 20)), 0x9e3779b1);
  header.writeUInt32LE((sum(payload) ^ ofHeader) >>> 0, 20);
  return Buffer.concat([header, payload]);
}

const scratches = new WeakMap<Kernel, Region>();

function scratchOf(kernel: Kernel): Region {
  let scratch = scratches.get(kernel);
  if (scratch === undefined) {
    scratch = new Region(kernel, 65536);
    scratches.set(kernel, scratch);
  }
  return scratch;
}

export function oldFile(records: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from('PALLIUM WAL 1\n\0\0'), ...records]);
}
