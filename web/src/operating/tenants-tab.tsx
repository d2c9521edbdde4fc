import { Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { curlOf, fetchData, send } from '../api/http.ts';
import { printMoment } from '../model/time-text.ts';
import { printValue } from '../model/units.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Cut } from '../parts/cut.tsx';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope, useVisible } from '../scope.tsx';

type ByReason = Readonly<Record<string, number>>;
interface TenantUse {
  readonly tenant: string;
  readonly series: number;
  readonly samplesPerSecond: number;
  readonly limits: { readonly series: number; readonly samplesPerSecond: number; readonly burst: number };
  readonly discarded: { readonly samples: ByReason; readonly metadata: ByReason };
}

const RENEWED_MS = 15_000;
const SHOWN_MAX = 500;

/** Use of the tenant beside its limits, what was discarded, and all its limits. */
export function TenantTab() {
  const { tenant, round, zone } = useScope();
  const visible = useVisible();
  const call = { path: '/api/v1/status/tenant', tenant };
  const { data, error } = useQuery({
    queryKey: ['tenant-use', tenant, round],
    refetchInterval: visible ? RENEWED_MS : false,
    queryFn: ({ signal }) => fetchData<TenantUse & { readonly sinceMs: number }>(call, signal),
  });
  if (error && data === undefined) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  return (
    <>
      <section className="panel" aria-label="use beside limits">
        <table className="dense">
          <thead>
            <tr>
              <th>Use</th>
              <th className="number">now</th>
              <th className="number">Limit</th>
              <th style={{ width: '40%' }} />
            </tr>
          </thead>
          <tbody>
            <Bar name="Series in memory" use={data.series} limit={data.limits.series} unit="number" />
            <Bar
              name="Samples a second"
              use={data.samplesPerSecond}
              limit={data.limits.samplesPerSecond}
              unit="per-second"
            />
          </tbody>
        </table>
      </section>
      <section className="panel" aria-label="discarded">
        <strong>Discarded since {printMoment(data.sinceMs, zone)}</strong>
        <Discarded use={data} />
        <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
      </section>
      <Limits />
    </>
  );
}

function Limits() {
  const { tenant } = useScope();
  const call = { path: '/api/v1/user_limits', tenant };
  const { data, error } = useQuery({
    queryKey: ['user-limits', tenant],
    queryFn: async ({ signal }) => (await (await send(call, signal)).json()) as Readonly<Record<string, unknown>>,
  });
  if (error) return <Failure error={error} />;
  if (data === undefined) return null;
  return (
    <details className="section">
      <summary>All limits of this tenant</summary>
      <table className="dense">
        <tbody>
          {Object.entries(data).map(([name, value]) => (
            <tr key={name}>
              <td>
                <code>{name}</code>
              </td>
              <td className="wrapped">{typeof value === 'string' ? value : JSON.stringify(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

interface BarProps {
  readonly name: string;
  readonly use: number;
  readonly limit: number;
  readonly unit: 'number' | 'per-second';
}

function Bar({ name, use, limit, unit }: BarProps) {
  return (
    <tr>
      <td>{name}</td>
      <td className="number" title={String(use)}>
        {printValue(use, unit)}
      </td>
      <td className="number">{limit === 0 ? 'none' : printValue(limit, unit)}</td>
      <td>{limit > 0 && <Share use={use} limit={limit} />}</td>
    </tr>
  );
}

function Share({ use, limit }: { readonly use: number; readonly limit: number }) {
  const share = use / limit;
  return (
    <span title={`${(100 * share).toFixed(1)} %`}>
      <span
        className="share"
        data-full={share >= 0.9 || undefined}
        style={{ width: `${Math.min(100, 100 * share)}%` }}
      />
    </span>
  );
}

function Discarded({ use: { discarded } }: { readonly use: TenantUse }) {
  const rows = [
    ...Object.entries(discarded.samples).map(([reason, count]) => ({ what: 'samples', reason, count })),
    ...Object.entries(discarded.metadata).map(([reason, count]) => ({ what: 'metadata', reason, count })),
  ].sort((a, b) => b.count - a.count);
  if (rows.length === 0) return <p className="dim">Nothing.</p>;
  return (
    <table className="dense">
      <tbody>
        {rows.map(({ what, reason, count }) => (
          <tr key={`${what} ${reason}`}>
            <td>
              <code>{reason}</code>
            </td>
            <td className="number">
              {count.toLocaleString('en')} {what}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** All tenants with their use beside their limits. */
export function TenantsTab() {
  const { round } = useScope();
  const visible = useVisible();
  const [filter, setFilter] = useState('');
  const call = { path: '/api/v1/status/tenants', tenant: '' };
  const { data, error } = useQuery({
    queryKey: ['tenants', round],
    refetchInterval: visible ? RENEWED_MS : false,
    queryFn: ({ signal }) =>
      fetchData<{ readonly total: number; readonly tenants: readonly TenantUse[] }>(call, signal),
  });
  const fitting = useMemo(() => data?.tenants.filter(({ tenant }) => tenant.includes(filter)) ?? [], [data, filter]);
  if (error && data === undefined) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  return (
    <>
      <TextInput
        size="xs"
        mb="xs"
        w={220}
        aria-label="tenants whose name has"
        placeholder="filter by name"
        value={filter}
        onChange={(event) => setFilter(event.currentTarget.value)}
      />
      <Text size="sm" c="dimmed">
        {fitting.length} of {data.total} tenants
      </Text>
      <table className="dense">
        <thead>
          <tr>
            <th>Tenant</th>
            <th className="number">Series</th>
            <th className="number">Limit</th>
            <th className="number">Samples</th>
            <th className="number">Limit</th>
            <th>Discarded samples</th>
          </tr>
        </thead>
        <tbody>
          {fitting.slice(0, SHOWN_MAX).map(({ tenant, series, samplesPerSecond, limits, discarded }) => (
            <tr key={tenant}>
              <td>
                <Cut text={tenant} />
              </td>
              <td className="number">
                {series.toLocaleString('en')}
                {limits.series > 0 && <Share use={series} limit={limits.series} />}
              </td>
              <td className="number">{limits.series === 0 ? '–' : limits.series.toLocaleString('en')}</td>
              <td className="number">
                {printValue(samplesPerSecond, 'per-second')}
                {limits.samplesPerSecond > 0 && <Share use={samplesPerSecond} limit={limits.samplesPerSecond} />}
              </td>
              <td className="number">
                {limits.samplesPerSecond === 0 ? '–' : printValue(limits.samplesPerSecond, 'per-second')}
              </td>
              <td>
                {Object.entries(discarded.samples)
                  .sort(([, a], [, b]) => b - a)
                  .slice(0, 4)
                  .map(([reason, count]) => `${reason} ${count.toLocaleString('en')}`)
                  .join(', ') || '–'}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
    </>
  );
}
