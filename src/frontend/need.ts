import { DAY_MS } from '../lib/day.ts';
import type { BudgetLimits } from '../limits/query-budget.ts';
import { checkResponseSize } from '../limits/response-size.ts';
import { AppError } from '../model/errors.ts';
import { queryErrors } from '../model/errors-query.ts';
import { METRIC_NAME } from '../model/labels.ts';
import { functionOf } from '../promql/functions/table.ts';
import type { BinaryExpr, Call, Expr, VectorSelector } from '../promql/parser/ast.ts';
import { printExpr } from '../promql/parser/printer.ts';
import { typeOf } from '../promql/parser/type.ts';
import { POINT_BYTES, POINT_TEXT_BYTES } from './parts-budget.ts';
import type { StepRange } from './split.ts';

// A query's need, before anything is fetched: what the store has of its selectors, at the least. It refuses what would end at a limit
// anyway, after minutes of work.

/**
 * Limits that are known to be exceeded before anything is fetched; 0: there is none. Bytes that are fetched are not known: caches may have
 * what a query reads.
 */
export interface NeedLimits extends BudgetLimits {
  readonly maxQueryResponseSize: number;
}

/** Steps of a query that are to be evaluated. */
export interface NeededSteps {
  readonly tenant: string;
  readonly ranges: readonly StepRange[];
  readonly stepMs: number;
  readonly lookbackMs: number;
}

/** Whether sizes are bounds from above, or what there is at the least. */
export type SizeBound = 'most' | 'least';

/** A selection on one day of the store: that of `chunkstore/store-size.ts`. */
export interface SelectionSize {
  readonly series: number;
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly spans: readonly {
    readonly firstMs: number;
    readonly lastMs: number;
    readonly series: number;
    readonly samplesEach: number;
  }[];
  /** For how long series that have no spans have samples at steps, ms, all together. */
  readonly coveredMs?: number;
}

/** How points of an answer are told of samples. */
export interface Cover {
  /** Samples from here on are seen at steps. */
  readonly coverFromMs: number;
  /** A sample is taken to be there for so long. */
  readonly spacingMs: number;
}

/**
 * Tells sizes of a selection, some days at a time; `see` ends it by throwing. Where nothing is known, nothing is told. Bounds from above
 * are had from heads of groups alone; the others need labels, too, where names of metrics do not decide.
 */
export type SizesOf = (
  tenant: string,
  selection: Pick<VectorSelector, 'matchers'> & StepRange & { readonly bound: SizeBound } & Cover,
  signal: AbortSignal,
  see: (size: SelectionSize) => void,
) => Promise<void>;

interface Selection {
  readonly selector: VectorSelector;
  readonly rangeMs: number;
  /** Each of its series is one of the answer, wherever it has samples. */
  readonly isKept: boolean;
}

/** Windows shorter than this may be empty between two samples. */
const KEPT_RANGE_MS_MIN = 60_000;
/**
 * Heads tell how many samples a series has, not when: each is taken to fill an interval of scrapes as it is usual. Where they come more
 * often and series come and go, points are estimated to be more than there are.
 */
const SPACING_MS = 15_000;

