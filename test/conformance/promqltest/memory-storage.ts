import { ClassicHistogram } from '../../../src/model/classic-histogram.ts';
import { equalBounds, type FloatHistogram, type ResetHint, withResetHint } from '../../../src/model/histogram.ts';
import { isIntegerHistogram, toFloatHistogram } from '../../../src/model/histogram-integer.ts';
import { detectReset } from '../../../src/model/histogram-reset.ts';
import { Labels, METRIC_NAME } from '../../../src/model/labels.ts';
import { FLOAT, HISTOGRAM, SampleColumns, STALE, STALE_HISTOGRAM } from '../../../src/storage/columns.ts';
import type { LabelAnswer, LabelRequest, Queryable, SelectRequest, SeriesSet } from '../../../src/storage/queryable.ts';
import type { LoadCommand } from './script.ts';
import type { Item, SeriesLine } from './series-line.ts';

/**
 * Series in memory, with the reset hints that a head of Prometheus gives back: a chunk of histograms ends where the counter
 * was reset or the layout changed; its first sample does not know of the one before.
 */
export class MemoryStorage implements Queryable {
  readonly #series = new Map<string, MemorySeries>();

  load({ stepMs, series, withCustomBuckets }: LoadCommand): void {
    const lines = new Map<string, SeriesLine>();
    for (const line of series) lines.set(line.labels.key, line);
    for (const line of lines.values()) {
      const to = this.#seriesOf(line.labels);
      for (const [i, item] of line.items.entries()) {
        const timeMs = i * stepMs;
        const offsetMs = line.starts?.[i];
        to.append(timeMs, item, offsetMs === undefined ? 0 : timeMs + offsetMs);
      }
    }
    if (withCustomBuckets) this.#loadCustomBuckets([...lines.values()], stepMs);
  }

  append(labels: Labels, timeMs: number, item: Item): void {
    this.#seriesOf(labels).append(timeMs, item, 0);
  }

  #seriesOf(labels: Labels): MemorySeries {
    let series = this.#series.get(labels.key);
    if (series === undefined) {
      series = new MemorySeries(labels);
      this.#series.set(labels.key, series);
    }
    return series;
  }

  #loadCustomBuckets(lines: readonly SeriesLine[], stepMs: number): void {
    const classics = new Map<string, { labels: Labels; at: Map<number, ClassicHistogram> }>();
    for (const { labels, items } of lines) {
      const match = /^(.*)_(bucket|count|sum)$/.exec(labels.metricName);
      if (match === null) continue;
      const [, name, part] = match;
      const own = labels.with('le', '').with(METRIC_NAME, name!);
      let classic = classics.get(own.key);
      if (classic === undefined) {
        classic = { labels: own, at: new Map() };
        classics.set(own.key, classic);
      }
      const bound = part === 'bucket' ? boundOf(labels.get('le')) : 0;
      if (bound === undefined) continue;
      for (const [i, item] of items.entries()) {
        if (item === undefined || item === 'stale' || !('value' in item)) continue;
        let histogram = classic.at.get(i);
        if (histogram === undefined) {
          histogram = new ClassicHistogram();
          classic.at.set(i, histogram);
        }
        if (part === 'bucket') histogram.setBucket(bound, item.value);
        else if (part === 'count') histogram.setCount(item.value);
        else histogram.setSum(item.value);
      }
    }
    for (const { labels, at } of classics.values()) {
      const to = this.#seriesOf(labels);
      for (const [i, classic] of [...at].sort(([a], [b]) => a - b)) {
        const native = classic.toNative();
        const histogram = isIntegerHistogram(native) ? toFloatHistogram(native) : native;
        to.append(i * stepMs, { histogram }, 0);
      }
    }
  }

  select({ matchers, startMs, endMs }: SelectRequest): Promise<SeriesSet> {
    const found = [...this.#series.values()]
      .filter(({ labels }) => matchers.every((matcher) => matcher.matches(labels.get(matcher.name))))
      .filter((series) => series.hasSamples(startMs, endMs))
      .sort((a, b) => Labels.compare(a.labels, b.labels));
    return Promise.resolve({
      series: found.map(({ labels }) => labels),
      warnings: [],
      read: (index: number, out: SampleColumns) => found[index]!.read(startMs, endMs, out),
      close: () => {},
    });
  }

  labelNames({ matchers, startMs, endMs }: LabelRequest): Promise<LabelAnswer> {
    return this.#labels(matchers, startMs, endMs, (labels) => [...labels].map(([name]) => name));
  }

  labelValues(name: string, { matchers, startMs, endMs }: LabelRequest): Promise<LabelAnswer> {
    return this.#labels(matchers, startMs, endMs, (labels) => (labels.has(name) ? [labels.get(name)] : []));
  }

  #labels(
    matchers: LabelRequest['matchers'],
    startMs: number,
    endMs: number,
    pick: (labels: Labels) => string[],
  ): Promise<LabelAnswer> {
    const values = new Set<string>();
    for (const series of this.#series.values()) {
      const any =
        matchers.length === 0 ||
        matchers.some((all) => all.every((matcher) => matcher.matches(series.labels.get(matcher.name))));
      if (any && series.hasSamples(startMs, endMs)) for (const value of pick(series.labels)) values.add(value);
    }
    return Promise.resolve({ values: [...values].sort(), warnings: [] });
  }
}

