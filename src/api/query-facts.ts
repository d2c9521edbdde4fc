import type { ApiRequest } from '../contract/api.ts';
import type { ApiType, QueryFacts } from '../limits/query-rules.ts';
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

/** A request, as rules of queries look at it; undefined where it is none of theirs. Times that cannot be read are now. */
export function queryFacts(
  { path, params: given, caller, ...request }: ApiRequest,
  nowMs: number,
): QueryFacts | undefined {
  const apiType = TYPES[path] ?? (/^\/api\/v1\/label\/.*\/values$/.test(path) ? 'label_values' : undefined);
  if (apiType === undefined) return undefined;
  const params = new Params({ ...request, path, params: given });
  const timeOf = (name: string, otherwise: number): number => {
    const time = parseTime(params.get(name));
    return time === undefined ? otherwise : storageMs(time);
  };
  const isInstant = apiType === 'query';
  const endMs = timeOf(isInstant ? 'time' : 'end', nowMs);
  return {
    apiType,
    query: isInstant || apiType === 'query_range' ? params.get('query') : params.all('match[]').join(','),
    startMs: isInstant ? endMs : timeOf('start', nowMs),
    endMs,
    stepMs: apiType === 'query_range' ? stepOf(params.get('step')) : 0,
    userAgent: caller?.userAgent ?? '',
    dashboardUid: caller?.dashboardUid ?? '',
    panelId: caller?.panelId ?? '',
  };
}

function stepOf(text: string): number {
  try {
    return Number(parseDurationNanos(text)) / 1e6;
  } catch {
    return 0;
  }
}
