import type { ApiRequest } from '../contract/api.ts';
import { DAY_MS } from '../lib/day.ts';
import type { ApiType, QueryFacts } from '../limits/query-rules.ts';
import { outlineReadRequest } from '../wire/remote-read.ts';
import { inflateSnappy } from '../wire/snappy.ts';
import { Params } from './params.ts';
import { parseDurationNanos, parseTime, storageMs } from './time.ts';

const TYPES: Readonly<Record<string, ApiType>> = {
  '/api/v1/query': 'query',
  '/api/v1/query_explain': 'query',
  '/api/v1/query_range': 'query_range',
  '/api/v1/query_range_explain': 'query_range',
  '/api/v1/series': 'series',
  '/api/v1/labels': 'labels',
};

/** Requests that read series by themselves, and of which rules have no kind. */
const OTHERS = /^(\/api\/v1\/(query_exemplars$|read$|search\/|cardinality\/)|\/federate$)/;
const HOUR_MS = 3_600_000;
/** Longer requests for samples are not looked into. */
const OUTLINE_BYTES_MAX = 64 * 1024;

/**
 * A request, as rules of queries look at it, and estimates of what it costs; undefined where it reads no series. Times that cannot be read
 * are now.
 */
export function queryFacts(request: ApiRequest, nowMs: number): QueryFacts | undefined {
  const { path, caller } = request;
  const apiType = TYPES[path] ?? (/^\/api\/v1\/label\/.*\/values$/.test(path) ? 'label_values' : undefined);
  if (apiType === undefined && !OTHERS.test(path)) return undefined;
  const params = new Params(request);
  const of = {
    apiType,
    stepMs: apiType === 'query_range' ? stepOf(params.get('step')) : 0,
    userAgent: caller?.userAgent ?? '',
    dashboardUid: caller?.dashboardUid ?? '',
    panelId: caller?.panelId ?? '',
  };
  if (apiType === undefined) return { ...of, ...otherFacts(request, params, nowMs) };
  const isInstant = apiType === 'query';
  const endMs = timeOf(params, isInstant ? 'time' : 'end', nowMs);
  return {
    ...of,
    query: isInstant || apiType === 'query_range' ? params.get('query') : params.all('match[]').join(','),
    startMs: isInstant ? endMs : timeOf(params, 'start', nowMs),
    endMs,
  };
}

/** The times are as far apart as all that is read, which may be several ranges. */
function otherFacts(
  { path, body }: ApiRequest,
  params: Params,
  nowMs: number,
): Pick<QueryFacts, 'query' | 'startMs' | 'endMs'> {
  const asked = [params.get('query'), params.get('label'), ...params.all('match[]')].filter((text) => text !== '');
  const query = `${path} ${asked.join()}`;
  if (path === '/api/v1/read') {
    try {
      const { text, endMs, lengthMs } = outlineReadRequest(
        inflateSnappy(body ?? new Uint8Array(0), OUTLINE_BYTES_MAX, 'remote read'),
      );
      return { query: `${path} ${text}`, startMs: endMs - lengthMs, endMs };
    } catch {
      // it is refused elsewhere, or asks for much
      return { query, startMs: nowMs - DAY_MS, endMs: nowMs };
    }
  }
  // one day of any date
  if (path.startsWith('/api/v1/cardinality/')) return { query, startMs: nowMs - DAY_MS, endMs: nowMs };
  if (path === '/federate') return { query, startMs: nowMs, endMs: nowMs };
  const spanMs = path.startsWith('/api/v1/search/') ? HOUR_MS : 0;
  const endMs = timeOf(params, 'end', nowMs);
  return { query, startMs: timeOf(params, 'start', endMs - spanMs), endMs };
}

function timeOf(params: Params, name: string, otherwise: number): number {
  const time = parseTime(params.get(name));
  return time === undefined ? otherwise : storageMs(time);
}

function stepOf(text: string): number {
  try {
    return Number(parseDurationNanos(text)) / 1e6;
  } catch {
    return 0;
  }
}
