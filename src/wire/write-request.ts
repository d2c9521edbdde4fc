import { floatOfWords, highWord, isStale, lowWord } from '../lib/float-bits.ts';
import { writeErrors } from '../model/errors-write.ts';
import type { FloatHistogram } from '../model/histogram.ts';
import type { Histogram } from '../model/histogram-integer.ts';
import type { HistogramFault } from '../model/histogram-validate.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { MessageReader } from './message-reader.ts';

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

/**
 * Parts of a series that are read one at a time, each when it is asked for: few bytes of a body would be many objects. A list of them
 * is one too.
 */
export interface WriteParts<T> extends Iterable<T> {
  readonly length: number;
}

/** A series as the body has it; `WriteSeries` has all of it at once. */
export interface ReadSeries extends Omit<WriteSeries, 'histograms' | 'exemplars'> {
  readonly histograms: WriteParts<WriteHistogram>;
  readonly exemplars: WriteParts<WriteExemplar>;
}

/** A body that is read series by series, so that no more than one of them lies in memory. */
export interface WriteReader {
  /**
   * The series, each to be used before the next one is asked for; undefined now and then, where there is none yet: a moment to pause.
   * @throws AppError write-request-invalid, write-items-too-many
   */
  series(): Generator<ReadSeries | undefined, void>;
  /** Entries of what was read until now. */
  readonly metadata: readonly MetricMetadata[];
}

/** Reads all that a reader has. */
export function readAll(reader: WriteReader): WriteRequest {
  const series: WriteSeries[] = [];
  for (const one of reader.series()) {
    if (one !== undefined) series.push({ ...one, histograms: [...one.histograms], exemplars: [...one.exemplars] });
  }
  return { series, metadata: reader.metadata };
}

/** Characters of a text that a fault names. */
export const FAULT_TEXT_MAX = 200;

/** Fields that are passed over between two moments to pause. */
export const FIELDS_PER_STEP = 8_192;

/** Bytes of metadata that are read between two of them. */
export const BYTES_PER_STEP = 1024 * 1024;

/** Labels of a series; far more than any limit on them that is of use. */
export const LABELS_PER_SERIES_MAX = 5_000;

/** Floats of one series in one request, of those that are not taken by the kernel's scan. */
export const SAMPLES_PER_SERIES_MAX = 100_000;

/** Entries of metadata in one request. Prometheus sends at most 2,000 at a time. */
export const METADATA_PER_REQUEST_MAX = 20_000;

/**
 * Bytes of the parts of a valid request at the least, without the parts within them: see `MessageReader.message`. The kernel's scan
 * weighs series of remote write 1.0, which have their labels written out, as more.
 */
export const WEIGHT = {
  series: 2,
  label: 5,
  sample: 9,
  exemplar: 12,
  histogram: 20,
  span: 3,
  metadata: 4,
  symbol: 2,
} as const;

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

/** @throws AppError write-too-many: what is not scanned by the kernel is read in one piece, which must stay small */
function addSample(out: WriteSamples, timeMs: number, high: number, low: number, startMs: number): void {
  if (out.count === SAMPLES_PER_SERIES_MAX) {
    throw writeErrors.writeTooMany({
      limit: SAMPLES_PER_SERIES_MAX,
      what: 'samples of a series that comes with histograms, exemplars or start timestamps',
    });
  }
  out.push(timeMs, high, low, startMs);
}

/** Reads a float sample of either version; one of version 1.0 has no start timestamp. */
export function readSample(reader: MessageReader, end: number, out: WriteSamples, hasStart: boolean): void {
  let timeMs = 0;
  let startMs = 0;
  let high = 0;
  let low = 0;
  reader.fields(end, (field, wireType) => {
    if (field === 1) {
      reader.doubleWords(wireType);
      ({ high, low } = reader);
    } else if (field === 2) timeMs = reader.int64(wireType);
    else if (field === 3 && hasStart) startMs = reader.int64(wireType);
    else return false;
    return true;
  });
  addSample(out, timeMs, high, low, startMs);
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
