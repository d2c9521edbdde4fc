import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, opendir, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FolderHold } from '../kit/folder/hold.ts';
import { makeFolder } from '../kit/folder/make-folder.ts';
import type { Clock } from '../lib/clock.ts';
import type { AppError } from '../model/errors.ts';
import { storeErrors } from '../model/errors-store.ts';
import type { ObjectClient, ObjectInfo } from './client.ts';
import { assertObjectKey } from './key.ts';

const BACKEND = 'filesystem';
const PAGE_KEYS = 1000;
/** Objects half written lie here; no key starts with a dot. */
const ASIDE = '.aside';

export interface FilesystemObjectOptions {
  /** Made where it is missing, unless `readOnly`. */
  readonly dir: string;
  readonly readOnly?: boolean;
  readonly clock: Clock;
  /** Asked before anything is changed. */
  readonly hold?: FolderHold | undefined;
}

/**
 * One file per object. A body is written aside, flushed to disk and renamed, and so are the folders above it: what `put`
 * has confirmed survives a power cut, and nobody ever sees a part of it.
 */
export class FilesystemObjectClient implements ObjectClient {
  readonly isLocal = true;
  readonly #dir: string;
  /** Folders known to be there and on disk. */
  readonly #folders = new Set<string>();

  readonly #hold: FolderHold | undefined;

  private constructor({ dir, hold }: FilesystemObjectOptions) {
    this.#dir = dir;
    this.#hold = hold;
  }

  static async open(options: FilesystemObjectOptions): Promise<FilesystemObjectClient> {
    if (!options.readOnly) {
      await makeFolder(join(options.dir, ASIDE));
      await sweepAside(join(options.dir, ASIDE), options.clock.nowMs());
    }
    return new FilesystemObjectClient(options);
  }

