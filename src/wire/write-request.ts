import { floatOfWords, highWord, isStale, lowWord } from '../lib/float-bits.ts';
import type { FloatHistogram } from '../model/histogram.ts';
import type { Histogram } from '../model/histogram-integer.ts';
import type { HistogramFault } from '../model/histogram-validate.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';

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

/** Float samples in the order they were sent, with every bit of their values. Most hold one: typed arrays would cost more than it. */
export class WriteSamples {
  static readonly none = new WriteSamples();

  /** Unix ms. Beyond ±2^53 they are not exact, but as far away. */
  readonly times: number[] = [];
  /** Start timestamps, 0 where there are none. */
  readonly starts: number[] = [];
  /** The words of the values, signed. */
  readonly #highs: number[] = [];
  readonly #lows: number[] = [];

  static of(samples: readonly { timeMs: number; value: number; startMs?: number }[]): WriteSamples {
    const out = new WriteSamples();
    for (const { timeMs, value, startMs } of samples) out.push(timeMs, highWord(value), lowWord(value), startMs ?? 0);
    return out;
  }

  get count(): number {
    return this.times.length;
  }

  push(timeMs: number, high: number, low: number, startMs: number): void {
    this.times.push(timeMs);
    this.#highs.push(high | 0);
    this.#lows.push(low | 0);
    this.starts.push(startMs);
  }

  high(i: number): number {
    return this.#highs[i]!;
  }

  low(i: number): number {
    return this.#lows[i]!;
  }

  /** A NaN's payload may be lost. */
  value(i: number): number {
    return floatOfWords(this.#highs[i]!, this.#lows[i]!);
  }

  isStale(i: number): boolean {
    return isStale(this.#highs[i]!, this.#lows[i]!);
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
