import type { PartialSteps, WholeQuery, WholeReason } from '../contract/query.ts';
import { systemClock } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import { nextTurn } from '../lib/turn.ts';
import { queryErrors } from '../model/errors-query.ts';
import { Labels } from '../model/labels.ts';
import { memoryError } from '../model/memory-error.ts';
import type { SeriesShard } from '../model/series-shard.ts';
import type { Queryable, QueryContext } from '../storage/queryable.ts';
import { ShardBroken } from '../storage/series-stream.ts';
import { Annotations } from './annotations.ts';
import { RelabelOperator } from './exec/elementwise.ts';
import { Execution, type Features } from './exec/execution.ts';
import { Explainer } from './exec/explain.ts';
import { matrixValue } from './exec/matrix-value.ts';
import { mergeSameLabels } from './exec/merge.ts';
import { Opener } from './exec/open.ts';
import { NeedsWhole, type PartialColumns } from './exec/partial-aggregate.ts';
import { type AggregatedSeries, aggregatedSeries, isOneMetric } from './exec/per-series.ts';
import { ParsedExprs } from './parser/parsed.ts';
import type { ParserOptions } from './parser/parser.ts';
import { typeName, typeOf } from './parser/type.ts';
import { buildPlan } from './plan/build.ts';
import { type Grid, gridOf, stepMs } from './plan/grid.ts';
import type { MatrixNode, PlanNode } from './plan/node.ts';
import { optimize } from './plan/optimize.ts';
import { checkSize } from './plan/size.ts';
import { type PosRange, positionsIn } from './position.ts';
import type { ExplainNode, MatrixSeries, QueryResult, QueryValue, VectorSample } from './result.ts';
import { ABSENT, FLOAT_POINT, HISTOGRAM_POINT, type Operator, Row } from './row/row.ts';
import type { RowKernel } from './row/row-memory.ts';
import { type QueryStats, SampleStats } from './stats.ts';

export interface EngineOptions extends Partial<Features> {
  /** Samples that a query may hold at a time. */
  readonly samplesMax?: number;
  /** Characters of a label value that a query makes. */
  readonly labelValueCharsMax?: number;
  readonly timeoutMs?: number;
  readonly lookbackMs?: number;
  /** The step of a subquery that names none. */
  readonly subqueryStepMs?: number;
  /** Syntax that the parser takes. */
  readonly parser?: ParserOptions;
  /** Off: plans are run as they were built. */
  readonly optimize?: boolean;
  readonly nowMs?: () => number;
  /** Runs hot loops outside of JavaScript. */
  readonly rowKernel?: RowKernel;
  /** Off: sources are asked for samples only, never for rows. */
  readonly rowPrograms?: boolean;
}

interface QueryOptions {
  readonly expr: string;
  /** Overrides the engine's. */
  readonly lookbackMs?: number;
  /** Count the samples of each step. */
  readonly perStepStats?: boolean;
  /** Tell what each part of the plan did. */
  readonly explain?: boolean;
}

export interface InstantQuery extends QueryOptions {
  readonly timeMs: number;
  /** Made by `plan` for the same query; absent: it is made. */
  readonly plan?: QueryPlan | undefined;
}

/** How a query will be evaluated. */
export interface QueryPlan {
  readonly root: PlanNode;
  readonly type: ReturnType<typeof typeOf>;
  readonly lookbackMs: number;
}

export interface RangeQuery extends QueryOptions {
  readonly startMs: number;
  readonly endMs: number;
  /** Above 0. */
  readonly stepMs: number;
  /** The query that these steps are a part of. */
  readonly whole?: WholeQuery;
}

/** An instant query or one over a range, of some of the series. */
export type PartialQuery = (InstantQuery | RangeQuery) & { readonly shard: SeriesShard };

/** An aggregation of some of the series, to be merged with those of the others; or why that cannot be done. */
export type PartialAnswer =
  | (Omit<QueryResult, 'value'> & {
      readonly op: AggregatedSeries['node']['op'];
      readonly steps: PartialSteps;
      readonly columns: PartialColumns;
    })
  | { readonly reason: WholeReason; readonly stats: QueryStats };

