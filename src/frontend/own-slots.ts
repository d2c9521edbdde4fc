import type { LabelMatcher } from '../model/matcher.ts';
import type { Expr } from '../promql/parser/ast.ts';
import { selectorsOf } from '../promql/parser/walk.ts';
import { reachOf } from './reach.ts';
import type { StepRange } from './split.ts';
import { throwUnlessAway } from './store-away.ts';

/** Tells how many shards of a selection there may be of which no two read the same groups of the store; 1: it is not known. */
export type OwnSlots = (
  tenant: string,
  selection: StepRange & { readonly matchers: readonly LabelMatcher[] },
  signal: AbortSignal,
) => Promise<number>;

/**
 * The shards of an expression of which no two read the same groups. Parts of metrics are spread over slots of the store by the hash that shards
 * go by, so that a shard has slots of its own, up to as many as there are; of a metric that shares its slot each shard reads all.
 *
 * @returns 1 where it is to be left whole, or nothing is known
 */
export async function shardsOf(
  expr: Expr,
  tenant: string,
  { startMs, endMs, lookbackMs }: StepRange & { readonly lookbackMs: number },
  ownSlots: OwnSlots,
  signal: AbortSignal,
): Promise<number> {
  const reach = reachOf(expr, lookbackMs);
  const selectors = selectorsOf(expr);
  if (reach === undefined || selectors.length === 0) return 1;
  const range = { startMs: startMs - reach.backMs, endMs: endMs + reach.aheadMs };
  let shards = Number.POSITIVE_INFINITY;
  try {
    for (const matchers of selectors) {
      if (shards > 1) shards = Math.min(shards, await ownSlots(tenant, { matchers, ...range }, signal));
    }
  } catch (thrown) {
    throwUnlessAway(thrown, signal);
    return 1;
  }
  return shards;
}
