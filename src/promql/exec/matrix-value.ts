import { sortInTurns } from '../../lib/sort-in-turns.ts';
import { histogramSampleWeight } from '../../model/histogram.ts';
import { Labels } from '../../model/labels.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { firstAtOrAfter, interpolate } from '../functions/interpolate.ts';
import type { MatrixNode } from '../plan/node.ts';
import type { MatrixSeries, QueryValue } from '../result.ts';
import { SeriesSamples } from '../row/series-samples.ts';
import type { Execution } from './execution.ts';
import type { Opener } from './open.ts';
import { windowReach } from './range-function.ts';

/** The samples of a range vector, as an instant query shows them. */
export async function matrixValue(execution: Execution, opener: Opener, node: MatrixNode): Promise<QueryValue> {
  const { source, series: inputs } = await opener.source(node);
  const columns = new SampleColumns();
  const samples = new SeriesSamples();
  const series: MatrixSeries[] = [];
  for (let i = 0; i < inputs.length; i++) {
    if (execution.due) await execution.breathe();
    source.read(i, columns);
    execution.pass(columns.count);
    samples.take(columns);
    const { labels, dropName } = inputs[i]!;
    const shown = shownSamples(execution, node, samples, dropName ? labels.dropReserved() : labels);
    if (shown === undefined) continue;
    execution.holdPoints(pointsOf(shown));
    execution.stats.count(shown.times.length, shown.times.length);
    execution.stats.countStep(shown.times.length, node.grid, 0);
    series.push(shown);
  }
  return {
    type: 'matrix',
    series: await sortInTurns(execution.turns, series, (a, b) => Labels.compare(a.labels, b.labels)),
  };
}

/** A histogram counts as several. */
function pointsOf({ times, histograms }: MatrixSeries): number {
  let points = times.length;
  for (const histogram of histograms ?? []) if (histogram !== undefined) points += histogramSampleWeight(histogram) - 1;
  return points;
}

function shownSamples(
  execution: Execution,
  node: MatrixNode,
  samples: SeriesSamples,
  labels: Labels,
): MatrixSeries | undefined {
  const { backMs, aheadMs } = windowReach(node, execution.lookbackMs);
  const endMs = node.dataStartMs;
  const { floatTimes, floatValues, histogramTimes, histogramValues } = samples;
  const from = firstAtOrAfter(floatTimes, 0, samples.floats, endMs - backMs + 1);
  const to = firstAtOrAfter(floatTimes, from, samples.floats, endMs + aheadMs + 1);
  const histogramsFrom = firstAtOrAfter(histogramTimes, 0, samples.histograms, endMs - backMs + 1);
  const histogramsTo = firstAtOrAfter(histogramTimes, histogramsFrom, samples.histograms, endMs + aheadMs + 1);
  const { source } = node;
  if (source.kind === 'select' && (source.anchored || source.smoothed)) {
    if (histogramsTo > histogramsFrom) {
      execution.fail(`${source.anchored ? 'anchored' : 'smoothed'} modifier is not supported with histograms`);
    }
    return extended(samples, from, to, endMs - node.rangeMs, endMs, source.smoothed, labels);
  }
  const count = to - from + histogramsTo - histogramsFrom;
  if (count === 0) return undefined;
  if (histogramsFrom === histogramsTo) {
    return { labels, times: floatTimes.slice(from, to), values: floatValues.slice(from, to), histograms: undefined };
  }
  const order = [
    ...Array.from({ length: to - from }, (_, i) => ({ timeMs: floatTimes[from + i]!, at: from + i, float: true })),
    ...Array.from({ length: histogramsTo - histogramsFrom }, (_, i) => ({
      timeMs: histogramTimes[histogramsFrom + i]!,
      at: histogramsFrom + i,
      float: false,
    })),
  ].sort((a, b) => a.timeMs - b.timeMs);
  return {
    labels,
    times: Float64Array.from(order, ({ timeMs }) => timeMs),
    values: Float64Array.from(order, ({ at, float }) => (float ? floatValues[at]! : Number.NaN)),
    histograms: order.map(({ at, float }) => (float ? undefined : histogramValues[at])),
  };
}

/** Samples within the range, and what there is at its two ends. Source: Prometheus `extendFloats`. */
function extended(
  { floatTimes: times, floatValues: values }: SeriesSamples,
  from: number,
  to: number,
  startMs: number,
  endMs: number,
  smoothed: boolean,
  labels: Labels,
): MatrixSeries | undefined {
  if (from === to) return undefined;
  let last = to - 1;
  let first = Math.max(from, firstAtOrAfter(times, from, last, startMs + 1) - 1);
  if (smoothed) last = firstAtOrAfter(times, from, last, endMs);
  if (times[last]! <= startMs) return undefined;
  const between = (i: number, timeMs: number): number =>
    interpolate(times[i]!, values[i]!, times[i + 1]!, values[i + 1]!, timeMs, false);
  const left = smoothed && times[first]! < startMs ? between(first, startMs) : values[first]!;
  const right = smoothed && last > from && times[last]! > endMs ? between(last - 1, endMs) : values[last]!;
  if (times[first]! <= startMs) first++;
  if (times[last]! >= endMs) last--;
  const inner = Math.max(0, last - first + 1);
  const outTimes = new Float64Array(inner + 2);
  const outValues = new Float64Array(inner + 2);
  outTimes.set(times.subarray(first, first + inner), 1);
  outValues.set(values.subarray(first, first + inner), 1);
  outTimes[0] = startMs;
  outValues[0] = left;
  outTimes[inner + 1] = endMs;
  outValues[inner + 1] = right;
  return { labels, times: outTimes, values: outValues, histograms: undefined };
}
