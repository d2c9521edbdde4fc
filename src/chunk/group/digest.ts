import { assert } from '../../lib/assert.ts';
import { histogramBytes } from '../../model/histogram-bytes.ts';
import { FLOAT, HISTOGRAM, STALE } from '../../storage/columns.ts';
import type { Kernel, KernelExports } from '../kernel.ts';
import { Region } from '../region.ts';
import type { GroupSeries } from './series.ts';

/** A digest: two lanes of 64 bits, each the sum of what all samples add, so that their order does not show. */
export const DIGEST_BYTES = 16;
/** 0x7ff0000000000002, in two halves, since the payload need not survive as a JavaScript number. */
export const STALE_LOW = 2;
export const STALE_HIGH = 0x7ff00000;
/** Bits that stand for a stale marker of a histogram series in digests and value columns. */
export const STALE_HISTOGRAM_LOW = 3;

/** Digests of series over (labels, time, value bits): what two holders of the same samples agree upon. */
export class Digester {
  readonly #kernel: Kernel;
  readonly #exports: KernelExports;
  readonly #state: number;
  readonly #labels: Region;
  readonly #columns: Region;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#exports = kernel.exports;
    this.#state = kernel.reserve(2 * DIGEST_BYTES);
    this.#labels = new Region(kernel);
    this.#columns = new Region(kernel);
  }

  /** Adds all samples of a series to `digest` (16 bytes), modulo 2^64 a lane. */
  add(series: GroupSeries, digest: Uint8Array): void {
    const n = series.times.length;
    assert(digest.length === DIGEST_BYTES, 'a digest of another length');
    const labels = this.#labels.ensure(series.labels.length + 16);
    const times = this.#columns.ensure(16 * n + 64);
    const values = times + 8 * n;
    this.#kernel.u8.set(series.labels, labels);
    this.#exports.digestSeed(labels, series.labels.length, this.#state);
    this.#kernel.f64.set(series.times, times / 8);
    this.#kernel.f64.set(series.values, values / 8);
    if (series.kinds !== undefined) this.#putKinds(series, values);
    this.#kernel.u8.set(digest, this.#state + DIGEST_BYTES);
    this.#exports.digestSamples(times, values, n, this.#state, this.#state + DIGEST_BYTES);
    digest.set(this.#kernel.u8.subarray(this.#state + DIGEST_BYTES, this.#state + 2 * DIGEST_BYTES));
  }

  /** In place of values that are no floats: the stale markers' bits, and of a histogram half its hash. */
  #putKinds(series: GroupSeries, values: number): void {
    series.kinds!.forEach((kind, i) => {
      if (kind === FLOAT) return;
      const at = values + 8 * i;
      if (kind === HISTOGRAM) {
        // first of all: it may grow the memory, and then views of before are void
        const hash = this.#hash(histogramBytes(series.histograms![i]!));
        this.#kernel.view.setBigUint64(at, hash, true);
      } else {
        const { view } = this.#kernel;
        view.setUint32(at, kind === STALE ? STALE_LOW : STALE_HISTOGRAM_LOW, true);
        view.setUint32(at + 4, STALE_HIGH, true);
      }
    });
  }

  #hash(bytes: Uint8Array): bigint {
    const at = this.#labels.ensure(bytes.length + 16);
    this.#kernel.u8.set(bytes, at);
    const to = this.#state + DIGEST_BYTES;
    this.#exports.digestSeed(at, bytes.length, to);
    return this.#kernel.view.getBigUint64(to, true);
  }
}

/** Sums two digests into the first. */
export function addDigest(into: Uint8Array, other: Uint8Array): void {
  const a = new DataView(into.buffer, into.byteOffset, DIGEST_BYTES);
  const b = new DataView(other.buffer, other.byteOffset, DIGEST_BYTES);
  for (const lane of [0, 8]) {
    a.setBigUint64(lane, BigInt.asUintN(64, a.getBigUint64(lane, true) + b.getBigUint64(lane, true)), true);
  }
}
