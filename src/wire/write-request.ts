import { HIGH, isStale, LOW } from '../lib/float-bits.ts';
import type { FloatHistogram } from '../model/histogram.ts';
import type { Histogram } from '../model/histogram-integer.ts';
import type { HistogramFault } from '../model/histogram-validate.ts';
import type { MetricMetadata } from '../storage/ingester-client.ts';

/** A remote-write request of either version, in full: what the fast path of the kernel does not take. */
export interface WriteRequest {
  readonly series: readonly WriteSeries[];
  readonly metadata: readonly MetricMetadata[];
}

export interface WriteSeries {
  /** name, value, … as they were sent: neither sorted nor checked (model/validate.ts does that). */
  readonly pairs: readonly string[];
  /** Why they cannot be read as labels, if so: bytes that are not UTF-8 (then U+FFFD stands for them), references to nothing. */
  readonly labelsFault: string | undefined;
  readonly samples: WriteSamples;
  readonly histograms: readonly WriteHistogram[];
  readonly exemplars: readonly WriteExemplar[];
}

/** Float samples in the order they were sent, with every bit of their values. */
export class WriteSamples {
  static readonly none = new WriteSamples(0);

  count = 0;
  /** Unix ms. Beyond ±2^53 they are not exact, but as far away. */
  times: Float64Array;
  values: Float64Array;
  /** Start timestamps, 0 where there are none. */
  starts: Float64Array;
  #words: Int32Array;

  constructor(capacity: number) {
    this.times = new Float64Array(capacity);
    this.values = new Float64Array(capacity);
    this.starts = new Float64Array(capacity);
    this.#words = new Int32Array(this.values.buffer);
  }

  static of(samples: readonly { timeMs: number; value: number; startMs?: number }[]): WriteSamples {
    const out = new WriteSamples(samples.length);
    for (const [i, { timeMs, value, startMs }] of samples.entries()) {
      out.times[i] = timeMs;
      out.values[i] = value;
      out.starts[i] = startMs ?? 0;
    }
    out.count = samples.length;
    return out;
  }

  push(timeMs: number, high: number, low: number, startMs: number): void {
    const i = this.count;
    if (i === this.times.length) this.#grow();
    this.times[i] = timeMs;
    this.#words[2 * i + HIGH] = high;
    this.#words[2 * i + LOW] = low;
    this.starts[i] = startMs;
    this.count = i + 1;
  }

  high(i: number): number {
    return this.#words[2 * i + HIGH]!;
  }

  low(i: number): number {
    return this.#words[2 * i + LOW]!;
  }

  isStale(i: number): boolean {
    return isStale(this.high(i), this.low(i));
  }

  #grow(): void {
    const size = Math.max(4, this.times.length * 2);
    const grown = new WriteSamples(size);
    grown.times.set(this.times);
    grown.starts.set(this.starts);
    grown.#words.set(this.#words); // as words, so that no NaN changes on the way
    this.times = grown.times;
    this.values = grown.values;
    this.starts = grown.starts;
    this.#words = grown.#words;
  }
}

export interface WriteHistogram {
  readonly timeMs: number;
  /** 0 where there is none. */
  readonly startMs: number;
  /** Whether it says that the series ends; then `histogram` is empty. */
  readonly stale: boolean;
  readonly histogram: Histogram | FloatHistogram;
  readonly fault: HistogramFault | undefined;
}

export interface WriteExemplar {
  readonly pairs: readonly string[];
  readonly labelsFault: string | undefined;
  readonly value: number;
  /** 0 where there is none. */
  readonly timeMs: number;
}

/** Types of metrics by their number; what is beyond is unknown. */
export const METRIC_TYPES = [
  'unknown',
  'counter',
  'gauge',
  'histogram',
  'gaugehistogram',
  'summary',
  'info',
  'stateset',
] as const;
