import { appendFileSync, closeSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Files of the log of writes, the newest of each shard last. */
export function logSegments(dataDir: string): string[] {
  return readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(^|\/)\d{10}\.wal$/.test(name))
    .sort()
    .map((name) => join(dataDir, name));
}

/** Puts the first part of a record behind the newest segment of each shard: as if the power had gone while it was written. */
export function tearTails(dataDir: string): number {
  const newest = new Map<string, string>();
  for (const file of logSegments(dataDir)) newest.set(join(file, '..'), file);
  for (const file of newest.values()) {
    const bytes = Math.min(statSync(file).size, 2000);
    const part = Buffer.alloc(bytes);
    const fd = openSync(file, 'r');
    readSync(fd, part, 0, bytes, 0);
    closeSync(fd);
    // past the head of the file, so that it starts as a record does
    appendFileSync(file, part.subarray(24, 24 + Math.floor(bytes / 2)));
  }
  return newest.size;
}

/** Turns around the bits of one byte. */
export function corrupt(file: string, position: number): void {
  const fd = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, position);
  byte[0]! ^= 0xff;
  writeSync(fd, byte, 0, 1, position);
  closeSync(fd);
}
