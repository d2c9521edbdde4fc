import type { ApiResponse } from '../contract/api.ts';
import { functions } from '../promql/functions/table.ts';
import { success } from './answer.ts';
import type { Call } from './call.ts';
import { ApiError } from './error.ts';
import { isGoInt } from './params.ts';

function shown(call: Call, data: unknown): ApiResponse {
  return success(call.limits, {}, (out) => out.json(data));
}

/**
 * `/api/v1/status/buildinfo`. Grafana takes from the version which functions it may use, so it is that of the Prometheus
 * whose language this is; ours stands beside it.
 */
export function buildInfo(call: Call): ApiResponse {
  return shown(call, buildInfoOf(call.sources.status.version));
}

/** @param version of Pallium */
export function buildInfoOf(version: string): object {
  return {
    application: 'Pallium',
    version: PROMETHEUS_VERSION,
    revision: version,
    branch: '',
    buildUser: '',
    buildDate: '',
    goVersion: '',
    nodeVersion: process.version,
  };
}

const PROMETHEUS_VERSION = '3.16.0';

/** `/api/v1/status/config` */
export function config(call: Call): ApiResponse {
  return shown(call, { yaml: call.sources.status.configYaml });
}

/** `/api/v1/status/flags` */
export function flags(call: Call): ApiResponse {
  return shown(call, call.sources.status.flags);
}

/** `/api/v1/status/runtimeinfo` */
export function runtimeInfo(call: Call): ApiResponse {
  const { status, clock } = call.sources;
  const started = new Date(status.startTimeMs).toISOString();
  const { retentionPeriodMs } = call.limits;
  return shown(call, {
    startTime: started,
    CWD: '',
    hostname: '',
    serverTime: new Date(clock.nowMs()).toISOString(),
    reloadConfigSuccess: true,
    lastConfigTime: started,
    corruptionCount: 0,
    goroutineCount: 0,
    GOMAXPROCS: 0,
    GOMEMLIMIT: 0,
    GOGC: '',
    GODEBUG: '',
    storageRetention: retentionPeriodMs === 0 ? 'none' : `${retentionPeriodMs / 3_600_000}h`,
  });
}

/** `/api/v1/status/walreplay`: queries are answered only when replay is through. */
export function walReplay(call: Call): ApiResponse {
  return shown(call, { min: 0, max: 0, current: 0 });
}

/** `/api/v1/status/tsdb` */
export async function tsdb(call: Call): Promise<ApiResponse> {
  const { params, sources, request, signal } = call;
  const text = params.get('limit');
  if (text !== '' && !(isGoInt(text) && Number(text) > 0)) throw ApiError.badData('limit must be a positive number');
  const limit = text === '' ? 10 : Number(text);
  if (limit > 10_000) throw ApiError.badData('limit must not exceed 10000');
  const head = await sources.status.headStats(request.tenant, limit, signal);
  const listed = (counts: readonly (readonly [string, number])[] = []) =>
    counts
      .toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([name, value]) => ({ name, value }));
  return shown(call, {
    headStats: {
      numSeries: head?.series ?? 0,
      numLabelPairs: head?.labelPairs ?? 0,
      chunkCount: head?.chunks ?? 0,
      minTime: head?.minTimeMs ?? 0,
      maxTime: head?.maxTimeMs ?? 0,
    },
    seriesCountByMetricName: listed(head?.seriesByMetric),
    labelValueCountByLabelName: listed(head?.valuesByLabel),
    memoryInBytesByLabelName: listed(head?.bytesByLabel),
    seriesCountByLabelValuePair: listed(head?.seriesByPair),
  });
}

/** `/api/v1/status/tsdb/blocks`: the store has no blocks. */
export function blocks(call: Call): ApiResponse {
  return shown(call, { blocks: [] });
}

/** `/api/v1/notifications` */
export function notifications(call: Call): ApiResponse {
  return shown(call, []);
}

/** `/api/v1/features`: what this server has of what Prometheus may have. */
export function features(call: Call): ApiResponse {
  const {
    experimentalFunctions = false,
    extendedRangeSelectors = false,
    binopFillModifiers = false,
    unquotedUtf8Names = false,
  } = call.sources.syntax;
  const on = (names: string) => Object.fromEntries(names.split(' ').map((name) => [name, true]));
  return shown(call, {
    api: {
      ...on('label_values_match query_stats query_warnings remote_write_receiver time_range_labels time_range_series'),
      admin: call.sources.deletes !== undefined,
      lifecycle: false,
      otlp_write_receiver: false,
      search: call.sources.searchEnabled,
      search_fuzz_alg_jarowinkler: true,
      search_fuzz_alg_subsequence: true,
    },
    promql: {
      ...on('at_modifier bool by group_left group_right ignoring negative_offset offset on subqueries without'),
      ...on('duration_expr per_query_lookback_delta'),
      per_step_stats: call.sources.perStepStats,
      anchored: extendedRangeSelectors,
      smoothed: extendedRangeSelectors,
      unquoted_utf8_names: unquotedUtf8Names,
      fill: binopFillModifiers,
      fill_left: binopFillModifiers,
      fill_right: binopFillModifiers,
    },
    promql_functions: Object.fromEntries(
      Object.values(functions).map(({ name, signature }) => [name, !signature.experimental || experimentalFunctions]),
    ),
    promql_operators: {
      ...on('!= !~ % * + - / < </ <= == =~ > >/ >= @ ^ and atan2 or unless'),
      ...on('avg bottomk count count_values group max min quantile stddev stdvar sum topk'),
      limit_ratio: experimentalFunctions,
      limitk: experimentalFunctions,
    },
    tsdb: { exemplar_storage: true, native_histograms: true },
  });
}
