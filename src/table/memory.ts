import { copyBytes } from '../lib/copy.ts';
import { storeErrors } from '../model/errors-store.ts';
import { boundsOf } from './bounds.ts';
import type { Row, RowKey, TableAdmin, TableClient, TableLimits, TableQuery, TableStore } from './client.ts';
import { checkRows } from './limits.ts';
import { assertTableName } from './name.ts';
import { isSame } from './same.ts';

const BACKEND = 'memory';
const LIMITS: TableLimits = { valueBytesMax: 8 << 20, keyBytesMax: 1024 };
const PAGE_ROWS = 256;
const EMPTY = new Uint8Array(0);

/** Rows in this process, for tests and for trying things out. Bytes are copied in and out: nobody can change what is stored. */
export class MemoryTableStore implements TableStore, TableClient, TableAdmin {
  readonly limits: TableLimits;
  readonly #tables = new Map<string, Map<string, Partition>>();

  constructor(limits: TableLimits = LIMITS) {
    this.limits = limits;
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
    const partitions = this.#existing(table, 'write');
    for (const row of rows) partitionOf(partitions, row.hash).put(row.range, row.value);
  }

  async *query(query: TableQuery, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    signal?.throwIfAborted();
    assertTableName(query.table);
    const hash = copyBytes(query.hash);
    const bounds = boundsOf(query);
    const partition = this.#tables.get(query.table)?.get(keyOf(hash));
    if (bounds === undefined || partition === undefined) return;
    let left = query.limit ?? Number.POSITIVE_INFINITY;
    for (const page of partition.pages(bounds.from, bounds.before)) {
      signal?.throwIfAborted();
      if (left <= 0) return;
      const some = page.slice(0, left);
      left -= some.length;
      yield some.map(([range, value]) => ({ hash: copyBytes(hash), range: bytesOf(range), value: copyBytes(value) }));
    }
  }

  async delete(table: string, keys: readonly RowKey[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    assertTableName(table);
    const partitions = this.#tables.get(table);
    for (const key of keys) {
      const partition = partitions?.get(keyOf(key.hash));
      if (partition === undefined) continue;
      partition.delete(key.range);
      if (partition.size === 0) partitions?.delete(keyOf(key.hash));
    }
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
    const partitions = this.#existing(table, 'compare-and-set');
    const held = partitions.get(keyOf(key.hash))?.get(key.range);
    if (!isSame(held, expected)) return false;
    if (next === undefined) await this.delete(table, [key]);
    else partitionOf(partitions, key.hash).put(key.range, next);
    return true;
  }

  async create(table: string): Promise<void> {
    assertTableName(table);
    if (!this.#tables.has(table)) this.#tables.set(table, new Map());
  }

  async drop(table: string): Promise<void> {
    assertTableName(table);
    this.#tables.delete(table);
  }

  async list(): Promise<readonly string[]> {
    return [...this.#tables.keys()].sort();
  }

  async *scan(table: string, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    assertTableName(table);
    for (const hash of [...(this.#tables.get(table)?.keys() ?? [])].sort()) {
      yield* this.query({ table, hash: bytesOf(hash) }, signal);
    }
  }

  async close(): Promise<void> {}

  #existing(table: string, operation: string): Map<string, Partition> {
    assertTableName(table);
    const partitions = this.#tables.get(table);
    if (partitions === undefined) throw storeErrors.storeTableMissing({ backend: BACKEND, operation, table });
    return partitions;
  }
}

/** The rows of one hash. Keys are bytes as Latin-1 strings: they order as the bytes do. */
class Partition {
  readonly #values = new Map<string, Uint8Array>();
  /** Ranges in order; undefined once a range came or went, until the next read. */
  #ranges: readonly string[] | undefined;

  get size(): number {
    return this.#values.size;
  }

  get(range: Uint8Array): Uint8Array | undefined {
    return this.#values.get(keyOf(range));
  }

  put(range: Uint8Array, value: Uint8Array): void {
    const key = keyOf(range);
    if (!this.#values.has(key)) this.#ranges = undefined;
    this.#values.set(key, copyBytes(value));
  }

  delete(range: Uint8Array): void {
    if (this.#values.delete(keyOf(range))) this.#ranges = undefined;
  }

  *pages(from: Uint8Array, before: Uint8Array | undefined): Generator<[range: string, value: Uint8Array][]> {
    this.#ranges ??= [...this.#values.keys()].sort();
    const ranges = this.#ranges;
    const end = before === undefined ? ranges.length : lowerBound(ranges, keyOf(before));
    let at = lowerBound(ranges, keyOf(from));
    while (at < end) {
      const page: [string, Uint8Array][] = [];
      for (; at < end && page.length < PAGE_ROWS; at++) {
        const value = this.#values.get(ranges[at]!);
        if (value !== undefined) page.push([ranges[at]!, value]); // else deleted since the read began
      }
      if (page.length > 0) yield page;
    }
  }
}

function partitionOf(partitions: Map<string, Partition>, hash: Uint8Array): Partition {
  const key = keyOf(hash);
  let partition = partitions.get(key);
  if (partition === undefined) {
    partition = new Partition();
    partitions.set(key, partition);
  }
  return partition;
}

/** Index of the first of `sorted` at or after `key`. */
function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function bytesOf(key: string): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'latin1'));
}