/** Regular expressions are compiled for so long at a time. */
const PARSE_SLICE_MS = 10;

/** Evaluates PromQL over whatever is `Queryable`. Of queries it keeps nothing but their parsed text. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #features: Features;
  /** Expressions as they were parsed last, for who looks at them before. */
  readonly parsed: ParsedExprs;

  constructor(options: EngineOptions = {}) {
    this.#options = options;
    this.#features = {
      delayedNameRemoval: options.delayedNameRemoval ?? false,
      startTimestamps: options.startTimestamps ?? false,
      typeAndUnitLabels: options.typeAndUnitLabels ?? false,
    };
    this.parsed = new ParsedExprs(options.parser);
  }

  /** @throws ParseError, AppError */
  query(queryable: Queryable, query: InstantQuery, context: QueryContext): Promise<QueryResult> {
    return this.#run(queryable, query, timesOf(query), context, evaluated);
  }

  /** @throws ParseError, AppError */
  queryRange(queryable: Queryable, query: RangeQuery, context: QueryContext): Promise<QueryResult> {
    return this.#run(queryable, query, timesOf(query), context, evaluated);
  }

  /** @throws ParseError, AppError */
  partial(queryable: Queryable, query: PartialQuery, context: QueryContext): Promise<PartialAnswer> {
    return this.#run(ofShard(queryable, query.shard), query, timesOf(query), context, partlyEvaluated);
  }

  /** Parses an instant query and plans it. @throws ParseError, AppError */
  plan(query: InstantQuery, context: Pick<QueryContext, 'turn' | 'signal'>): Promise<QueryPlan> {
    return this.#planned(query, timesOf(query), context);
  }

  async #planned(
    query: QueryOptions,
    { grid, stepMs: queryStepMs, startMs, endMs }: QueryTimes,
    context: Pick<QueryContext, 'turn' | 'signal'>,
  ): Promise<QueryPlan> {
    const options = this.#options;
    const monotonicMs = options.nowMs ?? systemClock.monotonicMs;
    const turn = () => context.turn?.() ?? nextTurn();
    const pacer = new Pacer({ monotonicMs, turn }, { sliceMs: PARSE_SLICE_MS, signal: context.signal });
    const expr = await this.parsed.of(query.expr, pacer);
    checkSize(expr);
    const type = typeOf(expr);
    if (queryStepMs !== 0 && type !== 'scalar' && type !== 'vector') {
      throw queryErrors.queryInvalid({
        text: `invalid expression type "${typeName(type)}" for range query, must be Scalar or instant Vector`,
      });
    }
    const lookbackMs = query.lookbackMs ?? options.lookbackMs ?? 300_000;
    const built = buildPlan(expr, grid, {
      startMs,
      endMs,
      stepMs: queryStepMs,
      lookbackMs,
      defaultSubqueryStepMs: options.subqueryStepMs ?? 60_000,
    });
    // long texts take long to print, too
    await pacer.step();
    const root = options.optimize === false ? built : optimize(built, this.#features.startTimestamps);
    await pacer.step();
    return { root, type, lookbackMs };
  }

  async #run<Answer>(
    queryable: Queryable,
    query: QueryOptions & Pick<InstantQuery, 'plan'>,
    times: QueryTimes,
    context: QueryContext,
    evaluate: (query: OpenedQuery) => Promise<Answer>,
  ): Promise<Answer> {
    const options = this.#options;
    const monotonicMs = options.nowMs ?? systemClock.monotonicMs;
    const { root: plan, type, lookbackMs } = query.plan ?? (await this.#planned(query, times, context));
    const { grid, isPart, areWindows } = times;
    const instant = times.stepMs === 0;
    const annotations = new Annotations();
    const stats = new SampleStats(grid, query.perStepStats === true);
    const execution = new Execution({
      queryable,
      context,
      annotations,
      features: this.#features,
      areWindows,
      lookbackMs,
      stats,
      samplesMax: options.samplesMax ?? 50_000_000,
      labelValueCharsMax: options.labelValueCharsMax ?? 65_536,
      timeoutMs: options.timeoutMs ?? 120_000,
      nowMs: monotonicMs,
      rowKernel: options.rowKernel,
      rowPrograms: options.rowPrograms ?? true,
    });
    const explainer = query.explain === true ? new Explainer(() => execution.nowMs) : undefined;
    const opener = new Opener(execution, explainer?.watch);
    const told = () => {
      const positionAt = positionsIn(query.expr);
      const positionOf = ({ start, unplaced }: PosRange): string => positionAt(unplaced ? 0 : start);
      const explain: ExplainNode | undefined = explainer?.tree(plan);
      const texts = annotations.strings(positionOf);
      return { ...texts, stats: stats.result(), explain, ...(isPart ? { notes: annotations.plain() } : {}) };
    };
    try {
      return await evaluate({ execution, opener, plan, type, grid, instant, told });
    } catch (thrown) {
      throw memoryError(thrown) ?? thrown;
    } finally {
      await opener.close().finally(() => execution.close());
    }
  }
}

