import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeLabels } from '../../model/canonical.ts';
import { floatHistogram } from '../../model/histogram.ts';
import { Labels } from '../../model/labels.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { UndeletedSamples } from './flush-deletions.ts';

const LABELS = encodeLabels(Labels.of({ __name__: 'alpha' }));
const REQUEST = {
  id: '00',
  matchers: [LabelMatcher.of('__name__', '=', 'alpha')],
  startMs: 2000,
  endMs: 2000,
  createdMs: 0,
  state: 'pending',
} as const;

for (const [what, fill] of [
  ['stale markers', (columns: SampleColumns, timeMs: number) => columns.pushStale(timeMs)],
  [
    'histograms',
    (columns: SampleColumns, timeMs: number) => columns.pushHistogram(timeMs, floatHistogram({ count: 1, sum: 1 })),
  ],
] as const) {
  test(`floats in columns that had ${what} of another series before stay floats beside a delete request`, () => {
    const columns = new SampleColumns();
    for (const timeMs of [1000, 2000, 3000]) fill(columns, timeMs);
    // as a decoder fills them: of what is all floats the kinds are not written
    columns.clear();
    columns.times.set([1000, 2000, 3000]);
    columns.values.set([1, 2, 3]);
    columns.count = 3;

    const kept = new UndeletedSamples([REQUEST], 0, 10_000).of(LABELS, columns);

    assert.deepEqual([...kept.times.subarray(0, kept.count)], [1000, 3000]);
    assert.deepEqual([...kept.values.subarray(0, kept.count)], [1, 3]);
    assert.equal(kept.plain, true);
  });
}