  async put(key: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#hold?.check();
    const path = this.#path(key);
    const aside = join(this.#dir, ASIDE, randomUUID());
    try {
      await writeSynced(aside, body, signal);
      await this.#placeAt(aside, path);
    } catch (thrown) {
      await rm(aside, { force: true });
      signal?.throwIfAborted();
      throw errorOf(thrown, 'put', key);
    }
  }

  async get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#read(key, signal, async (file) => {
      const { size } = await file.stat();
      return readFully(file, 0, size, signal);
    });
  }

  async getRange(
    key: string,
    offset: number,
    length: number,
    signal?: AbortSignal,
    room?: (bytes: number) => Uint8Array,
  ): Promise<Uint8Array> {
    return this.#read(key, signal, async (file) => {
      const { size } = await file.stat();
      return readFully(file, offset, Math.max(0, Math.min(length, size - offset)), signal, room);
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    let page: ObjectInfo[] = [];
    for await (const key of keysBelow(this.#dir, '', prefix)) {
      signal?.throwIfAborted();
      const found = await stat(join(this.#dir, key)).catch(ignoreMissing);
      if (found === undefined) continue; // deleted meanwhile
      page.push({ key, bytes: found.size, modifiedMs: found.mtimeMs });
      if (page.length === PAGE_KEYS) {
        yield page;
        page = [];
      }
    }
    if (page.length > 0) yield page;
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#hold?.check();
    try {
      await unlink(this.#path(key));
      await this.#removeEmpty(dirname(this.#path(key)));
    } catch (thrown) {
      if (isMissing(thrown)) return;
      throw errorOf(thrown, 'delete', key);
    }
  }

  async close(): Promise<void> {}

  #path(key: string): string {
    assertObjectKey(key);
    return join(this.#dir, key);
  }

  async #read(
    key: string,
    signal: AbortSignal | undefined,
    read: (file: FileHandle) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    signal?.throwIfAborted();
    try {
      await using file = await open(this.#path(key), 'r');
      return await read(file);
    } catch (thrown) {
      signal?.throwIfAborted();
      throw errorOf(thrown, 'get', key);
    }
  }

  async #placeAt(aside: string, path: string): Promise<void> {
    const folder = dirname(path);
    for (let tries = 1; ; tries++) {
      try {
        await this.#makeFolder(folder);
        await rename(aside, path);
        return await syncFolder(folder);
      } catch (thrown) {
        // a delete may take a folder away between our finding it and our using it
        if (!isMissing(thrown) || tries === PLACE_TRIES_MAX) throw thrown;
        this.#folders.clear();
      }
    }
  }

  /** Folders that a delete has emptied, upwards. */
  async #removeEmpty(folder: string): Promise<void> {
    for (let at = folder; at !== this.#dir; at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        return; // not empty, or already gone
      }
      this.#folders.delete(at);
    }
  }

  /** Makes a folder and those above it, each of them synced into the one above. */
  async #makeFolder(folder: string): Promise<void> {
    if (folder === this.#dir || this.#folders.has(folder)) return;
    await this.#makeFolder(dirname(folder));
    await mkdir(folder).catch((thrown) => {
      if (thrown.code !== 'EEXIST') throw thrown;
    });
    await syncFolder(dirname(folder));
    if (this.#folders.size >= FOLDERS_REMEMBERED_MAX) this.#folders.clear();
    this.#folders.add(folder);
  }
}

/** Half-written files were never confirmed, so old ones go. Young ones may belong to another thread that is at it. */
async function sweepAside(dir: string, nowMs: number): Promise<void> {
  for (const name of await readdir(dir)) {
    const found = await stat(join(dir, name)).catch(ignoreMissing);
    if (found && found.mtimeMs < nowMs - ASIDE_AGE_MAX_MS) await rm(join(dir, name), { force: true });
  }
}

const ASIDE_AGE_MAX_MS = 3_600_000;
const FOLDERS_REMEMBERED_MAX = 10_000;
const PLACE_TRIES_MAX = 10;

async function writeSynced(path: string, body: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  await using file = await open(path, 'wx');
  await file.writeFile(body, { signal });
  await file.datasync();
}

async function readFully(
  file: FileHandle,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
  room: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): Promise<Uint8Array> {
  const body = room(length);
  let at = 0;
  while (at < length) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(body, at, Math.min(length - at, READ_BYTES_MAX), offset + at);
    if (bytesRead === 0) return body.subarray(0, at);
    at += bytesRead;
  }
  return body;
}

/** So that an abort is noticed within a large body. */
const READ_BYTES_MAX = 4 << 20;

/** Keys in ascending order: `a-b` comes before `a/b`, so a folder sorts as its name with a slash. */
async function* keysBelow(dir: string, above: string, prefix: string): AsyncGenerator<string> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(join(dir, above))) {
      if (above === '' && entry.name === ASIDE) continue;
      names.push(entry.isDirectory() ? `${entry.name}/` : entry.name);
    }
  } catch (thrown) {
    ignoreMissing(thrown);
    return;
  }
  for (const name of names.sort()) {
    const key = above + name;
    const folder = name.endsWith('/');
    // into a folder where it may hold such keys: it is on the way to the prefix, or below it
    if (folder && (key.startsWith(prefix) || prefix.startsWith(key))) yield* keysBelow(dir, key, prefix);
    else if (!folder && key.startsWith(prefix)) yield key;
  }
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

function isMissing(thrown: unknown): boolean {
  const code = (thrown as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR'; // a folder is no object
}

function ignoreMissing(thrown: unknown): undefined {
  if (!isMissing(thrown)) throw thrown;
}

function errorOf(thrown: unknown, operation: string, key: string): AppError {
  const code = (thrown as NodeJS.ErrnoException).code ?? 'unknown';
  if (isMissing(thrown) && operation === 'get') return storeErrors.objectNotFound({ backend: BACKEND, key });
  if (code === 'ENOSPC' || code === 'EDQUOT') return storeErrors.storeFull({ backend: BACKEND, operation, key });
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return storeErrors.storeDenied({ backend: BACKEND, operation, key, reason: code });
  }
  return storeErrors.storeUnavailable({ backend: BACKEND, operation, key, reason: code, tries: 1 });
}
