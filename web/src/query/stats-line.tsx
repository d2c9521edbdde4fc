import type { Answer } from '../api/columns.ts';
import { printDuration } from '../model/duration.ts';
import { printValue } from '../model/units.ts';

/** The cost of an answer, and whether it is whole. */
export function QueryStatsLine({ answer, stepMs }: { readonly answer: Answer; readonly stepMs: number | undefined }) {
  const { stats, seriesTotal, bytes, warnings } = answer;
  const parts = [`${seriesTotal} series`];
  if (stepMs !== undefined) parts.push(`step ${printDuration(stepMs)}`);
  if (stats !== undefined) {
    parts.push(printValue(stats.seconds, 'seconds'));
    parts.push(
      `${printValue(stats.totalQueryableSamples, 'number')} samples, at most ${printValue(stats.peakSamples, 'number')} at once`,
    );
    const { fetchedBytes, fetchedRows, fetchedObjects, cachedBlocks } = stats.more;
    if (fetchedBytes !== undefined) parts.push(`${printValue(fetchedBytes, 'bytes')} from the store`);
    if (fetchedRows !== undefined)
      parts.push(`${fetchedRows} rows, ${fetchedObjects ?? 0} objects, ${cachedBlocks ?? 0} from the cache`);
  }
  parts.push(`answer ${printValue(bytes, 'bytes')}`);
  parts.push(warnings.some((text) => /incomplete|truncated/i.test(text)) ? 'incomplete' : 'complete');
  return (
    <p className="dim" style={{ margin: '6px 0 0' }}>
      {parts.join(' · ')}
    </p>
  );
}
