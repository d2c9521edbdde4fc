import { floatHistogram } from '../../model/histogram.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import { HISTOGRAM, type SampleColumns } from '../../storage/columns.ts';

/**
 * Leaves of each histogram count, sum and schema, and tells whether the counter was reset before it, which cannot be seen later; of
 * the first that stays unknown. Source: Prometheus `HistogramStatsIterator`.
 */
export function keepStats(columns: SampleColumns): void {
  if (columns.plain) return;
  let last = -1;
  let before = columns.histograms[0];
  for (let i = 0; i < columns.count; i++) {
    if (columns.kinds[i] !== HISTOGRAM) continue;
    const histogram = columns.histograms[i]!;
    const { schema, count, sum } = histogram;
    let { resetHint } = histogram;
    if (last >= 0 && resetHint === 'unknown') resetHint = detectReset(histogram, before!) ? 'reset' : 'not_reset';
    columns.histograms[i] = floatHistogram({ schema, count, sum, resetHint });
    before = histogram;
    last = i;
  }
}
