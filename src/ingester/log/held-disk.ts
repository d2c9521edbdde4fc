import type { FolderHold } from '../../kit/folder/hold.ts';
import type { AppendFile, Disk } from './disk.ts';

/** A disk that changes nothing in a folder that is another process' by now. */
export function heldDisk(disk: Disk, hold: FolderHold): Disk {
  return {
    makeFolder: (folder) => disk.makeFolder(folder),
    list: (folder) => disk.list(folder),
    open: (file) => disk.open(file),
    syncFolder: (folder) => disk.syncFolder(folder),
    append(file) {
      hold.check();
      return new HeldFile(disk.append(file), hold);
    },
    writeWhole(file, bytes) {
      hold.check();
      disk.writeWhole(file, bytes);
    },
    rename(from, to) {
      hold.check();
      disk.rename(from, to);
    },
    remove(file) {
      hold.check();
      disk.remove(file);
    },
  };
}

class HeldFile implements AppendFile {
  readonly #file: AppendFile;
  readonly #hold: FolderHold;

  constructor(file: AppendFile, hold: FolderHold) {
    this.#file = file;
    this.#hold = hold;
  }

  get bytes(): number {
    return this.#file.bytes;
  }

  write(part: Uint8Array): void {
    this.#hold.checkLately();
    this.#file.write(part);
  }

  truncate(bytes: number): void {
    this.#hold.check();
    this.#file.truncate(bytes);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}