/** Samples of a longer time are many, and so are those of a selector that names no metric. */
const LONG_MS = DAY_MS;
/** More steps are a heavy query, whatever it selects. */
const STEPS_MANY = 4_000;
/** A duration that may be longer, or a selector that may name no metric. */
const LONG_OR_NAMELESS = /\d(?:[dwy]|\dh|\d{2}m|\d{4})|(?:^|[^\w:])\{/;

type Steps = StepRange & { readonly stepMs: number };

/** Whether `needsMuch` may hold: told without reading the expression. @param steps undefined: it is an instant */
export function mayNeedMuch(text: string, steps: Steps | undefined): boolean {
  return (steps !== undefined && isLong(steps)) || LONG_OR_NAMELESS.test(text);
}

/** Whether a query is likely to need much, though it is not split. */
export function needsMuch(expr: Expr, steps: Steps): boolean {
  if (isLong(steps)) return true;
  return selectionsOf(expr).some(({ selector: { matchers }, rangeMs }) => {
    const isNamed = matchers.some(({ name, setMatches }) => name === METRIC_NAME && setMatches !== undefined);
    return rangeMs > LONG_MS || !isNamed;
  });
}

function isLong({ startMs, endMs, stepMs }: Steps): boolean {
  return endMs - startMs > Math.min(LONG_MS, STEPS_MANY * stepMs);
}

type Limits = NeedLimits & { readonly samplesMax: number };

/**
 * @param places told of one after another, and each held against the limits by itself: what was flushed lately is in two of them
 * @throws what limits refuse, with limit, value and need
 */
export async function refuseHopeless(
  expr: Expr,
  steps: NeededSteps,
  limits: Limits,
  places: readonly SizesOf[],
  signal: AbortSignal,
): Promise<void> {
  for (const sizesOf of places) await refuseIn(sizesOf, expr, steps, limits, signal);
}

async function refuseIn(
  sizesOf: SizesOf,
  expr: Expr,
  steps: NeededSteps,
  limits: Limits,
  signal: AbortSignal,
): Promise<void> {
  const selections = selectionsOf(expr);
  const isByName = selections.every(({ selector }) => selector.matchers.every(({ name }) => name === METRIC_NAME));
  // whatever labels say, most queries need less than they may
  if (!isByName && (await isWithin(selections, steps, limits, sizesOf, signal))) return;
  await checkNeed(selections, { ...steps, bound: 'least' }, limits, sizesOf, signal);
}

async function isWithin(
  selections: readonly Selection[],
  steps: NeededSteps,
  limits: Limits,
  sizesOf: SizesOf,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await checkNeed(selections, { ...steps, bound: 'most' }, limits, sizesOf, signal);
    return true;
  } catch (thrown) {
    if (thrown instanceof AppError && REFUSALS.has(thrown.facts.id)) return false;
    throw thrown;
  }
}

async function checkNeed(
  selections: readonly Selection[],
  { tenant, ranges, stepMs, lookbackMs, bound }: NeededSteps & { readonly bound: SizeBound },
  limits: Limits,
  sizesOf: SizesOf,
  signal: AbortSignal,
): Promise<void> {
  const need = { chunks: 0, chunkBytes: 0, points: 0 };
  const see = ({ isKept }: Selection, steps: StepRange, size: SelectionSize): void => {
    need.chunks += size.chunks;
    need.chunkBytes += size.chunkBytes;
    if (isKept) need.points += pointsOf(size, steps, stepMs);
    check(need, size, limits);
  };
  for (const selection of selections) {
    const { selector, rangeMs } = selection;
    const backMs = (rangeMs === 0 ? lookbackMs : rangeMs) + selector.offsetMs;
    for (const steps of ranges) {
      // nothing is seen of what comes after the last step
      const lastMs = steps.startMs + Math.floor((steps.endMs - steps.startMs) / stepMs) * stepMs;
      const range = { startMs: steps.startMs - backMs, endMs: lastMs - selector.offsetMs };
      const shifted = { startMs: steps.startMs - selector.offsetMs, endMs: range.endMs };
      const cover = { coverFromMs: shifted.startMs, spacingMs: SPACING_MS };
      const selected = { matchers: selector.matchers, ...range, bound, ...cover };
      await sizesOf(tenant, selected, signal, (size) => see(selection, shifted, size));
    }
  }
}

const REFUSALS: ReadonlySet<string> = new Set([
  'query-too-many-series',
  'query-too-many-chunks',
  'query-too-many-chunk-bytes',
  'query-too-many-samples',
  'query-needs-too-much-memory',
  'response-too-large',
]);

