import { formatG } from '../../lib/go-float.ts';
import {
  equalBounds,
  equalHistograms,
  type FloatHistogram,
  type ResetHint,
  withResetHint,
} from '../../model/histogram.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import { Labels } from '../../model/labels.ts';
import { FLOAT, HISTOGRAM, SampleColumns, STALE, STALE_HISTOGRAM } from '../../storage/columns.ts';
import type { LabelAnswer, LabelRequest, Queryable, SelectRequest, SeriesSet } from '../../storage/queryable.ts';
import type { Item } from './series-line.ts';

/**
 * Series in memory, with the reset hints that a head of Prometheus gives back: a chunk of histograms ends where the counter
 * was reset or the layout changed; its first sample does not know of the one before.
 */
export class MemoryStorage implements Queryable {
  readonly #series = new Map<string, MemorySeries>();

  /**
   * A sample that is not newer than the newest of its series is left out.
   * @param startMs 0 where unknown
   * @returns why it was left out, as Prometheus words it; nothing where it is the newest sample itself
   */
  append(labels: Labels, timeMs: number, item: Item, startMs = 0): string | undefined {
    return this.#seriesOf(labels).append(timeMs, item, startMs);
  }

  #seriesOf(labels: Labels): MemorySeries {
    let series = this.#series.get(labels.key);
    if (series === undefined) {
      series = new MemorySeries(labels);
      this.#series.set(labels.key, series);
    }
    return series;
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

  /** Appends the samples of a series to what `out` holds, which must be older. */
  readBehind(labels: Labels, startMs: number, endMs: number, out: SampleColumns): void {
    this.#series.get(labels.key)?.readBehind(startMs, endMs, out);
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

class MemorySeries {
  readonly labels: Labels;
  readonly #samples = new SampleColumns();
  /** The header of the chunk of histograms that is being written; none where the last sample is a float. */
  #chunk: ResetHint | undefined;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  append(timeMs: number, item: Item, startMs: number): string | undefined {
    const samples = this.#samples;
    if (item === undefined) return undefined;
    if (samples.count > 0 && timeMs <= samples.times[samples.count - 1]!) return this.#fault(timeMs, item);
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
    return undefined;
  }

  #fault(timeMs: number, item: Exclude<Item, undefined>): string | undefined {
    const { times, values, kinds, histograms, count } = this.#samples;
    if (timeMs < times[count - 1]!) return 'out of order sample';
    const kind = kinds[count - 1]!;
    const duplicate = 'duplicate sample for timestamp';
    if (typeof item === 'object' && 'histogram' in item) {
      const same = kind === HISTOGRAM && equalHistograms(histograms[count - 1]!, item.histogram);
      return same ? undefined : duplicate;
    }
    const isStale = item === 'stale';
    const value = isStale ? Number.NaN : item.value;
    const fault = `${duplicate} ${timeMs}; overrides not allowed: existing`;
    const said = (text: string) => (timeMs === 0 ? duplicate : text);
    if (kind === HISTOGRAM || kind === STALE_HISTOGRAM)
      return said(`${fault} is a histogram, new value ${formatG(value)}`);
    const same = isStale === (kind === STALE) && (isStale || Object.is(values[count - 1], value));
    const existing = kind === STALE ? Number.NaN : values[count - 1]!;
    return same ? undefined : said(`${fault} ${formatG(existing)}, new value ${formatG(value)}`);
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
    const first = this.#firstFrom(startMs);
    return first < this.#samples.count && this.#samples.times[first]! <= endMs;
  }

  /** The first sample not before that time. */
  #firstFrom(startMs: number): number {
    const { times, count } = this.#samples;
    let [low, high] = [0, count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle]! < startMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  read(startMs: number, endMs: number, out: SampleColumns): void {
    out.clear();
    this.readBehind(startMs, endMs, out);
  }

  readBehind(startMs: number, endMs: number, out: SampleColumns): void {
    const { times, values, kinds, histograms, count, hasStarts, starts } = this.#samples;
    for (let i = this.#firstFrom(startMs); i < count; i++) {
      const timeMs = times[i]!;
      if (timeMs > endMs) break;
      const kind = kinds[i]!;
      if (kind === FLOAT) out.pushFloat(timeMs, values[i]!);
      else if (kind === HISTOGRAM) out.pushHistogram(timeMs, histograms[i]!);
      else out.pushStale(timeMs, kind === STALE ? STALE : STALE_HISTOGRAM);
      if (hasStarts && starts[i] !== 0) out.setStart(starts[i]!);
    }
  }
}
