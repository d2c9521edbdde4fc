import { lines, rate, stack, type Template } from '../template.ts';

/** Prometheus, and Pallium itself. */
export const monitoringTemplates: readonly Template[] = [
  {
    id: 'prometheus',
    title: 'Prometheus',
    scope: 'own',
    signs: ['prometheus_build_info', 'prometheus_tsdb_head_series'],
    panels: [
      lines('Samples appended', 'counts/sec', [
        rate('prometheus_tsdb_head_samples_appended_total', 'instance'),
        '{{instance}}',
      ]),
      lines('Series', 'decimal', ['prometheus_tsdb_head_series{$own}', '{{instance}}']),
      lines('Targets', 'decimal', [
        'sum by (scrape_job) (prometheus_target_scrape_pool_targets{$own})',
        '{{scrape_job}}',
      ]),
      lines('Rule evaluations failed', 'ops/sec', [
        rate('prometheus_rule_evaluation_failures_total', 'instance'),
        '{{instance}}',
      ]),
      lines('Remote write behind', 'seconds', [
        'max by (instance) (prometheus_remote_storage_highest_timestamp_in_seconds{$own}) - min by (instance) (prometheus_remote_storage_queue_highest_sent_timestamp_seconds{$own})',
        '{{instance}}',
      ]),
      lines(
        'Remote write samples',
        'counts/sec',
        [rate('prometheus_remote_storage_samples_total', 'instance'), '{{instance}}'],
        [rate('prometheus_remote_storage_samples_failed_total', 'instance'), '{{instance}} failed'],
      ),
      lines('Queries', 'decimal', ['prometheus_engine_queries{$own}', '{{instance}}']),
      lines('Requests', 'requests/sec', [
        `topk(10, ${rate('prometheus_http_requests_total', 'handler')})`,
        '{{handler}}',
      ]),
      lines('Write-ahead log', 'bytes', ['prometheus_tsdb_wal_storage_size_bytes{$own}', '{{instance}}']),
    ],
  },
  {
    id: 'pallium',
    title: 'Pallium',
    scope: 'own',
    signs: ['pallium_ingester_memory_series', 'pallium_distributor_received_samples_total', 'pallium_requests_total'],
    panels: [
      lines('Samples received', 'counts/sec', [rate('pallium_distributor_received_samples_total'), 'samples']),
      lines('Bytes received', 'bytes/sec', [rate('pallium_distributor_received_bytes_total'), 'compressed']),
      lines('Samples refused', 'counts/sec', [rate('pallium_discarded_samples_total', 'reason'), '{{reason}}']),
      lines('Series in memory', 'decimal', ['sum(pallium_ingester_memory_series{$own})', 'series']),
      lines(
        'Head',
        'bytes',
        ['sum(pallium_ingester_head_bytes{$own})', 'head'],
        ['sum(pallium_held_bytes{$own})', 'held'],
      ),
      lines('Flushes behind', 'seconds', ['max(pallium_ingester_flush_lag_seconds{$own})', 'lag']),
      lines('Flush failures', 'ops/sec', [rate('pallium_ingester_flush_failures_total'), 'failures']),
      stack('Requests', 'requests/sec', [rate('pallium_requests_total', 'status_code'), '{{status_code}}']),
      lines('Requests under way', 'decimal', ['sum(pallium_inflight_requests{$own})', 'requests']),
      lines('Event loop delay', 'seconds', ['max(pallium_event_loop_delay_max_seconds{$own})', 'longest']),
      lines('Cache hits', 'percent-decimal', [
        `${rate('pallium_cache_hits_total', 'cache')} / (${rate('pallium_cache_fetched_keys_total', 'cache')} > 0)`,
        '{{cache}}',
      ]),
      lines('Compactor behind', 'seconds', ['max(pallium_compactor_lag_seconds{$own})', 'lag']),
    ],
  },
];
