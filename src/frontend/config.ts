import { choice, duration, toggle } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const queryRangeConfig = section('query_range', 'Query front end', {
  splitQueriesByIntervalMs: duration({
    default: '1d',
    flag: 'querier.split-queries-by-interval',
    help: 'Range queries are evaluated in parts of this length, by UTC: a whole number of days suits the store. 0: as they are.',
  }),
  alignQueriesWithStep: toggle({
    default: false,
    flag: 'querier.align-querier-with-step',
    help: 'Move the start and the end of range queries down to multiples of the step: their answers can be cached more often, and are of times that were not asked for.',
  }),
  queryVerticalShardSize: choice({
    default: '0',
    values: ['0', '2', '4', '8', '16', '32'],
    flag: 'frontend.query-vertical-shard-size',
    help: 'Shards of the series in which aggregations are evaluated side by side, where several processes are there for it. 0: none.',
  }),
});

export type QueryRangeConfig = typeof queryRangeConfig.type;
