import { counter, DURATION_BUCKETS, gauge, histogram, metricTable } from '../kit/observe/metrics.ts';

export const schedulerMetrics = metricTable({
  length: gauge('query_scheduler_queue_length', 'Jobs that wait for a querier.', ['user']),
  waited: histogram('query_scheduler_queue_duration_seconds', 'Time that jobs waited for a querier.', DURATION_BUCKETS),
  discarded: counter('query_scheduler_discarded_requests_total', 'Jobs that were refused, as too many wait.', ['user']),
  cancelled: counter('query_scheduler_cancelled_requests_total', 'Jobs that nobody waited for any more.'),
  running: gauge('query_scheduler_running_jobs', 'Jobs that queriers have.'),
  queriers: gauge('query_scheduler_connected_querier_clients', 'Queriers that ask for work.'),
  frontends: gauge('query_scheduler_connected_frontend_clients', 'Front ends that leave work.'),
});
