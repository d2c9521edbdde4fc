import { SERIES_HEADER_BYTES } from '../../wire/slice-layout.ts';
import { SliceSeriesWriter } from '../../wire/slices.ts';
import type { Head } from './head.ts';

/** The answer of `exportSeries` where `capacity` is too small. */
export const EXPORT_FULL = -1;

/**
 * As the kernel's exportSeries, with the chunks that it does not have.
 * @param packed whether its reader knows packed chunks
 */
export function exportSeries(
  head: Head,
  ref: number,
  startMs: number,
  endMs: number,
  arena: number,
  packed: boolean,
  out: number,
  capacity: number,
): number {
  const { exports } = head.kernel;
  const wrote = exports.exportSeries(ref, startMs, endMs, arena, packed, out, capacity);
  if (wrote < 0 || !head.rich.has(ref)) return wrote;
  const chunks = head.rich.chunksOf(ref, startMs, endMs, arena);
  if (chunks.length === 0) return wrote;
  let labelsBytes = 0;
  if (wrote === 0) {
    if (capacity < SERIES_HEADER_BYTES) return EXPORT_FULL;
    labelsBytes = exports.seriesLabels(ref, out + SERIES_HEADER_BYTES, capacity - SERIES_HEADER_BYTES);
    if (labelsBytes === 0) return EXPORT_FULL;
  }
  const series = new SliceSeriesWriter(head.kernel.u8.subarray(out, out + capacity));
  if (wrote === 0) series.begin(ref, labelsBytes);
  else series.resume();
  for (const chunk of chunks) if (!series.chunk(chunk)) return EXPORT_FULL;
  return series.end();
}
