import { lines, rate, stack, type Template } from '../template.ts';

/** Data stores and queues, by their exporters. */
export const storeTemplates: readonly Template[] = [
  {
    id: 'redis',
    title: 'Redis',
    scope: 'own',
    signs: ['redis_connected_clients', 'redis_up'],
    panels: [
      lines('Commands', 'ops/sec', [rate('redis_commands_processed_total', 'instance'), '{{instance}}']),
      lines('Hits', 'percent-decimal', [
        `${rate('redis_keyspace_hits_total', 'instance')} / (${rate('redis_keyspace_hits_total', 'instance')} + ${rate('redis_keyspace_misses_total', 'instance')})`,
        '{{instance}}',
      ]),
      lines(
        'Memory',
        'bytes',
        ['redis_memory_used_bytes{$own}', '{{instance}} used'],
        ['redis_memory_max_bytes{$own} > 0', '{{instance}} maximum'],
      ),
      lines(
        'Clients',
        'decimal',
        ['redis_connected_clients{$own}', '{{instance}}'],
        ['redis_blocked_clients{$own}', '{{instance}} blocked'],
      ),
      lines(
        'Evicted and expired',
        'ops/sec',
        [rate('redis_evicted_keys_total', 'instance'), '{{instance}} evicted'],
        [rate('redis_expired_keys_total', 'instance'), '{{instance}} expired'],
      ),
      lines('Keys', 'decimal', ['sum by (db) (redis_db_keys{$own})', '{{db}}']),
    ],
  },
  {
    id: 'mysql',
    title: 'MySQL',
    scope: 'own',
    signs: ['mysql_up', 'mysql_global_status_queries'],
    panels: [
      lines('Queries', 'ops/sec', [rate('mysql_global_status_queries', 'instance'), '{{instance}}']),
      lines('Slow queries', 'ops/sec', [rate('mysql_global_status_slow_queries', 'instance'), '{{instance}}']),
      stack('Commands', 'ops/sec', [
        `topk(10, ${rate('mysql_global_status_commands_total', 'command')})`,
        '{{command}}',
      ]),
      lines('Connections of the maximum', 'percent-decimal', [
        'mysql_global_status_threads_connected{$own} / mysql_global_variables_max_connections{$own}',
        '{{instance}}',
      ]),
      lines('Threads running', 'decimal', ['mysql_global_status_threads_running{$own}', '{{instance}}']),
      lines(
        'Network',
        'bytes/sec',
        [rate('mysql_global_status_bytes_received', 'instance'), '{{instance}} in'],
        [rate('mysql_global_status_bytes_sent', 'instance'), '{{instance}} out'],
      ),
      lines('Reads from disk', 'percent-decimal', [
        `${rate('mysql_global_status_innodb_buffer_pool_reads', 'instance')} / ${rate('mysql_global_status_innodb_buffer_pool_read_requests', 'instance')}`,
        '{{instance}}',
      ]),
      lines('Behind the source', 'seconds', ['mysql_slave_status_seconds_behind_master{$own}', '{{instance}}']),
    ],
  },
  {
    id: 'postgresql',
    title: 'PostgreSQL',
    scope: 'own',
    signs: ['pg_up', 'pg_stat_database_xact_commit'],
    panels: [
      lines(
        'Transactions',
        'ops/sec',
        [rate('pg_stat_database_xact_commit', 'datname'), '{{datname}} committed'],
        [rate('pg_stat_database_xact_rollback', 'datname'), '{{datname}} rolled back'],
      ),
      lines('Cache hits', 'percent-decimal', [
        `${rate('pg_stat_database_blks_hit', 'datname')} / (${rate('pg_stat_database_blks_hit', 'datname')} + ${rate('pg_stat_database_blks_read', 'datname')} > 0)`,
        '{{datname}}',
      ]),
      stack(
        'Rows',
        'rows/sec',
        [rate('pg_stat_database_tup_returned'), 'returned'],
        [rate('pg_stat_database_tup_fetched'), 'fetched'],
        [rate('pg_stat_database_tup_inserted'), 'inserted'],
        [rate('pg_stat_database_tup_updated'), 'updated'],
        [rate('pg_stat_database_tup_deleted'), 'deleted'],
      ),
      lines('Connections', 'decimal', ['sum by (datname) (pg_stat_database_numbackends{$own})', '{{datname}}']),
      lines('Connections of the maximum', 'percent-decimal', [
        'sum by (instance) (pg_stat_database_numbackends{$own}) / max by (instance) (pg_settings_max_connections{$own})',
        '{{instance}}',
      ]),
      lines('Sizes', 'bytes', ['max by (datname) (pg_database_size_bytes{$own})', '{{datname}}']),
      lines('Deadlocks', 'ops/sec', [rate('pg_stat_database_deadlocks', 'datname'), '{{datname}}']),
      lines('Replication lag', 'seconds', [
        'max by (instance) (pg_replication_lag_seconds{$own} or pg_replication_lag{$own})',
        '{{instance}}',
      ]),
    ],
  },
  {
    id: 'kafka',
    title: 'Kafka',
    scope: 'own',
    signs: ['kafka_consumergroup_lag', 'kafka_topic_partition_current_offset', 'kafka_brokers'],
    panels: [
      lines('Consumers behind', 'decimal', [
        'topk(20, sum by (consumergroup, topic) (kafka_consumergroup_lag{$own}))',
        '{{consumergroup}} {{topic}}',
      ]),
      lines('Messages', 'messages/sec', [
        `topk(20, ${rate('kafka_topic_partition_current_offset', 'topic')})`,
        '{{topic}}',
      ]),
      lines('Under-replicated partitions', 'decimal', [
        'sum(kafka_topic_partition_under_replicated_partition{$own})',
        'partitions',
      ]),
      lines('Brokers', 'decimal', ['max(kafka_brokers{$own})', 'brokers']),
    ],
  },
  {
    id: 'rabbitmq',
    title: 'RabbitMQ',
    scope: 'own',
    signs: ['rabbitmq_queue_messages', 'rabbitmq_identity_info', 'rabbitmq_connections'],
    panels: [
      lines(
        'Messages',
        'decimal',
        ['sum(rabbitmq_queue_messages_ready{$own})', 'ready'],
        ['sum(rabbitmq_queue_messages_unacked{$own})', 'unacknowledged'],
      ),
      lines('Longest queues', 'decimal', ['topk(20, sum by (queue) (rabbitmq_queue_messages{$own}))', '{{queue}}']),
      lines(
        'Published and delivered',
        'messages/sec',
        [rate('rabbitmq_global_messages_received_total'), 'published'],
        [rate('rabbitmq_global_messages_delivered_total'), 'delivered'],
      ),
      lines(
        'Connections',
        'decimal',
        ['sum(rabbitmq_connections{$own})', 'connections'],
        ['sum(rabbitmq_channels{$own})', 'channels'],
        ['sum(rabbitmq_consumers{$own})', 'consumers'],
      ),
      lines('Memory', 'bytes', ['rabbitmq_process_resident_memory_bytes{$own}', '{{instance}}']),
    ],
  },
  {
    id: 'memcached',
    title: 'Memcached',
    scope: 'own',
    signs: ['memcached_up', 'memcached_commands_total'],
    panels: [
      lines('Commands', 'ops/sec', [rate('memcached_commands_total', 'command, status'), '{{command}} {{status}}']),
      lines(
        'Memory',
        'bytes',
        ['memcached_current_bytes{$own}', '{{instance}} used'],
        ['memcached_limit_bytes{$own}', '{{instance}} limit'],
      ),
      lines('Connections', 'decimal', ['memcached_current_connections{$own}', '{{instance}}']),
    ],
  },
  {
    id: 'blackbox',
    title: 'Probes',
    scope: 'own',
    signs: ['probe_success'],
    panels: [
      { ...lines('Success', 'decimal', ['probe_success{$own}', '{{instance}}']), chart: 'states' },
      lines('Duration', 'seconds', ['probe_duration_seconds{$own}', '{{instance}}']),
      lines('Certificate expires in', 'seconds', ['probe_ssl_earliest_cert_expiry{$own} - time()', '{{instance}}']),
    ],
  },
];
