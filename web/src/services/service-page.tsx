import { Anchor, Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useSearch } from 'wouter';
import { curlOf, fetchData } from '../api/http.ts';
import { DashboardView } from '../dashboard/dashboard-view.tsx';
import type { Dashboard } from '../dashboard/model.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { download } from '../parts/download.ts';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { useScope } from '../scope.tsx';

interface Generated {
  readonly dashboard: Dashboard;
  /** Panels that were left out for their number. */
  readonly leftOut: number;
  /** Between two samples of the service. */
  readonly intervalMs: number;
}

/** The dashboard that a service's own metrics make. */
export function ServicePage() {
  const { tenant } = useScope();
  const search = new URLSearchParams(useSearch());
  // as `serviceKey` writes it
  const key = ['cluster', 'namespace', 'name'].map((name) => encodeURIComponent(search.get(name) ?? '')).join('/');
  const call = { path: `/api/v1/services/${encodeURIComponent(key)}/dashboard`, tenant };
  const { data, error } = useQuery({
    queryKey: ['service', tenant, key],
    queryFn: ({ signal }) => fetchData<Generated>(call, signal),
  });
  const title = [search.get('cluster'), search.get('namespace'), search.get('name')].filter((part) => part).join(' / ');
  return (
    <>
      <Group gap="sm" mb="xs">
        <Anchor component={Link} href={`/services${keptParams()}`} size="sm">
          all services
        </Anchor>
        <Text component="h1" fw={600} className="wrapped">
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
      </Group>
      {error && <Failure error={error} />}
      {data === undefined && !error && <Quiet />}
      {data !== undefined && data.dashboard.spec.layouts.length === 0 && (
        <Text size="sm">This service has no series in the last hour that could be drawn.</Text>
      )}
      {data !== undefined && <DashboardView dashboard={data.dashboard} intervalMs={data.intervalMs} />}
      {data !== undefined && data.leftOut > 0 && (
        <p className="dim">{data.leftOut} more metrics are not drawn; look on Explore.</p>
      )}
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
    </>
  );
}
