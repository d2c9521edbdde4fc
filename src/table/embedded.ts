import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { RootDatabase } from 'lmdb';
import type { FolderHold } from '../kit/folder/hold.ts';
import { makeFolderSync } from '../kit/folder/make-folder.ts';
import { AppError } from '../model/errors.ts';
import { storeErrors } from '../model/errors-store.ts';
import { afterPrefix, boundsOf } from './bounds.ts';
import { CheckedFiles } from './checked-files.ts';
import type { Row, RowKey, TableAdmin, TableClient, TableLimits, TableQuery, TableStore } from './client.ts';
import { CompareAndSets } from './compare-and-sets.ts';
import { joinKey, splitKey } from './key.ts';
import { checkRows } from './limits.ts';
import { assertTableName, isTableName } from './name.ts';
import type { TableChanges } from './table-changes.ts';
import { tableFileFault } from './table-file.ts';

const BACKEND = 'embedded';
/**
 * LMDB takes keys of 1978 bytes, of which ours spend two on a length. A row of more than about 2,000 bytes lies in 4 KiB
 * pages of its own, of which 24 bytes are taken: a value of up to 4,072 bytes costs one page, of up to 8,168 two.
 */
const LIMITS: TableLimits = { valueBytesMax: 8 << 20, keyBytesMax: 988 };
const FILE = '.mdb';
const LOCK_FILE = '.mdb-lock';
const PAGE_ROWS = 512;
const PAGE_BYTES = 1 << 20;
/** Address space set aside for each open table; LMDB maps anew, at some cost, where a table outgrows it. */
const MAP_BYTES = 16 * 2 ** 30;
/** A failure on a disk with less is put down to that. */
const BYTES_FREE_MIN = 1 << 20;
/** Pages of a table's trees that are looked at before it is opened first: all of most tables, some 20 ms at most. */
const CHECK_PAGES_MAX = 4096;

export interface EmbeddedTableOptions {
  /** The folder of the tables' files. Made where it is missing, unless `readOnly`. */
  readonly dir: string;
  /** Only reads; the folder may belong to another process that writes. */
  readonly readOnly?: boolean;
  /** Tables kept open at once; the least recently used one is closed for another. */
  readonly tablesOpenMax?: number;
  /** Files that another store of this process has looked at. */
  readonly checked?: CheckedFiles;
  /** Counts of all stores of this process that have the folder open; absent: changes are not counted. */
  readonly changes?: TableChanges;
  /** Asked before anything is changed. */
  readonly hold?: FolderHold | undefined;
}

/**
 * Rows in LMDB, one environment file per table, so that dropping a table is an unlink. Any number of worker threads of a
 * process may have the same folder open, each with a store of its own. What `write` has confirmed is on disk.
 */
export class EmbeddedTableStore implements TableStore, TableClient, TableAdmin {
  readonly limits = LIMITS;
  readonly oneProcess = true;
  readonly #dir: string;
  readonly #readOnly: boolean;
  readonly #tablesOpenMax: number;
  readonly #checked: CheckedFiles;
  readonly #changes: TableChanges | undefined;
  readonly #hold: FolderHold | undefined;
  readonly #lmdb: typeof import('lmdb');
  /** Least recently used first. */
  readonly #open = new Map<string, OpenTable>();
  #closed = false;

  private constructor(lmdb: typeof import('lmdb'), options: EmbeddedTableOptions) {
    this.#lmdb = lmdb;
    this.#dir = options.dir;
    this.#readOnly = options.readOnly ?? false;
    this.#tablesOpenMax = options.tablesOpenMax ?? 64;
    this.#checked = options.checked ?? new CheckedFiles();
    this.#changes = options.changes;
    this.#hold = options.hold;
  }

  static async open(options: EmbeddedTableOptions): Promise<EmbeddedTableStore> {
    if (!options.readOnly) makeFolderSync(options.dir);
    return new EmbeddedTableStore(await import('lmdb'), options);
  }

  get client(): TableClient {
    return this;
  }

  get admin(): TableAdmin {
    return this;
  }

