import type { CompactionReport } from '../contract/control.ts';
import { counter, gauge, metricTable, type Registry } from '../kit/observe/metrics.ts';

const table = metricTable({
  runs: counter('compactor_runs_total', 'Runs of the compactor.', ['result']),
  running: gauge('compactor_running', '1 while the compactor runs.'),
  lastSuccess: gauge('compactor_last_successful_run_timestamp_seconds', 'End of the last run in which nothing failed.'),
  lag: gauge('compactor_lag_seconds', 'Age of the oldest day that should have been merged and could not be.'),
  days: counter('compactor_day_merges_total', "Tenants' days that were merged or had nothing to merge."),
  daysRemoved: counter('compactor_day_removals_total', "Tenants' days that were past retention and are gone."),
  sources: counter('compactor_source_groups_total', 'Chunk groups that a merge has replaced.'),
  groups: counter('compactor_groups_total', 'Chunk groups that merges have written.'),
  samples: counter('compactor_samples_total', 'Samples that merges have written.'),
  bytes: counter('compactor_bytes_total', 'Bytes of chunk groups that merges have written.'),
  deletes: counter('compactor_delete_requests_total', 'Delete requests that are through.'),
  sweptRows: counter('compactor_swept_rows_total', 'Rows that were removed because a merge had replaced them.'),
  sweptObjects: counter('compactor_swept_objects_total', 'Objects that were removed because no row named them.'),
  movedGroups: counter(
    'compactor_moved_groups_total',
    'Chunk groups that were moved out of objects that held others too, which are gone.',
  ),
  tablesDropped: counter('compactor_dropped_tables_total', 'Tables that were dropped.'),
  damaged: gauge('compactor_damaged_rows', 'Rows and slots that the last run found damaged.'),
});

/** Numbers of the compactor, for the process' `/metrics`. */
export function compactorMetrics(registry: Registry) {
  const metrics = table(registry);
  return {
    began: () => metrics.running.set(1),
    failed() {
      metrics.running.set(0);
      metrics.runs.inc({ result: 'failure' });
    },
    ended(report: CompactionReport, nowMs: number) {
      metrics.running.set(0);
      metrics.runs.inc({ result: report.failures.length === 0 ? 'success' : 'failure' });
      if (report.failures.length === 0) metrics.lastSuccess.set(nowMs / 1000);
      metrics.lag.set(report.oldestOpenMs === 0 ? 0 : (nowMs - report.oldestOpenMs) / 1000);
      metrics.days.inc(report.days);
      metrics.daysRemoved.inc(report.daysRemoved);
      metrics.sources.inc(report.sources);
      metrics.groups.inc(report.groups);
      metrics.samples.inc(report.samples);
      metrics.bytes.inc(report.bytes);
      metrics.deletes.inc(report.deletes);
      metrics.sweptRows.inc(report.swept?.rows ?? 0);
      metrics.sweptObjects.inc(report.swept?.objects ?? 0);
      metrics.movedGroups.inc(report.swept?.moved ?? 0);
      metrics.tablesDropped.inc(report.tablesDropped.length);
      metrics.damaged.set(report.damaged.length);
    },
  };
}
