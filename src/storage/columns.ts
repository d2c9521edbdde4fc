import type { FloatHistogram } from '../model/histogram.ts';

/** A float sample is neither stale nor a histogram. */
export const FLOAT = 0;
/** The series ended here. Its value reads as NaN; the payload 0x7ff0000000000002 need not survive in JavaScript. */
export const STALE = 1;
/** The sample is `histograms[i]`; its value reads as NaN. */
export const HISTOGRAM = 2;
/** A stale marker of a histogram series. */
export const STALE_HISTOGRAM = 3;

let lastTimesId = 0;

/** A number for times that no columns of this thread have had. */
export function nextTimesId(): number {
  return ++lastTimesId;
}

/** Samples of one series in columns, ascending by time, no time twice. Reused from series to series. */
export class SampleColumns {
  count = 0;
  /** Unix ms. Only the first `count` entries of each column hold. */
  times: Float64Array;
  values: Float64Array;
  /**
   * Equal for columns with equal times: what is found from times once holds for all of them. 0: not known. Set by readers through
   * `nextTimesId`, after all else; whatever changes the columns later makes it unknown.
   */
  timesId = 0;
  /** FLOAT, STALE, HISTOGRAM or STALE_HISTOGRAM of each sample. Only to be read where `plain` is false. */
  kinds: Uint8Array;
  /** Whether every sample is a FLOAT. */
  plain = true;
  /** Start timestamps in ms, 0 where unknown. Only to be read where `hasStarts`. */
  starts: Float64Array = new Float64Array(0);
  hasStarts = false;
  /** At the index of each sample of kind HISTOGRAM its histogram. */
  histograms: (FloatHistogram | undefined)[] = [];

  readonly #floats: (count: number) => Float64Array;

  /** @param floats makes the column of values */
  constructor(capacity = 512, floats: (count: number) => Float64Array = (count) => new Float64Array(count)) {
    this.#floats = floats;
    this.times = new Float64Array(capacity);
    this.values = floats(capacity);
    this.kinds = new Uint8Array(capacity);
  }

  get capacity(): number {
    return this.times.length;
  }

  /** Kind of the sample at `i`, whether or not all of them are floats. */
  kindAt(i: number): number {
    return this.plain ? FLOAT : this.kinds[i]!;
  }

  clear(): void {
    this.count = 0;
    this.timesId = 0;
    this.plain = true;
    this.hasStarts = false;
    this.histograms.length = 0;
  }

  /** Makes room for `capacity` samples; what the columns hold stays. */
  reserve(capacity: number): void {
    if (capacity <= this.times.length) return;
    const size = Math.max(capacity, this.times.length * 2);
    this.times = grown(this.times, new Float64Array(size));
    this.values = grown(this.values, this.#floats(size));
    this.kinds = grown(this.kinds, new Uint8Array(size));
    if (this.hasStarts) this.starts = grown(this.starts, new Float64Array(size));
  }

  pushFloat(timeMs: number, value: number): void {
    this.#push(timeMs, value, FLOAT);
  }

  pushStale(timeMs: number, kind: typeof STALE | typeof STALE_HISTOGRAM = STALE): void {
    this.#push(timeMs, Number.NaN, kind);
    this.plain = false;
  }

  pushHistogram(timeMs: number, histogram: FloatHistogram): void {
    this.#push(timeMs, Number.NaN, HISTOGRAM);
    this.histograms[this.count - 1] = histogram;
    this.plain = false;
  }

  /** Sets the start timestamp of the sample pushed last. */
  setStart(startMs: number): void {
    this.needStarts();
    this.starts[this.count - 1] = startMs;
  }

  /** From here on the start timestamps count; those of the samples so far are unknown. */
  needStarts(): void {
    if (this.starts.length < this.times.length) {
      const starts = new Float64Array(this.times.length);
      if (this.hasStarts) starts.set(this.starts);
      this.starts = starts;
    } else if (!this.hasStarts) this.starts.fill(0, 0, this.count);
    this.hasStarts = true;
  }

  /** Keeps only the first `count` samples. */
  truncate(count: number): void {
    this.count = count;
    this.timesId = 0;
    if (this.histograms.length > count) this.histograms.length = count;
  }

  #push(timeMs: number, value: number, kind: number): void {
    const i = this.count;
    if (i === this.times.length) this.reserve(i + 1);
    this.times[i] = timeMs;
    this.timesId = 0;
    this.values[i] = value;
    this.kinds[i] = kind;
    if (this.hasStarts) this.starts[i] = 0;
    this.count = i + 1;
  }
}

function grown<T extends Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
