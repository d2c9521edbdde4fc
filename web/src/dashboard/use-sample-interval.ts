import { useQuery } from '@tanstack/react-query';
import type { Dashboard } from '../../../src/contract/dashboard.ts';
import { fetchData } from '../api/http.ts';
import { parseDuration } from '../model/duration.ts';
import { useScope } from '../scope.tsx';
import { INTERVAL_DEFAULT_MS, intervalOf, ratedSelectors } from './sample-interval.ts';
import type { Values } from './variables.ts';

/**
 * Between two samples of what a dashboard looks at: as it says, else as its first counters tell of the last ten minutes.
 * Undefined until that is known.
 */
export function useSampleInterval(dashboard: Dashboard, values: Values | undefined): number | undefined {
  const { tenant } = useScope();
  const told = parseDuration(dashboard.spec.sampleInterval ?? '');
  const selectors = values === undefined ? [] : ratedSelectors(dashboard, values);
  const isAsked = told === undefined && selectors.length > 0;
  const { data, isError } = useQuery({
    queryKey: ['sample-interval', tenant, selectors],
    enabled: isAsked,
    queryFn: async ({ signal }) => {
      const counts = selectors.map((selector) => `max(count_over_time(${selector}[10m]))`);
      const params = new URLSearchParams({ query: counts.join(' or on () ') });
      const { result } = await fetchData<{ readonly result: readonly { readonly value?: [number, string] }[] }>(
        { path: '/api/v1/query', params, tenant },
        signal,
      );
      return intervalOf(Number(result[0]?.value?.[1] ?? 0));
    },
  });
  if (told !== undefined) return told;
  if (values === undefined) return undefined;
  return isAsked && !isError ? data : INTERVAL_DEFAULT_MS;
}
