import { useQuery } from '@tanstack/react-query';
import type { Annotation } from '../../../src/contract/dashboard.ts';
import type { EventAnswer } from '../../../src/contract/services.ts';
import { fetchData } from '../api/http.ts';
import { runQuery } from '../api/query.ts';
import { markOf, type TimeMark } from '../chart/time-mark.ts';
import { useScope } from '../scope.tsx';
import { spansOf } from './annotation-spans.ts';
import { queryFor } from './model.ts';
import type { Values } from './variables.ts';

const MARKS_MAX = 100;
const STEPS_MAX = 500;
const STEP_MS_MIN = 15_000;
const SERIES_MAX = 20;
const NONE: readonly TimeMark[] = [];

/** The times that a dashboard's annotations mark, as far as they are switched on. */
export function useAnnotations(
  annotations: readonly Annotation[],
  values: Values | undefined,
  isOn: (annotation: Annotation) => boolean,
): readonly TimeMark[] {
  const { tenant, rangeMs, endMs, round } = useScope();
  const asked = annotations.filter((one) => one.plugin !== undefined && isOn(one));
  const { data } = useQuery({
    queryKey: ['annotations', tenant, asked, values === undefined ? [] : [...values], rangeMs, endMs, round],
    enabled: asked.length > 0 && values !== undefined,
    queryFn: async ({ signal }) => {
      const stepMs = Math.max(STEP_MS_MIN, Math.ceil(rangeMs / STEPS_MAX / 1_000) * 1_000);
      const end = endMs ?? Math.floor(Date.now() / stepMs) * stepMs;
      const grid = { startMs: end - Math.floor(rangeMs / stepMs) * stepMs, endMs: end, stepMs };
      const each = asked.map(async ({ display, plugin }): Promise<readonly TimeMark[]> => {
        const { expr, title, tags, matchAny } = plugin.spec ?? {};
        if (plugin.kind === 'EventAnnotation') return eventsOf(tenant, grid, tags, matchAny === true, signal);
        if (plugin.kind !== 'PrometheusPromQLAnnotation' || typeof expr !== 'string') return NONE;
        const query = queryFor(expr, { intervalMs: stepMs, stepMs, rangeMs }, values!);
        const { times, series } = await runQuery(
          { expr: query, tenant, grid, seriesMax: SERIES_MAX, isDashboard: true },
          signal,
        );
        const format = typeof title === 'string' ? title : undefined;
        return series.flatMap((one) => spansOf(times, one, display?.name ?? '', format, stepMs / 1_000));
      });
      // one that fails leaves the others
      const found = await Promise.all(each.map((one) => one.catch(() => NONE)));
      signal.throwIfAborted();
      return found.flat().slice(-MARKS_MAX);
    },
  });
  return asked.length > 0 && data !== undefined ? data : NONE;
}

async function eventsOf(
  tenant: string,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  tags: unknown,
  matchAny: boolean,
  signal: AbortSignal,
): Promise<readonly TimeMark[]> {
  const params = new URLSearchParams({ start: String(startMs / 1000), end: String(endMs / 1000) });
  const events = await fetchData<readonly EventAnswer[]>({ path: '/api/v1/events', params, tenant }, signal);
  const wanted = Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
  const fits = (event: EventAnswer) => {
    const has = (tag: string) => event.tags.includes(tag) || event.type === tag;
    return wanted.length === 0 || (matchAny ? wanted.some(has) : wanted.every(has));
  };
  return events.filter(fits).map(markOf);
}
