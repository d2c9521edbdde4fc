import type { ApiBackend } from '../../contract/api.ts';
import { apiError } from '../../kit/http/failure.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { type HttpRequest, type HttpResponse, jsonResponse, type Route } from '../../kit/http/message.ts';
import { compileRegex, type Regex } from '../../model/regex/regex.ts';
import { type MetricUse, type MetricUseBook, timesAsked, USE_DAYS_KEPT } from '../../querier/metric-use.ts';

export interface MetricUseRoutesOptions {
  readonly book: Pick<MetricUseBook, 'of'>;
  /** Knows the names of metrics that there are. */
  readonly api: ApiBackend;
}

const LISTED_USUAL = 1_000;
const LISTED_MAX = 20_000;
const PATTERN_CHARS_MAX = 1_024;
const NEVER: MetricUse = { rule: 0, dashboard: 0, api: 0, lastMs: 0, user: '' };

/**
 * `/api/v1/status/metric_names_stats`: how often metrics were asked for, those that are there and never were included, the least used
 * first. Names of VictoriaMetrics, and by source and user.
 */
export function metricUseRoutes(options: MetricUseRoutesOptions): Route[] {
  return [
    {
      path: '/api/v1/status/metric_names_stats',
      methods: ['GET'],
      needs: 'read',
      tenant: 'one',
      failures: 'api',
      cors: true,
      handle: (request) => stats(options, request),
    },
  ];
}

async function stats({ book, api }: MetricUseRoutesOptions, request: HttpRequest): Promise<HttpResponse> {
  const params = AddressParams.of(request.query);
  const listed = whole(params.get('limit'), LISTED_USUAL, LISTED_MAX);
  const days = whole(params.get('days'), USE_DAYS_KEPT, USE_DAYS_KEPT);
  const atMost = params.get('le') === null ? Number.POSITIVE_INFINITY : Number(params.get('le'));
  const pattern = params.get('match_pattern') ?? '';
  if (Number.isNaN(atMost) || atMost < 0) return refused('le', 'a number of requests is wanted');
  if (pattern.length > PATTERN_CHARS_MAX) return refused('match_pattern', `more than ${PATTERN_CHARS_MAX} characters`);
  let regex: Regex | undefined;
  try {
    regex = pattern === '' ? undefined : compileRegex(`.*(?:${pattern}).*`);
  } catch (thrown) {
    return refused('match_pattern', (thrown as Error).message);
  }
  const { tenant, signal } = request;
  const [use, there] = await Promise.all([book.of(tenant, days, signal), namesOf(api, tenant, signal)]);
  const names = new Set([...there.names, ...use.metrics.keys()]);
  const present = new Set(there.names);
  const records = [...names]
    .filter((name) => regex === undefined || regex.matches(name))
    .map((name) => ({ name, use: use.metrics.get(name) ?? NEVER }))
    .filter(({ use: of }) => timesAsked(of) <= atMost)
    .sort((a, b) => timesAsked(a.use) - timesAsked(b.use) || (a.name < b.name ? -1 : 1));
  return jsonResponse({
    status: 'success',
    ...(use.sinceMs === undefined ? {} : { statsCollectedSince: Math.floor(use.sinceMs / 1000) }),
    statsCollectedRecordsTotal: records.length,
    records: records.slice(0, listed).map(({ name, use: { rule, dashboard, api: calls, lastMs, user } }) => ({
      metricName: name,
      requestsCount: rule + dashboard + calls,
      lastRequestTimestamp: Math.floor(lastMs / 1000),
      sources: { rule, dashboard, api: calls },
      user,
      present: present.has(name),
    })),
    ...(there.warning === undefined ? {} : { warnings: [there.warning] }),
  });
}

/** Metrics of the last day, as far as the API lists them. */
async function namesOf(
  api: ApiBackend,
  tenant: string,
  signal: AbortSignal,
): Promise<{ readonly names: readonly string[]; readonly warning?: string }> {
  const request = {
    tenant,
    method: 'GET',
    path: '/api/v1/label/__name__/values',
    params: [['limit', String(LISTED_MAX)]] as const,
  };
  const { status, body } = await api.handle(request, signal);
  const { data, error } = JSON.parse(new TextDecoder().decode(body)) as { data?: string[]; error?: string };
  if (status !== 200) return { names: [], warning: `names of metrics: ${error}` };
  return { names: data ?? [] };
}

function whole(text: string | null, otherwise: number, max: number): number {
  const value = Number(text ?? otherwise);
  return Number.isInteger(value) && value >= 1 ? Math.min(value, max) : otherwise;
}

function refused(name: string, why: string): HttpResponse {
  return jsonResponse(apiError('bad_data', `invalid parameter "${name}": ${why}`), { status: 400 });
}
