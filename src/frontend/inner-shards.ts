import type { QueryResult, QueryRunContext, QueryRunner, RangeRequest, ResultSeries } from '../contract/query.ts';
import type { Turns } from '../lib/turns.ts';
import { functionOf } from '../promql/functions/table.ts';
import type { BinaryExpr, Call, Expr } from '../promql/parser/ast.ts';
import { typeOf } from '../promql/parser/type.ts';
import { childrenOf } from '../promql/parser/walk.ts';
import type { Queryable } from '../storage/queryable.ts';
import { alone, NotCut, replaced } from './cut-text.ts';
import { addedStatistics, joinNotes, resultOfSteps, stepsOf } from './merge-steps.ts';
import { bytesOf, NO_LIMITS, type PartsMemory, PartsUse } from './parts-budget.ts';
import { isShardable } from './shard.ts';
import { hasHistograms, isAskedWhole, NotPlain, STEPS_LOOKBACK_MS, stepsQueryable } from './steps-queryable.ts';

// Aggregations within a larger expression are asked for in shards by themselves. What is around them is evaluated here, over their answers:
// each of them is a series at the steps of the query, and a selector that looks back for a millisecond sees just these.

/** An expression whose inner parts are asked for one by one. */
export interface CutOut {
  /** The expression with a selector in the place of each inner part, and nothing moved. */
  readonly outer: string;
  readonly inner: readonly InnerPart[];
}

export interface InnerPart {
  /** Blanks, then the part at its place: positions are those in the whole expression. */
  readonly expr: string;
  /** Whether it is an aggregation that may be asked for in shards. */
  readonly isSharded: boolean;
  readonly name: string;
}

interface Place {
  readonly expr: Expr;
  readonly isSharded: boolean;
}

/** @param text of the expression @returns undefined where nothing can be cut out, or the answer could be another */
export function cutOut(expr: Expr, text: string): CutOut | undefined {
  const places: Place[] = [];
  try {
    find(expr, places);
  } catch (thrown) {
    if (thrown instanceof NotCut) return undefined;
    throw thrown;
  }
  if (!places.some(({ isSharded }) => isSharded)) return undefined;
  const parts = places.map(({ expr: part }) => part);
  const outer = replaced(text, parts);
  if (outer === undefined) return undefined;
  const inner = places.map(({ expr: part, isSharded }, i) => ({
    expr: alone(text, part),
    isSharded,
    name: outer.names[i]!,
  }));
  return { outer: outer.text, inner };
}

/** @throws NotCut */
function find(expr: Expr, places: Place[]): void {
  switch (expr.kind) {
    case 'number':
    case 'string':
      break;
    case 'paren':
    case 'unary':
      find(expr.expr, places);
      break;
    case 'binary':
      if (isCostly(expr)) throw new NotCut();
      find(expr.lhs, places);
      find(expr.rhs, places);
      break;
    case 'aggregate':
      if (isShardable(expr) && !hasAggregate(expr.expr)) places.push({ expr, isSharded: true });
      // these do not depend on the order of what they are made of
      else if (expr.op === 'count' || expr.op === 'group') findCounted(expr.expr, places);
      else throw new NotCut();
      break;
    case 'call':
      if (expr.args.some((arg) => typeOf(arg) === 'matrix')) places.push({ expr, isSharded: false });
      else findInCall(expr, places);
      break;
    case 'vector':
      places.push({ expr, isSharded: false });
      break;
    case 'matrix':
    case 'subquery':
      throw new NotCut();
  }
}

/** All points of a selector would be held here, where they are only counted. @throws NotCut */
function findCounted(expr: Expr, places: Place[]): void {
  const before = places.length;
  find(expr, places);
  if (places.slice(before).some(({ isSharded }) => !isSharded)) throw new NotCut();
}

function findInCall(call: Call, places: Place[]): void {
  const { open, absent, info } = functionOf(call.func)!;
  const needsAll = open.kind === 'sort' || open.kind === 'info' || open.kind === 'quantiles';
  if (needsAll || absent || info) throw new NotCut();
  // samples have times of their own, the answers are at the steps
  if (open.kind === 'timestamp') places.push({ expr: call, isSharded: false });
  else for (const arg of call.args) find(arg, places);
}

