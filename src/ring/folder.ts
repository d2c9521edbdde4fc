import path from 'node:path';
import { BytesError } from '../lib/bytes.ts';
import { ringErrors } from '../model/errors-ring.ts';
import { type HeldVersion, heldVersion } from './book.ts';
import type { MemberRow } from './row.ts';

/** The disk as a member of the ring sees it: a part of the log's. */
export interface RingDisk {
  list(folder: string): string[];
  open(file: string): { readonly bytes: number; read(into: Uint8Array, position: number): number; close(): void };
  /** Makes a file that only its owner reads; after a power cut all of it is there or nothing. */
  writeWhole(file: string, bytes: Uint8Array): void;
  remove(file: string): void;
}

/** A member as its folder knows it. */
export interface SavedMember {
  /** A name and a nonce made with the folder. */
  readonly id: string;
  readonly boots: number;
  /** Heartbeats that the key-value store must have seen. */
  readonly beats: number;
  /** The highest heartbeat that may have been said, to the store or to another process; absent in files of before there were such. */
  readonly beatsMax?: number;
  /** Wall clock when it last ran, Unix ms. */
  readonly ranMs: number;
  /** Newest version that counts, as it knew. */
  readonly counts: number;
  readonly word: number;
  /** Its wish to own nothing, or to be no member any more, until it is one no more. */
  readonly wants: MemberRow['wants'];
  readonly settling: boolean;
  /** The secret that keys of series are made with in this cluster, as hexadecimal digits; empty: not known yet. */
  readonly secret: string;
}

const MEMBER_FILE = 'ring-member.json';
const VERSION_FILE = /^ring-version-(\d+)\.bin$/;

/** A member's files beside its log (docs/formats/ring.md). */
export class RingFolder {
  readonly #disk: RingDisk;
  readonly #folder: string;

  constructor(disk: RingDisk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  /** @throws errors.ringFolderDamaged */
  member(): SavedMember | undefined {
    if (!this.#disk.list(this.#folder).includes(MEMBER_FILE)) return undefined;
    try {
      const saved = JSON.parse(Buffer.from(this.#read(MEMBER_FILE)).toString()) as SavedMember;
      if (typeof saved.id === 'string' && Number.isSafeInteger(saved.beats)) return saved;
    } catch {
      // named below
    }
    throw ringErrors.ringFolderDamaged({ file: path.join(this.#folder, MEMBER_FILE) });
  }

  saveMember(member: SavedMember): void {
    this.#disk.writeWhole(path.join(this.#folder, MEMBER_FILE), Buffer.from(JSON.stringify(member)));
  }

  /**
   * Versions that were confirmed, ascending.
   * @throws errors.ringFolderDamaged
   */
  versions(): HeldVersion[] {
    return this.#numbers().map((number) => {
      const name = fileOf(number);
      try {
        return heldVersion(this.#read(name));
      } catch (error) {
        if (error instanceof BytesError) throw ringErrors.ringFolderDamaged({ file: path.join(this.#folder, name) });
        throw error;
      }
    });
  }

  /** Makes the folder hold these and no others; when it returns they are there after a power cut. */
  saveVersions(chain: readonly HeldVersion[]): void {
    const have = new Set(this.#numbers());
    // ascending: whatever is there after a crash is a chain
    for (const { version, bytes } of chain) {
      if (!have.delete(version.number)) this.#disk.writeWhole(path.join(this.#folder, fileOf(version.number)), bytes);
    }
    for (const number of have) this.#disk.remove(path.join(this.#folder, fileOf(number)));
  }

  #numbers(): number[] {
    const numbers = this.#disk.list(this.#folder).flatMap((name) => VERSION_FILE.exec(name)?.[1] ?? []);
    return numbers.map(Number).sort((a, b) => a - b);
  }

  #read(name: string): Uint8Array {
    const file = this.#disk.open(path.join(this.#folder, name));
    try {
      const bytes = new Uint8Array(file.bytes);
      file.read(bytes, 0);
      return bytes;
    } finally {
      file.close();
    }
  }
}

function fileOf(number: number): string {
  return `ring-version-${number}.bin`;
}
