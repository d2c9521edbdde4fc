import type { ApiResponse } from '../contract/api.ts';
import { success } from './answer.ts';
import type { Call } from './call.ts';
import { turnsOf } from './context.ts';

/**
 * A Prometheus server's knowledge of its own scraping. Nothing is scraped here, so the lists are empty; their
 * parameters are checked all the same.
 */
function empty(call: Call, data: unknown): ApiResponse {
  return success(call.limits, {}, (out) => out.json(data));
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
