import type { QueryResult, QueryRunContext, QueryRunner, RangeRequest } from '../contract/query.ts';
import type { Turns } from '../lib/turns.ts';
import type { BudgetLimits } from '../limits/query-budget.ts';
import { mergePartials } from '../promql/merge-partials.ts';
import type { AggregateOp, Expr } from '../promql/parser/ast.ts';
import { PartsUse } from './parts-budget.ts';
import { runParts } from './run-parts.ts';
import { isAskedWhole } from './steps-queryable.ts';

/** Means are left out: those of fractions can seldom be merged to the last bit, and each would be asked for twice. */
const SHARDED: ReadonlySet<AggregateOp> = new Set(['sum', 'min', 'max', 'count', 'group']);

/** Whether shards of the series may be asked for one by one. The querier still says where they cannot be merged. */
export function isShardable(expr: Expr): boolean {
  if (expr.kind === 'paren') return isShardable(expr.expr);
  return expr.kind === 'aggregate' && SHARDED.has(expr.op);
}

export interface ShardOptions {
  /** At most SERIES_SHARDS_MAX. */
  readonly count: number;
  /** Shards that are asked for at once. */
  readonly parallelMax: number;
  /** Those of the query, which its shards have together. */
  readonly limits: BudgetLimits;
  readonly turns: Turns;
}

/**
 * An aggregation from those of all shards of its series; as it is, where their answers cannot be merged to the last bit, and where they are
 * refused: what each reads for itself is read once then.
 */
export async function rangeInShards(
  querier: QueryRunner,
  tenant: string,
  request: RangeRequest,
  { count, parallelMax, limits, turns }: ShardOptions,
  context: QueryRunContext,
): Promise<QueryResult> {
  const shards = Array.from({ length: count }, (_, index) => ({ index, count }));
  const use = new PartsUse(limits, request.used);
  const whole = new AbortController();
  const parts = await runParts(
    shards,
    parallelMax,
    AbortSignal.any([context.signal, whole.signal]),
    async (shard, signal) => {
      try {
        const part = await querier.partial(tenant, { ...request, shard, used: use.used }, { ...context, signal });
        if (part.type === 'whole') whole.abort();
        else use.add(part.statistics);
        return part;
      } catch (thrown) {
        if (isAskedWhole(thrown)) whole.abort();
        throw thrown;
      }
    },
  ).catch((thrown) => {
    // of the shards that it ended one may be the first to fail, by a reason of its own
    if (whole.signal.aborted && !context.signal.aborted) return undefined;
    throw thrown;
  });
  const merged = parts && (await mergePartials(parts, turns));
  if (merged === undefined || 'type' in merged) return querier.range(tenant, request, context);
  return merged;
}
