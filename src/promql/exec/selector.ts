import { FLOAT, HISTOGRAM, type SampleColumns } from '../../storage/columns.ts';
import type { SeriesSet } from '../../storage/queryable.ts';
import type { SeriesMemo } from '../../storage/series-memo.ts';
import { interpolatedFloat, interpolatedHistogram } from '../functions/interpolate.ts';
import type { SelectorNode } from '../plan/node.ts';
import { ByTimes } from '../row/by-times.ts';
import { ABSENT, type Operator, type OutputSeries, type Row } from '../row/row.ts';
import { SeriesSamples } from '../row/series-samples.ts';
import { Windows } from '../row/windows.ts';
import type { Execution } from './execution.ts';
import { NewestSamples } from './newest-samples.ts';
import { keepStats } from './reset-hints.ts';
import { RowBatches } from './row-batches.ts';
import { selectorProgram } from './row-programs.ts';
import type { SampleSource } from './sources.ts';

/** The answer of an instant vector selector at each step. Times are in seconds, those of an info series' floats in ms. */
export type SelectorAnswer = 'value' | 'timestamp' | 'start-timestamp' | 'info-timestamp';

/** An instant vector selector: the newest sample that is at most the lookback old, unless that is a stale marker. */
export class SelectorOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly memo: SeriesMemo | undefined;
  readonly #execution: Execution;
  readonly #node: SelectorNode;
  readonly #set: SampleSource;
  readonly #answer: SelectorAnswer;
  /** Where the source makes the rows itself. */
  readonly #batches: RowBatches | undefined;
  /** Made when a series needs them. */
  #ownColumns: SampleColumns | undefined;
  #ownNewest: ByTimes<NewestSamples> | undefined;
  #produced = 0;

  constructor(
    execution: Execution,
    node: SelectorNode,
    set: SampleSource,
    series: readonly OutputSeries[],
    answer: SelectorAnswer,
  ) {
    this.#execution = execution;
    this.#node = node;
    this.#set = set;
    this.#answer = answer;
    this.series = series;
    this.memo = set.memo;
    this.steps = node.grid.steps;
    const program = answer === 'value' ? selectorProgram(execution, node) : undefined;
    this.#batches = program && new RowBatches(execution, program, set);
  }

  get #columns(): SampleColumns {
    this.#ownColumns ??= this.#execution.passingColumns();
    return this.#ownColumns;
  }

  get #newestByTimes(): ByTimes<NewestSamples> {
    const { steps, stepMs } = this.#node.grid;
    const { lookbackMs, memory } = this.#execution;
    const { dataStartMs } = this.#node;
    this.#ownNewest ??= new ByTimes(steps, () => new NewestSamples(steps, dataStartMs, stepMs, lookbackMs, memory));
    return this.#ownNewest;
  }

  row(index: number, out: Row): void {
    const batches = this.#batches;
    if (batches?.row(index, this.series.length, out)) {
      this.#execution.pass(batches.samples);
      this.#count(out);
      return;
    }
    const columns = this.#columns;
    this.#set.read(index, columns);
    this.#execution.pass(columns.count);
    if (this.#node.statsOnly) keepStats(columns);
    if (columns.plain && this.#answer === 'value') {
      const newest = this.#newestByTimes.of(columns.timesId);
      newest.find(columns);
      newest.fill(columns.values, out);
    } else {
      this.#fillAny(out);
    }
    this.#count(out);
  }

  #count(out: Row): void {
    const { grid } = this.#node;
    const { stats } = this.#execution;
    stats.count(out.filled, out.filled);
    this.#produced += out.filled;
    stats.atPeak(this.#produced);
    if (stats.perStep !== undefined) {
      for (let step = 0; step < this.steps; step++) if (out.present[step] !== ABSENT) stats.countStep(1, grid, step);
    }
  }

  #fillAny(out: Row): void {
    const columns = this.#columns;
    const { times, values, kinds, plain, histograms, count } = columns;
    const { dataStartMs, grid } = this.#node;
    const { lookbackMs, features } = this.#execution;
    out.clear();
    let at = -1;
    for (let step = 0; step < this.steps; step++) {
      const timeMs = dataStartMs + step * grid.stepMs;
      while (at + 1 < count && times[at + 1]! <= timeMs) at++;
      if (at < 0 || times[at]! <= timeMs - lookbackMs) continue;
      const kind = plain ? FLOAT : kinds[at]!;
      if (kind !== FLOAT && kind !== HISTOGRAM) continue;
      if (this.#answer === 'timestamp') out.setFloat(step, times[at]! / 1000);
      else if (this.#answer === 'start-timestamp') {
        if (features.startTimestamps) out.setFloat(step, columns.hasStarts ? columns.starts[at]! / 1000 : 0);
      } else if (kind === FLOAT) out.setFloat(step, this.#answer === 'info-timestamp' ? times[at]! : values[at]!);
      else out.setHistogram(step, histograms[at]!);
    }
  }
}

/** `metric smoothed`: interpolated between the samples before and after, each at most the lookback away. */
export class SmoothedSelectorOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #execution: Execution;
  readonly #node: SelectorNode;
  readonly #set: SeriesSet;
  readonly #columns: SampleColumns;
  readonly #samples = new SeriesSamples();
  readonly #floats: Windows;
  readonly #histograms: Windows;

  constructor(execution: Execution, node: SelectorNode, set: SeriesSet, series: readonly OutputSeries[]) {
    this.#execution = execution;
    this.#columns = execution.passingColumns();
    this.#node = node;
    this.#set = set;
    this.series = series;
    this.steps = node.grid.steps;
    const shape = {
      steps: node.grid.steps,
      firstEndMs: node.dataStartMs,
      stepMs: node.grid.stepMs,
      backMs: execution.lookbackMs,
      aheadMs: execution.lookbackMs,
    };
    this.#floats = new Windows(shape);
    this.#histograms = new Windows(shape);
  }

  row(index: number, out: Row): void {
    this.#set.read(index, this.#columns);
    this.#execution.pass(this.#columns.count);
    const samples = this.#samples;
    samples.take(this.#columns);
    this.#floats.find(samples.floatTimes, samples.floats);
    this.#histograms.find(samples.histogramTimes, samples.histograms);
    out.clear();
    const { pos } = this.#node;
    const { annotations } = this.#execution;
    const metricName = this.series[index]!.labels.metricName;
    for (let step = 0; step < this.steps; step++) {
      const timeMs = this.#floats.endMs(step);
      const floats = this.#floats.to[step]! - this.#floats.from[step]!;
      const histograms = this.#histograms.to[step]! - this.#histograms.from[step]!;
      this.#execution.stats.count(floats + histograms, floats + histograms);
      this.#execution.stats.countStep(floats + histograms, this.#node.grid, step);
      if (floats > 0 && histograms > 0) annotations.mixedFloatsHistograms(metricName, pos);
      else if (floats > 0) {
        const value = interpolatedFloat(samples, this.#floats.from[step]!, this.#floats.to[step]!, timeMs);
        if (value !== undefined) out.setFloat(step, value);
      } else if (histograms > 0) {
        const from = this.#histograms.from[step]!;
        const to = this.#histograms.to[step]!;
        const histogram = interpolatedHistogram(samples, from, to, timeMs, { annotations, metricName, pos });
        if (histogram !== undefined) out.setHistogram(step, histogram);
      }
    }
  }
}
