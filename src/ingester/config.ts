import { bytes, choice, count, duration, toggle } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';
import { SHARDS_MAX } from './shard/shard-folder.ts';

export const ingesterConfig = section('ingester', 'Ingester', {
  windowMs: duration({
    default: '2h',
    min: '1m',
    help: 'Time span of a chunk. All replicas of a cluster must agree on it.',
  }),
  shards: count({
    default: 0,
    max: SHARDS_MAX,
    help: 'Threads that hold recent samples, each with a log of its own. 0: as many as processors, less one, at most 8.',
  }),
  headBytesMax: bytes({
    default: '3GiB',
    help: 'Size of one shard at which new series are refused, and a third beyond it all samples.',
  }),
  shardHeapMb: count({
    default: 2048,
    min: 64,
    help: 'JavaScript heap of one shard, in MB, beside its samples: metadata, exemplars, histograms. One that needs more is started again from its log.',
  }),
  walFsync: choice({
    default: 'interval',
    values: ['interval', 'always'],
    help: 'When the log is synced: every -ingester.wal-fsync-interval, or before each answer. With interval, a power cut (not the end of the process) may lose what came since.',
  }),
  walFsyncIntervalMs: duration({ default: '1s', min: '10ms', help: 'How often the log is synced.' }),
  walAgeMaxMs: duration({
    default: '7d',
    min: '1h',
    help: 'Age up to which samples of a log may be written to the store: a delete request is kept at least as long, so that nothing it deleted comes back. For as long after a loss of a log was found, queries that touch its time are warned.',
  }),
  takeOldLog: toggle({
    default: false,
    help: 'Take a log that is older than -ingester.wal-age-max, and write its samples, though delete requests that cover them may be forgotten. For one start.',
  }),
  drainOnShutdown: toggle({
    default: false,
    help: 'Drain when the process is told to end: others own its part of the ring, the store has all that it held, and it has left, before it ends.',
  }),
  drainTimeoutMs: duration({
    default: '30m',
    help: 'Time that draining may take when the process is told to end, beside -server.shutdown-timeout.',
  }),
  flushDelayMs: duration({
    default: '15m',
    help: 'Time after the end of a window before it is flushed: samples that come later are written apart, after as long again.',
  }),
  flushSpreadMs: duration({
    default: '45m',
    help: 'Time over which the slots of a window are flushed, each at a moment of its own; at most half of -ingester.window. 0: all at once.',
  }),
  splitMetricSeries: count({
    default: 200_000,
    min: 1,
    help: 'Series of a metric that are stored together; one that has more is spread over slots of its own.',
  }),
  flushCheckIntervalMs: duration({ default: '15s', min: '100ms', help: 'How often to look for windows to flush.' }),
  keepFlushedMs: duration({
    default: '15m',
    help: 'How long a window stays in memory when the store has it. Lists of rows that queriers cache must expire sooner.',
  }),
  flushOnShutdown: choice({
    default: 'none',
    values: ['none', 'all'],
    help: 'Whether all samples are written to the store before the process ends. Without, they are safe in the log.',
  }),
});

export type IngesterConfig = typeof ingesterConfig.type;
