import { systemClock } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import { nextTurn } from '../lib/turn.ts';
import { queryErrors } from '../model/errors-query.ts';
import { Labels } from '../model/labels.ts';
import { memoryError } from '../model/memory-error.ts';
import type { Queryable, QueryContext } from '../storage/queryable.ts';
import { Annotations } from './annotations.ts';
import { RelabelOperator } from './exec/elementwise.ts';
import { Execution, type Features } from './exec/execution.ts';
import { Explainer } from './exec/explain.ts';
import { matrixValue } from './exec/matrix-value.ts';
import { mergeSameLabels } from './exec/merge.ts';
import { Opener } from './exec/open.ts';
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
import { SampleStats } from './stats.ts';

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
}

export interface RangeQuery extends QueryOptions {
  readonly startMs: number;
  readonly endMs: number;
  /** Above 0. */
  readonly stepMs: number;
}

/** Regular expressions are compiled for so long at a time. */
const PARSE_SLICE_MS = 10;

/** Evaluates PromQL over whatever is `Queryable`. Of queries it keeps nothing but their parsed text. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #features: Features;
  readonly #parsed: ParsedExprs;

  constructor(options: EngineOptions = {}) {
    this.#options = options;
    this.#features = {
      delayedNameRemoval: options.delayedNameRemoval ?? false,
      startTimestamps: options.startTimestamps ?? false,
      typeAndUnitLabels: options.typeAndUnitLabels ?? false,
    };
    this.#parsed = new ParsedExprs(options.parser);
  }

  /** @throws ParseError, AppError */
  query(queryable: Queryable, query: InstantQuery, context: QueryContext): Promise<QueryResult> {
    const grid = { startMs: query.timeMs, stepMs: 1, steps: 1 };
    return this.#run(queryable, query, grid, 0, context);
  }

  /** @throws ParseError, AppError */
  queryRange(queryable: Queryable, query: RangeQuery, context: QueryContext): Promise<QueryResult> {
    if (!(query.stepMs > 0))
      throw queryErrors.queryInvalid({
        text: 'zero or negative query resolution step widths are not accepted. Try a positive integer',
      });
    const grid = gridOf(query.startMs, query.endMs, query.stepMs);
    return this.#run(queryable, query, grid, query.stepMs, context, query.endMs);
  }

  async #run(
    queryable: Queryable,
    query: QueryOptions,
    grid: Grid,
    queryStepMs: number,
    context: QueryContext,
    endMs?: number,
  ): Promise<QueryResult> {
    const options = this.#options;
    const monotonicMs = options.nowMs ?? systemClock.monotonicMs;
    const turn = () => context.turn?.() ?? nextTurn();
    const pacer = new Pacer({ monotonicMs, turn }, { sliceMs: PARSE_SLICE_MS, signal: context.signal });
    const expr = await this.#parsed.of(query.expr, pacer);
    checkSize(expr);
    const type = typeOf(expr);
    const instant = queryStepMs === 0;
    if (!instant && type !== 'scalar' && type !== 'vector') {
      throw queryErrors.queryInvalid({
        text: `invalid expression type "${typeName(type)}" for range query, must be Scalar or instant Vector`,
      });
    }
    const lookbackMs = query.lookbackMs ?? options.lookbackMs ?? 300_000;
    const built = buildPlan(expr, grid, {
      startMs: grid.startMs,
      endMs: endMs ?? grid.startMs,
      stepMs: queryStepMs,
      lookbackMs,
      defaultSubqueryStepMs: options.subqueryStepMs ?? 60_000,
    });
    // long texts take long to print, too
    await pacer.step();
    const plan = options.optimize === false ? built : optimize(built, this.#features.startTimestamps);
    await pacer.step();
    const annotations = new Annotations();
    const stats = new SampleStats(grid, query.perStepStats === true);
    const execution = new Execution({
      queryable,
      context,
      annotations,
      features: this.#features,
      lookbackMs,
      stats,
      samplesMax: options.samplesMax ?? 50_000_000,
      labelValueCharsMax: options.labelValueCharsMax ?? 65_536,
      timeoutMs: options.timeoutMs ?? 120_000,
      nowMs: monotonicMs,
      rowKernel: options.rowKernel,
    });
    const explainer = query.explain === true ? new Explainer(() => execution.nowMs) : undefined;
    const opener = new Opener(execution, explainer?.watch);
    try {
      const value = await evaluate(execution, opener, plan, type, grid, instant);
      const positionAt = positionsIn(query.expr);
      const positionOf = ({ start, unplaced }: PosRange): string => positionAt(unplaced ? 0 : start);
      const explain: ExplainNode | undefined = explainer?.tree(plan);
      return { value, ...annotations.strings(positionOf), stats: stats.result(), explain };
    } catch (thrown) {
      throw memoryError(thrown) ?? thrown;
    } finally {
      await opener.close().finally(() => execution.close());
    }
  }
}

async function evaluate(
  execution: Execution,
  opener: Opener,
  plan: PlanNode,
  type: ReturnType<typeof typeOf>,
  grid: Grid,
  instant: boolean,
): Promise<QueryValue> {
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
