import { counter, gauge, histogram, metricTable } from '../kit/observe/metrics.ts';

const GROUP = ['user', 'rule_group'] as const;
const TARGET = ['user', 'alertmanager'] as const;
const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];

/** Numbers of rules and notifications, under the names that dashboards of Cortex and Mimir know. */
export const rulerMetrics = metricTable({
  evaluations: counter('cortex_prometheus_rule_evaluations_total', 'Evaluations of rules.', GROUP),
  failures: counter(
    'cortex_prometheus_rule_evaluation_failures_total',
    'Evaluations of rules that failed, by whose fault it was.',
    [...GROUP, 'reason'],
  ),
  evaluationSeconds: histogram(
    'cortex_prometheus_rule_evaluation_duration_seconds',
    'Time that an evaluation of a rule took.',
    SECONDS,
  ),
  groupSeconds: histogram(
    'cortex_prometheus_rule_group_duration_seconds',
    'Time that an evaluation of a group took.',
    SECONDS,
  ),
  iterations: counter(
    'cortex_prometheus_rule_group_iterations_total',
    'Evaluations of groups that were due, missed ones included.',
    GROUP,
  ),
  missed: counter(
    'cortex_prometheus_rule_group_iterations_missed_total',
    'Evaluations of groups that were left out, since the one before took too long.',
    GROUP,
  ),
  interval: gauge('cortex_prometheus_rule_group_interval_seconds', 'Interval of a group.', GROUP),
  lastDuration: gauge(
    'cortex_prometheus_rule_group_last_duration_seconds',
    'Time that the last evaluation of a group took.',
    GROUP,
  ),
  lastRuleDurationSum: gauge(
    'cortex_prometheus_rule_group_last_rule_duration_sum_seconds',
    'Times of the rules of a group in its last evaluation, added up.',
    GROUP,
  ),
  lastRestoreDuration: gauge(
    'cortex_prometheus_rule_group_last_restore_duration_seconds',
    'Time that it took to take over the state of a group.',
    GROUP,
  ),
  lastEvaluation: gauge(
    'cortex_prometheus_rule_group_last_evaluation_timestamp_seconds',
    'Time of the last evaluation of a group.',
    GROUP,
  ),
  lastSamples: gauge(
    'cortex_prometheus_rule_group_last_evaluation_samples',
    'Samples that the last evaluation of a group wrote.',
    GROUP,
  ),
  rules: gauge('cortex_prometheus_rule_group_rules', 'Rules of a group.', GROUP),
  sent: counter('cortex_prometheus_notifications_sent_total', 'Alerts that were sent.', TARGET),
  errors: counter('cortex_prometheus_notifications_errors_total', 'Alerts that an Alertmanager did not take.', TARGET),
  dropped: counter(
    'cortex_prometheus_notifications_dropped_total',
    'Alerts that were dropped: an Alertmanager did not take them, or too many waited.',
    ['user'],
  ),
  latency: histogram(
    'cortex_prometheus_notifications_latency_seconds',
    'Time that requests to Alertmanagers took.',
    SECONDS,
  ),
  queueLength: gauge('cortex_prometheus_notifications_queue_length', 'Alerts that wait for an Alertmanager.', TARGET),
  queueCapacity: gauge(
    'cortex_prometheus_notifications_queue_capacity',
    'Alerts that may wait for one Alertmanager and tenant.',
  ),
  discovered: gauge('cortex_prometheus_notifications_alertmanagers_discovered', 'Alertmanagers that are known.', [
    'user',
  ]),
  stateWrites: counter('ruler_state_writes_total', 'Compare-and-sets of the state of groups.'),
  stateFailures: counter('ruler_state_failures_total', 'States of groups that could not be kept.'),
  lost: counter('ruler_groups_lost_total', 'Groups that another ruler has taken over.'),
  groups: gauge('ruler_groups', 'Groups that are evaluated here.'),
});

export type RulerMetrics = ReturnType<typeof rulerMetrics>;
