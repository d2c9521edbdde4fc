import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import type { EventAnswer } from '../../../src/contract/services.ts';
import type { Answer } from '../api/columns.ts';
import { fetchData } from '../api/http.ts';
import { markOf, type TimeMark } from '../chart/time-mark.ts';
import { useSession } from '../session.tsx';
import { eventsOf } from './events-of.ts';

const PATH = '/api/v1/events';
const NONE: readonly TimeMark[] = [];

/** Deployments and other events of the services that are drawn. They come after the picture, which does not wait for them. */
export function useEventMarks({ times, series }: Answer, tenant: string): readonly TimeMark[] {
  const { apis } = useSession();
  const [start, end] = [times[0] ?? 0, times.at(-1) ?? 0];
  const { data } = useQuery({
    queryKey: ['events', tenant, start, end],
    enabled: times.length > 0 && apis.includes(PATH),
    queryFn: ({ signal }) => {
      const params = new URLSearchParams({ start: String(start), end: String(end) });
      return fetchData<readonly EventAnswer[]>({ path: PATH, params, tenant }, signal);
    },
  });
  return useMemo(
    () =>
      data === undefined
        ? NONE
        : eventsOf(
            data,
            series.map(({ labels }) => labels),
          ).map(markOf),
    [data, series],
  );
}
