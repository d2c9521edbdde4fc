import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { HoldLostError, HoldToken } from '../kit/folder/hold.ts';
import { FolderLock, type LockTimes } from '../kit/folder/lock.ts';
import { makeFolder } from '../kit/folder/make-folder.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';

/**
 * Version of all that is in the folder. A process refuses a folder that is newer than itself, and raises an older one's before it
 * writes anything there. 2: logs with a key; version 1 takes them for damaged ones.
 */
const FORMAT_VERSION = 2;
const VERSION_FILE = 'pallium.json';
const VERSION_BYTES_MAX = 64 * 1024;

interface VersionFile {
  readonly format: number;
  /** The Pallium that made the folder. */
  readonly createdBy: string;
  readonly createdAt: string;
  /** Present where it was made in an earlier format. */
  readonly raisedBy?: string;
  readonly raisedAt?: string;
}

export interface DataFolderOptions {
  /** Told why the start takes long, and what became of the folder. */
  readonly say?: (text: string) => void;
  /** Called once, when the folder turns out to be another process': this one must end. */
  readonly onLost?: (error: HoldLostError) => void;
  readonly lockTimes?: Partial<LockTimes>;
}

/** The folder for everything on this machine: says which version wrote it, and that only one process uses it. */
export class DataFolder implements Service {
  readonly name = 'data-folder';
  readonly path: string;
  readonly #version: string;
  readonly #clock: Clock;
  readonly #lock: FolderLock;
  readonly #say: (text: string) => void;

  private constructor(path: string, version: string, clock: Clock, options: DataFolderOptions) {
    this.path = resolve(path);
    this.#version = version;
    this.#clock = clock;
    const { say = () => {}, onLost = () => {}, lockTimes = {} } = options;
    this.#say = say;
    this.#lock = new FolderLock(this.path, { clock, say, onLost, times: lockTimes });
  }

  static of(path: string, version: string, clock: Clock, options: DataFolderOptions = {}): DataFolder {
    return new DataFolder(path, version, clock, options);
  }

  /** For threads that change something in the folder; it holds once the service has started. */
  get hold(): HoldToken {
    return this.#lock.token;
  }

  /** @throws where the folder cannot be made or written, is another process', or of a later version */
  async start(signal?: AbortSignal): Promise<void> {
    try {
      await makeFolder(this.path);
    } catch (cause) {
      throw this.#failure('cannot make the data folder', cause);
    }
    try {
      await this.#lock.take(signal);
      await this.#checkVersion();
    } catch (thrown) {
      await this.stop();
      throw (thrown as NodeJS.ErrnoException).code === undefined
        ? thrown
        : this.#failure('cannot write to the data folder', thrown);
    }
  }

  async stop(): Promise<void> {
    await this.#lock.release();
  }

  #failure(what: string, cause: unknown): Error {
    const { code, message } = cause as NodeJS.ErrnoException;
    const isFull = code === 'ENOSPC' || code === 'EDQUOT';
    const way = isFull ? 'make room on its disk, or set -data.dir to a folder on another one' : 'set -data.dir';
    return new Error(`${what} ${this.path}: ${message}; ${way}`, { cause });
  }

  async #checkVersion(): Promise<void> {
    const file = join(this.path, VERSION_FILE);
    let found: VersionFile | null;
    try {
      const { size } = await stat(file);
      if (size > VERSION_BYTES_MAX) throw new Error(`it has ${size} bytes`);
      found = JSON.parse(await readFile(file, 'utf8'));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
        throw new Error(`${file} cannot be read (${(cause as Error).message}): is ${this.path} really a data folder?`, {
          cause,
        });
      }
      await this.#writeVersion({ format: FORMAT_VERSION, createdBy: this.#version, createdAt: this.#now() });
      return;
    }
    const format: unknown = found?.format;
    if (!Number.isInteger(format) || !((format as number) >= 1 && (format as number) <= FORMAT_VERSION)) {
      throw new Error(
        `${file}: the data folder ${this.path} has format ${format}, this version (${this.#version}) knows formats up to ${FORMAT_VERSION}: use the version that wrote it, or a later one`,
      );
    }
    if (format === FORMAT_VERSION) return;
    const raised = { format: FORMAT_VERSION, raisedBy: this.#version, raisedAt: this.#now() };
    await this.#writeVersion({ ...(found as VersionFile), ...raised });
    this.#say(`the data folder had format ${format}, and has ${FORMAT_VERSION} now: earlier versions refuse it`);
  }

  #now(): string {
    return new Date(this.#clock.nowMs()).toISOString();
  }

  async #writeVersion(version: VersionFile): Promise<void> {
    const file = join(this.path, VERSION_FILE);
    await writeFile(`${file}.new`, `${JSON.stringify(version)}\n`, { flush: true });
    await rename(`${file}.new`, file);
  }
}