function check(
  { chunks, chunkBytes, points }: { readonly chunks: number; readonly chunkBytes: number; readonly points: number },
  { series }: SelectionSize,
  limits: Limits,
): void {
  const isOver = (value: number, limit: number) => limit > 0 && value > limit;
  const { maxFetchedSeriesPerQuery, maxFetchedChunksPerQuery, maxFetchedChunkBytesPerQuery, samplesMax } = limits;
  if (isOver(series, maxFetchedSeriesPerQuery))
    throw queryErrors.queryTooManySeries({ series, limit: maxFetchedSeriesPerQuery });
  if (isOver(chunks, maxFetchedChunksPerQuery))
    throw queryErrors.queryTooManyChunks({ chunks, limit: maxFetchedChunksPerQuery });
  if (isOver(chunkBytes, maxFetchedChunkBytesPerQuery))
    throw queryErrors.queryTooManyChunkBytes({ bytes: chunkBytes, limit: maxFetchedChunkBytesPerQuery });
  if (points > samplesMax) throw queryErrors.queryTooManySamples({ limit: samplesMax, need: Math.round(points) });
  const needBytes = Math.round(points * POINT_BYTES);
  if (isOver(needBytes, limits.maxQueryMemoryBytes))
    throw queryErrors.queryNeedsTooMuchMemory({ needBytes, limitBytes: limits.maxQueryMemoryBytes });
  checkResponseSize(Math.round(points * POINT_TEXT_BYTES), limits.maxQueryResponseSize);
}

/** Points of an answer that has the series of a selector. */
function pointsOf({ spans, coveredMs = 0 }: SelectionSize, { startMs, endMs }: StepRange, stepMs: number): number {
  let points = coveredMs / stepMs;
  for (const { firstMs, lastMs, series, samplesEach } of spans) {
    const seenMs = Math.min(lastMs, endMs) - Math.max(firstMs, startMs);
    if (seenMs <= 0) continue;
    const share = seenMs / Math.max(1, lastMs - firstMs);
    points += (series * Math.min(seenMs, samplesEach * share * SPACING_MS)) / stepMs;
  }
  return points;
}

/** The selectors whose times are known; one that is there twice is read once. */
function selectionsOf(expr: Expr): Selection[] {
  const found = new Map<string, Selection>();
  collect(expr, true, (selection) => {
    const key = `${printExpr(selection.selector)} ${selection.rangeMs}`;
    if (found.get(key)?.isKept !== true) found.set(key, selection);
  });
  return [...found.values()];
}

function collect(expr: Expr, isKept: boolean, add: (selection: Selection) => void): void {
  switch (expr.kind) {
    case 'number':
    case 'string':
      return;
    case 'vector':
      addOf(expr, 0, isKept, add);
      return;
    case 'matrix':
      if (expr.rangeExpr === undefined) addOf(expr.vector, expr.rangeMs, isKept, add);
      return;
    case 'subquery':
      // steps of its own
      return;
    case 'paren':
    case 'unary':
      collect(expr.expr, isKept, add);
      return;
    case 'aggregate':
      collect(expr.expr, false, add);
      return;
    case 'binary':
      for (const side of [expr.lhs, expr.rhs]) collect(side, isKept && keepsSeries(expr, side), add);
      return;
    case 'call':
      for (const arg of expr.args) collect(arg, isKept && isEachKept(expr, arg), add);
  }
}

function addOf(selector: VectorSelector, rangeMs: number, isKept: boolean, add: (selection: Selection) => void): void {
  if (selector.at !== undefined || selector.offsetExpr !== undefined) return;
  add({ selector, rangeMs, isKept });
}

/** Whether each series of a side is one of the result, whatever the values. */
function keepsSeries({ op, lhs, rhs, bool }: BinaryExpr, side: Expr): boolean {
  const other = side === lhs ? rhs : lhs;
  if (typeOf(other) !== 'scalar') return op === 'or' && side === lhs;
  return bool || ['+', '-', '*', '/', '%', '^'].includes(op);
}

function isEachKept({ func: name }: Call, arg: Expr): boolean {
  const func = functionOf(name)!;
  if (func.absent) return false;
  switch (func.open.kind) {
    case 'range':
      return arg.kind === 'matrix' && arg.rangeMs >= KEPT_RANGE_MS_MIN;
    case 'floats':
    case 'clamp':
    case 'round':
    case 'timestamp':
      return true;
    default:
      return false;
  }
}
