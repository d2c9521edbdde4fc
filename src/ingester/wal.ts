import path from 'node:path';
import type { Kernel } from '../chunk/kernel.ts';
import { Region } from '../chunk/region.ts';
import type { AppendFile, Disk } from './disk.ts';

// The log of one shard: segments of records (docs/formats/wal.md).
//   record: u32 magic · u32 bytes of payload · u64 LSN · u8 type, 3 zero · u32 checksum of the 16 bytes before it and the payload · payload

export const RECORD_HEAD = 24;
export const RECORD_BYTES_MAX = 64 * 1024 * 1024;
const MAGIC = 0x4c41577f; // 7f 'W' 'A' 'L'
export const FILE_HEAD = new TextEncoder().encode('PALLIUM WAL 1\n\0\0');
const SEGMENT_BYTES = 64 * 1024 * 1024;

/** What a record holds. */
export const WAL_OPS = 1; // a payload of the kernel (kernel/ingest.ts)
export const WAL_NOTE = 2; // JSON: see `LogNote`
export const WAL_STAGED = 3; // a request that came during replay: u32 bytes of tenant · tenant · 0–3 zero · frames
export const WAL_SERIES = 4; // only in checkpoints: a block of saved series
export const WAL_ASIDE = 5; // samples and exemplars that the kernel leaves aside (head.ts), to be applied behind the payload before it
export const WAL_RICH_CHUNKS = 6; // only in checkpoints: chunks of rich samples (checkpoint.ts)

export interface WalRecord {
  readonly type: number;
  readonly lsn: number;
  /** Where the payload lies in the kernel's memory; only until the next record is asked for. */
  readonly at: number;
  readonly bytes: number;
}

/** Puts the head of a record in front of its payload, which starts at `at + RECORD_HEAD` of the kernel's memory. */
export function sealRecord(kernel: Kernel, at: number, bytes: number, type: number, lsn: number): void {
  const { view } = kernel;
  view.setUint32(at, MAGIC, true);
  view.setUint32(at + 4, bytes, true);
  view.setUint32(at + 8, lsn % 2 ** 32, true);
  view.setUint32(at + 12, Math.floor(lsn / 2 ** 32), true);
  view.setUint32(at + 16, type, true);
  view.setUint32(at + 20, checksum(kernel, at, bytes), true);
}

function checksum(kernel: Kernel, at: number, bytes: number): number {
  // of the head and the payload apart, so that nothing has to be moved
  const head = kernel.exports.checksum(at + 4, 16);
  return (kernel.exports.checksum(at + RECORD_HEAD, bytes) ^ Math.imul(head, 0x9e3779b1)) >>> 0;
}

export function segmentName(sequence: number): string {
  return `${String(sequence).padStart(10, '0')}.wal`;
}

/** Sequence numbers of the segments in a folder, ascending. */
export function listSegments(disk: Disk, folder: string): number[] {
  return disk
    .list(folder)
    .filter((name) => /^\d{10}\.wal$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);
}

/** Writes records to the newest segment. What could not be written is the caller's to offer again. */
export class WalWriter {
  readonly #kernel: Kernel;
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #scratch: Region;
  #file: AppendFile;
  /** Sequence number of the segment that is written. */
  sequence: number;
  /** LSN of the last record written. */
  lsn: number;
  /** Bytes written since the start. */
  written = 0;
  #unsynced = false;
  #syncing: Promise<void> | undefined;
  #rotating: Promise<void> | undefined;
  #torn = false;

  /** Starts a new segment. */
  constructor(kernel: Kernel, disk: Disk, folder: string, sequence: number, lsn: number) {
    this.#kernel = kernel;
    this.#disk = disk;
    this.#folder = folder;
    this.#scratch = new Region(kernel, 4096);
    this.sequence = sequence;
    this.lsn = lsn;
    this.#file = this.#begin(sequence);
  }

