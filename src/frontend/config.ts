import { bytes, choice, count, duration, toggle } from '../kit/config/field.ts';
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
  maxRetries: count({
    default: 5,
    flag: 'querier.max-retries-per-request',
    help: 'Times that a query, or a part or shard of one, is asked for again when who evaluates it, a store, or a quorum of ingesters fails: at once where another takes the place of one that is gone, else after a pause of 0.1 s that doubles, up to a second, for five seconds: the client of a store tries longer by itself. Errors of the query itself are never tried again.',
  }),
  cacheResults: toggle({
    default: true,
    flag: 'querier.cache-results',
    help: 'Cache answers of the past, day by day, where queries are split. Late samples are then acknowledged only once the store has a note of them.',
  }),
  cacheSamplesMin: count({
    default: 1000,
    flag: 'querier.cache-samples-min',
    help: 'Answers for which fewer samples were looked at are not cached: they are had as soon as the cache would give them.',
  }),
  resultsCacheBackend: choice({
    default: 'memory',
    values: ['memory', 'memcached', 'redis'],
    flag: 'frontend.results-cache-backend',
    help: 'Where answers are cached. One that outlives the process must be emptied before the cache is switched on again.',
  }),
  resultsCacheSize: bytes({
    default: '64MiB',
    flag: 'frontend.results-cache-size',
    help: 'Memory for answers, with the cache in memory.',
  }),
  logQueriesLongerThanMs: duration({
    default: '0',
    flag: 'frontend.log-queries-longer-than',
    help: 'Queries that take longer are logged, with tenant, expression and times. 0: none.',
  }),
  queryVerticalShardSize: choice({
    default: '0',
    values: ['0', '2', '4', '8', '16', '32'],
    flag: 'frontend.query-vertical-shard-size',
    help: 'Shards of the series in which aggregations are evaluated side by side, where several processes are there for it: at most as many as each metric has slots of its own in the store (-ingester.split-metric-series). 0: none.',
  }),
});

export type QueryRangeConfig = typeof queryRangeConfig.type;
