import type { FloatHistogram } from '../../model/histogram.ts';
import { FLOAT, HISTOGRAM, type SampleColumns } from '../../storage/columns.ts';

/**
 * The samples of one series without its stale markers, floats and histograms apart, ascending by time. Reused from series
 * to series; only the first `floats` and `histograms` entries hold.
 */
export class SeriesSamples {
  floats = 0;
  /** As `SampleColumns.timesId`, of `floatTimes`. */
  timesId = 0;
  floatTimes: Float64Array = new Float64Array(0);
  floatValues: Float64Array = new Float64Array(0);
  /** Start timestamps, 0 where unknown; only where `hasStarts`. */
  floatStarts: Float64Array = new Float64Array(0);
  histograms = 0;
  histogramTimes: Float64Array = new Float64Array(0);
  histogramValues: FloatHistogram[] = [];
  histogramStarts: Float64Array = new Float64Array(0);
  hasStarts = false;
  /** Where the columns cannot be taken as they are. */
  #own = { times: new Float64Array(0), values: new Float64Array(0), starts: new Float64Array(0) };
  #ownHistograms = { times: new Float64Array(0), starts: new Float64Array(0) };

  /** Holds on to the columns' own arrays where every sample is a float. */
  take(columns: SampleColumns): void {
    this.hasStarts = columns.hasStarts;
    this.histograms = 0;
    if (columns.plain) {
      this.floats = columns.count;
      this.timesId = columns.timesId;
      this.floatTimes = columns.times;
      this.floatValues = columns.values;
      this.floatStarts = columns.starts;
      return;
    }
    this.timesId = 0;
    this.#split(columns);
  }

  #split(columns: SampleColumns): void {
    const { count, times, values, kinds, starts } = columns;
    if (this.#own.times.length < count) {
      const size = Math.max(count, 512);
      this.#own = { times: new Float64Array(size), values: new Float64Array(size), starts: new Float64Array(size) };
      this.#ownHistograms = { times: new Float64Array(size), starts: new Float64Array(size) };
    }
    this.floatTimes = this.#own.times;
    this.floatValues = this.#own.values;
    this.floatStarts = this.#own.starts;
    this.histogramTimes = this.#ownHistograms.times;
    this.histogramStarts = this.#ownHistograms.starts;
    let floats = 0;
    let histograms = 0;
    for (let i = 0; i < count; i++) {
      const kind = kinds[i]!;
      if (kind === FLOAT) {
        this.floatTimes[floats] = times[i]!;
        this.floatValues[floats] = values[i]!;
        if (columns.hasStarts) this.floatStarts[floats] = starts[i]!;
        floats++;
      } else if (kind === HISTOGRAM) {
        this.histogramTimes[histograms] = times[i]!;
        this.histogramValues[histograms] = columns.histograms[i]!;
        if (columns.hasStarts) this.histogramStarts[histograms] = starts[i]!;
        histograms++;
      }
    }
    this.floats = floats;
    this.histograms = histograms;
  }
}
