import path from 'node:path';
import type { AppendFile, Disk, ReadFile } from './disk.ts';

/** A disk in memory: what was written is there for whoever opens it again. */
export class MemoryDisk implements Disk {
  readonly #files = new Map<string, Uint8Array>();
  readonly #folders = new Set<string>();

  makeFolder(folder: string): void {
    this.#folders.add(path.normalize(folder));
  }

  list(folder: string): string[] {
    const within = path.normalize(folder);
    if (!this.#folders.has(within)) throw new Error(`ENOENT: no such folder, ${folder}`);
    return [...this.#files.keys()].filter((file) => path.dirname(file) === within).map((file) => path.basename(file));
  }

  append(file: string): AppendFile {
    const name = path.normalize(file);
    const files = this.#files;
    if (!files.has(name)) files.set(name, new Uint8Array(0));
    // rooms that double: a log is written in many small parts
    let room = this.#bytesOf(name).slice();
    let length = room.length;
    const settle = () => files.set(name, room.subarray(0, length));
    return {
      get bytes() {
        return length;
      },
      write(part) {
        if (length + part.length > room.length) {
          const grown = new Uint8Array(Math.max(2 * room.length, length + part.length));
          grown.set(room);
          room = grown;
        }
        room.set(part, length);
        length += part.length;
        settle();
      },
      truncate(bytes) {
        length = bytes;
        settle();
      },
      sync: async () => {},
      close: () => {},
    };
  }

  open(file: string): ReadFile {
    const name = path.normalize(file);
    const bytesOf = () => this.#bytesOf(name);
    bytesOf();
    return {
      get bytes() {
        return bytesOf().length;
      },
      read(into, position) {
        const part = bytesOf().subarray(position, position + into.length);
        into.set(part);
        return part.length;
      },
      close: () => {},
    };
  }

  writeWhole(file: string, bytes: Uint8Array): void {
    this.#files.set(path.normalize(file), bytes.slice());
  }

  rename(from: string, to: string): void {
    this.#files.set(path.normalize(to), this.#bytesOf(path.normalize(from)));
    this.#files.delete(path.normalize(from));
  }

  remove(file: string): void {
    this.#files.delete(path.normalize(file));
  }

  syncFolder(): void {}

  #bytesOf(name: string): Uint8Array {
    const bytes = this.#files.get(name);
    if (bytes === undefined) throw new Error(`ENOENT: no such file, ${name}`);
    return bytes;
  }
}
