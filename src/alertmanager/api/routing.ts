import type { ApiResponse } from '../../contract/api.ts';
import type { Route } from '../route.ts';
import type { TenantAlertmanager } from '../tenant.ts';
import { jsonAnswer } from './answer.ts';

/** Notifications of one answer, the newest first. */
const notificationsMax = 2_000;
/** Fingerprints of one notification that are told. */
const fingerprintsMax = 1_000;

/** `GET /config/v1/alerts/routes`: the routing tree, and the names of receivers; no secrets stand in it. */
export function getRouting({ inForce }: TenantAlertmanager): ApiResponse {
  const data =
    inForce === undefined
      ? { route: null, receivers: [] }
      : { route: shownRoute(inForce.config.route), receivers: [...inForce.config.receivers.keys()] };
  return jsonAnswer({ status: 'success', data });
}

function shownRoute({ matchers, groupBy, routes, ...route }: Route): object {
  const { id, receiver, continues, groupWaitMs, groupIntervalMs, repeatIntervalMs } = route;
  return {
    id,
    receiver,
    matchers: matchers.map(String),
    groupBy: groupBy === undefined ? null : [...groupBy],
    continues,
    groupWaitMs,
    groupIntervalMs,
    repeatIntervalMs,
    muteTimeIntervals: route.muteTimeIntervals,
    activeTimeIntervals: route.activeTimeIntervals,
    routes: routes.map(shownRoute),
  };
}

/** `GET /config/v1/alerts/notifications`: the last notification of each integration about each group, by fingerprints of alerts. */
export function getNotifications(am: TenantAlertmanager): ApiResponse {
  const sent = [...am.notifications()].filter(({ entry }) => entry.sentAtMs !== undefined);
  sent.sort((a, b) => b.entry.sentAtMs! - a.entry.sentAtMs!);
  const data = sent.slice(0, notificationsMax).map(({ key: { receiver, integration, index, groupKey }, entry }) => ({
    receiver,
    integration,
    index,
    groupKey,
    sentAt: new Date(entry.sentAtMs!).toISOString(),
    firing: [...entry.firing].slice(0, fingerprintsMax),
    resolved: [...entry.resolved].slice(0, fingerprintsMax),
  }));
  return jsonAnswer({ status: 'success', data });
}