  async write(table: string, rows: readonly Row[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    checkRows(BACKEND, table, rows, this.limits);
    const puts = sortedCopies(rows);
    await this.#change(table, 'write', (db) =>
      db.batch(() => {
        for (const { key, value } of puts) db.put(key, value);
      }),
    );
  }

  async *query(query: TableQuery, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    assertTableName(query.table);
    const bounds = boundsOf(query);
    if (bounds === undefined) return;
    const from = joinKey(query.hash, bounds.from);
    const before =
      bounds.before === undefined
        ? afterPrefix(joinKey(query.hash, EMPTY)) // never undefined: a length does not start with 0xff
        : joinKey(query.hash, bounds.before);
    yield* this.#pages('query', query.table, from, before, query.limit, signal);
  }

  async delete(table: string, keys: readonly RowKey[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    assertTableName(table);
    if (!existsSync(this.#path(table))) return;
    const some = keys.filter((key) => key.hash.length <= LIMITS.keyBytesMax && key.range.length <= LIMITS.keyBytesMax);
    await this.#change(table, 'delete', (db) =>
      db.batch(() => {
        for (const { hash, range } of some) db.remove(joinKey(hash, range));
      }),
    );
  }

  async compareAndSet(
    table: string,
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    signal?: AbortSignal,
  ): Promise<boolean> {
    signal?.throwIfAborted();
    checkRows(BACKEND, table, [{ ...key, value: next ?? EMPTY }], this.limits);
    const joined = joinKey(key.hash, key.range);
    let done = false;
    const given = expected === undefined ? undefined : Buffer.from(expected);
    await this.#change(table, 'compare-and-set', async (_, sets) => {
      done = await sets.add(joined, given, next && Buffer.from(next));
    });
    return done;
  }

