import { alertOf } from '../../src/alertmanager/alert.ts';
import { EXTERNAL_URL, type ReceiverVector } from './receivers.ts';

/** Notification of a vector: its alerts a second after they began or ended, and what is said of them all. */
export function toldAlerts({ alerts, reason }: Pick<ReceiverVector, 'alerts' | 'reason'>) {
  const isResolved = reason === 'all alerts resolved';
  const nowMs = Date.parse(isResolved ? alerts[0]!.endsAt : alerts[0]!.startsAt) + 1000;
  const given = alerts.map((alert) => {
    const labels = new Map(Object.entries(alert.labels));
    const { fingerprint } = alertOf({ labels, annotations: new Map(), generatorUrl: '' }, nowMs, 1);
    return {
      status: isResolved ? ('resolved' as const) : ('firing' as const),
      labels,
      annotations: new Map(Object.entries(alert.annotations)),
      startsAtMs: Date.parse(alert.startsAt),
      endsAtMs: isResolved ? Date.parse(alert.endsAt) : undefined,
      generatorUrl: alert.generatorURL,
      fingerprint,
    };
  });
  const about = {
    receiver: 'r',
    notificationReason: reason,
    groupLabels: new Map([['alertname', 'Down']]),
    routeLabels: new Map(),
    externalUrl: EXTERNAL_URL,
  };
  return { nowMs, given, about };
}
