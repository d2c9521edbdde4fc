import { histogramSampleWeight } from '../../model/histogram.ts';
import type { SampleColumns } from '../../storage/columns.ts';
import type { SeriesMemo } from '../../storage/series-memo.ts';
import type { Opening, RowMethod } from '../functions/function.ts';
import { ExtremeRows, TransitionRows } from '../functions/over-time-rows.ts';
import { RateTable, ResetIndex, rateRow } from '../functions/rate.ts';
import { functionNames } from '../functions/table.ts';
import { A_FLOAT, A_HISTOGRAM, Window, type WindowFunction } from '../functions/window.ts';
import { stepMs } from '../plan/grid.ts';
import type { CallNode, MatrixNode } from '../plan/node.ts';
import type { PosRange } from '../position.ts';
import { ByTimes } from '../row/by-times.ts';
import type { Operator, OutputSeries, Row } from '../row/row.ts';
import type { RowMemory } from '../row/row-memory.ts';
import { SeriesSamples } from '../row/series-samples.ts';
import { Windows } from '../row/windows.ts';
import type { Execution } from './execution.ts';
import { namelessSeries } from './output-series.ts';
import { keepStats } from './reset-hints.ts';
import { RowBatches } from './row-batches.ts';
import { divisorOf, rangeProgram } from './row-programs.ts';
import type { SampleSource } from './sources.ts';

/** A window's reach back and ahead of its end. Anchored and smoothed selectors look beyond the range, at the samples around it. */
export function windowReach(matrix: MatrixNode, lookbackMs: number): { backMs: number; aheadMs: number } {
  const { source, rangeMs } = matrix;
  if (source.kind === 'subquery') return { backMs: rangeMs, aheadMs: 0 };
  return {
    backMs: rangeMs + (source.anchored || source.smoothed ? lookbackMs : 0),
    aheadMs: source.smoothed ? lookbackMs : 0,
  };
}

type RangeOpening = Extract<Opening, { kind: 'range' }>;

/** After so many samples looked at within one row the clock is looked at, too. */
const CHECK_SAMPLES = 10_000_000;