  async create(table: string): Promise<void> {
    assertTableName(table);
    this.#checkChange('create', table);
    if (existsSync(this.#path(table))) return;
    this.#changes?.begin(table);
    try {
      await this.#make(table);
    } finally {
      this.#changes?.end(table);
    }
    const entry = this.#acquire(table, 'create');
    if (entry) release(entry);
  }

  /** Makes a table's file aside, so that none is ever seen unfinished: one that is empty is a damaged one. */
  async #make(table: string): Promise<void> {
    const aside = `${this.#path(table)}.${randomUUID()}`;
    try {
      await this.#openFile(aside, 'create', table).close();
      linkSync(aside, this.#path(table));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return; // another one was faster
      throw thrown instanceof AppError ? thrown : this.#errorOf(thrown, 'create', table);
    } finally {
      rmSync(aside, { force: true });
      rmSync(`${aside}-lock`, { force: true });
    }
    syncFolder(this.#dir);
  }

  async drop(table: string): Promise<void> {
    assertTableName(table);
    this.#checkChange('drop', table);
    const entry = this.#open.get(table);
    if (entry) this.#forget(table, entry);
    this.#changes?.begin(table);
    try {
      rmSync(this.#path(table), { force: true });
      rmSync(join(this.#dir, table + LOCK_FILE), { force: true });
      syncFolder(this.#dir);
    } finally {
      this.#changes?.end(table);
    }
  }

  changes(table: string): number | undefined {
    return this.#changes?.of(table);
  }

  async list(): Promise<readonly string[]> {
    if (!existsSync(this.#dir)) return [];
    return readdirSync(this.#dir)
      .filter((file) => file.endsWith(FILE))
      .map((file) => file.slice(0, -FILE.length))
      .filter(isTableName)
      .sort();
  }

  async *scan(table: string, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    assertTableName(table);
    yield* this.#pages('scan', table, EMPTY, undefined, undefined, signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const entries = [...this.#open];
    for (const [table, entry] of entries) this.#forget(table, entry);
    await Promise.all(entries.map(([, entry]) => entry.closed));
  }

  /** Pages of rows with joined keys in [from, before). No read transaction outlives a page, so none holds back LMDB's reuse of pages. */
  async *#pages(
    operation: string,
    table: string,
    from: Uint8Array,
    before: Uint8Array | undefined,
    limit = Number.POSITIVE_INFINITY,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly Row[]> {
    let start = from;
    let left = limit;
    while (left > 0) {
      signal?.throwIfAborted();
      const entry = this.#acquire(table, operation);
      if (entry === undefined) return;
      let rows: Row[];
      try {
        rows = readPage(entry.db, start, before, Math.min(left, PAGE_ROWS));
      } catch (thrown) {
        throw this.#errorOf(thrown, operation, table);
      } finally {
        release(entry);
      }
      if (rows.length === 0) return;
      left -= rows.length;
      const last = rows[rows.length - 1]!;
      const joined = joinKey(last.hash, last.range);
      start = new Uint8Array(joined.length + 1); // the last key and a 0: the least key after it
      start.set(joined);
      yield rows;
    }
  }

  /** Runs a change on an open table, and makes sure that the table was still the one with this name when it was done. */
  async #change(
    table: string,
    operation: string,
    change: (db: Db, sets: CompareAndSets) => Promise<unknown>,
  ): Promise<void> {
    this.#checkChange(operation, table);
    const entry = this.#acquire(table, operation);
    if (entry === undefined) throw storeErrors.storeTableMissing({ backend: BACKEND, operation, table });
    this.#changes?.begin(table);
    try {
      await change(entry.db, entry.sets);
    } catch (thrown) {
      throw this.#errorOf(await reasonOf(thrown), operation, table);
    } finally {
      // a part of what failed may be there
      this.#changes?.end(table);
      release(entry);
    }
    if (fileOf(this.#path(table)) !== entry.file)
      throw storeErrors.storeTableMissing({ backend: BACKEND, operation, table });
  }

  /** The open table, or undefined where its file is missing. Another thread may have dropped it, or made it anew. */
  #acquire(table: string, operation: string): OpenTable | undefined {
    if (this.#closed) throw storeErrors.storeClosed({ backend: BACKEND });
    const path = this.#path(table);
    const file = fileOf(path);
    let entry = this.#open.get(table);
    if (entry && entry.file !== file) {
      this.#forget(table, entry);
      entry = undefined;
    }
    if (entry === undefined) {
      if (file === undefined) return undefined;
      entry = this.#openTable(path, operation, table);
      this.#closeIdle();
    }
    this.#open.delete(table); // and in again: the most recently used is last
    this.#open.set(table, entry);
    entry.uses++;
    return entry;
  }

  /** @throws storeErrors.storeFileDamaged before LMDB maps the file: what it believes of one that is cut would end the process */
  #openTable(path: string, operation: string, table: string): OpenTable {
    const { dev, ino } = statSync(path, { bigint: true });
    const isChecked = this.#checked.has(dev, ino);
    const reason = tableFileFault(path, isChecked ? 0 : CHECK_PAGES_MAX);
    if (reason !== undefined) {
      throw storeErrors.storeFileDamaged({
        backend: BACKEND,
        operation,
        table,
        file: `${basename(this.#dir)}/${basename(path)}`,
        reason,
      });
    }
    if (!isChecked) this.#checked.add(dev, ino);
    const db = this.#openFile(path, operation, table);
    const { promise, resolve } = Promise.withResolvers<void>();
    return {
      db,
      sets: new CompareAndSets(db),
      file: fileOf(path),
      uses: 0,
      closing: false,
      closed: promise,
      onClosed: resolve,
    };
  }

  #openFile(path: string, operation: string, table: string): Db {
    try {
      return this.#lmdb.open<Buffer, Uint8Array>({
        path,
        noSubdir: true,
        keyEncoding: 'binary',
        encoding: 'binary',
        readOnly: this.#readOnly,
        mapSize: MAP_BYTES,
        overlappingSync: false, // a commit is told only once it is on disk
        cache: false,
        eventTurnBatching: false, // it leaves the failure of a commit to a promise that nobody can await
      });
    } catch (thrown) {
      throw this.#errorOf(thrown, operation, table);
    }
  }

  #closeIdle(): void {
    for (const [table, entry] of this.#open) {
      if (this.#open.size < this.#tablesOpenMax) return;
      if (entry.uses === 0) this.#forget(table, entry);
    }
  }

  #forget(table: string, entry: OpenTable): void {
    this.#open.delete(table);
    entry.closing = true;
    if (entry.uses === 0) closeTable(entry);
  }

  #checkChange(operation: string, table: string): void {
    if (this.#readOnly) {
      throw storeErrors.storeRefused({
        backend: BACKEND,
        operation,
        table,
        reason: 'the store is open for reading only',
      });
    }
    this.#hold?.check();
  }

  #errorOf(thrown: unknown, operation: string, table: string): Error {
    const code = String((thrown as { code?: unknown }).code ?? '');
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    // LMDB says no more than "Input/output error" where the disk took only a part of its pages
    if (code === 'ENOSPC' || /no space left|disk quota/i.test(reason) || bytesFree(this.#dir) < BYTES_FREE_MIN) {
      return storeErrors.storeFull({ backend: BACKEND, operation, table });
    }
    return storeErrors.storeUnavailable({ backend: BACKEND, operation, table, reason, tries: 1 });
  }

  #path(table: string): string {
    return join(this.#dir, table + FILE);
  }
}

type Db = RootDatabase<Buffer, Uint8Array>;

interface OpenTable {
  readonly db: Db;
  readonly sets: CompareAndSets;
  /** The file that is open: device and inode. */
  readonly file: string | undefined;
  uses: number;
  /** To be closed by who uses it last. */
  closing: boolean;
  readonly closed: Promise<void>;
  readonly onClosed: () => void;
}

const EMPTY = new Uint8Array(0);

function release(entry: OpenTable): void {
  entry.uses--;
  if (entry.closing && entry.uses === 0) closeTable(entry);
}

function closeTable(entry: OpenTable): void {
  entry.db.close().then(entry.onClosed, entry.onClosed);
}

function readPage(db: Db, start: Uint8Array, before: Uint8Array | undefined, rowsMax: number): Row[] {
  db.resetReadTxn(); // else this thread might not see what another one has just written
  const rows: Row[] = [];
  let bytes = 0;
  // LMDB knows no empty key
  for (const { key, value } of db.getRange({
    start: start.length === 0 ? FIRST : start,
    end: before,
    limit: rowsMax,
  })) {
    const parts = splitKey(key);
    if (parts === undefined) throw new Error(`a key of ${key.length} bytes is not one of ours`);
    rows.push({ ...parts, value });
    bytes += value.length;
    if (bytes >= PAGE_BYTES) break;
  }
  return rows;
}

const FIRST = Uint8Array.of(0);

/**
 * Rows in the order of their keys (of equal keys the later stays later), so that neighbours go to the same pages. LMDB's
 * thread reads values after we have returned: copies, so that what the caller does with theirs is their own matter.
 */
function sortedCopies(rows: readonly Row[]): { key: Uint8Array; value: Buffer }[] {
  let bytes = 0;
  for (const row of rows) bytes += row.value.length;
  const all = Buffer.allocUnsafeSlow(bytes); // not of the pool that all small buffers share
  let at = 0;
  const copies = rows.map(({ hash, range, value }) => {
    all.set(value, at);
    const copy = all.subarray(at, at + value.length);
    at += value.length;
    return { key: joinKey(hash, range), value: copy };
  });
  return copies.sort((a, b) => Buffer.compare(a.key, b.key));
}

function fileOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && `${stat.dev}:${stat.ino}`;
}

function bytesFree(dir: string): number {
  try {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY; // the folder is gone: that is another failure
  }
}

function syncFolder(dir: string): void {
  const folder = openSync(dir, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** A failed commit hands out its reason as a promise of its own. */
async function reasonOf(thrown: unknown): Promise<unknown> {
  const commitError = (thrown as { commitError?: Promise<unknown> }).commitError;
  if (commitError === undefined) return thrown;
  return commitError.then(
    () => thrown,
    (reason) => reason,
  );
}
