import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { Pacer } from '../../lib/pacer.ts';
import { sortInTurns } from '../../lib/sort-in-turns.ts';
import type { GivenAlert } from '../alert.ts';
import { compareAlerts } from '../alert.ts';
import { compareLabels, type LabelSet, sortedLabels } from '../label-set.ts';
import { matchesFilter } from '../matcher.ts';
import type { AlertStatus, ShownAlert, ShownGroup, TenantAlertmanager } from '../tenant.ts';
import { emptyAnswer, jsonAnswer, jsonListAnswer, jsonTextAnswer } from './answer.ts';
import { bodyOf, labelsFrom, timeFrom } from './body.ts';
import { BadRequest, Params } from './params.ts';

/** `GET /api/v2/alerts` @param pacer of the thread, which all tenants share */
export async function getAlerts(am: TenantAlertmanager, request: ApiRequest, pacer: Pacer): Promise<ApiResponse> {
  const params = new Params(request);
  const isWanted = alertFilter(params);
  const [isReceiver, hasLabels] = [params.receivers(), params.receiverLabels()];
  const receiverLabels = (name: string) => am.inForce?.config.receivers.get(name)?.labels;
  const hasReceivers = params.text('receiver') !== undefined || params.text('receiver_matchers') !== undefined;
  const alerts = await inTurns(await am.shownAlerts(pacer.signal), pacer, ({ alert, status, receivers }) => {
    const isFor = (name: string) => isReceiver(name) && hasLabels(receiverLabels(name));
    return isWanted(alert.labels, status) && (!hasReceivers || receivers.some(isFor));
  });
  return jsonListAnswer(alerts, shown, pacer);
}

async function inTurns<T>(items: readonly T[], pacer: Pacer, isWanted: (item: T) => boolean): Promise<T[]> {
  const wanted: T[] = [];
  for (const item of items) {
    await pacer.step();
    if (isWanted(item)) wanted.push(item);
  }
  return wanted;
}

/** `POST /api/v2/alerts` */
export async function postAlerts(
  am: TenantAlertmanager,
  request: ApiRequest,
  pacer: Pacer,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const body = bodyOf(request);
  if (!Array.isArray(body)) throw new BadRequest('a list of alerts is wanted');
  const given: GivenAlert[] = [];
  for (const each of body) {
    await pacer.step();
    given.push(alertFrom(each));
  }
  const problems = await am.put(given, true, signal);
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
export async function getAlertGroups(am: TenantAlertmanager, request: ApiRequest, pacer: Pacer): Promise<ApiResponse> {
  const params = new Params(request);
  const isWanted = alertFilter(params);
  const [isReceiver, hasLabels, muted] = [params.receivers(), params.receiverLabels(), params.flag('muted')];
  const groups: ShownGroup[] = [];
  for (const group of await am.shownGroups(pacer.signal)) {
    const labels = am.inForce?.config.receivers.get(group.receiver)?.labels;
    if (!isReceiver(group.receiver) || !hasLabels(labels) || (group.isMuted && !muted)) continue;
    const alerts = await inTurns(group.alerts, pacer, ({ alert, status }) => isWanted(alert.labels, status));
    if (alerts.length > 0) groups.push({ ...group, alerts });
  }
  const sorted = await sortInTurns(
    pacer,
    groups,
    (a, b) => compareLabels(a.labels, b.labels) || (a.receiver < b.receiver ? -1 : 1),
  );
  const parts: string[] = [];
  for (const { receiver, labels, routeLabels, alerts } of sorted) {
    const own = await sortInTurns(pacer, alerts, (a, b) => compareAlerts(a.alert, b.alert));
    const texts: string[] = [];
    for (const each of own) {
      await pacer.step();
      texts.push(JSON.stringify(shown(each)));
    }
    const rest = { labels: objectOf(labels), receiver: { name: receiver }, routeLabels: objectOf(routeLabels) };
    parts.push(`{"alerts":[${texts.join(',')}],${JSON.stringify(rest).slice(1)}`);
  }
  return jsonTextAnswer(`[${parts.join(',')}]`);
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
