import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { GivenAlert } from '../alert.ts';
import { compareAlerts } from '../alert.ts';
import { compareLabels, type LabelSet, sortedLabels } from '../label-set.ts';
import { matchesFilter } from '../matcher.ts';
import type { AlertStatus, ShownAlert, TenantAlertmanager } from '../tenant.ts';
import { emptyAnswer, jsonAnswer } from './answer.ts';
import { bodyOf, labelsFrom, timeFrom } from './body.ts';
import { BadRequest, Params } from './params.ts';

/** `GET /api/v2/alerts` */
export function getAlerts(am: TenantAlertmanager, request: ApiRequest): ApiResponse {
  const params = new Params(request);
  const isWanted = alertFilter(params);
  const [isReceiver, hasLabels] = [params.receivers(), params.receiverLabels()];
  const receiverLabels = (name: string) => am.inForce?.config.receivers.get(name)?.labels;
  const hasReceivers = params.text('receiver') !== undefined || params.text('receiver_matchers') !== undefined;
  const alerts = am.shownAlerts().filter(({ alert, status, receivers }) => {
    const isFor = (name: string) => isReceiver(name) && hasLabels(receiverLabels(name));
    return isWanted(alert.labels, status) && (!hasReceivers || receivers.some(isFor));
  });
  return jsonAnswer(alerts.map(shown));
}

/** `POST /api/v2/alerts` */
export async function postAlerts(
  am: TenantAlertmanager,
  request: ApiRequest,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const body = bodyOf(request);
  if (!Array.isArray(body)) throw new BadRequest('a list of alerts is wanted');
  const problems = await am.put(body.map(alertFrom), true, signal);
  return problems.length > 0 ? jsonAnswer(problems.slice(0, problemsMax).join('\n'), 400) : emptyAnswer(200);
}

const problemsMax = 100;

/** @throws BadRequest */
export function alertFrom(given: unknown): GivenAlert {
  if (typeof given !== 'object' || given === null) throw new BadRequest('an alert is no object');
  const { labels, annotations, startsAt, endsAt, generatorURL } = given as Record<string, unknown>;
  const [startsAtMs, endsAtMs] = [timeFrom(startsAt, 'startsAt'), timeFrom(endsAt, 'endsAt')];
  return {
    labels: labelsFrom(labels, 'labels'),
    annotations: labelsFrom(annotations, 'annotations'),
    ...(startsAtMs === undefined ? {} : { startsAtMs }),
    ...(endsAtMs === undefined ? {} : { endsAtMs }),
    generatorUrl: typeof generatorURL === 'string' ? generatorURL : '',
  };
}

/** `GET /api/v2/alerts/groups` */
export function getAlertGroups(am: TenantAlertmanager, request: ApiRequest): ApiResponse {
  const params = new Params(request);
  const isWanted = alertFilter(params);
  const [isReceiver, hasLabels, muted] = [params.receivers(), params.receiverLabels(), params.flag('muted')];
  const groups = am
    .shownGroups()
    .filter(({ receiver, isMuted }) => {
      const labels = am.inForce?.config.receivers.get(receiver)?.labels;
      return isReceiver(receiver) && hasLabels(labels) && (muted || !isMuted);
    })
    .map((group) => ({ ...group, alerts: group.alerts.filter(({ alert, status }) => isWanted(alert.labels, status)) }))
    .filter(({ alerts }) => alerts.length > 0)
    .sort((a, b) => compareLabels(a.labels, b.labels) || (a.receiver < b.receiver ? -1 : 1));
  return jsonAnswer(
    groups.map(({ receiver, labels, routeLabels, alerts }) => ({
      alerts: alerts.toSorted((a, b) => compareAlerts(a.alert, b.alert)).map(shown),
      labels: objectOf(labels),
      receiver: { name: receiver },
      routeLabels: objectOf(routeLabels),
    })),
  );
}

function alertFilter(params: Params): (labels: LabelSet, status: AlertStatus) => boolean {
  const matchers = params.matchers('filter');
  const [active, silenced, inhibited] = ['active', 'silenced', 'inhibited'].map((name) => params.flag(name));
  const unprocessed = params.flag('unprocessed');
  return (labels, status) =>
    matchesFilter(matchers, labels) &&
    (active! || status.state !== 'active') &&
    (unprocessed || status.state !== 'unprocessed') &&
    (silenced! || status.silencedBy.length === 0) &&
    (inhibited! || status.inhibitedBy.length === 0);
}

function shown({ alert, status, receivers }: ShownAlert): object {
  return {
    annotations: objectOf(alert.annotations),
    endsAt: new Date(alert.endsAtMs).toISOString(),
    fingerprint: alert.fingerprint,
    receivers: receivers.map((name) => ({ name })),
    startsAt: new Date(alert.startsAtMs).toISOString(),
    status: {
      inhibitedBy: status.inhibitedBy,
      mutedBy: status.mutedBy,
      silencedBy: status.silencedBy,
      state: status.state,
    },
    updatedAt: new Date(alert.updatedAtMs).toISOString(),
    generatorURL: alert.generatorUrl === '' ? undefined : alert.generatorUrl,
    labels: objectOf(alert.labels),
  };
}

function objectOf(labels: LabelSet): object {
  return Object.fromEntries(sortedLabels(labels));
}
