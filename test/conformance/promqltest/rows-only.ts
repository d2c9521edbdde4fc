import assert from 'node:assert/strict';
import type { SelectRequest, SeriesSet } from '../../../src/storage/queryable.ts';
import { ROW_ENTRY_WORDS, ROW_FROM, ROW_OTHERWISE } from '../../../src/storage/row-layout.ts';
import type { ReadRows } from '../../../src/storage/series-rows.ts';
import { LoadedStorage } from './loaded-storage.ts';

/**
 * Takes the engine at its word: where rows of a program are all that is wanted, those of another one are not to be had, and no samples of a
 * series before it was said that it has no row.
 */
export class RowsOnly extends LoadedStorage {
  readonly takesPrograms = true;
  /** Series that were asked for by a program. */
  static asked = 0;

  override async select(request: SelectRequest): Promise<SeriesSet> {
    const set = await super.select(request);
    const { program } = request;
    if (program === undefined) return set;
    RowsOnly.asked += set.series.length;
    const otherwise = new Set<number>();
    const rows: ReadRows = (asked, indexes, from, to, { entries }) => {
      assert.deepEqual(asked, program);
      for (let place = from; place < to; place++) {
        otherwise.add(indexes === undefined ? place : indexes[place]!);
        entries[(place - from) * ROW_ENTRY_WORDS + ROW_FROM] = ROW_OTHERWISE;
      }
      return to;
    };
    return {
      ...set,
      rows,
      read: (index, out) => {
        assert.ok(otherwise.has(index), 'samples of a series before its row');
        set.read(index, out);
      },
    };
  }
}
