import path from 'node:path';
import { crc32 } from 'node:zlib';
import type { Kernel } from '../../chunk/kernel.ts';
import { type RandomBytes, systemBytes } from '../../lib/random.ts';
import type { Disk } from './disk.ts';

// The key of a folder's log: what the sums of its records are made with (docs/formats/wal.md). Whoever can only send samples does not
// have it, and so makes no bytes that are taken for a record.
//   16 bytes of text · 32 random bytes · u32 CRC-32 of both

export const KEY_FILE = 'log.key';
const TEXT = new TextEncoder().encode('PALLIUM KEY 1\n\0\0');
const KEY_BYTES = 32;
const FILE_BYTES = TEXT.length + KEY_BYTES + 4;

/**
 * Gives the kernel the key of the folder, which is made where there is none.
 * @param isNew whether there is no log yet that needs one
 * @throws where the file is missing or damaged although a log needs it
 */
export function useLogKey(
  kernel: Kernel,
  disk: Disk,
  folder: string,
  isNew: boolean,
  randomBytes: RandomBytes = systemBytes,
): void {
  const file = path.join(folder, KEY_FILE);
  if (!disk.list(folder).includes(KEY_FILE)) {
    if (!isNew) {
      throw new Error(
        `${file} is missing: without it the log of this folder cannot be read; put it back from where the folder was copied, or move the folder away`,
      );
    }
    disk.writeWhole(file, keyFile(randomBytes(KEY_BYTES)));
  }
  const bytes = new Uint8Array(FILE_BYTES + 1);
  const from = disk.open(file);
  const have = from.read(bytes, 0);
  from.close();
  const key = bytes.subarray(TEXT.length, TEXT.length + KEY_BYTES);
  if (have !== FILE_BYTES || Buffer.compare(bytes.subarray(0, FILE_BYTES), keyFile(key)) !== 0) {
    throw new Error(
      `${file} is damaged (${have} bytes): put it back from where the folder was copied, or move the folder away`,
    );
  }
  const at = kernel.reserve(KEY_BYTES);
  kernel.u8.set(key, at);
  kernel.exports.logKey(at);
}

function keyFile(key: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(FILE_BYTES);
  bytes.set(TEXT);
  bytes.set(key, TEXT.length);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, FILE_BYTES - 4)), FILE_BYTES - 4);
  return bytes;
}
