import { count, duration, toggle } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const querierConfig = section('querier', 'Querier', {
  timeoutMs: duration({ default: '2m', min: '1ms', help: 'Time a query may take; a request may ask for less.' }),
  lookbackDeltaMs: duration({
    default: '5m',
    min: '1ms',
    help: 'Age up to which the newest sample of a series is its value.',
  }),
  maxSamples: count({ default: 50_000_000, min: 1, help: 'Samples a query holds at a time.' }),
  maxLabelValueLength: count({
    default: 65_536,
    min: 1,
    help: 'Characters of a label value that a query makes, by label_join, label_replace, count_values; all labels of a series together may have 16 times as many.',
  }),
  workers: count({
    default: 0,
    help: 'Threads that evaluate queries. 0: one, and when queries take long one for every two cores, at least two.',
  }),
  maxConcurrent: count({ default: 20, min: 1, help: 'Queries under way at once in one thread.' }),
  queueMax: count({ default: 200, help: 'Queries that wait for a thread; more are answered 503.' }),
  workerHeapMb: count({
    default: 1024,
    min: 64,
    help: 'JavaScript heap of a thread, in MB; one that needs more is replaced.',
  }),
  fusedOperators: toggle({
    default: true,
    help: 'Decode series and evaluate functions of their samples many at a time; off: one by one. Answers are the same.',
  }),
  directQueries: toggle({
    default: true,
    help: 'Evaluate small instant queries of recent samples, once they are known, in the thread that has their connection; off: all in query threads. Answers are the same.',
  }),
  enableSearchApi: toggle({ default: true, help: 'Serve /api/v1/search: names that fit what is typed.' }),
  enablePromqlExperimentalFunctions: toggle({ default: false, help: 'Take experimental functions and aggregations.' }),
  enablePromqlExtendedRangeSelectors: toggle({ default: true, help: 'Take the modifiers anchored and smoothed.' }),
  enablePromqlPerStepStats: toggle({ default: false, help: 'Count the samples of each step for stats=all.' }),
  enablePromqlDelayedNameRemoval: toggle({
    default: false,
    help: 'Drop metric names at the end of a query, not in each of its parts.',
  }),
  enablePromqlBinopFillModifiers: toggle({
    default: false,
    help: 'Take the modifiers fill, fill_left and fill_right.',
  }),
  enablePromqlStartTimestamps: toggle({
    default: false,
    help: 'Let rates and resets see the start timestamps of samples, as use-start-timestamps of Prometheus does.',
  }),
  enablePromqlUnquotedUtf8Names: toggle({
    default: false,
    help: 'Take names with letters of any script, and with dots, without quotes.',
  }),
  enableTypeAndUnitLabels: toggle({
    default: false,
    help: 'Tell by the label __type__ what is a counter, where a query says that a rate is of none.',
  }),
});

export const purgerConfig = section('purger', 'Deletion', {
  enableAdminApi: toggle({
    default: false,
    flag: 'web.enable-admin-api',
    help: 'Let tenants delete series, and all they have: /api/v1/admin/tsdb/delete_series, /purger/delete_tenant.',
  }),
  deleteRequestCancelPeriodMs: duration({
    default: '1d',
    help: 'How long a delete request can be cancelled; only then the samples leave the store.',
  }),
});

export type PurgerConfig = typeof purgerConfig.type;
export type QuerierConfig = typeof querierConfig.type;
