import { Badge, Group, SegmentedControl, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { curlOf, fetchData } from '../api/http.ts';
import type { LabelSet } from '../model/labels.ts';
import { matchersOf, printMatcher } from '../model/matchers.ts';
import { printMoment } from '../model/time-text.ts';
import { printValue } from '../model/units.ts';
import { EMPTY_PANEL, printPanels } from '../model/url-state.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { SeriesName } from '../parts/series-name.tsx';
import { useScope, useVisible } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { fetchAlerts, type HeldAlert, labelsKey, SILENCES_PATH } from './alertmanager.ts';

interface Alert {
  readonly labels: LabelSet;
  readonly annotations: LabelSet;
  readonly state: 'firing' | 'pending' | 'inactive' | 'unknown';
  readonly activeAt?: string;
  readonly value: string;
}
interface Rule {
  readonly name: string;
  readonly query: string;
  readonly type: 'alerting' | 'recording';
  readonly health: string;
  readonly lastError?: string;
  readonly evaluationTime: number;
  readonly lastEvaluation: string;
  readonly state?: Alert['state'];
  readonly duration?: number;
  readonly labels?: LabelSet;
  readonly alerts?: readonly Alert[];
}
interface RuleGroup {
  readonly name: string;
  readonly file: string;
  readonly interval: number;
  readonly evaluationTime: number;
  readonly rules: readonly Rule[];
}

const COLORS = { firing: 'red', pending: 'yellow', inactive: 'gray', unknown: 'gray' } as const;
type Shown = 'active' | 'all';

/** Rules and their alerts, to look at. */
export function AlertsPage() {
  const { tenant, refreshMs, round, zone } = useScope();
  const visible = useVisible();
  const [shown, setShown] = useState<Shown>('active');
  const [filter, setFilter] = useState(() => new URLSearchParams(window.location.search).get('filter') ?? '');
  const call = { path: '/api/v1/rules', tenant };
  const { data, error } = useQuery({
    queryKey: ['rules', tenant, round],
    queryFn: ({ signal }) => fetchData<{ readonly groups: readonly RuleGroup[] }>(call, signal),
    refetchInterval: visible ? refreshMs || 30_000 : false,
  });
  const { apis } = useSession();
  const { data: held } = useQuery({
    queryKey: ['held-alerts', tenant, round],
    enabled: apis.includes(SILENCES_PATH),
    queryFn: async ({ signal }) =>
      new Map((await fetchAlerts(tenant, [], signal)).map((alert) => [labelsKey(alert.labels), alert])),
    refetchInterval: visible ? refreshMs || 30_000 : false,
  });
  if (error) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  const fits = (text: string) => text.toLowerCase().includes(filter.toLowerCase());
  const groups = data.groups
    .map((group) => ({
      ...group,
      rules: group.rules.filter(
        (rule) =>
          (shown === 'all' || (rule.alerts ?? []).length > 0 || rule.health === 'err') &&
          (fits(rule.name) ||
            fits(group.name) ||
            (rule.alerts ?? []).some(({ labels }) => fits(JSON.stringify(labels)))),
      ),
    }))
    .filter(({ rules }) => rules.length > 0);
  const all = data.groups.flatMap(({ rules }) => rules);
  const firing = all.flatMap(({ alerts = [] }) => alerts).filter(({ state }) => state === 'firing').length;
  return (
    <>
      <Group mb="sm" gap="sm">
        <SegmentedControl
          size="xs"
          value={shown}
          onChange={(value) => setShown(value as Shown)}
          data={[
            { value: 'active', label: 'Active' },
            { value: 'all', label: 'All rules' },
          ]}
        />
        <TextInput
          size="xs"
          placeholder="filter by name or label"
          aria-label="filter"
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
        />
        <Text size="sm" c="dimmed">
          {firing} firing, {all.length} rules in {data.groups.length} groups
        </Text>
      </Group>
      {data.groups.length === 0 && (
        <Text size="sm">The tenant has no rules. The rules API takes them, as mimirtool and cortextool send them.</Text>
      )}
      {data.groups.length > 0 && groups.length === 0 && <Text size="sm">Nothing is active that fits.</Text>}
      {groups.map((group) => (
        <section key={`${group.file} ${group.name}`} aria-label={`group ${group.name}`} className="panel">
          <Group gap="xs" mb={4}>
            <strong className="wrapped">{group.name}</strong>
            <span className="dim wrapped">
              {group.file} · every {group.interval} s · took {printValue(group.evaluationTime, 'seconds')}
            </span>
          </Group>
          <table className="dense">
            <thead>
              <tr>
                <th>State</th>
                <th>Rule</th>
                <th>Alert</th>
                <th>Since</th>
                <th>Value</th>
              </tr>
            </thead>
            <tbody>
              {group.rules.map((rule) => (
                <RuleRows key={`${rule.name} ${rule.query}`} rule={rule} held={held} zone={zone} />
              ))}
            </tbody>
          </table>
        </section>
      ))}
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
    </>
  );
}

function RuleRows(props: {
  readonly rule: Rule;
  /** Alerts that the Alertmanager has, by their labels. */
  readonly held: ReadonlyMap<string, HeldAlert> | undefined;
  readonly zone: 'local' | 'utc';
}) {
  const { rule, held, zone } = props;
  const { name, query, type, state = 'inactive', alerts = [], lastError } = rule;
  const link = `/query?${printPanels([{ ...EMPTY_PANEL, expr: query }], '')}`;
  return (
    <>
      <tr>
        <td>
          <Badge size="sm" variant="light" color={lastError ? 'red' : type === 'recording' ? 'blue' : COLORS[state]}>
            {lastError ? 'error' : type === 'recording' ? 'record' : state}
          </Badge>
        </td>
        <td colSpan={4}>
          <strong>{name}</strong> <Link href={link}>{query}</Link>
          {lastError && <div className="wrapped dim">{lastError}</div>}
        </td>
      </tr>
      {alerts.map((alert) => (
        <tr key={JSON.stringify(alert.labels)}>
          <td>
            <Badge size="sm" variant="light" color={COLORS[alert.state]}>
              {alert.state}
            </Badge>
          </td>
          <td />
          <td>
            <SeriesName labels={alert.labels} />
            {Object.entries(alert.annotations ?? {}).map(([key, text]) => (
              <div key={key} className="dim wrapped">
                {key}: {text}
              </div>
            ))}
            <Held alert={held?.get(labelsKey(alert.labels))} labels={alert.labels} isKnown={held !== undefined} />
          </td>
          <td>{alert.activeAt === undefined ? '' : printMoment(Date.parse(alert.activeAt), zone)}</td>
          <td className="number" title={alert.value}>
            {printValue(Number(alert.value), 'number')}
          </td>
        </tr>
      ))}
    </>
  );
}

/** The Alertmanager's word on an alert, and the way to silence it. */
function Held({
  alert,
  labels,
  isKnown,
}: {
  readonly alert: HeldAlert | undefined;
  readonly labels: LabelSet;
  readonly isKnown: boolean;
}) {
  if (!isKnown) return null;
  const { silencedBy = [], inhibitedBy = [] } = alert?.status ?? {};
  const filter = matchersOf(labels).map(printMatcher).join(', ');
  const params = new URLSearchParams(keptParams());
  params.set('filter', filter);
  return (
    <div className="dim">
      {silencedBy.map((id) => (
        <span key={id}>
          <Link href={`/silences/${encodeURIComponent(id)}${keptParams()}`}>silenced</Link>{' '}
        </span>
      ))}
      {inhibitedBy.length > 0 && <span>inhibited by {inhibitedBy.length} </span>}
      {alert?.receivers !== undefined && (
        <span className="wrapped">to {alert.receivers.map(({ name }) => name).join(', ')} </span>
      )}
      {silencedBy.length === 0 && <Link href={`/silences/new?${params}`}>silence</Link>}
    </div>
  );
}
