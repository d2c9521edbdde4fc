import type { TenantLimits } from '../../limits/limits.ts';
import type { ApiRequest, ApiResponse } from '../api-contract.ts';
import { plain } from './answer.ts';
import { ApiError } from './error.ts';
import { exemplars } from './exemplars.ts';
import { federate } from './federate.ts';
import { labelNames, labelValues, series } from './labels.ts';
import { metadata } from './metadata.ts';
import type { Params } from './params.ts';
import { explainInstant, explainRange, instantQuery, rangeQuery } from './query.ts';
import { remoteRead } from './remote-read.ts';
import { alertmanagers, alerts, rules, scrapePools, targetMetadata, targets } from './scrape.ts';
import { searchLabelNames, searchLabelValues, searchMetricNames } from './search.ts';
import type { ApiSources } from './sources.ts';
import * as status from './status.ts';
import { formatQuery, parseQuery } from './syntax.ts';

/** One request on its way, with all that a handler may need. */
export interface Call {
  readonly request: ApiRequest;
  readonly params: Params;
  readonly limits: TenantLimits;
  readonly sources: ApiSources;
  readonly signal: AbortSignal;
}

type Handler = (call: Call) => ApiResponse | Promise<ApiResponse>;

export interface ApiRoute {
  /** `/api/v1/label/:name/values` */
  readonly path: string;
  readonly methods: readonly string[];
  readonly handle: Handler;
  /** Its body is no form. */
  readonly takesBody?: boolean;
}

const GET = ['GET'];
const GET_POST = ['GET', 'POST'];

/** All of the API; whoever listens takes the paths from here. */
export const apiRoutes: readonly ApiRoute[] = [
  { path: '/api/v1/query', methods: GET_POST, handle: instantQuery },
  { path: '/api/v1/query_range', methods: GET_POST, handle: rangeQuery },
  { path: '/api/v1/query_explain', methods: GET_POST, handle: explainInstant },
  { path: '/api/v1/query_range_explain', methods: GET_POST, handle: explainRange },
  { path: '/api/v1/query_exemplars', methods: GET_POST, handle: exemplars },
  { path: '/api/v1/format_query', methods: GET_POST, handle: formatQuery },
  { path: '/api/v1/parse_query', methods: GET_POST, handle: parseQuery },
  { path: '/api/v1/series', methods: GET_POST, handle: series },
  { path: '/api/v1/labels', methods: GET_POST, handle: labelNames },
  { path: '/api/v1/label/:name/values', methods: GET, handle: labelValues },
  { path: '/api/v1/metadata', methods: GET, handle: metadata },
  { path: '/api/v1/rules', methods: GET, handle: rules },
  { path: '/api/v1/alerts', methods: GET, handle: alerts },
  { path: '/api/v1/targets', methods: GET, handle: targets },
  { path: '/api/v1/targets/metadata', methods: GET, handle: targetMetadata },
  { path: '/api/v1/scrape_pools', methods: GET, handle: scrapePools },
  { path: '/api/v1/alertmanagers', methods: GET, handle: alertmanagers },
  { path: '/api/v1/status/buildinfo', methods: GET, handle: status.buildInfo },
  { path: '/api/v1/status/config', methods: GET, handle: status.config },
  { path: '/api/v1/status/flags', methods: GET, handle: status.flags },
  { path: '/api/v1/status/runtimeinfo', methods: GET, handle: status.runtimeInfo },
  { path: '/api/v1/status/tsdb', methods: GET, handle: status.tsdb },
  { path: '/api/v1/status/tsdb/blocks', methods: GET, handle: status.blocks },
  { path: '/api/v1/status/walreplay', methods: GET, handle: status.walReplay },
  { path: '/api/v1/features', methods: GET, handle: status.features },
  { path: '/api/v1/notifications', methods: GET, handle: status.notifications },
  { path: '/api/v1/search/metric_names', methods: GET_POST, handle: searchMetricNames },
  { path: '/api/v1/search/label_names', methods: GET_POST, handle: searchLabelNames },
  { path: '/api/v1/search/label_values', methods: GET_POST, handle: searchLabelValues },
  { path: '/api/v1/admin/tsdb/delete_series', methods: ['POST', 'PUT'], handle: disabled('admin APIs') },
  { path: '/api/v1/admin/tsdb/clean_tombstones', methods: ['POST', 'PUT'], handle: disabled('admin APIs') },
  { path: '/api/v1/admin/tsdb/snapshot', methods: ['POST', 'PUT'], handle: disabled('admin APIs') },
  { path: '/api/v1/read', methods: ['POST'], handle: remoteRead, takesBody: true },
  { path: '/federate', methods: GET, handle: federate },
];

const byPath = new Map(apiRoutes.filter(({ path }) => !path.includes(':')).map((route) => [route.path, route]));
const LABEL_VALUES = apiRoutes.find(({ path }) => path === '/api/v1/label/:name/values')!;

/** What answers a request; 404 and 405 are answers too. */
export function routeOf({ method, path }: ApiRequest): Handler {
  // a label name may hold slashes
  const route = byPath.get(path) ?? (/^\/api\/v1\/label\/.*\/values$/s.test(path) ? LABEL_VALUES : undefined);
  if (route === undefined) return () => plain(404, '404 page not found\n');
  if (!route.methods.includes(method)) {
    const allow = [...route.methods, 'OPTIONS'].sort().join(', ');
    return () => plain(405, 'Method Not Allowed\n', { allow });
  }
  return route.handle;
}

function disabled(what: string): Handler {
  return () => {
    throw ApiError.disabled(what);
  };
}
