import type { Logger } from '../kit/observe/log.ts';
import { counter, gauge, histogram, metricTable, type Registry } from '../kit/observe/metrics.ts';
import type { AlertmanagerEvents } from './service.ts';

const LATENCY_BUCKETS = [0.1, 0.5, 1, 5, 10, 20, 60];

const alertmanagerMetrics = metricTable({
  notifications: counter('alertmanager_notifications_total', 'Notifications that were to be sent.', [
    'user',
    'integration',
  ]),
  failed: counter('alertmanager_notifications_failed_total', 'Notifications that were given up.', [
    'user',
    'integration',
    'reason',
  ]),
  requests: counter('alertmanager_notification_requests_total', 'Tries to send.', ['user', 'integration']),
  requestsFailed: counter('alertmanager_notification_requests_failed_total', 'Tries to send that failed.', [
    'user',
    'integration',
  ]),
  latency: histogram('alertmanager_notification_latency_seconds', 'Time of a try to send.', LATENCY_BUCKETS, [
    'integration',
  ]),
  suppressed: counter('alertmanager_notifications_suppressed_total', 'Alerts of groups that were not told.', [
    'user',
    'reason',
  ]),
  repeated: counter(
    'alertmanager_notifications_repeated_total',
    'Notifications that the process before may have sent already.',
    ['user'],
  ),
  unclaimed: counter(
    'alertmanager_notifications_unclaimed_total',
    'Notifications whose claim or log entry could not be written: they may be repeated.',
    ['user'],
  ),
  groupLimitReached: counter(
    'alertmanager_dispatcher_aggregation_group_limit_reached_total',
    'Alerts that are not told, for there are too many groups.',
    ['user'],
  ),
  alertsRefused: counter('alertmanager_alerts_refused_total', 'Alerts of rules that are over a limit.', ['user']),
  configRefused: counter('alertmanager_config_refused_total', 'Kept configurations that cannot be used.', ['user']),
  tenants: gauge('alertmanager_tenants', 'Tenants with a configuration or state.'),
  alerts: gauge('alertmanager_alerts', 'Alerts that are known.'),
  groups: gauge('alertmanager_dispatcher_aggregation_groups', 'Groups of alerts.'),
});

export type AlertmanagerMetrics = ReturnType<typeof alertmanagerMetrics>;

export function makeAlertmanagerMetrics(registry: Registry): AlertmanagerMetrics {
  return alertmanagerMetrics(registry);
}

/** Events as metrics and lines of the log: without the texts of alerts, and without secrets. */
export function observedEvents(metrics: AlertmanagerMetrics, log: Logger): AlertmanagerEvents {
  return {
    suppressed: (user, reason, count) => metrics.suppressed.inc({ user, reason }, count),
    attempt(user, integration, seconds, failed) {
      metrics.requests.inc({ user, integration });
      if (failed) metrics.requestsFailed.inc({ user, integration });
      metrics.latency.observe({ integration }, seconds);
    },
    notification: (user, integration) => metrics.notifications.inc({ user, integration }),
    failed(user, { receiver, integration, index }, reason, text, attempts) {
      metrics.failed.inc({ user, integration, reason });
      log.warn(
        { user, receiver, integration: `${integration}[${index}]`, reason, attempts, error: text },
        'a notification failed',
      );
    },
    repeated(user, { receiver, integration, index }) {
      metrics.repeated.inc({ user });
      log.warn(
        { user, receiver, integration: `${integration}[${index}]` },
        'the process before ended while it sent this notification: it is sent, maybe again',
      );
    },
    unclaimed(user, { receiver, integration, index }, error) {
      metrics.unclaimed.inc({ user });
      log.error(
        { user, receiver, integration: `${integration}[${index}]`, err: error },
        'the notification log cannot be written: a notification may be repeated',
      );
    },
    groupRefused: (user) => metrics.groupLimitReached.inc({ user }),
    alertsRefused(user, count, first) {
      metrics.alertsRefused.inc({ user }, count);
      log.warn({ user, count, error: first }, 'alerts of rules are refused');
    },
    configRefused(user, text) {
      metrics.configRefused.inc({ user });
      log.error({ user, error: text }, 'the configuration that is kept cannot be used');
    },
    storeFailed: (what, error) => log.warn({ err: error }, `Alertmanager: ${what}`),
    addressShared(address) {
      log.error(
        { address },
        'another Alertmanager of this store tells the same address, so that each has all tenants and they take them from each other: -server.peer-listen-address, or -server.peer-advertise-address, must be one at which the others reach this process',
      );
    },
  };
}
