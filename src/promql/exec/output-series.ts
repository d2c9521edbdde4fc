import type { Labels } from '../../model/labels.ts';
import { memoOf, type SeriesMemo } from '../../storage/series-memo.ts';
import type { OutputSeries } from '../row/row.ts';
import type { Execution } from './execution.ts';

/** Series as a selector has them. */
export function selectedSeries(labels: readonly Labels[], memo: SeriesMemo | undefined): readonly OutputSeries[] {
  return memoOf(memo, 'selected', () => labels.map((own) => ({ labels: own, dropName: false })));
}

/** The same series without their names, and a memo of those. */
export function namelessSeries(
  execution: Execution,
  selected: readonly OutputSeries[],
  memo: SeriesMemo | undefined,
): { readonly series: readonly OutputSeries[]; readonly memo: SeriesMemo | undefined } {
  const key = execution.features.delayedNameRemoval ? 'marked' : 'nameless';
  return memoOf(memo, key, () => ({
    series: selected.map((each) => execution.withoutName(each)),
    memo: memo === undefined ? undefined : new Map(),
  }));
}
