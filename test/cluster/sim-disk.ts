import path from 'node:path';
import type { AppendFile, Disk, ReadFile } from '../../src/ingester/log/disk.ts';
import type { Random } from '../../src/lib/random.ts';
import type { SimProcess } from './process.ts';

/** Longest that a sync takes, ms. */
const SYNC_MS_MAX = 20;
/** A part that a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

interface Content {
  bytes: Uint8Array;
  length: number;
  /** Bytes that survive the machine. */
  synced: number;
}

/** A change of a folder's names, until the folder is synced. */
interface NameChange {
  readonly folder: string;
  /** As it was before. */
  readonly before: ReadonlyMap<string, Content>;
}

/** A disk of one machine: it survives processes, and of what was not synced a crash of the machine leaves what chance says. */
export class SimDisk {
  /** Bytes that fit on it. */
  bytesMax = Number.POSITIVE_INFINITY;
  readonly #random: Random;
  readonly #folders = new Set<string>();
  #files = new Map<string, Content>();
  /** Names as they were before each change that is not synced, oldest first. */
  readonly #unsynced: NameChange[] = [];
  #crashes = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get bytes(): number {
    let sum = 0;
    for (const { length } of this.#files.values()) sum += length;
    return sum;
  }

  /** The machine's name for its run since it was switched on last. */
  get machineRun(): string {
    return `run-${this.#crashes}`;
  }

  /** The machine lost power: parts that were not synced are there or not, and torn where they end. */
  crash(): void {
    const random = this.#random;
    this.#crashes++;
    // changes of names reach the disk in their order
    const kept = Math.floor(random() * (this.#unsynced.length + 1));
    const first = this.#unsynced[kept];
    if (first !== undefined) this.#files = new Map(first.before);
    this.#unsynced.length = 0;
    for (const content of this.#files.values()) {
      if (content.length === content.synced) continue;
      const unsynced = content.length - content.synced;
      content.length = content.synced + Math.floor(random() * (unsynced + 1));
      // sectors behind the synced part arrive in any order
      for (let at = content.synced; at < content.length; at += SECTOR_BYTES) {
        if (random() < 0.2) content.bytes.fill(0, at, Math.min(content.length, at + SECTOR_BYTES));
      }
      content.synced = content.length;
    }
  }

  /** Lengths of all logs by now. */
  logLengths(): ReadonlyMap<string, number> {
    const logs = [...this.#files].filter(([file]) => file.endsWith('.wal'));
    return new Map(logs.map(([file, { length }]) => [file, length]));
  }

  /** Bytes of logs rot, those between two moments. @returns how many */
  rot(from: ReadonlyMap<string, number>, to: ReadonlyMap<string, number>): number {
    let rotten = 0;
    for (const [file, end] of to) {
      const { bytes } = this.#contentOf(file);
      for (let at = from.get(file) ?? 0; at < end; at++, rotten++) bytes[at]! ^= 0x55;
    }
    return rotten;
  }

  /** The folder is gone, as with a new volume. */
  wipe(): void {
    this.#files.clear();
    this.#folders.clear();
    this.#unsynced.length = 0;
  }

  /** The disk as a process sees it. */
  of(process: SimProcess): Disk {
    return {
      makeFolder: (folder) => void this.#folders.add(path.normalize(folder)),
      list: (folder) => this.#list(folder),
      append: (file) => this.#append(path.normalize(file), process),
      open: (file) => this.#open(path.normalize(file)),
      writeWhole: (file, bytes) => {
        this.#mustFit(bytes.length);
        this.#files.set(path.normalize(file), { bytes: bytes.slice(), length: bytes.length, synced: bytes.length });
        this.#syncFolder(path.dirname(path.normalize(file)));
      },
      rename: (from, to) => {
        const content = this.#contentOf(path.normalize(from));
        this.#changing(path.dirname(path.normalize(to)));
        this.#files.delete(path.normalize(from));
        this.#files.set(path.normalize(to), content);
      },
      remove: (file) => {
        if (!this.#files.has(path.normalize(file))) return;
        this.#changing(path.dirname(path.normalize(file)));
        this.#files.delete(path.normalize(file));
      },
      syncFolder: (folder) => this.#syncFolder(path.normalize(folder)),
    };
  }

  #changing(folder: string): void {
    this.#unsynced.push({ folder, before: new Map(this.#files) });
  }

  /** All changes before its last one are on the disk with it: a journal is written in order. */
  #syncFolder(folder: string): void {
    const last = this.#unsynced.findLastIndex((change) => change.folder === folder);
    this.#unsynced.splice(0, last + 1);
  }

  #mustFit(more: number): void {
    if (this.bytes + more > this.bytesMax) throw new Error('ENOSPC: no space left on device, write');
  }

  #list(folder: string): string[] {
    const within = path.normalize(folder);
    if (!this.#folders.has(within)) throw new Error(`ENOENT: no such folder, ${folder}`);
    return [...this.#files.keys()]
      .filter((file) => path.dirname(file) === within)
      .map((file) => path.basename(file))
      .sort();
  }

  #contentOf(file: string): Content {
    const content = this.#files.get(file);
    if (content === undefined) throw new Error(`ENOENT: no such file, ${file}`);
    return content;
  }

  #append(file: string, process: SimProcess): AppendFile {
    let content = this.#files.get(file);
    if (content === undefined) {
      this.#changing(path.dirname(file));
      content = { bytes: new Uint8Array(0), length: 0, synced: 0 };
      this.#files.set(file, content);
    }
    const own = content;
    const put = (part: Uint8Array) => {
      const length = own.length + part.length;
      if (length > own.bytes.length) {
        const grown = new Uint8Array(Math.max(2 * own.bytes.length, length));
        grown.set(own.bytes.subarray(0, own.length));
        own.bytes = grown;
      }
      own.bytes.set(part, own.length);
      own.length = length;
    };
    return {
      get bytes() {
        return own.length;
      },
      write: (part) => {
        if (this.bytes + part.length > this.bytesMax) {
          put(part.subarray(0, Math.floor(this.#random() * part.length)));
          throw new Error('ENOSPC: no space left on device, write');
        }
        put(part);
      },
      truncate: (bytes) => {
        own.length = bytes;
        own.synced = Math.min(own.synced, bytes);
      },
      sync: () =>
        new Promise((resolve) => {
          const { length } = own;
          process.after(this.#random() * SYNC_MS_MAX, () => {
            own.synced = Math.max(own.synced, Math.min(length, own.length));
            resolve();
          });
        }),
      close: () => {},
    };
  }

  #open(file: string): ReadFile {
    const own = this.#contentOf(file);
    return {
      get bytes() {
        return own.length;
      },
      read(into, position) {
        const part = own.bytes.subarray(Math.min(position, own.length), Math.min(own.length, position + into.length));
        into.set(part);
        return part.length;
      },
      close: () => {},
    };
  }
}