interface QueryTimes {
  readonly grid: Grid;
  /** 0 for an instant. */
  readonly stepMs: number;
  /** Times that the whole query is over. */
  readonly startMs: number;
  readonly endMs: number;
  readonly isPart: boolean;
  /** The steps are pieces of one window. */
  readonly areWindows: boolean;
}

function timesOf(query: InstantQuery | RangeQuery): QueryTimes {
  if ('timeMs' in query) {
    const { timeMs } = query;
    const grid = { startMs: timeMs, stepMs: 1, steps: 1 };
    return { grid, stepMs: 0, startMs: timeMs, endMs: timeMs, isPart: false, areWindows: false };
  }
  const { startMs, endMs, stepMs: queryStepMs, whole } = query;
  if (!(queryStepMs > 0))
    throw queryErrors.queryInvalid({
      text: 'zero or negative query resolution step widths are not accepted. Try a positive integer',
    });
  const times = whole ?? { startMs, endMs };
  return {
    grid: gridOf(startMs, endMs, queryStepMs),
    stepMs: queryStepMs,
    startMs: times.startMs,
    endMs: times.endMs,
    isPart: whole !== undefined,
    areWindows: whole?.windows === true,
  };
}

/** A plan that is about to be run, and all that runs it. */
interface OpenedQuery {
  readonly execution: Execution;
  readonly opener: Opener;
  readonly plan: PlanNode;
  readonly type: ReturnType<typeof typeOf>;
  readonly grid: Grid;
  readonly instant: boolean;
  /** Everything beside the value, once that is there. */
  readonly told: () => Omit<QueryResult, 'value'>;
}

async function evaluated(query: OpenedQuery): Promise<QueryResult> {
  const value = await wholeValue(query);
  return { value, ...query.told() };
}

async function partlyEvaluated({ execution, opener, plan, grid, instant, told }: OpenedQuery): Promise<PartialAnswer> {
  const { startMs, stepMs, steps } = grid;
  try {
    const found = aggregatedSeries(plan);
    if (found === undefined) throw new NeedsWhole('expression');
    // names that are only marked keep series apart until the end
    const keepsApart = !found.dropsNames || execution.features.delayedNameRemoval || isOneMetric(found.select);
    if (!keepsApart) throw new NeedsWhole('names');
    opener.prefetch(plan);
    const columns = await opener.partial(found);
    const { op } = found.node;
    const rest = told();
    if (!execution.annotations.areMergeable) throw new NeedsWhole('notes');
    return { op, steps: { instant, startMs, stepMs, count: steps }, columns, ...rest };
  } catch (thrown) {
    const reason = thrown instanceof ShardBroken ? 'names' : thrown instanceof NeedsWhole ? thrown.reason : undefined;
    if (reason === undefined) throw thrown;
    return { reason, stats: execution.stats.result() };
  }
}

/** The series of `queryable` that are in the shard. */
function ofShard(queryable: Queryable, shard: SeriesShard): Queryable {
  const stream = queryable.stream?.bind(queryable);
  return {
    select: (request, context) => queryable.select({ ...request, shard }, context),
    ...(stream === undefined ? {} : { stream: (request, context) => stream({ ...request, shard }, context) }),
    labelNames: (request, context) => queryable.labelNames(request, context),
    labelValues: (name, request, context) => queryable.labelValues(name, request, context),
  };
}

