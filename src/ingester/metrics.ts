import { counter, gauge, metricTable, type Registry } from '../kit/observe/metrics.ts';
import type { FlushReport, ReadBackReport } from './flush/flush-contract.ts';
import type { FlushStatus } from './flush/flush-plan.ts';
import type { ShardStats } from './shard/shard.ts';

const table = metricTable({
  series: gauge('ingester_memory_series', 'Series in the head.', ['shard']),
  headBytes: gauge('ingester_head_bytes', 'What series, samples and their index take.', ['shard']),
  headBytesMax: gauge('ingester_head_bytes_max', 'What they may take in a shard before new series are refused.'),
  kernelBytes: gauge('ingester_kernel_bytes', 'Kernel memory in all.', ['shard']),
  richSeries: gauge('ingester_rich_series', 'Series that have native histograms or start timestamps.', ['shard']),
  richBytes: gauge('ingester_rich_bytes', 'What native histograms and floats with start timestamps take, roughly.', [
    'shard',
  ]),
  exemplars: gauge('ingester_exemplars', 'Exemplars kept.', ['shard']),
  walBytes: gauge('ingester_wal_bytes_written', 'Bytes written to the log since the start.', ['shard']),
  walLosses: gauge('ingester_wal_corruptions', 'Parts of the log that were corrupt: what they held is lost.', [
    'shard',
  ]),
  walLostBytes: gauge(
    'ingester_wal_lost_bytes',
    'Bytes of the log that could not be read at the start, unfinished records at its end included.',
    ['shard'],
  ),
  walLostSamples: gauge('ingester_wal_lost_samples', 'Samples in these bytes, by what the records read held.', [
    'shard',
  ]),
  walFailures: gauge('ingester_wal_failed_writes', 'Writes to the log that failed, a full disk for one.', ['shard']),
  replayedSamples: gauge('ingester_wal_replayed_samples', 'Samples replayed at the start.', ['shard']),
  replaySeconds: gauge('ingester_wal_replay_duration_seconds', 'Time that replay took.', ['shard']),
  windows: gauge('ingester_windows', 'Windows in the head, by state.', ['shard', 'state']),
  checkpoints: gauge('ingester_checkpoints', 'Checkpoints written since the start.', ['shard']),
  flushedWindows: counter('ingester_flushed_windows_total', 'Windows written to the store.'),
  flushedGroups: counter('ingester_flushed_groups_total', 'Chunk groups written to the store.'),
  flushedSeries: counter('ingester_flushed_series_total', 'Series of windows written to the store.'),
  flushedSamples: counter('ingester_flushed_samples_total', 'Samples written to the store.'),
  flushedBytes: counter('ingester_flushed_bytes_total', 'Bytes of groups written to the store.'),
  flushLag: gauge('ingester_flush_lag_seconds', 'How long what waits longest to be written to the store has been due.'),
  flushPending: gauge(
    'ingester_flush_windows_begun',
    'Windows that are due, in part or in whole, and not all written.',
  ),
  flushShare: gauge('ingester_flush_progress_ratio', 'Share of their slots that is written; 1 where there are none.'),
  readBack: gauge(
    'ingester_read_back_samples',
    'Samples that were read back from the store before this ingester left the ring; 0: it has not left.',
  ),
  readBackLacking: counter(
    'ingester_read_back_lacking_samples_total',
    'Samples that the store lacked when they were read back, and that were written again.',
  ),
  flushFailures: counter('ingester_flush_failures_total', 'Windows that could not be written; they are tried again.'),
});

/** Numbers of the shards of a process, for its `/metrics`. */
export function ingesterMetrics(registry: Registry, headBytesMax: number) {
  const metrics = table(registry);
  metrics.headBytesMax.set(headBytesMax);
  return {
    observe(index: number, stats: ShardStats): void {
      const shard = String(index);
      metrics.series.set({ shard }, stats.series);
      metrics.headBytes.set({ shard }, stats.headBytes);
      metrics.kernelBytes.set({ shard }, stats.kernelBytes);
      metrics.richSeries.set({ shard }, stats.richSeries);
      metrics.richBytes.set({ shard }, stats.richBytes);
      metrics.exemplars.set({ shard }, stats.exemplars);
      metrics.walBytes.set({ shard }, stats.walBytes);
      metrics.walLosses.set({ shard }, stats.walLosses);
      metrics.walLostBytes.set({ shard }, stats.walLostBytes);
      metrics.walLostSamples.set({ shard }, stats.walLostSamples);
      metrics.walFailures.set({ shard }, stats.commitFailures);
      metrics.replayedSamples.set({ shard }, stats.replayedSamples);
      metrics.replaySeconds.set({ shard }, stats.replayMs / 1000);
      metrics.checkpoints.set({ shard }, stats.checkpoints);
      const count = (state: 'open' | 'sealed' | 'flushed') =>
        stats.arenas.filter(({ sealLsn, flushedMs }) =>
          state === 'open' ? sealLsn === 0 : state === 'sealed' ? sealLsn > 0 && flushedMs === 0 : flushedMs > 0,
        ).length;
      for (const state of ['open', 'sealed', 'flushed'] as const) metrics.windows.set({ shard, state }, count(state));
    },
    flushing({ lagSeconds, windows, share }: FlushStatus): void {
      metrics.flushLag.set(lagSeconds);
      metrics.flushPending.set(windows);
      metrics.flushShare.set(share);
    },
    readBack({ samples, again, failures }: ReadBackReport): void {
      metrics.readBack.set(failures.length === 0 ? samples : 0);
      metrics.readBackLacking.inc(again);
    },
    flushed(report: FlushReport): void {
      metrics.flushedWindows.inc(report.windows);
      metrics.flushedGroups.inc(report.groups);
      metrics.flushedSeries.inc(report.series);
      metrics.flushedSamples.inc(report.samples);
      metrics.flushedBytes.inc(report.bytes);
      metrics.flushFailures.inc(report.failures.length);
    },
  };
}
