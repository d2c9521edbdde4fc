import type { protos } from '@google-cloud/bigtable';
import { copyBytes } from '../../lib/copy.ts';
import { escapeEmpty, unescapeEmpty } from '../../lib/escape.ts';
import { forEachAtOnce } from '../../lib/semaphore.ts';
import { batchesOf } from '../batches.ts';
import { afterPrefix, type RangeBounds } from '../bounds.ts';
import type { Row, RowKey, TableLimits, TableQuery } from '../client.ts';
import { joinKey, splitKey } from '../key.ts';
import { PageSize } from '../page-size.ts';
import type { RowService } from '../remote.ts';
import { isSame } from '../same.ts';
import { BACKEND, type BigtableSession, classifyBigtable, RowFailed } from './session.ts';

type Mutation = protos.google.bigtable.v2.IMutation;
type Entry = protos.google.bigtable.v2.MutateRowsRequest.IEntry;
type RowFilter = protos.google.bigtable.v2.IRowFilter;
type ReadRowsResponse = protos.google.bigtable.v2.IReadRowsResponse;

/** A key of 4 KiB, of which two bytes are a length, holds both. Cells may be larger than this, rows are read whole. */
export const BIGTABLE_LIMITS: TableLimits = { valueBytesMax: 4 << 20, keyBytesMax: 2047 };

export const FAMILY = 'f';
const COLUMN = Buffer.from('v');

const BATCH_ROWS_MAX = 1000;
const BATCH_BYTES_MAX = 4 << 20;
const BATCHES_AT_ONCE = 8;

const CELL: RowFilter = {
  chain: { filters: [{ familyNameRegexFilter: FAMILY }, { cellsPerColumnLimitFilter: 1 }] },
};

const DELETE: Mutation[] = [{ deleteFromRow: {} }];

/**
 * Rows under one key of both parts, with one cell. The cell's time stamp is always 0: whatever is written later replaces
 * it, whosever clock is behind. Its value is never empty (`escapeEmpty`): an empty one could not be asked for.
 */
export class BigtableRows implements RowService {
  readonly name = BACKEND;
  readonly limits = BIGTABLE_LIMITS;
  readonly #session: BigtableSession;

  constructor(session: BigtableSession) {
    this.#session = session;
  }

  async put(table: string, rows: readonly Row[], signal: AbortSignal | undefined): Promise<void> {
    const entries = rows.map((row): Entry => ({ rowKey: keyOf(row), mutations: set(row.value) }));
    await this.#mutate('write', table, entries, signal);
  }

  async *read(query: TableQuery, bounds: RangeBounds, signal: AbortSignal | undefined): AsyncGenerator<readonly Row[]> {
    const end =
      bounds.before === undefined
        ? afterPrefix(joinKey(query.hash, new Uint8Array(0)))! // never undefined: a length does not start with 0xff
        : joinKey(query.hash, bounds.before);
    yield* this.pages('query', query.table, joinKey(query.hash, bounds.from), end, query.limit, signal);
  }

  async remove(table: string, keys: readonly RowKey[], signal: AbortSignal | undefined): Promise<void> {
    const entries = keys.map((key): Entry => ({ rowKey: keyOf(key), mutations: DELETE }));
    await this.#mutate('delete', table, entries, signal);
  }

