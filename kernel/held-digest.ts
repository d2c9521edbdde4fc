import { SERIES_HEADER_BYTES, SERIES_LABELS_BYTES_AT } from '../src/wire/slice-layout';
import { digestSamples, digestSeed } from './digest';
import { exportSeries } from './head';
import { readSeries } from './query';
import { seriesIsLive } from './series';

// Digests of what a head holds, without taking it out: the same as those of groups with these samples.

export const H_DIGEST: usize = 0; // two u64 lanes, the sum over all samples
export const H_SAMPLES: usize = 16; // u64
export const H_SERIES: usize = 24; // u32
const H_SEED: usize = 32; // 16 bytes, scratch

const ALL_TIMES: f64 = 9.2e18;

/**
 * Adds the samples that series have in an arena to `sum`. Stops behind a series with which it has had `costMax` samples and bytes / 4, and
 * at one that it cannot tell: of more than `samplesMax` samples or `sliceBytes` bytes, or with samples that are not in order.
 * @param slice scratch of `sliceBytes` + 64 bytes
 * @param columns scratch of 16 · `samplesMax` bytes
 * @returns how many series it has been through, at least one; 0: the next one it cannot tell
 */
export function heldDigest(
  refs: usize,
  count: u32,
  arena: u32,
  slice: usize,
  sliceBytes: u32,
  columns: usize,
  samplesMax: u32,
  costMax: u32,
  sum: usize,
): u32 {
  const values = columns + ((<usize>samplesMax) << 3);
  const labels = slice + SERIES_HEADER_BYTES;
  let cost: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (cost >= costMax) return i;
    const ref = load<u32>(refs + ((<usize>i) << 2));
    if (!seriesIsLive(ref)) continue;
    const bytes = exportSeries(ref, -ALL_TIMES, ALL_TIMES, arena, true, slice, sliceBytes);
    if (bytes < 0) return 0;
    if (bytes == 0) continue;
    const length = load<u32>(slice, SERIES_LABELS_BYTES_AT);
    const chunks = (labels + length + 7) & ~7;
    const samples = readSeries(chunks, slice + bytes, columns, values, samplesMax, 0, 0);
    if (samples < 0) return 0;
    cost += <u32>samples + (<u32>bytes >> 2);
    // the seed comes last: it writes behind the labels, where the chunks were
    digestSeed(labels, length, sum + H_SEED);
    digestSamples(columns, values, <u32>samples, sum + H_SEED, sum + H_DIGEST);
    store<u64>(sum, load<u64>(sum, H_SAMPLES) + <u64>samples, H_SAMPLES);
    store<u32>(sum, load<u32>(sum, H_SERIES) + 1, H_SERIES);
  }
  return count;
}