/** `func(…, matrix, …)`: one series at a time, as a row that its source makes of it, or of its samples. */
export class RangeFunctionOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly memo: SeriesMemo | undefined;
  readonly #execution: Execution;
  readonly #inputs: readonly OutputSeries[];
  readonly #ofCounters: boolean;
  readonly #argPos: PosRange;
  readonly #batches: RowBatches | undefined;
  readonly #makeSampled: () => SampledRows;
  /** Made when a series needs it. */
  #sampled: SampledRows | undefined;
  #produced = 0;
  /** The metric that was looked at last: mostly all series are of one. */
  #noted = '';

  constructor(
    execution: Execution,
    call: CallNode,
    open: RangeOpening,
    matrixIndex: number,
    source: SampleSource,
    inputs: readonly OutputSeries[],
    params: readonly Row[],
  ) {
    const { func, grid } = call;
    this.#execution = execution;
    this.#inputs = inputs;
    this.#ofCounters = func.ofCounters === true;
    this.#argPos = call.argPos[matrixIndex]!;
    this.steps = grid.steps;
    const { memo } = source;
    const keepsName = func.keepsName || execution.areWindows;
    const output = keepsName ? { series: inputs, memo } : namelessSeries(execution, inputs, memo);
    this.series = output.series;
    this.memo = output.memo;
    const matrix = call.args[matrixIndex] as MatrixNode;
    const anchored = matrix.source.kind === 'select' && matrix.source.anchored;
    const smoothed = matrix.source.kind === 'select' && matrix.source.smoothed;
    if (anchored && !func.anchorable) {
      const names = functionNames(({ anchorable }) => anchorable);
      execution.fail(`anchored modifier can only be used with: ${names} - not with ${func.name}`);
    }
    if (smoothed && !func.smoothable) {
      const names = functionNames(({ smoothable }) => smoothable);
      execution.fail(`smoothed modifier can only be used with: ${names} - not with ${func.name}`);
    }
    this.#makeSampled = () => new SampledRows(execution, call, open, matrixIndex, source, inputs, params);
    const program = rangeProgram(execution, call, open, matrix);
    this.#batches = program && new RowBatches(execution, program, source);
  }

  row(index: number, out: Row): void {
    const { stats } = this.#execution;
    const batches = this.#batches;
    let longest: number;
    if (batches?.row(index, this.#inputs.length, out)) {
      this.#execution.pass(batches.samples);
      stats.count(batches.total, batches.distinct);
      longest = batches.longest;
    } else {
      this.#sampled ??= this.#makeSampled();
      longest = this.#sampled.row(index, out);
    }
    this.#produced += out.filled;
    stats.atPeak(this.#produced + longest);
    if (this.#ofCounters && out.filled > out.histogramCount) this.#noteNonCounter(index);
  }

  /** A rate of what is not named like a counter is probably a mistake. */
  #noteNonCounter(index: number): void {
    const { labels } = this.#inputs[index]!;
    const { metricName } = labels;
    if (metricName === '') return;
    const { annotations, features } = this.#execution;
    if (features.typeAndUnitLabels) {
      const type = labels.get('__type__');
      if (type !== 'counter' && type !== 'histogram') {
        annotations.possibleNonCounterLabel(metricName, type, this.#argPos);
      }
    } else if (metricName !== this.#noted) {
      this.#noted = metricName;
      if (!/_(?:total|sum|count|bucket)$/.test(metricName)) annotations.possibleNonCounter(metricName, this.#argPos);
    }
  }
}

/** Rows of samples in columns: those of a series are read once, its windows found once. */
class SampledRows {
  readonly #execution: Execution;
  readonly #call: CallNode;
  readonly #matrix: MatrixNode;
  readonly #source: SampleSource;
  readonly #inputs: readonly OutputSeries[];
  readonly #evaluate: WindowFunction;
  /** The scalar arguments at each step. */
  readonly #params: readonly Row[];
  readonly #columns: SampleColumns;
  readonly #samples = new SeriesSamples();
  readonly #floatsByTimes: ByTimes<Windows>;
  /** Those of the series at hand. */
  #floats: Windows;
  readonly #histograms: Windows;
  readonly #window: Window;
  readonly #rows: RowMethods | undefined;

  constructor(
    execution: Execution,
    call: CallNode,
    open: RangeOpening,
    matrixIndex: number,
    source: SampleSource,
    inputs: readonly OutputSeries[],
    params: readonly Row[],
  ) {
    this.#execution = execution;
    this.#columns = execution.passingColumns();
    this.#call = call;
    this.#matrix = call.args[matrixIndex] as MatrixNode;
    this.#source = source;
    this.#inputs = inputs;
    this.#params = params;
    this.#evaluate = open.window;
    const { func, grid } = call;
    const { rangeMs, dataStartMs, fixed } = this.#matrix;
    const matrixSource = this.#matrix.source;
    const anchored = matrixSource.kind === 'select' && matrixSource.anchored;
    const smoothed = matrixSource.kind === 'select' && matrixSource.smoothed;
    const shape = {
      steps: grid.steps,
      firstEndMs: dataStartMs,
      stepMs: fixed ? 0 : grid.stepMs,
      ...windowReach(this.#matrix, execution.lookbackMs),
    };
    this.#floatsByTimes = new ByTimes(grid.steps, () => new Windows(shape, execution.memory));
    this.#floats = this.#floatsByTimes.of(0);
    this.#histograms = new Windows(shape);
    this.#window = new Window({
      samples: this.#samples,
      annotations: execution.annotations,
      argPos: call.argPos[matrixIndex]!,
      argsPos: call.argPos,
      callPos: call.pos,
      rangeMs,
      lookbackMs: execution.lookbackMs,
      anchored,
      smoothed,
      isPiece: execution.areWindows,
    });
    this.#window.useStarts = execution.features.startTimestamps && func.starts === true;
    const { rows } = open;
    this.#rows =
      rows === undefined || anchored || smoothed ? undefined : new RowMethods(rows, rangeMs, execution.memory);
  }

  /** Returns the samples of the largest window. */
  row(index: number, out: Row): number {
    const { stats } = this.#execution;
    const samples = this.#samples;
    this.#source.read(index, this.#columns);
    this.#execution.pass(this.#columns.count);
    if (this.#matrix.source.kind === 'select' && this.#matrix.source.statsOnly) keepStats(this.#columns);
    samples.take(this.#columns);
    this.#floats = this.#floatsByTimes.of(samples.timesId);
    this.#floats.find(samples.floatTimes, samples.floats, samples.timesId);
    const needsStarts = this.#window.useStarts && samples.hasStarts;
    if (this.#rows !== undefined && samples.histograms === 0 && !needsStarts) {
      this.#rows.fill(samples, this.#floats, out);
    } else {
      this.#histograms.find(samples.histogramTimes, samples.histograms);
      this.#fillByWindow(index, out);
    }
    if (stats.perStep === undefined && samples.histograms === 0) {
      stats.count(this.#floats.total, this.#floats.distinct);
    } else {
      this.#countSamples();
    }
    return this.#floats.longest;
  }

  #fillByWindow(index: number, out: Row): void {
    const window = this.#window;
    const evaluate = this.#evaluate;
    const { rangeMs } = this.#matrix;
    window.metricName = this.#inputs[index]!.labels.metricName;
    const withHistograms = this.#samples.histograms > 0;
    out.clear();
    let untilCheck = CHECK_SAMPLES;
    for (let step = 0; step < this.#call.grid.steps; step++) {
      window.floatsFrom = this.#floats.from[step]!;
      window.floatsTo = this.#floats.to[step]!;
      window.histogramsFrom = withHistograms ? this.#histograms.from[step]! : 0;
      window.histogramsTo = withHistograms ? this.#histograms.to[step]! : 0;
      if (window.floatsFrom === window.floatsTo && window.histogramsFrom === window.histogramsTo) continue;
      untilCheck -= window.floats + 10 * window.histograms;
      if (untilCheck < 0) {
        untilCheck = CHECK_SAMPLES;
        this.#execution.check();
      }
      window.timeMs = stepMs(this.#call.grid, step);
      window.endMs = this.#floats.endMs(step);
      window.startMs = window.endMs - rangeMs;
      for (let i = 0; i < this.#params.length; i++) window.params[i] = this.#params[i]!.values[step]!;
      const answer = evaluate(window);
      if (answer === A_FLOAT) out.setFloat(step, window.value);
      else if (answer === A_HISTOGRAM) out.setHistogram(step, window.histogram!);
    }
  }

  #countSamples(): void {
    const { stats } = this.#execution;
    const withHistograms = this.#samples.histograms > 0;
    let seen = 0;
    stats.count(this.#floats.total, this.#floats.distinct);
    for (let step = 0; step < this.#call.grid.steps; step++) {
      let inHistograms = 0;
      let read = 0;
      if (withHistograms) {
        const to = this.#histograms.to[step]!;
        for (let i = this.#histograms.from[step]!; i < to; i++) {
          const weight = histogramSampleWeight(this.#samples.histogramValues[i]!);
          inHistograms += weight;
          if (i >= seen) read += weight;
        }
        seen = to;
        stats.count(inHistograms, read);
      }
      stats.countStep(this.#floats.to[step]! - this.#floats.from[step]! + inHistograms, this.#call.grid, step);
    }
  }
}

/** The state of a function that has a way to fill whole rows of floats. */
class RowMethods {
  readonly #method: RowMethod;
  readonly #rangeSeconds: number;
  readonly #memory: RowMemory;
  readonly #tables = new Map<Windows, RateTable>();
  readonly #resets = new ResetIndex();
  readonly #extremes = new ExtremeRows();
  readonly #transitions = new TransitionRows();

  constructor(method: RowMethod, rangeMs: number, memory: RowMemory) {
    this.#method = method;
    this.#rangeSeconds = method.kind === 'rate' ? divisorOf(method.rate, rangeMs) : 1;
    this.#memory = memory;
  }

  fill(samples: SeriesSamples, windows: Windows, out: Row): void {
    const { floatValues, floatTimes, floats } = samples;
    const method = this.#method;
    switch (method.kind) {
      case 'rate': {
        let table = this.#tables.get(windows);
        if (table === undefined) {
          table = new RateTable(windows.steps, this.#rangeSeconds, this.#memory);
          this.#tables.set(windows, table);
        }
        table.find(windows, floatTimes);
        rateRow(floatValues, floats, windows, table, this.#resets, method.rate.counter, out);
        return;
      }
      case 'extreme':
        this.#extremes.row(floatValues, floats, windows, method.sign, out);
        return;
      case 'transitions':
        this.#transitions.row(floatValues, floats, windows, method.falls, out);
    }
  }
}