  async compareAndSet(
    table: string,
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { data, caller, config, callOptions } = this.#session;
    const change = next === undefined ? DELETE : set(next);
    const request = {
      tableName: this.#session.nameOf(table),
      appProfileId: config.appProfile,
      rowKey: keyOf(key),
      predicateFilter: expected === undefined ? CELL : cellWith(expected),
      trueMutations: expected === undefined ? [] : change,
      falseMutations: expected === undefined ? change : [],
    };
    const answer = await caller.call({ operation: 'compare-and-set', table }, signal, async (_signal, failedTries) => {
      const [{ predicateMatched }] = await data.checkAndMutateRow(request, callOptions);
      return { done: (predicateMatched ?? false) === (expected !== undefined), failedTries };
    });
    if (answer.done || answer.failedTries === 0) return answer.done;
    // a try that seemed to fail may have been applied, and this one then met our own value, or no row
    const onward = { from: key.range, before: undefined };
    let held: Uint8Array | undefined;
    for await (const [row] of this.read({ table, hash: key.hash, limit: 1 }, onward, signal)) {
      if (isSame(row!.range, key.range)) held = row!.value;
    }
    return isSame(held, next);
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  /** Pages of rows with keys in [from, before), each a request of its own. */
  async *pages(
    operation: string,
    table: string,
    from: Uint8Array,
    before: Uint8Array | undefined,
    limit = Number.POSITIVE_INFINITY,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly Row[]> {
    const size = new PageSize();
    let left = limit;
    let start: protos.google.bigtable.v2.IRowRange = { startKeyClosed: from };
    while (left > 0) {
      signal?.throwIfAborted();
      const rowsMax = Math.min(size.rows, left);
      const request = {
        tableName: this.#session.nameOf(table),
        appProfileId: this.#session.config.appProfile,
        rows: { rowRanges: [{ ...start, ...(before && { endKeyOpen: before }) }] },
        filter: CELL,
        rowsLimit: rowsMax,
      };
      const cells = await this.#session.caller.call({ operation, table }, signal, (stop) => this.#read(request, stop));
      if (cells.length > 0) yield cells.map(rowOf);
      if (cells.length < rowsMax) return;
      left -= cells.length;
      size.learn(cells.length, bytesOf(cells));
      start = { startKeyOpen: cells[cells.length - 1]!.key };
    }
  }

  async #read(request: protos.google.bigtable.v2.IReadRowsRequest, stop: AbortSignal): Promise<Cell[]> {
    const stream = this.#session.data.readRows(request, this.#session.callOptions);
    const onStop = () => stream.cancel();
    stop.addEventListener('abort', onStop, { once: true });
    try {
      const reader = new CellReader();
      for await (const response of stream) reader.take(response as ReadRowsResponse);
      return reader.cells;
    } finally {
      stop.removeEventListener('abort', onStop);
    }
  }

  async #mutate(
    operation: string,
    table: string,
    entries: readonly Entry[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await forEachAtOnce(batchesOf(entries, BATCH), BATCHES_AT_ONCE, (batch) =>
      this.#session.caller.call({ operation, table }, signal, (stop) => this.#mutateBatch(table, batch, stop)),
    );
  }

  /** Rows of a batch succeed or fail one by one; where one fails the batch is to be sent again whole, which is harmless. */
  async #mutateBatch(table: string, entries: Entry[], stop: AbortSignal): Promise<void> {
    const request = {
      tableName: this.#session.nameOf(table),
      appProfileId: this.#session.config.appProfile,
      entries,
    };
    const stream = this.#session.data.mutateRows(request, this.#session.callOptions);
    const onStop = () => stream.cancel();
    stop.addEventListener('abort', onStop, { once: true });
    let worst: RowFailed | undefined;
    let done = 0;
    try {
      for await (const response of stream) {
        for (const { status } of (response as protos.google.bigtable.v2.IMutateRowsResponse).entries ?? []) {
          done++;
          const code = status?.code ?? 0;
          if (code === 0) continue;
          const failed = new RowFailed(code, status?.message ?? `code ${code}`);
          if (worst === undefined || !passing(failed)) worst = failed;
        }
      }
    } finally {
      stop.removeEventListener('abort', onStop);
    }
    if (worst) throw worst;
    if (done < entries.length) throw new RowFailed(14, `only ${done} of ${entries.length} rows were answered`);
  }
}

interface Cell {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Puts rows together from the chunks that a read streams. Source: google/bigtable/v2/bigtable.proto, ReadRowsResponse.CellChunk. */
export class CellReader {
  readonly cells: Cell[] = [];
  #key: Uint8Array | undefined;
  #parts: Uint8Array[] = [];

  take(response: ReadRowsResponse): void {
    for (const chunk of response.chunks ?? []) {
      if (chunk.resetRow) {
        this.#key = undefined;
        this.#parts = [];
        continue;
      }
      const key = chunk.rowKey as Uint8Array | null | undefined;
      if (key && key.length > 0) this.#key = key;
      if (chunk.value) this.#parts.push(chunk.value as Uint8Array);
      if (!chunk.commitRow) continue;
      if (this.#key === undefined) throw new RowFailed(13, 'the service sent a row without a key');
      this.cells.push({
        key: this.#key,
        value: this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts),
      });
      this.#key = undefined;
      this.#parts = [];
    }
  }
}

function rowOf({ key, value }: Cell): Row {
  const parts = splitKey(key);
  if (parts === undefined) throw new RowFailed(3, `a key of ${key.length} bytes is not one of ours`);
  return { hash: copyBytes(parts.hash), range: copyBytes(parts.range), value: unescapeEmpty(value) };
}

function keyOf(key: RowKey): Uint8Array {
  return joinKey(key.hash, key.range);
}

function set(value: Uint8Array): Mutation[] {
  return [{ setCell: { familyName: FAMILY, columnQualifier: COLUMN, timestampMicros: 0, value: escapeEmpty(value) } }];
}

function cellWith(value: Uint8Array): RowFilter {
  const exactly = escapeEmpty(value);
  return {
    chain: {
      filters: [CELL, { valueRangeFilter: { startValueClosed: exactly, endValueClosed: exactly } }],
    },
  };
}

const BATCH = {
  itemsMax: BATCH_ROWS_MAX,
  bytesMax: BATCH_BYTES_MAX,
  bytesOf: ({ rowKey, mutations }: Entry) => rowKey!.length + (mutations![0]!.setCell?.value?.length ?? 0),
};

function bytesOf(cells: readonly Cell[]): number {
  let bytes = 0;
  for (const { key, value } of cells) bytes += key.length + value.length;
  return bytes;
}

function passing(failed: RowFailed): boolean {
  const { kind } = classifyBigtable(failed);
  return kind === 'unavailable' || kind === 'throttled';
}
