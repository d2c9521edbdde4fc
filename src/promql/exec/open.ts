import { Labels, RESERVED_NAMES } from '../../model/labels.ts';
import { memoOf } from '../../storage/series-memo.ts';
import { type SeriesBlock, StreamBroken } from '../../storage/series-stream.ts';
import { formatOpenMetrics } from '../format.ts';
import type { Opening } from '../functions/function.ts';
import type { Relabel } from '../functions/labels.ts';
import { goMax, goMin, roundTo } from '../functions/math.ts';
import { stepMs, takesTime } from '../plan/grid.ts';
import {
  type AggregateNode,
  type BinaryNode,
  type CallNode,
  childrenOf,
  isSilent,
  type MatrixNode,
  type PlanNode,
  type Select,
  type SelectorNode,
  selectOf,
} from '../plan/node.ts';
import { type Operator, type OutputSeries, Row, RowTable } from '../row/row.ts';
import { aggregate } from './aggregate.ts';
import { aggregateK, checkParam, isChoice } from './aggregate-k.ts';
import { aggregateStream, StreamedInput, streamedSelects } from './aggregate-stream.ts';
import { checkLabel, countValues } from './count-values.ts';
import { ARITHMETIC, type Finding, floatFunction, noteFinding } from './element-binary.ts';
import {
  FloatMapOperator,
  HistogramMapOperator,
  NegateOperator,
  RelabelOperator,
  RepeatOperator,
  StepFilterOperator,
  StepOperator,
  TimestampOperator,
} from './elementwise.ts';
import type { Execution } from './execution.ts';
import { fractionAnswer, histogramFunction, quantileAnswer } from './histogram-functions.ts';
import { addInfo } from './info.ts';
import { mergeSameLabels, mergeUnlessDelayed } from './merge.ts';
import { selectedSeries } from './output-series.ts';
import { NeedsWhole, PartialAggregator, type PartialColumns } from './partial-aggregate.ts';
import type { AggregatedSeries } from './per-series.ts';
import { absentRow, scalarRow } from './presence.ts';
import { RangeFunctionOperator } from './range-function.ts';
import { programsOf } from './row-programs.ts';
import { VectorScalarOperator } from './scalar-binary.ts';
import { type SelectorAnswer, SelectorOperator, SmoothedSelectorOperator } from './selector.ts';
import { setBinary } from './set-binary.ts';
import { sortByLabel, sortByValue } from './sort.ts';
import { type SampleSource, Sources } from './sources.ts';
import { SubquerySource } from './subquery.ts';
import { isTally, type TallyNode, tallied, tallyRequest } from './tally.ts';
import { vectorBinary } from './vector-binary.ts';

/** A series' samples in columns, and a function's own. */
const SUBQUERY_STEP_BYTES = 40;

const NAMELESS: OutputSeries = { labels: Labels.empty, dropName: false };

/** The parameter of an aggregation: a text for `count_values`, else a scalar at every step. */
interface AggregateParam {
  readonly row?: Row;
  readonly text?: string;
}

const NO_PARAM: AggregateParam = {};

type Opened<K extends Opening['kind']> = Extract<Opening, { kind: K }>;

interface OpenedStream {
  readonly blocks: AsyncIterable<SeriesBlock>;
  readonly input: StreamedInput;
  readonly operator: Operator;
  readonly keepsName: boolean;
}

/** Makes operators of plan nodes. */
export class Opener {
  readonly #execution: Execution;
  readonly #sources: Sources;
  readonly #shared = new Map<number, Promise<RowTable>>();
  #streamed = new Map<AggregateNode, Select>();
  readonly #watch: ((node: PlanNode, operator: Operator) => Operator) | undefined;

  /** @param watch sees every operator that is opened and may wrap it, to tell what it did */
  constructor(execution: Execution, watch?: (node: PlanNode, operator: Operator) => Operator) {
    this.#execution = execution;
    this.#sources = new Sources(execution);
    this.#watch = watch;
  }

  close(): Promise<void> {
    return this.#sources.close();
  }

