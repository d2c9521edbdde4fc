import { nextTimesId, type SampleColumns } from '../storage/columns.ts';
import { lowerBound } from '../storage/merge-columns.ts';
import { markStale } from './head-chunk.ts';
import type { Kernel, KernelExports } from './kernel.ts';
import { Region } from './region.ts';

/** Samples of one series that are decoded at once; more are read chunk by chunk. */
const SAMPLES_MAX = 128 * 1024;
const STALE_FOUND = 1;
const OTHERWISE = -2;

/** Decodes whole series of a head where their chunks are what they nearly always are: packed or XOR, one behind the other. One serves a thread. */
export class HeadSeriesDecoder {
  readonly #kernel: Kernel;
  readonly #exports: KernelExports;
  readonly #chunks: Region;
  /** Into which times are decoded next, and where those of the series before lie. */
  #times: number;
  #lastTimes: number;
  #lastCount = 0;
  readonly #values: number;
  /** Index range of the times at `#lastTimes`, end exclusive, that lie from `#startMs` to `#endMs`, both inclusive. */
  #from = 0;
  #to = 0;
  #startMs = Number.NaN;
  #endMs = Number.NaN;
  #timesId = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#exports = kernel.exports;
    this.#chunks = new Region(kernel, 16 * 1024);
    this.#times = kernel.reserve(8 * SAMPLES_MAX);
    this.#lastTimes = kernel.reserve(8 * SAMPLES_MAX);
    this.#values = kernel.reserve(8 * SAMPLES_MAX);
  }

  /** Replaces what `out` holds by the samples within the range; false, and nothing is done, where that needs more than this. */
  read(bytes: Uint8Array, from: number, to: number, startMs: number, endMs: number, out: SampleColumns): boolean {
    const src = this.#chunks.put(bytes.subarray(from, to));
    const count = this.#exports.readSeries(
      src,
      src + to - from,
      this.#times,
      this.#values,
      SAMPLES_MAX,
      this.#lastTimes,
      this.#lastCount,
    );
    if (count === OTHERWISE) return false;
    if (count < 0) throw new Error('bug: a chunk of the head does not decode');
    const { f64 } = this.#kernel;
    if (this.#exports.readSameTimes() === 0) {
      [this.#times, this.#lastTimes] = [this.#lastTimes, this.#times];
      this.#lastCount = count;
      this.#startMs = Number.NaN;
    }
    const first = this.#lastTimes / 8;
    if (startMs !== this.#startMs || endMs !== this.#endMs) {
      const times = f64.subarray(first, first + count);
      this.#from = lowerBound(times, 0, count, startMs);
      this.#to = lowerBound(times, this.#from, count, Math.floor(endMs) + 1);
      this.#startMs = startMs;
      this.#endMs = endMs;
      this.#timesId = nextTimesId();
    }
    this.#put(f64, first, out);
    return true;
  }

  #put(f64: Float64Array, first: number, out: SampleColumns): void {
    const count = this.#to - this.#from;
    const known = out.timesId === this.#timesId;
    out.clear();
    out.reserve(count);
    if (!known) out.times.set(f64.subarray(first + this.#from, first + this.#to));
    const values = this.#values + 8 * this.#from;
    out.values.set(f64.subarray(values / 8, values / 8 + count));
    out.count = count;
    if ((this.#exports.readFlags() & STALE_FOUND) !== 0) markStale(this.#kernel, values, count, out);
    out.timesId = this.#timesId;
  }
}
