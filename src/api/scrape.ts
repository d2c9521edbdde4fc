import type { ApiResponse } from '../contract/api.ts';
import { quoteGoCut } from '../model/labels.ts';
import { success } from './answer.ts';
import type { Call } from './call.ts';
import { turnsOf } from './context.ts';
import { ApiError } from './error.ts';

/**
 * A Prometheus server's knowledge of its own scraping and rules. Nothing is scraped here, so the lists are empty; their
 * parameters are checked all the same.
 */
function empty(call: Call, data: unknown): ApiResponse {
  return success(call.limits, {}, (out) => out.json(data));
}

/** `/api/v1/rules` */
export async function rules(call: Call): Promise<ApiResponse> {
  const { params } = call;
  await params.matchers(turnsOf(call));
  const type = params.get('type').toLowerCase();
  if (type !== '' && type !== 'alert' && type !== 'record') {
    throw ApiError.invalidParam('type', `not supported value ${quoteGoCut(params.get('type'))}`);
  }
  const limit = params.get('group_limit');
  const token = params.get('group_next_token');
  if (limit !== '' && !(Number(limit) > 0 && Number.isInteger(Number(limit)))) {
    throw ApiError.invalidParam('group_limit', 'group_limit needs to be greater than 0');
  }
  if (token !== '' && limit === '') {
    throw ApiError.invalidParam('group_limit', 'group_limit needs to be present in order to paginate over the groups');
  }
  if (token !== '') {
    throw ApiError.invalidParam('group_next_token', `invalid group_next_token '${token}'. were rule groups changed?`);
  }
  return empty(call, { groups: [] });
}

/** `/api/v1/alerts` */
export function alerts(call: Call): ApiResponse {
  return empty(call, { alerts: [] });
}

/** `/api/v1/targets` */
export function targets(call: Call): ApiResponse {
  const state = call.params.get('state').toLowerCase();
  const dropped = state === '' || state === 'any' || state === 'dropped';
  return empty(call, { activeTargets: [], droppedTargets: [], droppedTargetCounts: dropped ? {} : null });
}

/** `/api/v1/targets/metadata` */
export async function targetMetadata(call: Call): Promise<ApiResponse> {
  const match = call.params.get('match_target');
  if (match !== '') await call.params.selector(match, turnsOf(call), 'match_target');
  return empty(call, []);
}

/** `/api/v1/scrape_pools` */
export function scrapePools(call: Call): ApiResponse {
  return empty(call, { scrapePools: [] });
}

/** `/api/v1/alertmanagers` */
export function alertmanagers(call: Call): ApiResponse {
  return empty(call, { activeAlertmanagers: [], droppedAlertmanagers: [] });
}