  /** Asks the storage for all that the plan will read, so that nothing waits for one after another. */
  prefetch(plan: PlanNode): void {
    const execution = this.#execution;
    if (execution.queryable.takesPrograms === true && plan.grid.steps > 1) {
      this.#sources.expect(programsOf(execution, plan));
    }
    // what each part did is told of series that are all there
    if (this.#watch === undefined && this.#sources.canStream) this.#streamed = new Map(streamedSelects(plan));
    const streamed = new Set(this.#streamed.values());
    const counted = new Map<Select, TallyNode>();
    if (this.#sources.canTally) {
      for (const [node, select] of this.#streamed) if (isTally(node)) counted.set(select, node);
    }
    const visit = (node: PlanNode): void => {
      const select = node.grid.steps > 0 ? selectOf(node) : undefined;
      if (select !== undefined) {
        const tally = counted.get(select);
        if (!streamed.has(select)) this.#sources.prefetch(select);
        else if (tally !== undefined) this.#sources.prefetchTally(select, tallyRequest(tally, execution.lookbackMs));
        else this.#sources.prefetchStream(select);
      }
      for (const child of childrenOf(node)) visit(child);
    };
    visit(plan);
  }

  async open(node: PlanNode): Promise<Operator> {
    if (node.grid.steps === 0) return RowTable.empty(0);
    this.#execution.check();
    this.#execution.admit(node.grid.steps);
    const operator = await this.#open(node);
    // a chain of a thousand operators does for each of them something with every series
    if (this.#execution.due) await this.#execution.breathe();
    this.#execution.holdSeries(operator.series.length);
    return this.#watch === undefined ? operator : this.#watch(node, operator);
  }

  async #open(node: PlanNode): Promise<Operator> {
    const { steps } = node.grid;
    switch (node.kind) {
      case 'number':
        return new StepOperator(steps, NAMELESS, () => node.value);
      case 'time':
        return new StepOperator(steps, NAMELESS, (step) => stepMs(node.grid, step) / 1000);
      case 'selector':
        return this.#selector(node, 'value');
      case 'repeat':
        return new RepeatOperator(await this.open(node.input), steps);
      case 'negate': {
        const input = await this.open(node.input);
        const series = input.series.map((each) => this.#execution.withoutName(each));
        return mergeUnlessDelayed(this.#execution, new NegateOperator(input, series));
      }
      case 'shared':
        return this.#openShared(node.id, node.input);
      case 'aggregate':
        return this.#aggregate(node);
      case 'binary':
        return this.#binary(node);
      case 'call':
        return this.#call(node);
      case 'string':
      case 'matrix':
        throw new Error(`bug: a ${node.kind} has no rows`);
    }
  }

  #openShared(id: number, input: PlanNode): Promise<RowTable> {
    let table = this.#shared.get(id);
    if (table === undefined) {
      table = this.open(input).then((operator) => this.#execution.keep(operator));
      this.#shared.set(id, table);
    }
    return table;
  }

  async #selector(node: SelectorNode, answer: SelectorAnswer): Promise<Operator> {
    const execution = this.#execution;
    const set = await this.#sources.select(node.select);
    const series = selectedSeries(set.series, set.memo);
    // times are those of samples, whatever lies between them
    return node.smoothed && answer === 'value'
      ? new SmoothedSelectorOperator(execution, node, set, series)
      : new SelectorOperator(execution, node, set, series, answer);
  }

  async source(matrix: MatrixNode): Promise<{ source: SampleSource; series: readonly OutputSeries[] }> {
    if (matrix.source.kind === 'select') {
      const set = await this.#sources.select(matrix.source.select);
      return { source: set, series: selectedSeries(set.series, set.memo) };
    }
    const { node } = matrix.source;
    if (node.grid.steps === 0) return { source: { read: (_index, out) => out.clear() }, series: [] };
    this.#execution.hold(0, SUBQUERY_STEP_BYTES * node.grid.steps);
    const input = await this.open(node);
    return { source: new SubquerySource(input, node.grid), series: input.series };
  }

  /** A scalar at every step. */
  async scalar(node: PlanNode): Promise<Row> {
    const operator = await this.open(node);
    const row = new Row(operator.steps);
    if (operator.series.length > 0) operator.row(0, row);
    return row;
  }

  async #aggregate(node: AggregateNode): Promise<Operator> {
    const param = await this.#paramOf(node);
    const streamed = await this.#aggregateStream(node, param);
    return streamed ?? this.#aggregateWhole(node, param, await this.open(node.input));
  }

  async #paramOf({ op, param }: AggregateNode): Promise<AggregateParam> {
    if (param === undefined) return NO_PARAM;
    return op === 'count_values' ? { text: textOf(param) } : { row: await this.scalar(param) };
  }

  async #aggregateWhole(node: AggregateNode, { row, text }: AggregateParam, input: Operator): Promise<Operator> {
    const execution = this.#execution;
    switch (node.op) {
      case 'count_values': {
        checkLabel(execution, text!);
        const { steps, series } = input;
        const rowAt = (index: number, out: Row): void => input.row(index, out);
        const labels = (index: number): Labels => series[index]!.labels;
        return countValues(execution, node, { steps, count: series.length, row: rowAt, labels }, text!);
      }
      case 'topk':
      case 'bottomk':
      case 'limitk':
      case 'limit_ratio':
        return aggregateK(execution, node, input, row!);
      default:
        return aggregate(execution, node, input, row);
    }
  }

  /** Undefined where all series have to be there at once. */
  async #aggregateStream(node: AggregateNode, param: AggregateParam): Promise<Operator | undefined> {
    if (!this.#streamed.has(node)) return undefined;
    const execution = this.#execution;
    const counted = isTally(node) ? await this.#sources.tally(node.input.select) : undefined;
    if (counted !== undefined && isTally(node)) return tallied(execution, node, counted);
    if (param.text !== undefined) checkLabel(execution, param.text);
    // where nothing is asked for there is nothing to be read
    else if (isChoice(node.op) && !checkParam(execution, node, param.row!)) return undefined;
    return this.#unlessBroken(node, (stream) => {
      const whole = (series: Operator): Promise<Operator> => this.#aggregateWhole(node, param, series);
      return aggregateStream(execution, { ...stream, node, param: param.row, label: param.text, whole });
    });
  }

  /** An aggregation's answer of series that come a block at a time; undefined where they cannot. */
  async #unlessBroken<T>(node: AggregateNode, answer: (stream: OpenedStream) => Promise<T>): Promise<T | undefined> {
    const select = this.#streamed.get(node);
    if (select === undefined) return undefined;
    const undo = this.#execution.stats.mark();
    this.#execution.admit(node.grid.steps);
    try {
      return await answer(await this.#stream(node.input, select));
    } catch (thrown) {
      if (!(thrown instanceof StreamBroken)) throw thrown;
      undo();
      return undefined;
    }
  }

  async #stream(node: PlanNode, select: Select): Promise<OpenedStream> {
    const input = new StreamedInput();
    const blocks = this.#sources.stream(select);
    if (node.kind === 'selector') {
      const operator = new SelectorOperator(this.#execution, node, input, input.series, 'value');
      return { blocks, input, operator, keepsName: true };
    }
    if (node.kind === 'call' && node.func.open.kind === 'range') {
      const operator = await this.#streamedRange(node, node.func.open, input);
      return { blocks, input, operator, keepsName: node.func.keepsName === true };
    }
    throw new Error('bug: only selectors and range functions of them are streamed');
  }

  /** @throws NeedsWhole */
  async partial(aggregated: AggregatedSeries): Promise<PartialColumns> {
    const { node, select } = aggregated;
    const execution = this.#execution;
    if (node.grid.steps === 0) return new PartialAggregator(execution, aggregated).finish();
    const streamed = await this.#unlessBroken(node, async ({ blocks, input, operator, keepsName }) => {
      const aggregator = new PartialAggregator(execution, aggregated);
      try {
        for await (const block of blocks) {
          input.enter(block);
          const { series } = input;
          const outputs = keepsName ? series : series.map((each) => execution.withoutName(each));
          await aggregator.add({ operator, selected: block.labels, outputs });
        }
      } catch (thrown) {
        aggregator.close();
        throw thrown;
      }
      return aggregator.finish();
    });
    if (streamed !== undefined) return streamed;
    const operator = await this.open(node.input);
    const { series: selected } = await this.#sources.select(select);
    // some were the same without their names
    if (operator.series.length !== selected.length) throw new NeedsWhole('names');
    const aggregator = new PartialAggregator(execution, aggregated);
    await aggregator.add({ operator, selected, outputs: operator.series });
    return aggregator.finish();
  }

  async #binary(node: BinaryNode): Promise<Operator> {
    const execution = this.#execution;
    const { op, bool } = node;
    if (node.lhsScalar && node.rhsScalar) {
      const lhs = await this.scalar(node.lhs);
      const rhs = await this.scalar(node.rhs);
      const float = floatFunction(op);
      return new StepOperator(node.grid.steps, NAMELESS, (step) => float(lhs.values[step]!, rhs.values[step]!));
    }
    if (node.lhsScalar || node.rhsScalar) {
      const swapped = node.lhsScalar;
      const scalar = await this.scalar(swapped ? node.lhs : node.rhs);
      const vector = await this.open(swapped ? node.rhs : node.lhs);
      const changes = ARITHMETIC.has(op) || bool;
      const series = changes ? vector.series.map((each) => execution.withoutName(each)) : vector.series;
      const found = (finding: Finding): void => noteFinding(execution.annotations, op, node.pos, finding);
      const operator = new VectorScalarOperator(vector, series, scalar, { op, found }, { swapped, bool });
      return changes ? mergeUnlessDelayed(execution, operator) : operator;
    }
    const lhs = await this.open(node.lhs);
    const rhs = await this.open(node.rhs);
    return op === 'and' || op === 'or' || op === 'unless'
      ? setBinary(execution, node, lhs, rhs)
      : vectorBinary(execution, node, lhs, rhs);
  }

  async #call(node: CallNode): Promise<Operator> {
    const { args, grid } = node;
    const { open } = node.func;
    const execution = this.#execution;
    switch (open.kind) {
      case 'range':
        return this.#rangeFunction(node, open);
      case 'floats':
        return this.#mapFloats(args[0]!, open.map);
      case 'date':
        return args.length === 0
          ? new StepOperator(grid.steps, NAMELESS, (step) => open.part(Math.trunc(stepMs(grid, step) / 1000)))
          : this.#mapFloats(args[0]!, open.part);
      case 'histograms': {
        const input = await this.open(args[0]!);
        const series = input.series.map((each) => execution.withoutName(each));
        return mergeUnlessDelayed(execution, new HistogramMapOperator(input, series, open.map));
      }
      case 'constant':
        return new StepOperator(grid.steps, NAMELESS, () => open.value);
      case 'scalar':
        return rowOperator(NAMELESS, await scalarRow(execution, await this.open(args[0]!)));
      case 'vector':
        return rowOperator(NAMELESS, await this.scalar(args[0]!));
      case 'pick': {
        const a = await this.scalar(args[0]!);
        const b = await this.scalar(args[1]!);
        return new StepOperator(grid.steps, NAMELESS, (step) => open.pick(a.values[step]!, b.values[step]!));
      }
      case 'absent': {
        const row = await absentRow(execution, await this.open(args[0]!));
        return rowOperator({ labels: Labels.fromEntries(node.absentLabels), dropName: false }, row);
      }
      case 'clamp': {
        const min = open.min === undefined ? undefined : await this.scalar(args[open.min]!);
        const max = open.max === undefined ? undefined : await this.scalar(args[open.max]!);
        return this.#clamp(args[0]!, min, max);
      }
      case 'round': {
        const nearest = args[1] === undefined ? undefined : await this.scalar(args[1]);
        return this.#mapFloats(args[0]!, (value, step) => roundTo(value, 1 / (nearest?.values[step] ?? 1)));
      }
      case 'timestamp':
        return this.#timestamp(node, open.of);
      case 'relabel':
        return this.#relabel(args[0]!, open.relabel(args.slice(1).map(textOf), execution.admitLabel));
      case 'sort':
        return this.#sort(node, open);
      case 'quantile': {
        const q = await this.scalar(args[0]!);
        this.#noteQuantile(q, node, 0);
        const input = await this.open(args[1]!);
        const notes = { grid, nativePos: node.argPos[1]!, classicPos: node.argPos[1]! };
        const answer = quantileAnswer(execution, q, notes);
        return mergeUnlessDelayed(execution, await histogramFunction(execution, input, node.argPos[1]!, [answer]));
      }
      case 'quantiles':
        return this.#histogramQuantiles(node);
      case 'fraction': {
        const lower = await this.scalar(args[0]!);
        const upper = await this.scalar(args[1]!);
        const input = await this.open(args[2]!);
        const notes = { grid, nativePos: node.argPos[2]!, classicPos: node.argPos[2]! };
        const answer = fractionAnswer(execution, lower, upper, notes);
        return mergeUnlessDelayed(execution, await histogramFunction(execution, input, node.argPos[2]!, [answer]));
      }
      case 'info':
        return addInfo(execution, this.#sources, node, await this.open(args[0]!));
      case 'query':
      case 'time':
        throw new Error(`bug: ${node.func.name}() is resolved by the plan`);
    }
  }

  async #rangeFunction(node: CallNode, open: Opened<'range'>): Promise<Operator> {
    const execution = this.#execution;
    const matrixIndex = node.args.findIndex(({ kind }) => kind === 'matrix');
    const params = await this.#paramsOf(node, matrixIndex);
    const { source, series } = await this.source(node.args[matrixIndex] as MatrixNode);
    const operator = new RangeFunctionOperator(execution, node, open, matrixIndex, source, series, params);
    if (node.func.absent) {
      const row = await absentRow(execution, operator);
      return rowOperator({ labels: Labels.fromEntries(node.absentLabels), dropName: true }, row);
    }
    if (execution.features.delayedNameRemoval || operator.series === series) return operator;
    if (memoOf(source.memo, 'one metric', () => differOnlyElsewhere(series))) return operator;
    return mergeSameLabels(execution, operator);
  }

  async #paramsOf(node: CallNode, matrixIndex: number): Promise<Row[]> {
    const params: Row[] = [];
    for (const [i, arg] of node.args.entries()) if (i !== matrixIndex) params.push(await this.scalar(arg));
    return params;
  }

  /** A range function over series that come a block at a time. */
  async #streamedRange(node: CallNode, open: Opened<'range'>, input: StreamedInput): Promise<Operator> {
    const matrixIndex = node.args.findIndex(({ kind }) => kind === 'matrix');
    const params = await this.#paramsOf(node, matrixIndex);
    return new RangeFunctionOperator(this.#execution, node, open, matrixIndex, input, input.series, params);
  }

  async #mapFloats(arg: PlanNode, map: (value: number, step: number) => number): Promise<Operator> {
    const input = await this.open(arg);
    const series = input.series.map((each) => this.#execution.withoutName(each));
    return mergeUnlessDelayed(this.#execution, new FloatMapOperator(input, series, map));
  }

  async #clamp(arg: PlanNode, min: Row | undefined, max: Row | undefined): Promise<Operator> {
    const input = await this.open(arg);
    const series = input.series.map((each) => this.#execution.withoutName(each));
    const minAt = (step: number): number => (min === undefined ? -Infinity : min.values[step]!);
    const maxAt = (step: number): number => (max === undefined ? Infinity : max.values[step]!);
    const clamped = new FloatMapOperator(input, series, (value, step) => goMax(minAt(step), goMin(maxAt(step), value)));
    const valid = new Uint8Array(input.steps);
    for (let step = 0; step < input.steps; step++) valid[step] = maxAt(step) < minAt(step) ? 0 : 1;
    const operator = valid.includes(0) ? new StepFilterOperator(clamped, valid) : clamped;
    return mergeUnlessDelayed(this.#execution, operator);
  }

  async #timestamp(node: CallNode, of: 'sample' | 'start'): Promise<Operator> {
    const execution = this.#execution;
    const arg = node.args[0]!;
    if (arg.kind === 'selector') {
      const input = await this.#selector(arg, of === 'start' ? 'start-timestamp' : 'timestamp');
      const series = input.series.map((each) => execution.withoutName(each));
      return mergeUnlessDelayed(execution, new RelabelOperator(input, series));
    }
    const input = await this.open(arg);
    if (of === 'start') {
      // only samples as they are stored know of their start
      if (!isSilent(arg)) await execution.drain(input);
      return RowTable.empty(node.grid.steps);
    }
    const series = input.series.map((each) => execution.withoutName(each));
    return mergeUnlessDelayed(
      execution,
      new TimestampOperator(input, series, (step) => stepMs(node.grid, step) / 1000),
    );
  }

  async #relabel(arg: PlanNode, relabel: Relabel): Promise<Operator> {
    const execution = this.#execution;
    const input = await this.open(arg);
    const series: OutputSeries[] = [];
    for (const each of input.series) {
      if (execution.due) await execution.breathe();
      series.push(relabel(each));
    }
    return mergeSameLabels(execution, new RelabelOperator(input, series));
  }

  async #sort(node: CallNode, { by, descending }: Opened<'sort'>): Promise<Operator> {
    const input = await this.open(node.args[0]!);
    if (takesTime(node.grid)) this.#execution.annotations.sortInRangeQuery(node.pos);
    if (node.grid.steps > 1) {
      return by === 'value' ? new FloatMapOperator(input, input.series, (value) => value) : input;
    }
    return by === 'value'
      ? sortByValue(this.#execution, input, descending)
      : sortByLabel(this.#execution, input, node.args.slice(1).map(textOf), descending);
  }

  async #histogramQuantiles(node: CallNode): Promise<Operator> {
    const execution = this.#execution;
    const label = textOf(node.args[1]);
    const quantiles: Row[] = [];
    for (const [i, arg] of node.args.entries()) {
      if (i < 2) continue;
      const q = await this.scalar(arg);
      this.#noteQuantile(q, node, i);
      quantiles.push(q);
    }
    const input = await this.open(node.args[0]!);
    const notes = { grid: node.grid, nativePos: node.argPos[0]!, classicPos: node.argPos[0]! };
    const answers = quantiles.map((q) => {
      const text = formatOpenMetrics(q.values[0]!);
      const series = (labels: Labels): Labels => {
        execution.admitLabel(labels, label, text.length);
        return labels.with(label, text);
      };
      return { ...quantileAnswer(execution, q, notes), series };
    });
    return mergeUnlessDelayed(execution, await histogramFunction(execution, input, node.argPos[0]!, answers));
  }

  #noteQuantile(q: Row, node: CallNode, arg: number): void {
    for (let step = 0; step < q.steps; step++) {
      const value = q.values[step]!;
      if (!(value >= 0 && value <= 1)) this.#execution.annotations.invalidQuantile(value, node.argPos[arg]!, node.pos);
    }
  }
}

/** Whether series have the same of what is dropped: then without it they are still different. */
function differOnlyElsewhere(series: readonly OutputSeries[]): boolean {
  for (const name of RESERVED_NAMES) {
    const first = series[0]?.labels.get(name);
    for (const { labels } of series) if (labels.get(name) !== first) return false;
  }
  return true;
}

function textOf(node: PlanNode | undefined): string {
  if (node?.kind !== 'string') throw new Error('bug: a string literal was expected');
  return node.value;
}

function rowOperator(series: OutputSeries, row: Row): Operator {
  return new RowTable(row.steps, [series], [row]);
}
