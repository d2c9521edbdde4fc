import { withResetHint } from '../../model/histogram.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import { HISTOGRAM, type SampleColumns } from '../../storage/columns.ts';

/** Gives histograms that do not know whether the counter was reset before them the answer, but for the first. */
export function findResets(columns: SampleColumns): void {
  if (columns.plain) return;
  let last = -1;
  for (let i = 0; i < columns.count; i++) {
    if (columns.kinds[i] !== HISTOGRAM) continue;
    const histogram = columns.histograms[i]!;
    if (last >= 0 && histogram.resetHint === 'unknown') {
      const reset = detectReset(histogram, columns.histograms[last]!);
      columns.histograms[i] = withResetHint(histogram, reset ? 'reset' : 'not_reset');
    }
    last = i;
  }
}
