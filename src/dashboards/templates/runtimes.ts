import { lines, rate, stack, type Template } from '../template.ts';

/** Processes and the runtimes of languages. */
export const runtimeTemplates: readonly Template[] = [
  {
    id: 'process',
    title: 'Process',
    scope: 'own',
    signs: ['process_cpu_seconds_total', 'process_resident_memory_bytes'],
    panels: [
      lines('CPU', 'decimal', ['rate(process_cpu_seconds_total{$own}[$range])', '{{instance}}']),
      lines('Memory', 'bytes', ['process_resident_memory_bytes{$own}', '{{instance}}']),
      lines('Open files of the limit', 'percent-decimal', [
        'process_open_fds{$own} / process_max_fds{$own}',
        '{{instance}}',
      ]),
      lines('Up for', 'seconds', ['time() - process_start_time_seconds{$own}', '{{instance}}']),
    ],
  },
  {
    id: 'go',
    title: 'Go',
    scope: 'own',
    signs: ['go_goroutines'],
    panels: [
      lines('Goroutines', 'decimal', ['go_goroutines{$own}', '{{instance}}']),
      lines('Heap', 'bytes', ['go_memstats_heap_alloc_bytes{$own} or go_memstats_alloc_bytes{$own}', '{{instance}}']),
      lines('Allocated', 'bytes/sec', ['rate(go_memstats_alloc_bytes_total{$own}[$range])', '{{instance}}']),
      lines('Time in collections', 'percent-decimal', [
        'rate(go_gc_duration_seconds_sum{$own}[$range])',
        '{{instance}}',
      ]),
      lines('Scheduling latency, p99', 'seconds', [
        'histogram_quantile(0.99, sum by (le) (rate(go_sched_latencies_seconds_bucket{$own}[$range])))',
        'p99',
      ]),
    ],
  },
  {
    id: 'jvm',
    title: 'JVM',
    scope: 'own',
    signs: ['jvm_memory_used_bytes', 'jvm_memory_bytes_used'],
    panels: [
      lines('Memory by area', 'bytes', [
        'sum by (instance, area) (jvm_memory_used_bytes{$own} or jvm_memory_bytes_used{$own})',
        '{{instance}} {{area}}',
      ]),
      lines('Heap of the maximum', 'percent-decimal', [
        'sum by (instance) (jvm_memory_used_bytes{$own,area="heap"} or jvm_memory_bytes_used{$own,area="heap"}) / sum by (instance) (jvm_memory_max_bytes{$own,area="heap"} > 0 or jvm_memory_bytes_max{$own,area="heap"} > 0)',
        '{{instance}}',
      ]),
      lines('Time in collections', 'percent-decimal', [
        'sum by (instance) (rate(jvm_gc_pause_seconds_sum{$own}[$range]) or rate(jvm_gc_collection_seconds_sum{$own}[$range]))',
        '{{instance}}',
      ]),
      lines('Threads', 'decimal', ['jvm_threads_live_threads{$own} or jvm_threads_current{$own}', '{{instance}}']),
      lines('Classes', 'decimal', [
        'jvm_classes_loaded_classes{$own} or jvm_classes_loaded{$own} or jvm_classes_currently_loaded{$own}',
        '{{instance}}',
      ]),
      lines('Connections of pools', 'decimal', ['sum by (pool) (hikaricp_connections_active{$own})', '{{pool}}']),
    ],
  },
  {
    id: 'nodejs',
    title: 'Node.js',
    scope: 'own',
    signs: ['nodejs_eventloop_lag_seconds', 'nodejs_heap_size_used_bytes', 'nodejs_version_info'],
    panels: [
      lines('Event loop lag, p99', 'seconds', [
        'nodejs_eventloop_lag_p99_seconds{$own} or nodejs_eventloop_lag_seconds{$own}',
        '{{instance}}',
      ]),
      lines(
        'Heap',
        'bytes',
        ['nodejs_heap_size_used_bytes{$own}', '{{instance}} used'],
        ['nodejs_heap_size_total_bytes{$own}', '{{instance}} total'],
      ),
      lines('Time in collections', 'percent-decimal', [
        'sum by (instance, kind) (rate(nodejs_gc_duration_seconds_sum{$own}[$range]))',
        '{{instance}} {{kind}}',
      ]),
      lines(
        'Handles and requests',
        'decimal',
        ['nodejs_active_handles_total{$own}', '{{instance}} handles'],
        ['nodejs_active_requests_total{$own}', '{{instance}} requests'],
      ),
    ],
  },
  {
    id: 'python',
    title: 'Python',
    scope: 'own',
    signs: ['python_gc_collections_total', 'python_info'],
    panels: [
      lines('Collections', 'ops/sec', [rate('python_gc_collections_total', 'generation'), 'generation {{generation}}']),
      lines('Objects collected', 'ops/sec', [
        rate('python_gc_objects_collected_total', 'generation'),
        'generation {{generation}}',
      ]),
    ],
  },
  {
    id: 'dotnet',
    title: '.NET',
    scope: 'own',
    signs: ['dotnet_collection_count_total', 'dotnet_total_memory_bytes'],
    panels: [
      stack('Collections', 'ops/sec', [
        rate('dotnet_collection_count_total', 'generation'),
        'generation {{generation}}',
      ]),
      lines('Memory', 'bytes', ['dotnet_total_memory_bytes{$own}', '{{instance}}']),
    ],
  },
];