  #begin(sequence: number): AppendFile {
    const file = this.#disk.append(path.join(this.#folder, segmentName(sequence)));
    try {
      file.write(FILE_HEAD);
      this.#disk.syncFolder(this.#folder);
    } catch (error) {
      file.close();
      this.#disk.remove(path.join(this.#folder, segmentName(sequence)));
      throw error;
    }
    return file;
  }

  /**
   * Writes a record whose payload lies at `at + RECORD_HEAD` of the kernel's memory. All of it or, with the system's error thrown,
   * nothing: then the LSN is not used and the same may be tried again.
   */
  write(at: number, bytes: number, type: number): number {
    const lsn = this.lsn + 1;
    sealRecord(this.#kernel, at, bytes, type, lsn);
    if (this.#torn) this.#mend();
    const from = this.#file.bytes;
    try {
      this.#file.write(this.#kernel.u8.subarray(at, at + RECORD_HEAD + bytes));
    } catch (error) {
      if (this.#file.bytes > from) {
        this.#torn = true;
        this.#tornAt = from;
      }
      throw error;
    }
    this.lsn = lsn;
    this.written += RECORD_HEAD + bytes;
    this.#unsynced = true;
    return lsn;
  }

  #tornAt = 0;

  /** Cuts off what a failed write left; a reader would skip it, but its place on a full disk is needed. */
  #mend(): void {
    this.#file.truncate(this.#tornAt);
    this.#torn = false;
  }

  /** The same for a payload that lies outside the kernel. */
  writeBytes(payload: Uint8Array, type: number): number {
    const at = this.#scratch.ensure(RECORD_HEAD + payload.length);
    this.#kernel.u8.set(payload, at + RECORD_HEAD);
    return this.write(at, payload.length, type);
  }

  get segmentFull(): boolean {
    return this.#file.bytes >= SEGMENT_BYTES;
  }

  /** Ends the segment, synced, and starts the next. Who asks meanwhile gets the same new segment. */
  rotate(): Promise<void> {
    this.#rotating ??= this.#rotate().finally(() => {
      this.#rotating = undefined;
    });
    return this.#rotating;
  }

  async #rotate(): Promise<void> {
    await this.sync();
    const next = this.#begin(this.sequence + 1);
    const old = this.#file;
    this.#file = next;
    this.sequence++;
    // what was written while the sync was under way is synced with the old file
    await old.sync();
    old.close();
  }

  /** Resolves when all that was written before the call is on the disk. @throws the system's error, after which nothing is sure */
  async sync(): Promise<void> {
    while (this.#syncing) await this.#syncing;
    if (!this.#unsynced) return;
    this.#unsynced = false;
    this.#syncing = this.#file.sync().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  async close(): Promise<void> {
    await this.sync();
    this.#file.close();
  }
}

/** Bytes in a segment that are no record: where, and how many. */
export interface WalLoss {
  readonly file: string;
  readonly position: number;
  readonly bytes: number;
  /** At the very end of the file: a write that was cut short, not a loss of what was acknowledged. */
  readonly torn: boolean;
}

const BLOCK_BYTES = 4 * 1024 * 1024;

/** Reads the records of one file, also while it grows. Skips what is corrupt and says so. */
export class WalReader {
  readonly #kernel: Kernel;
  readonly #file: ReturnType<Disk['open']>;
  readonly #name: string;
  readonly #buffer: Region;
  #position = FILE_HEAD.length; // of the buffer's first byte, in the file
  #have = 0;
  #at = 0;
  readonly losses: WalLoss[] = [];

  /** @param buffer the kernel's memory that payloads are read into; may be shared by readers used one after another */
  constructor(kernel: Kernel, disk: Disk, file: string, buffer: Region) {
    this.#kernel = kernel;
    this.#name = file;
    this.#buffer = buffer;
    this.#file = disk.open(file);
    buffer.ensure(BLOCK_BYTES);
  }

  /**
   * The next whole record, or undefined where the file ends.
   * @param live a writer still appends: an unfinished record at the end is not torn, only not there yet
   */
  next(live = false): WalRecord | undefined {
    let lossAt = -1;
    for (;;) {
      const rest = this.#have - this.#at;
      const at = this.#buffer.at + this.#at;
      if (rest < RECORD_HEAD) {
        if (this.#fill(RECORD_HEAD)) continue;
        if (!live) this.#lose(lossAt < 0 ? this.#offset : lossAt, this.#offset + rest, true);
        return undefined;
      }
      const { view } = this.#kernel;
      const bytes = view.getUint32(at + 4, true);
      if (view.getUint32(at, true) === MAGIC && bytes <= RECORD_BYTES_MAX) {
        if (rest < RECORD_HEAD + bytes) {
          if (this.#fill(RECORD_HEAD + bytes)) continue;
          if (live) return undefined;
        } else if (view.getUint32(at + 20, true) === checksum(this.#kernel, at, bytes)) {
          if (lossAt >= 0) this.#lose(lossAt, this.#offset, false);
          const lsn = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 2 ** 32;
          this.#at += RECORD_HEAD + bytes;
          return { type: view.getUint8(at + 16), lsn, at: at + RECORD_HEAD, bytes };
        }
      }
      if (lossAt < 0) lossAt = this.#offset;
      this.#at = this.#nextMagic(this.#at + 1);
    }
  }

  get #offset(): number {
    return this.#position + this.#at;
  }

  #lose(from: number, to: number, torn: boolean): void {
    if (to > from) this.losses.push({ file: this.#name, position: from, bytes: to - from, torn });
  }

  /** Where the next record may start, in what is buffered. */
  #nextMagic(from: number): number {
    const { u8 } = this.#kernel;
    const base = this.#buffer.at;
    for (let i = from; i < this.#have; i++) {
      const found = u8.indexOf(MAGIC & 255, base + i) - base;
      if (found < 0 || found >= this.#have) return this.#have;
      if (found + 4 > this.#have) return found;
      if (this.#kernel.view.getUint32(base + found, true) === MAGIC) return found;
      i = found;
    }
    return this.#have;
  }

  /** Reads on so that `need` bytes follow the position; false where the file has no more now. */
  #fill(need: number): boolean {
    const rest = this.#have - this.#at;
    const size = Math.max(BLOCK_BYTES, need);
    const from = this.#buffer.at + this.#at;
    const kept = rest > 0 ? this.#kernel.u8.slice(from, from + rest) : undefined;
    this.#buffer.ensure(size);
    if (kept) this.#kernel.u8.set(kept, this.#buffer.at);
    this.#position += this.#at;
    this.#at = 0;
    this.#have = rest;
    const start = this.#buffer.at + rest;
    const got = this.#file.read(this.#kernel.u8.subarray(start, this.#buffer.at + size), this.#position + rest);
    this.#have += got;
    return this.#have >= need;
  }

  close(): void {
    this.#file.close();
  }
}
