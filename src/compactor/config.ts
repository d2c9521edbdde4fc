import { bytes, duration, toggle } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const compactorConfig = section('compactor', 'Compactor', {
  enabled: toggle({
    default: true,
    help: 'Merge days that are over. Without, tables are made and dropped all the same.',
  }),
  intervalMs: duration({ default: '10m', min: '1s', help: 'How often to look for something to do.' }),
  dayDelayMs: duration({
    default: '2h',
    help: 'Time after the end of a day before it is merged: longer than its last windows take to be flushed, by each owner in turn.',
  }),
  sweepIntervalMs: duration({
    default: '6h',
    min: '1s',
    help: 'How often to look for rows that a merge has replaced and for objects that no row names.',
  }),
  sweepGraceMs: duration({
    default: '1h',
    help: 'How long rows stay when a merge has replaced them: longer than any query runs, and than lists of rows are cached.',
  }),
  createAheadMs: duration({ default: '2d', help: 'How long before its first day a table is made.' }),
  retentionSize: bytes({
    default: '0',
    flag: 'retention.size',
    help: 'Size that the store in the data folder may have: the oldest tables are dropped for it. 0: any.',
  }),
});

export type CompactorConfig = typeof compactorConfig.type;
