import type { NotificationAlert, NotificationData } from '../../template/alertmanager.ts';
import type { LabelSet } from '../label-set.ts';

type Given = Pick<NotificationData, 'receiver' | 'notificationReason' | 'groupLabels' | 'routeLabels' | 'externalUrl'>;

/** The data of templates, with what the alerts have in common. */
export function notificationData(given: Given, alerts: readonly NotificationAlert[]): NotificationData {
  return {
    receiver: given.receiver,
    status: alerts.some(({ status }) => status === 'firing') ? 'firing' : 'resolved',
    alerts,
    notificationReason: given.notificationReason,
    groupLabels: given.groupLabels,
    commonLabels: common(alerts.map(({ labels }) => labels)),
    commonAnnotations: common(alerts.map(({ annotations }) => annotations)),
    routeLabels: given.routeLabels,
    hasExpandedRouteLabels: true,
    externalUrl: given.externalUrl,
  };
}

function common(sets: readonly LabelSet[]): LabelSet {
  const shared = new Map(sets[0]);
  for (const set of sets.slice(1)) {
    if (shared.size === 0) break;
    for (const [name, value] of shared) if (set.get(name) !== value) shared.delete(name);
  }
  return shared;
}
