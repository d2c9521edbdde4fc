import fs from 'node:fs';
import path from 'node:path';
import { makeFolderSync } from '../../kit/folder/make-folder.ts';

/** The disk as the log sees it: a seam, so that a test can fill it up or make it lose what was not synced. */
export interface Disk {
  makeFolder(folder: string): void;
  /** Names of the files in a folder. */
  list(folder: string): string[];
  /** Opens a file for appending, made when it is not there. */
  append(file: string): AppendFile;
  open(file: string): ReadFile;
  /** Makes a file that only its owner reads; after a power cut all of it is there or nothing. */
  writeWhole(file: string, bytes: Uint8Array): void;
  rename(from: string, to: string): void;
  remove(file: string): void;
  /** Files made, renamed or removed in the folder stay so after a power cut. */
  syncFolder(folder: string): void;
}

export interface AppendFile {
  readonly bytes: number;
  /** Writes all of it. @throws the system's error; then a part may be written, see `truncate` */
  write(part: Uint8Array): void;
  truncate(bytes: number): void;
  /** Resolves when all that was written before is on the disk. */
  sync(): Promise<void>;
  close(): void;
}

export interface ReadFile {
  readonly bytes: number;
  /** Fills `into` from `position`; returns how many bytes there were. */
  read(into: Uint8Array, position: number): number;
  close(): void;
}

export const realDisk: Disk = {
  makeFolder: makeFolderSync,
  list: (folder) => fs.readdirSync(folder),
  append: (file) => new RealAppendFile(file),
  open(file) {
    const fd = fs.openSync(file, 'r');
    return {
      get bytes() {
        return fs.fstatSync(fd).size;
      },
      read: (into, position) => fs.readSync(fd, into, 0, into.length, position),
      close: () => fs.closeSync(fd),
    };
  },
  writeWhole(file, bytes) {
    const draft = `${file}.tmp`;
    fs.rmSync(draft, { force: true });
    fs.writeFileSync(draft, bytes, { mode: 0o600, flag: 'wx', flush: true });
    fs.renameSync(draft, file);
    realDisk.syncFolder(path.dirname(file));
  },
  rename: (from, to) => fs.renameSync(from, to),
  remove: (file) => fs.rmSync(file, { force: true }),
  syncFolder(folder) {
    const fd = fs.openSync(path.resolve(folder), 'r');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  },
};

class RealAppendFile implements AppendFile {
  readonly #fd: number;
  bytes: number;

  constructor(file: string) {
    this.#fd = fs.openSync(file, 'a');
    this.bytes = fs.fstatSync(this.#fd).size;
  }

  write(part: Uint8Array): void {
    for (let at = 0; at < part.length; ) {
      const wrote = fs.writeSync(this.#fd, part, at, part.length - at);
      at += wrote;
      this.bytes += wrote;
    }
  }

  truncate(bytes: number): void {
    fs.ftruncateSync(this.#fd, bytes);
    this.bytes = bytes;
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve())));
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
