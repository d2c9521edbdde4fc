import type { TestSeries } from '../storage/test-list.ts';

/**
 * Exporters in their conventional names. A line is a family: type, name, labels as `a=b`, alternatives of one label split by `|`.
 * Histograms and summaries get their series.
 */
export const EXPORTERS: Readonly<Record<string, string>> = {
  'client library': `
    counter http_requests_total handler=/a|/b code=200|500 method=GET
    histogram http_request_duration_seconds handler=/a|/b method=GET
    counter process_cpu_seconds_total
    gauge process_resident_memory_bytes
    gauge process_open_fds
    gauge process_max_fds
    gauge process_start_time_seconds
    gauge go_goroutines
    gauge go_memstats_heap_alloc_bytes
    counter go_memstats_alloc_bytes_total
    summary go_gc_duration_seconds
    histogram go_sched_latencies_seconds`,
  OpenTelemetry: `
    histogram http_server_request_duration_seconds http_route=/a|/b http_request_method=GET http_response_status_code=200|500
    gauge target_info service_version=1`,
  Micrometer: `
    histogram http_server_requests_seconds uri=/a|/b method=GET status=200 outcome=SUCCESS
    gauge jvm_memory_used_bytes area=heap|nonheap id=x
    gauge jvm_memory_max_bytes area=heap|nonheap id=x
    summary jvm_gc_pause_seconds action=minor
    gauge jvm_threads_live_threads
    gauge jvm_classes_loaded_classes
    gauge hikaricp_connections_active pool=main`,
  gRPC: `
    counter grpc_server_handled_total grpc_method=Get|Put grpc_service=S grpc_code=OK|Internal
    histogram grpc_server_handling_seconds grpc_method=Get|Put grpc_service=S`,
  nginx: `
    counter nginx_ingress_controller_requests ingress=i host=h path=/ status=200|502
    histogram nginx_ingress_controller_request_duration_seconds ingress=i host=h path=/`,
  Traefik: `
    counter traefik_service_requests_total service=a@docker method=GET code=200|500
    histogram traefik_service_request_duration_seconds service=a@docker method=GET`,
  node: `
    counter node_cpu_seconds_total cpu=0|1 mode=idle|user|system
    gauge node_load1
    gauge node_load5
    gauge node_load15
    gauge node_memory_MemTotal_bytes
    gauge node_memory_MemAvailable_bytes
    counter node_vmstat_pgmajfault
    counter node_disk_io_time_seconds_total device=sda
    counter node_disk_read_bytes_total device=sda
    counter node_disk_written_bytes_total device=sda
    gauge node_filesystem_avail_bytes mountpoint=/ fstype=ext4
    gauge node_filesystem_size_bytes mountpoint=/ fstype=ext4
    counter node_network_receive_bytes_total device=eth0|lo
    counter node_network_transmit_bytes_total device=eth0|lo
    counter node_network_receive_drop_total device=eth0|lo
    counter node_pressure_cpu_waiting_seconds_total
    gauge node_boot_time_seconds`,
  'Node.js': `
    gauge nodejs_eventloop_lag_seconds
    gauge nodejs_eventloop_lag_p99_seconds
    gauge nodejs_heap_size_used_bytes
    gauge nodejs_heap_size_total_bytes
    histogram nodejs_gc_duration_seconds kind=minor|major
    gauge nodejs_active_handles_total
    gauge nodejs_version_info version=v24`,
  Python: `
    counter python_gc_collections_total generation=0|1|2
    counter python_gc_objects_collected_total generation=0|1|2
    gauge python_info version=3.13`,
  Redis: `
    gauge redis_up
    gauge redis_connected_clients
    gauge redis_blocked_clients
    counter redis_commands_processed_total
    counter redis_keyspace_hits_total
    counter redis_keyspace_misses_total
    gauge redis_memory_used_bytes
    gauge redis_memory_max_bytes
    counter redis_evicted_keys_total
    counter redis_expired_keys_total
    gauge redis_db_keys db=db0`,
  MySQL: `
    gauge mysql_up
    counter mysql_global_status_queries
    counter mysql_global_status_slow_queries
    counter mysql_global_status_commands_total command=select|insert
    gauge mysql_global_status_threads_connected
    gauge mysql_global_status_threads_running
    gauge mysql_global_variables_max_connections
    counter mysql_global_status_bytes_received
    counter mysql_global_status_bytes_sent
    counter mysql_global_status_innodb_buffer_pool_reads
    counter mysql_global_status_innodb_buffer_pool_read_requests
    gauge mysql_slave_status_seconds_behind_master`,
  PostgreSQL: `
    gauge pg_up
    counter pg_stat_database_xact_commit datname=shop
    counter pg_stat_database_xact_rollback datname=shop
    counter pg_stat_database_blks_hit datname=shop
    counter pg_stat_database_blks_read datname=shop
    counter pg_stat_database_tup_returned datname=shop
    counter pg_stat_database_tup_inserted datname=shop
    gauge pg_stat_database_numbackends datname=shop
    gauge pg_settings_max_connections
    gauge pg_database_size_bytes datname=shop
    counter pg_stat_database_deadlocks datname=shop
    gauge pg_replication_lag_seconds`,
  Kafka: `
    gauge kafka_consumergroup_lag consumergroup=g topic=t partition=0|1
    counter kafka_topic_partition_current_offset topic=t partition=0|1
    gauge kafka_topic_partition_under_replicated_partition topic=t partition=0|1
    gauge kafka_brokers`,
  RabbitMQ: `
    gauge rabbitmq_queue_messages queue=q
    gauge rabbitmq_queue_messages_ready queue=q
    gauge rabbitmq_queue_messages_unacked queue=q
    counter rabbitmq_global_messages_received_total protocol=amqp
    counter rabbitmq_global_messages_delivered_total protocol=amqp
    gauge rabbitmq_connections
    gauge rabbitmq_channels
    gauge rabbitmq_consumers
    gauge rabbitmq_process_resident_memory_bytes`,
  Prometheus: `
    counter prometheus_tsdb_head_samples_appended_total
    gauge prometheus_tsdb_head_series
    gauge prometheus_target_scrape_pool_targets scrape_job=a
    counter prometheus_rule_evaluation_failures_total
    gauge prometheus_remote_storage_highest_timestamp_in_seconds
    gauge prometheus_remote_storage_queue_highest_sent_timestamp_seconds
    counter prometheus_remote_storage_samples_total
    gauge prometheus_engine_queries
    counter prometheus_http_requests_total handler=/a code=200
    gauge prometheus_tsdb_wal_storage_size_bytes
    gauge prometheus_build_info version=3.16`,
  Pallium: `
    counter pallium_distributor_received_samples_total
    counter pallium_distributor_received_bytes_total
    counter pallium_discarded_samples_total reason=rate_limited
    gauge pallium_ingester_memory_series
    gauge pallium_ingester_head_bytes
    gauge pallium_held_bytes
    gauge pallium_ingester_flush_lag_seconds
    counter pallium_ingester_flush_failures_total
    counter pallium_requests_total route=/api/v1/push status_code=200
    gauge pallium_inflight_requests route=/api/v1/push
    gauge pallium_event_loop_delay_max_seconds
    counter pallium_cache_hits_total cache=memory
    counter pallium_cache_fetched_keys_total cache=memory
    gauge pallium_compactor_lag_seconds`,
  unknown: `
    counter orders_placed_total country=de|fr
    counter orders_bytes_total
    counter orders_busy_seconds_total
    gauge orders_waiting
    gauge orders_queue_bytes
    gauge orders_fill_ratio
    gauge orders_last_success_timestamp_seconds
    gauge orders_healthy
    gauge orders_build_info version=1
    histogram orders_price_bytes
    summary orders_checkout_seconds
    gauge oven_temperature_celsius`,
};

