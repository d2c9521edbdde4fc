import { Anchor, Group, Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { useSearch } from 'wouter/use-browser-location';
import type { Dashboard } from '../../../src/contract/dashboard.ts';
import type { EventAnswer } from '../../../src/contract/services.ts';
import { curlOf, fetchData } from '../api/http.ts';
import { markOf } from '../chart/time-mark.ts';
import { DashboardView } from '../dashboard/dashboard-view.tsx';
import { TimeMarks } from '../dashboard/time-marks.ts';
import { addDashboard, DASHBOARDS_PATH } from '../dashboards/api.ts';
import { printDuration } from '../model/duration.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { download } from '../parts/download.ts';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { useScope } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { AddEvent } from './add-event.tsx';
import { Deployments } from './deployments.tsx';

interface Generated {
  readonly dashboard: Dashboard;
  /** Panels that were left out for their number. */
  readonly leftOut: number;
  /** Between two samples of the service. */
  readonly intervalMs: number;
}

const NO_EVENTS: readonly EventAnswer[] = [];

/** The dashboard that a service's own metrics make, with its deployments. */
export function ServicePage() {
  const { tenant, rangeMs, endMs, round } = useScope();
  const { rights, apis } = useSession();
  const [, navigate] = useLocation();
  const [saveError, setSaveError] = useState<unknown>();
  const search = new URLSearchParams(useSearch());
  // as `serviceKey` writes it
  const part = (name: string) => search.get(name) ?? '';
  const service = { cluster: part('cluster'), namespace: part('namespace'), name: part('name') };
  const key = [service.cluster, service.namespace, service.name].map(encodeURIComponent).join('/');
  const call = { path: `/api/v1/services/${encodeURIComponent(key)}/dashboard`, tenant };
  const { data, error } = useQuery({
    queryKey: ['service', tenant, key],
    queryFn: ({ signal }) => fetchData<Generated>(call, signal),
  });
  const { data: events = NO_EVENTS } = useQuery({
    queryKey: ['events', tenant, key, rangeMs, endMs, round],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => {
      const end = endMs ?? Date.now();
      const range = { start: String((end - rangeMs) / 1000), end: String(end / 1000) };
      const asked = { path: '/api/v1/events', params: new URLSearchParams({ service: key, ...range }), tenant };
      return fetchData<readonly EventAnswer[]>(asked, signal);
    },
  });
  const timeMarks = useMemo(() => events.map(markOf), [events]);
  const save = async ({ dashboard, intervalMs }: Generated) => {
    const spec = { ...dashboard.spec, sampleInterval: printDuration(intervalMs) };
    try {
      const { id } = await addDashboard(tenant, { ...dashboard, spec });
      navigate(`/dashboards/${id}${keptParams()}`);
    } catch (thrown) {
      setSaveError(thrown);
    }
  };
  const title = [search.get('cluster'), search.get('namespace'), search.get('name')].filter((part) => part).join(' / ');
  return (
    <>
      <Group gap="sm" mb="xs">
        <Anchor component={Link} href={`/services${keptParams()}`} size="sm">
          all services
        </Anchor>
        <Text component="h2" fw={600} className="wrapped">
          {title.slice(0, 300)}
        </Text>
        {data !== undefined && (
          <Anchor
            component="button"
            size="xs"
            onClick={() => download('dashboard.json', JSON.stringify(data.dashboard, undefined, 2), 'application/json')}
          >
            as Perses JSON
          </Anchor>
        )}
        {data !== undefined && rights.includes('edit') && apis.includes(DASHBOARDS_PATH) && (
          <Anchor component="button" size="xs" onClick={() => void save(data)}>
            save as a dashboard
          </Anchor>
        )}
      </Group>
      {error && <Failure error={error} />}
      {saveError !== undefined && <Failure error={saveError} title="It was not saved" />}
      {data === undefined && !error && <Quiet />}
      {data !== undefined && data.dashboard.spec.layouts.length === 0 && (
        <Text size="sm">This service has no series in the last hour that could be drawn.</Text>
      )}
      <Deployments events={events} serviceKey={key} />
      {rights.includes('edit') && <AddEvent service={service} />}
      {data !== undefined && (
        <TimeMarks value={timeMarks}>
          <DashboardView dashboard={data.dashboard} intervalMs={data.intervalMs} />
        </TimeMarks>
      )}
      {data !== undefined && data.leftOut > 0 && (
        <p className="dim">{data.leftOut} more metrics are not drawn; look on Explore.</p>
      )}
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
    </>
  );
}
