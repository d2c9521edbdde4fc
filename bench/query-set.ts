/** A query, the hours it covers and its step in seconds; an instant query has neither. */
export type BenchQuery =
  | readonly [name: string, kind: 'query', query: string]
  | readonly [name: string, kind: 'range', query: string, hours: number, stepS: number];

/** Queries that dashboards and alerts ask of the workload: from one series to all of them. */
export const queries: readonly BenchQuery[] = [
  ['instant one series', 'query', 'node_load1{instance="10.0.3.17:9100"}'],
  ['instant sum by', 'query', 'sum by (mode) (rate(node_cpu_seconds_total[5m]))'],
  ['1h raw 20 series', 'range', 'node_load1', 1, 15],
  ['1h rate sum by', 'range', 'sum by (instance) (rate(node_cpu_seconds_total[5m]))', 1, 15],
  ['6h rate sum by', 'range', 'sum by (instance, mode) (rate(node_cpu_seconds_total[5m]))', 6, 60],
  ['6h ratio', 'range', '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))', 6, 60],
  ['6h every series', 'range', 'count by (job) ({__name__=~".+"})', 6, 300],
  ['6h max_over_time', 'range', 'max_over_time(node_memory_MemFree_bytes[1h])', 6, 60],
  [
    '6h regex',
    'range',
    'sum by (handler) (rate(http_request_duration_seconds_bucket{handler=~".*/(1|3|5)",le!="+Inf"}[5m]))',
    6,
    60,
  ],
  [
    '6h quantile',
    'range',
    'quantile by (cluster) (0.9, node_filesystem_avail_bytes / node_filesystem_size_bytes)',
    6,
    60,
  ],
  ['6h topk', 'range', 'topk(5, sum by (instance) (rate(node_disk_io_time_seconds_total[10m])))', 6, 60],
  [
    '6h join',
    'range',
    'node_memory_MemAvailable_bytes / on (instance) group_left () node_memory_MemTotal_bytes',
    6,
    60,
  ],
  ['6h every cpu rate', 'range', 'rate(node_cpu_seconds_total[5m])', 6, 60],
  [
    '6h latency p99',
    'range',
    'histogram_quantile(0.99, sum by (le, handler) (rate(http_request_duration_seconds_bucket[5m])))',
    6,
    60,
  ],
  [
    '6h error ratio',
    'range',
    'sum by (handler) (rate(http_request_duration_seconds_count{code=~"5.."}[5m])) / sum by (handler) (rate(http_request_duration_seconds_count[5m]))',
    6,
    60,
  ],
  ['6h subquery', 'range', 'max_over_time(rate(node_cpu_seconds_total{mode="user"}[5m])[30m:1m])', 6, 60],
];