/** Samples of so many minutes before the end. */
const MINUTES = 12;

/** The series of an exporter, with these labels besides. */
export function exporterSeries(text: string, own: Readonly<Record<string, string>>, endMs: number): TestSeries[] {
  const series: TestSeries[] = [];
  const add = (labels: Readonly<Record<string, string>>, perSecond: number, value: number) => {
    const samples = Array.from({ length: MINUTES * 2 + 1 }, (_, i) => {
      const timeMs = endMs - (MINUTES * 2 - i) * 30_000;
      return [timeMs, value + perSecond * 30 * i] as const;
    });
    series.push([{ ...own, ...labels }, ...samples]);
  };
  for (const line of text.trim().split('\n')) {
    const [type = '', name = '', ...rest] = line.trim().split(/\s+/);
    for (const labels of combinations(rest)) {
      const of = (suffix: string, more = {}) => ({ __name__: `${name}${suffix}`, ...labels, ...more });
      switch (type) {
        case 'gauge':
          // times are such, and lie in the past
          add(
            of(''),
            0,
            /timestamp|(boot|start)_time/.test(name)
              ? endMs / 1000 - 3600
              : name.includes('_max') || name.includes('Total') || name.includes('_size')
                ? 100
                : 40,
          );
          break;
        case 'counter':
          add(of(''), 0.3, 1000);
          break;
        case 'histogram':
          for (const [le, share] of [
            ['0.1', 0.5],
            ['1', 0.9],
            ['+Inf', 1],
          ] as const)
            add(of('_bucket', { le }), share, 10);
          add(of('_sum'), 0.2, 5);
          add(of('_count'), 1, 10);
          break;
        case 'summary':
          for (const quantile of ['0.5', '0.99']) add(of('', { quantile }), 0, 0.2);
          add(of('_sum'), 0.2, 5);
          add(of('_count'), 1, 10);
          break;
        default:
          throw new Error(`bug: ${line}`);
      }
    }
  }
  return series;
}

function combinations(labels: readonly string[]): Record<string, string>[] {
  let all: Record<string, string>[] = [{}];
  for (const label of labels) {
    const [name = '', values = ''] = label.split('=');
    all = all.flatMap((one) => values.split('|').map((value) => ({ ...one, [name]: value })));
  }
  return all;
}