/** Whether it drops points: all of a selector would be fetched for few of them. */
function isCostly({ op, bool, lhs, rhs }: BinaryExpr): boolean {
  const filters =
    op === 'and' || op === 'unless' || op === 'or' || (!bool && typeOf(lhs) === 'vector' && COMPARES.has(op));
  return filters && [lhs, rhs].some((side) => typeOf(side) === 'vector' && !hasAggregate(side));
}

const COMPARES: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=', '</', '>/']);

/** Whether an aggregation is made of others. */
export function hasInnerAggregate(expr: Expr): boolean {
  return expr.kind === 'paren' ? hasInnerAggregate(expr.expr) : childrenOf(expr).some(hasAggregate);
}

function hasAggregate(expr: Expr): boolean {
  return expr.kind === 'aggregate' || childrenOf(expr).some(hasAggregate);
}

export interface InnerRunners {
  /** Asks for an aggregation in shards. */
  readonly sharded: (request: RangeRequest, context: QueryRunContext) => Promise<QueryResult>;
  readonly whole: (request: RangeRequest, context: QueryRunContext) => Promise<QueryResult>;
  /** Evaluates over something else, in this thread. */
  readonly over: (queryable: Queryable) => QueryRunner;
  readonly memory: PartsMemory;
  readonly turns: Turns;
}

/**
 * The steps of a query of which inner parts are asked for by themselves. Where anything is not as plain as it has to be (histograms, errors
 * of the expression, more points than may be held), the query is asked for as it is.
 *
 * The parts are asked for one after another: each is told what those before it have used.
 */
export async function rangeOverInner(
  tenant: string,
  request: RangeRequest,
  { outer, inner }: CutOut,
  { sharded, whole, over, memory, turns }: InnerRunners,
  context: QueryRunContext,
): Promise<QueryResult> {
  const { startMs, endMs } = request;
  const steps = { ...request, whole: request.whole ?? { startMs, endMs } };
  try {
    const results: QueryResult[] = [];
    // each is held against the limits by who evaluates it
    const use = new PartsUse(NO_LIMITS, request.used);
    for (const { expr, isSharded } of inner) {
      const result = await (isSharded ? sharded : whole)({ ...steps, expr, used: use.used }, context);
      if (hasHistograms(result)) throw new NotPlain('histograms');
      holdResult(result, memory);
      use.add(result.statistics);
      results.push(result);
    }
    const series = new Map(results.map((result, i) => [inner[i]!.name, seriesOf(result)]));
    const runner = over(stepsQueryable(series));
    const { used: _, noStore: __, ...plain } = steps;
    const result = await runner.range(tenant, { ...plain, expr: outer, lookbackMs: STEPS_LOOKBACK_MS }, context);
    const parts = [...results, result].map(stepsOf);
    const { notes } = joinNotes(parts);
    if (turns.due) await turns.pause();
    const statistics = addedStatistics(results.map((each) => each.statistics));
    const answer = {
      ...resultOfSteps(request.expr, { series: parts.at(-1)!.series, notes }),
      statistics,
      explanation: undefined,
    };
    return request.whole === undefined ? answer : { ...answer, notes };
  } catch (thrown) {
    // whichever of several errors comes first, and what it names, is told by who evaluates all of it
    if (context.signal.aborted || !isAskedWhole(thrown)) throw thrown;
    memory.close();
    return await whole(request, context);
  } finally {
    memory.close();
  }
}

/** @throws NotPlain */
function holdResult(result: QueryResult, memory: PartsMemory): void {
  try {
    memory.addMemory(bytesOf(result));
  } catch (cause) {
    throw new NotPlain('more than may be held', { cause });
  }
}

function seriesOf({ value }: QueryResult): readonly ResultSeries[] {
  if (value.type !== 'matrix') throw new Error('bug: a range query without a matrix');
  return value.series;
}