async function wholeValue({ execution, opener, plan, type, grid, instant }: OpenedQuery): Promise<QueryValue> {
  if (plan.kind === 'string') return { type: 'string', timeMs: grid.startMs, value: plan.value };
  opener.prefetch(plan);
  if (type === 'matrix') return matrixValue(execution, opener, plan as MatrixNode);
  const operator = await opener.open(plan);
  if (instant && type === 'scalar') {
    const row = new Row(1);
    operator.row(0, row);
    execution.stats.atPeak(1);
    return { type: 'scalar', timeMs: grid.startMs, value: row.values[0]! };
  }
  const named = await withoutDroppedNames(execution, operator);
  return instant ? vectorValue(execution, named, grid.startMs) : rangeValue(execution, named, grid);
}

/** Names that were only marked are dropped now. */
async function withoutDroppedNames(execution: Execution, operator: Operator): Promise<Operator> {
  if (!execution.features.delayedNameRemoval) return operator;
  const drops = operator.series.some(({ dropName }) => dropName);
  const series = operator.series.map((each) =>
    each.dropName ? { labels: each.labels.dropReserved(), dropName: true } : each,
  );
  return mergeSameLabels(execution, drops ? new RelabelOperator(operator, series) : operator);
}

async function vectorValue(execution: Execution, operator: Operator, timeMs: number): Promise<QueryValue> {
  const samples: VectorSample[] = [];
  let points = 0;
  const row = new Row(1);
  for (let i = 0; i < operator.series.length; i++) {
    if (execution.due) await execution.breathe();
    operator.row(i, row);
    const { labels } = operator.series[i]!;
    if (row.present[0] === FLOAT_POINT) {
      samples.push({ labels, timeMs, value: row.values[0]!, histogram: undefined });
    } else if (row.present[0] === HISTOGRAM_POINT) {
      samples.push({ labels, timeMs, value: Number.NaN, histogram: row.histograms[0] });
    }
    execution.hold(row.filled, row.filled * 100);
    points += row.filled;
  }
  execution.stats.atPeak(points);
  return { type: 'vector', samples };
}

async function rangeValue(execution: Execution, operator: Operator, grid: Grid): Promise<QueryValue> {
  const series: MatrixSeries[] = [];
  let points = 0;
  const row = new Row(grid.steps);
  const allTimes = Float64Array.from({ length: grid.steps }, (_, step) => stepMs(grid, step));
  for (let i = 0; i < operator.series.length; i++) {
    if (execution.due) await execution.breathe();
    operator.row(i, row);
    if (row.filled === 0) continue;
    execution.holdPoints(row.filled - row.histogramCount + row.histogramWeight);
    points += row.filled;
    series.push(matrixSeries(operator.series[i]!.labels, row, allTimes));
  }
  execution.stats.atPeak(points);
  return {
    type: 'matrix',
    series: await sortInTurns(execution.turns, series, (a, b) => Labels.compare(a.labels, b.labels)),
  };
}

function matrixSeries(labels: Labels, row: Row, allTimes: Float64Array): MatrixSeries {
  const { run } = row;
  if (run >= 0) {
    const to = run + row.filled;
    // series without gaps share their times
    const times = row.filled === row.steps ? allTimes : allTimes.subarray(run, to);
    return { labels, times, values: row.values.slice(run, to), histograms: undefined };
  }
  const times = new Float64Array(row.filled);
  const values = new Float64Array(row.filled);
  const histograms = row.histogramCount > 0 ? new Array<MatrixHistogram>(row.filled) : undefined;
  let at = 0;
  for (let step = 0; step < row.steps; step++) {
    const kind = row.present[step];
    if (kind === ABSENT) continue;
    times[at] = allTimes[step]!;
    values[at] = kind === FLOAT_POINT ? row.values[step]! : Number.NaN;
    if (kind === HISTOGRAM_POINT) histograms![at] = row.histograms[step];
    at++;
  }
  return { labels, times, values, histograms };
}

type MatrixHistogram = NonNullable<MatrixSeries['histograms']>[number];
