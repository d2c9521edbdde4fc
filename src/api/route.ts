import type { ApiRequest, ApiResponse } from '../contract/api.ts';
import * as admin from './admin.ts';
import { plain } from './answer.ts';
import type { Call } from './call.ts';
import { cardinalityOfDay } from './cardinality/cardinality.ts';
import { deletionPreview } from './cardinality/deletion.ts';
import { savings } from './cardinality/savings.ts';
import { turnsOf } from './context.ts';
import { exemplars } from './exemplars.ts';
import { federate } from './federate.ts';
import { labelNames, labelValues, series } from './labels.ts';
import { metadata } from './metadata.ts';
import { type ApiPathName, apiPaths } from './paths.ts';
import { explainInstant, explainRange, instantQuery, rangeQuery } from './query.ts';
import { remoteRead } from './remote-read.ts';
import { rulePreview } from './rule-preview.ts';
import { ruleTest } from './rule-test.ts';
import { alerts, NO_RULES, type RulesCall, rules } from './rules.ts';
import { alertmanagers, scrapePools, targetMetadata, targets } from './scrape.ts';
import { searchLabelNames, searchLabelValues, searchMetricNames } from './search.ts';
import * as status from './status.ts';
import { formatQuery, parseQuery } from './syntax.ts';

type Handler = (call: Call) => ApiResponse | Promise<ApiResponse>;

const handlers: Readonly<Record<ApiPathName, Handler>> = {
  '/api/v1/query': instantQuery,
  '/api/v1/query_range': rangeQuery,
  '/api/v1/query_explain': explainInstant,
  '/api/v1/query_range_explain': explainRange,
  '/api/v1/query_exemplars': exemplars,
  '/api/v1/format_query': formatQuery,
  '/api/v1/parse_query': parseQuery,
  '/api/v1/series': series,
  '/api/v1/labels': labelNames,
  '/api/v1/label/:name/values': labelValues,
  '/api/v1/metadata': metadata,
  '/api/v1/rules': (call) => rules(withoutRules(call)),
  '/api/v1/alerts': (call) => alerts(withoutRules(call)),
  '/api/v1/rule_preview': rulePreview,
  '/api/v1/rule_test': ruleTest,
  '/api/v1/targets': targets,
  '/api/v1/targets/metadata': targetMetadata,
  '/api/v1/scrape_pools': scrapePools,
  '/api/v1/alertmanagers': alertmanagers,
  '/api/v1/status/buildinfo': status.buildInfo,
  '/api/v1/status/config': status.config,
  '/api/v1/status/flags': status.flags,
  '/api/v1/status/runtimeinfo': status.runtimeInfo,
  '/api/v1/status/tsdb': status.tsdb,
  '/api/v1/status/tsdb/blocks': status.blocks,
  '/api/v1/status/walreplay': status.walReplay,
  '/api/v1/features': status.features,
  '/api/v1/notifications': status.notifications,
  '/api/v1/search/metric_names': searchMetricNames,
  '/api/v1/search/label_names': searchLabelNames,
  '/api/v1/search/label_values': searchLabelValues,
  '/api/v1/cardinality/day': cardinalityOfDay,
  '/api/v1/cardinality/savings': savings,
  '/api/v1/admin/tsdb/delete_series': admin.deleteSeries,
  '/api/v1/admin/tsdb/delete_series/preview': deletionPreview,
  '/api/v1/admin/tsdb/cancel_delete_request': admin.cancelDeleteRequest,
  '/api/v1/admin/tsdb/clean_tombstones': admin.cleanTombstones,
  '/api/v1/admin/tsdb/snapshot': admin.snapshot,
  '/api/v1/read': remoteRead,
  '/federate': federate,
};

/** Where rules are evaluated, requests for them never come here. */
function withoutRules(call: Call): RulesCall {
  return { params: call.params, limits: call.limits, turns: turnsOf(call), rules: NO_RULES };
}

const methodsOf = new Map<string, readonly string[]>(apiPaths.map(({ path, methods }) => [path, methods]));

/** The handler that answers a request; 404 and 405 are answers too. */
export function routeOf({ method, path }: ApiRequest): Handler {
  // a label name may hold slashes
  const known = /^\/api\/v1\/label\/.*\/values$/s.test(path) ? '/api/v1/label/:name/values' : path;
  const methods = methodsOf.get(known);
  if (methods === undefined) return () => plain(404, '404 page not found\n');
  if (!methods.includes(method)) {
    const allow = [...methods, 'OPTIONS'].sort().join(', ');
    return () => plain(405, 'Method Not Allowed\n', { allow });
  }
  return handlers[known as ApiPathName];
}
