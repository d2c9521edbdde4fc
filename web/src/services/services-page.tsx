import { Group, SegmentedControl, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import type { ServiceListAnswer, ServiceRow } from '../../../src/contract/services.ts';
import { curlOf, fetchData } from '../api/http.ts';
import { printDuration } from '../model/duration.ts';
import { printMoment } from '../model/time-text.ts';
import { printValue, type Unit } from '../model/units.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { NoDataYet } from '../parts/no-data-yet.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope, useVisible } from '../scope.tsx';

type Measure = 'rate' | 'errorRatio' | 'durationSeconds' | 'saturation' | 'instances';
const MEASURES: readonly (readonly [name: Measure, title: string, unit: Unit])[] = [
  ['rate', 'Requests', 'per-second'],
  ['errorRatio', 'Errors', 'percent'],
  ['durationSeconds', 'Duration (p99)', 'seconds'],
  ['saturation', 'Saturation', 'percent'],
  ['instances', 'Instances', 'number'],
];
const RENEWED_MS = 60_000;
const SHOWN_MAX = 2_000;

/** Services as their metrics tell of them, with rate, errors, duration and saturation. */
export function ServicesPage() {
  const { tenant, round, zone } = useScope();
  const visible = useVisible();
  const [kind, setKind] = useState<ServiceRow['kind']>('service');
  const [filter, setFilter] = useState('');
  const [order, setOrder] = useState<Measure | 'name'>('name');
  const call = { path: '/api/v1/services', tenant };
  const { data, error } = useQuery({
    queryKey: ['services', tenant, round],
    queryFn: ({ signal }) => fetchData<ServiceListAnswer>(call, signal),
    // numbers come one family of metrics after the other
    refetchInterval: ({ state }) => (!visible ? false : state.data?.renewedMs === null ? 1_000 : RENEWED_MS),
  });
  const shown = useMemo(() => {
    const text = filter.toLowerCase();
    const fitting = (data?.services ?? []).filter(
      (service) => service.kind === kind && nameOf(service).toLowerCase().includes(text),
    );
    if (order === 'name') return fitting;
    return fitting.toSorted((a, b) => (b[order] ?? -1) - (a[order] ?? -1));
  }, [data, kind, filter, order]);
  if (error && data === undefined) return <Failure error={error} />;
  return (
    <>
      <NoDataYet />
      <Group gap="sm" mb="sm">
        <SegmentedControl
          size="xs"
          value={kind}
          onChange={(value) => setKind(value as ServiceRow['kind'])}
          data={[
            { value: 'service', label: 'Services' },
            { value: 'infrastructure', label: 'Infrastructure' },
          ]}
        />
        <TextInput
          size="xs"
          placeholder="filter by name"
          aria-label="filter"
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
        />
        <Text size="sm" c="dimmed">
          {shown.length} of {data?.services.length ?? 0}
          {data !== undefined && data.renewedMs !== null && `, as of ${printMoment(data.renewedMs, zone, false)}`}
        </Text>
      </Group>
      {data === undefined && <Quiet />}
      {data !== undefined && shown.length === 0 && (
        <Text size="sm">
          {data.renewedMs === null
            ? 'Looking for services…'
            : 'None. A service is found by its series: by service_name, its pods, app_kubernetes_io_name, app or job.'}
        </Text>
      )}
      {shown.length > 0 && (
        <div style={{ overflowX: 'auto' }}>
          <table className="dense">
            <thead>
              <tr>
                <Head title="Service" order="name" chosen={order} onOrder={setOrder} />
                {MEASURES.map(([name, title]) => (
                  <Head key={name} title={title} order={name} chosen={order} onOrder={setOrder} />
                ))}
                <th>Last deployment</th>
              </tr>
            </thead>
            <tbody>
              {shown.slice(0, SHOWN_MAX).map((service) => (
                <tr key={nameOf(service)}>
                  <td>
                    <ServiceLink service={service} />
                  </td>
                  {MEASURES.map(([name, , unit]) => (
                    <td
                      key={name}
                      className="number"
                      data-bad={isBad(name, service[name]) || undefined}
                      title={String(service[name] ?? 'not known')}
                    >
                      {service[name] === null ? '–' : printValue(service[name], unit)}
                    </td>
                  ))}
                  <td>{service.lastDeployment !== null && <Deployed {...service.lastDeployment} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {(data?.refusals ?? []).map((text) => (
        <p key={text} className="dim wrapped">
          {text}
        </p>
      ))}
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
    </>
  );
}

function Head<T extends string>(props: {
  readonly title: string;
  readonly order: T;
  readonly chosen: T;
  readonly onOrder: (order: T) => void;
}) {
  const { title, order, chosen, onOrder } = props;
  return (
    <th
      className={order === 'name' ? undefined : 'number'}
      aria-sort={order !== chosen ? undefined : order === 'name' ? 'ascending' : 'descending'}
    >
      <UnstyledButton fz="inherit" fw={order === chosen ? 700 : 500} onClick={() => onOrder(order)}>
        {title}
      </UnstyledButton>
    </th>
  );
}

function ServiceLink({ service: { id } }: { readonly service: ServiceRow }) {
  const place = [id.cluster, id.namespace].filter((part) => part !== '').join(' / ');
  const params = new URLSearchParams(keptParams());
  for (const [name, value] of Object.entries(id)) if (value !== '') params.set(name, value);
  return (
    <>
      <Link href={`/service?${params}`} className="metric wrapped">
        {id.name.slice(0, 300)}
      </Link>{' '}
      <span className="dim wrapped">{place.slice(0, 300)}</span>
    </>
  );
}

function Deployed({ beginMs, from, to }: { readonly beginMs: number; readonly from: string; readonly to: string }) {
  return (
    <span className="wrapped" title={`${from} → ${to}`}>
      {to.slice(0, 60)}{' '}
      <span className="dim">
        {printDuration(Math.max(60_000, Math.floor((Date.now() - beginMs) / 60_000) * 60_000))} ago
      </span>
    </span>
  );
}

function nameOf({ id }: ServiceRow): string {
  return [id.cluster, id.namespace, id.name].join('/');
}

function isBad(name: Measure, value: number | null): boolean {
  if (value === null) return false;
  return (name === 'errorRatio' && value >= 0.01) || (name === 'saturation' && value >= 0.9);
}
