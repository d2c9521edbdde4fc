import path from 'node:path';
import type { SavedArena } from '../log/checkpoint.ts';
import type { Disk } from '../log/disk.ts';

// When the delete requests of all tenants were read, as a folder remembers it (docs/formats/wal.md).

export const DELETIONS_FILE = 'deletions.read';
const FILE_BYTES_MAX = 4096;

/**
 * Knows since when every sample that the store is still to get has come. Delete requests were read then, so that all that were in force
 * are known; whoever keeps those that came later for as long may forget them afterwards.
 */
export class DeletionsRead {
  readonly #disk: Disk;
  readonly #file: string;
  #sinceMs: number;
  /** A read, and the arenas of that time that the store does not have yet. */
  #next: { readonly atMs: number; readonly arenas: Set<number> } | undefined;

  /** @param nowMs the time that a folder without the file counts from */
  constructor(disk: Disk, folder: string, nowMs: number) {
    this.#disk = disk;
    this.#file = path.join(folder, DELETIONS_FILE);
    if (disk.list(folder).includes(DELETIONS_FILE)) {
      this.#sinceMs = this.#read();
    } else {
      this.#sinceMs = nowMs;
      this.#write(nowMs);
    }
  }

  /** Unix ms. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Requests of all tenants were read, from `atMs` on. One read at a time waits for its arenas, which need hours; others are for nothing. */
  done(atMs: number, arenas: readonly SavedArena[]): void {
    this.#next ??= { atMs, arenas: new Set(unflushed(arenas)) };
    this.settle(arenas);
  }

  /** The store has more arenas. */
  settle(arenas: readonly SavedArena[]): void {
    if (this.#next === undefined) return;
    const held = new Set(unflushed(arenas));
    for (const id of this.#next.arenas) if (!held.has(id)) this.#next.arenas.delete(id);
    if (this.#next.arenas.size > 0 || !this.#write(this.#next.atMs)) return;
    this.#sinceMs = this.#next.atMs;
    this.#next = undefined;
  }

  /** An operator vouches that nothing of it was deleted. */
  vouch(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#write(nowMs);
  }

  #read(): number {
    const from = this.#disk.open(this.#file);
    const bytes = new Uint8Array(Math.min(from.bytes, FILE_BYTES_MAX));
    from.read(bytes, 0);
    from.close();
    try {
      const { sinceMs } = JSON.parse(new TextDecoder().decode(bytes));
      if (Number.isSafeInteger(sinceMs) && sinceMs >= 0) return sinceMs;
    } catch {}
    // it is written whole, so this is none of ours: nobody knows
    return 0;
  }

  /** @returns false where the disk is full, or fails: the log says so, too, and an older time is no harm */
  #write(sinceMs: number): boolean {
    try {
      this.#disk.writeWhole(this.#file, new TextEncoder().encode(JSON.stringify({ sinceMs })));
      return true;
    } catch {
      return false;
    }
  }
}

function* unflushed(arenas: readonly SavedArena[]): Generator<number> {
  for (const { id, flushedMs } of arenas) if (flushedMs === 0) yield id;
}
