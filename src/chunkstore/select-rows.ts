import type { Labels } from '../model/labels.ts';
import type { QueryContext, SelectRequest } from '../storage/queryable.ts';
import type { RowProgram } from '../storage/series-rows.ts';
import type { FoundGroup } from './index-reader.ts';
import { KeptRows, type RowCache, RowsRecorder, rowsBytes, rowsKey } from './kept-rows.ts';
import type { StoreSeries } from './series-set.ts';
import type { MetricFilter } from './store-matching.ts';
import { sizeOfGroups } from './store-size.ts';

/** The rows of one select: those that another query made, or those that it makes, for others. */
export class SelectRows {
  readonly #cache: RowCache;
  readonly #tenant: string;
  readonly #key: string;
  readonly #program: RowProgram;
  readonly #context: QueryContext;

  private constructor(cache: RowCache, tenant: string, key: string, program: RowProgram, context: QueryContext) {
    this.#cache = cache;
    this.#tenant = tenant;
    this.#key = key;
    this.#program = program;
    this.#context = context;
  }

  /** Undefined: no rows of it are kept. */
  static of(
    cache: RowCache | undefined,
    tenant: string,
    request: SelectRequest,
    metrics: MetricFilter,
    found: readonly FoundGroup[],
    context: QueryContext,
  ): SelectRows | undefined {
    const { program, labelsOnly, limit, isOnce, shard } = request;
    if (cache === undefined || program === undefined) return undefined;
    if (labelsOnly === true || limit || isOnce === true || shard !== undefined) return undefined;
    const { chunkBytes, chunks } = sizeOfGroups(found, metrics);
    if (!cache.isWorth(rowsBytes(chunks, program.steps), chunkBytes)) return undefined;
    const names = found.map(({ name }) => name);
    return new SelectRows(cache, tenant, rowsKey(tenant, request, program, names), program, context);
  }

  async find(): Promise<KeptRows | undefined> {
    const { signal } = this.#context;
    const rows = await this.#cache.get(this.#key, signal).catch(() => undefined);
    signal.throwIfAborted();
    return rows && KeptRows.of(rows, this.#program);
  }

  /** Undefined where the query has no memory left for it: it needs the rows only for others. */
  recording(series: readonly StoreSeries[], matched: readonly Labels[], chunkBytes: number) {
    const { budget } = this.#context;
    const program = this.#program;
    const heldBytes = rowsBytes(series.length, program.steps);
    if (!RowsRecorder.holds(chunkBytes)) return undefined;
    try {
      budget.addMemory(heldBytes);
    } catch {
      budget.addMemory(-heldBytes);
      return undefined;
    }
    const numberOf = new Map(matched.map((labels, number) => [labels, number]));
    const numbers = Uint32Array.from(series, ({ labels }) => numberOf.get(labels)!);
    const keep = (rows: Uint8Array) => this.#cache.set(this.#tenant, this.#key, rows);
    return { heldBytes, recorder: new RowsRecorder(program, numbers, chunkBytes, keep) };
  }
}
