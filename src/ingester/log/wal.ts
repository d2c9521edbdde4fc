import path from 'node:path';
import type { Kernel } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';
import {
  FILE_HEADER_BYTES,
  FILE_TEXT_BYTES,
  OLD_RECORD_HEADER_BYTES,
  RECORD_BYTES_AT,
  RECORD_HEADER_BYTES,
  RECORD_LSN_AT,
  RECORD_MAGIC,
  RECORD_MAGIC_AT,
  RECORD_TYPE_AT,
} from '../../wire/record-layout.ts';
import type { AppendFile, Disk, ReadFile } from './disk.ts';
import { KEY_FILE } from './log-key.ts';

// The log of one shard: segments of records (docs/formats/wal.md, kernel/log-record.ts).
//   record: u32 magic · u32 bytes of payload · u64 LSN · u8 type, 3 zero · u32 sum of the payload · u64 sum of the 24 bytes before · payload

/** Longest payload of a record. Writers split what may be longer; what cannot be split is refused before it is taken. */
export const RECORD_BYTES_MAX = 16 * 1024 * 1024;
const FILE_TEXT = 'PALLIUM WAL 2\n\0\0';
const OLD_FILE_TEXT = 'PALLIUM WAL 1\n\0\0';
const OLD_RECORD_BYTES_MAX = 64 * 1024 * 1024;
const SEGMENT_BYTES = 64 * 1024 * 1024;

/** Kinds of records, by what they hold. */
export const WAL_OPS = 1; // a payload of the kernel (kernel/ingest.ts)
export const WAL_NOTE = 2; // JSON (log-note.ts, checkpoint.ts)
export const WAL_STAGED = 3; // a part of a request that came during replay (staged.ts)
export const WAL_SERIES = 4; // only in checkpoints: a block of saved series
export const WAL_ASIDE = 5; // samples and exemplars that the kernel leaves aside (head.ts), to be applied behind the payload before it
export const WAL_RICH_CHUNKS = 6; // only in checkpoints: chunks of rich samples (rich-checkpoint.ts)

export interface WalRecord {
  readonly type: number;
  readonly lsn: number;
  /** Where the payload lies in the kernel's memory; only until the next record is asked for. */
  readonly at: number;
  readonly bytes: number;
}

/** A file that cannot be read as a log at all; its text names the file and the way out. */
export class WalUnreadable extends Error {}

/** Puts the header of a record in front of its payload, which starts at `at + RECORD_HEADER_BYTES` of the kernel's memory. */
export function sealRecord(kernel: Kernel, at: number, bytes: number, type: number, lsn: number): void {
  if (bytes > RECORD_BYTES_MAX) throw new Error(`bug: a record of ${bytes} bytes, at most ${RECORD_BYTES_MAX}`);
  kernel.exports.recordSeal(at, bytes, type, lsn % 2 ** 32, Math.floor(lsn / 2 ** 32));
}

/** The first bytes of a segment or checkpoint. */
export function fileHeader(kernel: Kernel, scratch: Region): Uint8Array {
  const at = scratch.ensure(FILE_HEADER_BYTES);
  kernel.u8.set(Buffer.from(FILE_TEXT), at);
  kernel.exports.fileSeal(at);
  return kernel.u8.slice(at, at + FILE_HEADER_BYTES);
}