function boundOf(le: string): number | undefined {
  if (/^[+-]?inf$/i.test(le)) return le.startsWith('-') ? -Infinity : Infinity;
  return le !== '' && Number.isFinite(Number(le)) ? Number(le) : undefined;
}

class MemorySeries {
  readonly labels: Labels;
  readonly #samples = new SampleColumns();
  /** The header of the chunk of histograms that is being written; none where the last sample is a float. */
  #chunk: ResetHint | undefined;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  /** What is not newer than the newest is left out. */
  append(timeMs: number, item: Item, startMs: number): void {
    const samples = this.#samples;
    if (item === undefined) return;
    if (samples.count > 0 && timeMs <= samples.times[samples.count - 1]!) return;
    const lastKind = samples.count === 0 ? FLOAT : samples.kinds[samples.count - 1]!;
    if (item === 'stale') {
      samples.pushStale(timeMs, lastKind === FLOAT || lastKind === STALE ? STALE : STALE_HISTOGRAM);
    } else if ('value' in item) {
      samples.pushFloat(timeMs, item.value);
      this.#chunk = undefined;
    } else {
      const last = lastKind === HISTOGRAM ? samples.histograms[samples.count - 1] : undefined;
      samples.pushHistogram(timeMs, withResetHint(item.histogram, this.#hint(item.histogram, last)));
    }
    if (startMs !== 0) samples.setStart(startMs);
  }

  /** As Prometheus' float histogram chunks: `FloatHistogramAppender.appendable`. */
  #hint(histogram: FloatHistogram, last: FloatHistogram | undefined): ResetHint {
    const header = this.#chunk;
    const gauge = histogram.resetHint === 'gauge';
    // that a chunk began with a reset is lost when it is read
    const begin = (hint: 'gauge' | 'unknown'): ResetHint => {
      this.#chunk = hint;
      return hint;
    };
    if (header === undefined) return begin(gauge ? 'gauge' : 'unknown');
    const sameLayout =
      last !== undefined &&
      last.schema === histogram.schema &&
      last.zeroThreshold === histogram.zeroThreshold &&
      equalBounds(last.customValues, histogram.customValues);
    if (gauge) return header === 'gauge' && sameLayout ? 'gauge' : begin('gauge');
    if (header === 'gauge') return begin('unknown');
    if (histogram.resetHint === 'reset' || !sameLayout) return begin('unknown');
    const unknown = (of: FloatHistogram): FloatHistogram => withResetHint(of, 'unknown');
    return detectReset(unknown(histogram), unknown(last)) ? begin('unknown') : 'not_reset';
  }

  hasSamples(startMs: number, endMs: number): boolean {
    for (let i = 0; i < this.#samples.count; i++) {
      const timeMs = this.#samples.times[i]!;
      if (timeMs >= startMs && timeMs <= endMs) return true;
    }
    return false;
  }

  read(startMs: number, endMs: number, out: SampleColumns): void {
    const { times, values, kinds, histograms, count, hasStarts, starts } = this.#samples;
    out.clear();
    for (let i = 0; i < count; i++) {
      const timeMs = times[i]!;
      if (timeMs < startMs || timeMs > endMs) continue;
      const kind = kinds[i]!;
      if (kind === FLOAT) out.pushFloat(timeMs, values[i]!);
      else if (kind === HISTOGRAM) out.pushHistogram(timeMs, histograms[i]!);
      else out.pushStale(timeMs, kind === STALE ? STALE : STALE_HISTOGRAM);
      if (hasStarts && starts[i] !== 0) out.setStart(starts[i]!);
    }
  }
}
