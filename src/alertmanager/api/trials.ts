import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import { type Alert, AlertError, alertOf } from '../alert.ts';
import type { ConfigInForce } from '../config/document.ts';
import { sortedLabels } from '../label-set.ts';
import type { TenantAlertmanager } from '../tenant.ts';
import { trialRoutes } from '../trial.ts';
import { alertFrom } from './alerts.ts';
import { jsonAnswer } from './answer.ts';
import { bodyOf, labelsFrom } from './body.ts';
import { BadRequest } from './params.ts';

const alertsMax = 100;
const TEST_ALERT = {
  labels: { alertname: 'TestAlert', instance: 'example', severity: 'info' },
  annotations: { summary: 'A test of this receiver.' },
};

/** `POST /config/v1/alerts/{test,preview,route}`: a receiver is tried, its messages are shown, labels are routed. */
export async function postTrial(
  am: TenantAlertmanager,
  request: ApiRequest,
  /** A configuration that is given in place of the one in force. */
  configOf: (document: unknown) => ConfigInForce,
  nowMs: number,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const body = bodyOf(request);
  if (typeof body !== 'object' || body === null) throw new BadRequest('an object is wanted');
  const { config, labels, receiver, alerts } = body as Record<string, unknown>;
  const inForce = config === undefined ? am.inForce : configOf(config);
  if (inForce === undefined) throw new BadRequest('there is no configuration, and none is given');
  if (request.path.endsWith('/route')) {
    const routes = trialRoutes(inForce, labelsFrom(labels, 'labels'));
    return success(
      routes.map(({ groupLabels, ...rest }) => ({
        ...rest,
        groupLabels: Object.fromEntries(sortedLabels(groupLabels)),
      })),
    );
  }
  if (typeof receiver !== 'string' || !inForce.config.receivers.has(receiver)) {
    throw new BadRequest(`undefined receiver ${JSON.stringify(receiver ?? '')}`);
  }
  const given = alertsFrom(alerts, nowMs);
  return success(await am.tried(request.path.endsWith('/test'), { inForce, receiver, alerts: given }, signal));
}

function alertsFrom(alerts: unknown, nowMs: number): Alert[] {
  const given = alerts ?? [TEST_ALERT];
  if (!Array.isArray(given) || given.length === 0 || given.length > alertsMax) {
    throw new BadRequest(`a list of 1 to ${alertsMax} alerts is wanted`);
  }
  try {
    return given.map((alert) => alertOf(alertFrom(alert), nowMs, 300_000));
  } catch (thrown) {
    throw thrown instanceof AlertError ? new BadRequest(thrown.message) : thrown;
  }
}

function success(data: unknown): ApiResponse {
  return jsonAnswer({ status: 'success', data });
}