/** Whether a file was begun by this version or a later one, so that it cannot be read without its folder's key. */
export function needsKey(disk: Disk, file: string): boolean {
  const text = new Uint8Array(FILE_TEXT_BYTES);
  const from = disk.open(file);
  from.read(text, 0);
  from.close();
  const begin = Buffer.from(text).toString('latin1');
  return begin.startsWith('PALLIUM WAL ') && begin !== OLD_FILE_TEXT;
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
      file.write(fileHeader(this.#kernel, this.#scratch));
      this.#disk.syncFolder(this.#folder);
    } catch (error) {
      file.close();
      this.#disk.remove(path.join(this.#folder, segmentName(sequence)));
      throw error;
    }
    return file;
  }

  /**
   * Writes a record whose payload lies at `at + RECORD_HEADER_BYTES` of the kernel's memory. All of it or, with the system's error thrown,
   * nothing: then the LSN is not used and the same may be tried again.
   */
  write(at: number, bytes: number, type: number): number {
    const lsn = this.lsn + 1;
    sealRecord(this.#kernel, at, bytes, type, lsn);
    if (this.#torn) this.#mend();
    const from = this.#file.bytes;
    try {
      this.#file.write(this.#kernel.u8.subarray(at, at + RECORD_HEADER_BYTES + bytes));
    } catch (error) {
      if (this.#file.bytes > from) {
        this.#torn = true;
        this.#tornAt = from;
      }
      throw error;
    }
    this.lsn = lsn;
    this.written += RECORD_HEADER_BYTES + bytes;
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
    const at = this.#scratch.ensure(RECORD_HEADER_BYTES + payload.length);
    this.#kernel.u8.set(payload, at + RECORD_HEADER_BYTES);
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

/** Bytes in a file that are no record: where, and how many. */
export interface WalLoss {
  readonly file: string;
  readonly position: number;
  readonly bytes: number;
  /**
   * `damage`: records follow; `tail`: nothing does; `cut`: the file ends within a record whose header holds or within a header, as when a
   * process ends while it writes, so that nothing that was acknowledged need be in it.
   */
  readonly kind: 'damage' | 'tail' | 'cut';
}

const BLOCK_BYTES = 4 * 1024 * 1024;

/**
 * Reads the records of one file, also while it grows. Skips what is damaged and says so. Where a header's sum holds it goes on exactly
 * behind the payload that the header announces: nothing within a payload is ever taken for a record. It looks for the next magic only
 * where a header is broken, and there a record counts only with the sum that the folder's key makes. Holds at most one record and a block.
 */
export class WalReader {
  readonly #kernel: Kernel;
  readonly #file: ReadFile;
  readonly #name: string;
  readonly #buffer: Region;
  /** Whether the file is of the first version. */
  readonly #old: boolean;
  #position: number; // of the buffer's first byte, in the file
  #have = 0;
  #at = 0;
  #mayBeOfOtherKey = false;
  readonly losses: WalLoss[] = [];

  /**
   * @param buffer the kernel's memory that payloads are read into; may be shared by readers used one after another
   * @throws WalUnreadable where the file is of a later version
   */
  constructor(kernel: Kernel, disk: Disk, file: string, buffer: Region) {
    this.#kernel = kernel;
    this.#name = file;
    this.#buffer = buffer;
    this.#file = disk.open(file);
    try {
      this.#buffer.ensure(BLOCK_BYTES);
      [this.#old, this.#position] = this.#readHeader();
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  /** Version, and where records begin. */
  #readHeader(): [isOld: boolean, position: number] {
    const { at } = this.#buffer;
    const have = this.#file.read(this.#kernel.u8.subarray(at, at + FILE_HEADER_BYTES), 0);
    const header = this.#kernel.u8.slice(at, at + have);
    const text = Buffer.from(header.subarray(0, FILE_TEXT_BYTES)).toString('latin1');
    if (text === OLD_FILE_TEXT) return [true, FILE_TEXT_BYTES];
    // a text that was cut short says nothing of its version
    if (have >= FILE_TEXT_BYTES && /^PALLIUM WAL \d+\n\0*$/.test(text) && text !== FILE_TEXT) {
      throw new WalUnreadable(`${this.#name} was written by a later version: use that one, or a later one`);
    }
    // a file as short as this has no record
    if (have < FILE_HEADER_BYTES) return [false, FILE_TEXT_BYTES];
    this.#kernel.exports.fileSeal(at);
    const sealed = this.#kernel.u8.subarray(at, at + FILE_HEADER_BYTES);
    if (Buffer.compare(header, sealed) === 0) return [false, FILE_HEADER_BYTES];
    // damage within the first bytes, where records follow that this key made
    this.#mayBeOfOtherKey = text === FILE_TEXT;
    this.losses.push({ file: this.#name, position: 0, bytes: FILE_HEADER_BYTES, kind: 'damage' });
    return [false, FILE_HEADER_BYTES];
  }

  /**
   * The next whole record, or undefined where the file ends.
   * @param live a writer still appends: an unfinished record at the end is not cut, only not there yet
   * @throws WalUnreadable where all of the file was written with another key
   */
  next(live = false): WalRecord | undefined {
    const record = this.#next(live);
    if (record !== undefined) this.#mayBeOfOtherKey = false;
    else if (this.#mayBeOfOtherKey && this.#file.bytes >= FILE_HEADER_BYTES + RECORD_HEADER_BYTES) {
      const key = path.join(path.dirname(this.#name), KEY_FILE);
      throw new WalUnreadable(
        `${this.#name} was written with another key than the one in ${key}: put back the key that belongs to this folder, or move the folder away`,
      );
    }
    return record;
  }

  #next(live: boolean): WalRecord | undefined {
    const headerBytes = this.#old ? OLD_RECORD_HEADER_BYTES : RECORD_HEADER_BYTES;
    const bytesMax = this.#old ? OLD_RECORD_BYTES_MAX : RECORD_BYTES_MAX;
    let lossAt = -1;
    for (;;) {
      if (this.#have - this.#at < headerBytes && !this.#fill(headerBytes)) {
        if (live) this.#forgetRest();
        else if (lossAt < 0) this.#lose(this.#offset, this.#end, this.#isBegun() ? 'cut' : 'tail');
        else this.#lose(lossAt, this.#end, 'tail');
        return undefined;
      }
      const at = this.#buffer.at + this.#at;
      if (!this.#headerHolds(at)) {
        if (lossAt < 0) lossAt = this.#offset;
        if (this.#old) {
          // without a key a record behind this one may be what a sender put there
          this.#lose(lossAt, this.#file.bytes, 'tail');
          this.#skipTo(this.#file.bytes);
          return undefined;
        }
        this.#at = this.#nextMagic(this.#at + 1);
        continue;
      }
      const bytes = this.#kernel.view.getUint32(at + RECORD_BYTES_AT, true);
      const next = this.#offset + headerBytes + bytes;
      const isTooLarge = bytes > bytesMax;
      if (isTooLarge ? next > this.#file.bytes : !this.#fill(headerBytes + bytes)) {
        if (live) {
          this.#forgetRest();
          return undefined;
        }
        if (lossAt >= 0) this.#lose(lossAt, this.#offset, 'damage');
        this.#lose(this.#offset, this.#file.bytes, 'cut');
        this.#skipTo(this.#file.bytes);
        return undefined;
      }
      const header = this.#buffer.at + this.#at;
      if (isTooLarge || !this.#payloadHolds(header)) {
        if (lossAt < 0) lossAt = this.#offset;
        this.#skipTo(next);
        continue;
      }
      if (lossAt >= 0) this.#lose(lossAt, this.#offset, 'damage');
      const { view } = this.#kernel;
      const lsn =
        view.getUint32(header + RECORD_LSN_AT, true) + view.getUint32(header + RECORD_LSN_AT + 4, true) * 2 ** 32;
      this.#at += headerBytes + bytes;
      return { type: view.getUint8(header + RECORD_TYPE_AT), lsn, at: header + headerBytes, bytes };
    }
  }

  #headerHolds(at: number): boolean {
    if (!this.#old) return this.#kernel.exports.recordHeaderHolds(at) !== 0;
    const { view } = this.#kernel;
    const type = view.getUint32(at + RECORD_TYPE_AT, true);
    return view.getUint32(at + RECORD_MAGIC_AT, true) === RECORD_MAGIC && type >= WAL_OPS && type <= WAL_RICH_CHUNKS;
  }

  /** All of the record is in the buffer. */
  #payloadHolds(at: number): boolean {
    const { exports } = this.#kernel;
    return (this.#old ? exports.oldRecordHolds(at) : exports.recordPayloadHolds(at)) !== 0;
  }

  /** Where the next byte lies in the file. */
  get #offset(): number {
    return this.#position + this.#at;
  }

  /** Where the bytes end that are in the buffer. */
  get #end(): number {
    return this.#position + this.#have;
  }

  /** Whether what is left, less than a header, may be the beginning of one. */
  #isBegun(): boolean {
    const { u8 } = this.#kernel;
    for (let i = 0; i < Math.min(4, this.#have - this.#at); i++) {
      if (u8[this.#buffer.at + this.#at + i] !== ((RECORD_MAGIC >>> (8 * i)) & 255)) return false;
    }
    return true;
  }

  #lose(from: number, to: number, kind: WalLoss['kind']): void {
    if (to > from) this.losses.push({ file: this.#name, position: from, bytes: to - from, kind });
  }

  /** Where the next record may start, in what is buffered. */
  #nextMagic(from: number): number {
    const { u8 } = this.#kernel;
    const base = this.#buffer.at;
    for (let i = from; i < this.#have; i++) {
      const found = u8.indexOf(RECORD_MAGIC & 255, base + i) - base;
      if (found < 0 || found >= this.#have) return this.#have;
      if (found + 4 > this.#have) return found;
      if (this.#kernel.view.getUint32(base + found, true) === RECORD_MAGIC) return found;
      i = found;
    }
    return this.#have;
  }

  #skipTo(position: number): void {
    this.#at = position - this.#position;
  }

  /** An unfinished record is read anew: its writer may have taken it back. */
  #forgetRest(): void {
    this.#have = this.#at;
  }

  /** Reads on so that `need` bytes follow the position; false where the file has no more now. */
  #fill(need: number): boolean {
    const rest = Math.max(0, this.#have - this.#at);
    if (rest >= need) return true;
    const size = Math.max(BLOCK_BYTES, need);
    const from = this.#buffer.at + this.#at;
    if (size > this.#buffer.bytes) {
      const kept = this.#kernel.u8.slice(from, from + rest);
      this.#buffer.ensure(size);
      this.#kernel.u8.set(kept, this.#buffer.at);
    } else if (rest > 0) this.#kernel.u8.copyWithin(this.#buffer.at, from, from + rest);
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
