import { Anchor, Badge, Button, Group, NativeSelect, SegmentedControl, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import type { EventAnswer } from '../../../src/contract/services.ts';
import { curlOf, fetchData } from '../api/http.ts';
import type { LabelSet } from '../model/labels.ts';
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
import { AlertDetails, type HeldAlerts } from './alert-details.tsx';
import { AlertHistory } from './alert-history.tsx';
import { fetchAlerts, fetchNotifications, labelsKey, SILENCES_PATH } from './alertmanager.ts';
import { nearestDeployment } from './nearest-deployment.ts';
import './alerts.css';

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

const EVENTS_MS = 7 * 86_400_000;
const EVENTS_ROUND_MS = 60_000;
const NO_EVENTS: readonly EventAnswer[] = [];

/** Rules and their alerts, with what is known of each. */
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
  const { apis, rights } = useSession();
  const mayEdit = rights.includes('edit');
  const [label, setLabel] = useState('');
  const { data: held } = useQuery({
    queryKey: ['held-alerts', tenant, round],
    enabled: apis.includes(SILENCES_PATH),
    queryFn: async ({ signal }): Promise<HeldAlerts> => {
      const [alerts, notifications] = await Promise.all([
        fetchAlerts(tenant, [], signal),
        fetchNotifications(tenant, signal),
      ]);
      return {
        byLabels: new Map(alerts.map((alert) => [labelsKey(alert.labels), alert])),
        byFingerprint: new Map(alerts.map((alert) => [alert.fingerprint, alert])),
        notifications,
      };
    },
    refetchInterval: visible ? refreshMs || 30_000 : false,
  });
  const hasAlerts = data?.groups.some(({ rules }) => rules.some(({ alerts = [] }) => alerts.length > 0)) === true;
  const { data: events = NO_EVENTS } = useQuery({
    queryKey: ['alert-events', tenant, round],
    enabled: hasAlerts && apis.includes('/api/v1/events'),
    staleTime: EVENTS_ROUND_MS,
    queryFn: ({ signal }) => {
      const end = Date.now();
      const params = new URLSearchParams({ start: String((end - EVENTS_MS) / 1000), end: String(end / 1000) });
      return fetchData<readonly EventAnswer[]>({ path: '/api/v1/events', params, tenant }, signal);
    },
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
        <NativeSelect
          size="xs"
          aria-label="group by"
          value={label}
          data={[
            { value: '', label: 'by group of rules' },
            ...labelNamesOf(all).map((value) => ({ value, label: `by ${value.slice(0, 60)}` })),
          ]}
          onChange={(event) => setLabel(event.currentTarget.value)}
        />
        {apis.includes(SILENCES_PATH) && (
          <Anchor component={Link} href={`/routing${keptParams()}`} size="sm">
            routing
          </Anchor>
        )}
        {mayEdit && (
          <>
            <Button component={Link} href={`/rules/edit${keptParams()}`} size="compact-xs" variant="default">
              New group
            </Button>
            <Button component={Link} href={`/rules/import${keptParams()}`} size="compact-xs" variant="default">
              Import
            </Button>
          </>
        )}
        <Text size="sm" c="dimmed">
          {firing} firing, {all.length} rules in {data.groups.length} groups
        </Text>
      </Group>
      {data.groups.length === 0 && (
        <Text size="sm">The tenant has no rules. The rules API takes them, as mimirtool and cortextool send them.</Text>
      )}
      {data.groups.length > 0 && groups.length === 0 && <Text size="sm">Nothing is active that fits.</Text>}
      {label !== '' && (
        <ByLabel label={label} rules={groups.flatMap(({ rules }) => rules)} {...{ held, events, zone }} />
      )}
      {label === '' &&
        groups.map((group) => (
          <section key={`${group.file} ${group.name}`} aria-label={`group ${group.name}`} className="panel">
            <Group gap="xs" mb={4}>
              <strong className="wrapped">{group.name}</strong>
              <Link href={editAddress(group)}>{mayEdit ? 'edit' : 'rules'}</Link>
              <span className="dim wrapped">
                {group.file} · every {group.interval} s · took {printValue(group.evaluationTime, 'seconds')}
              </span>
            </Group>
            <table className="dense">
              <thead>
                <tr>
                  <th className="state">State</th>
                  <th>Rule</th>
                  <th>Alert</th>
                  <th>Since</th>
                  <th>Value</th>
                </tr>
              </thead>
              <tbody>
                {group.rules.map((rule) => (
                  <RuleRows key={`${rule.name} ${rule.query}`} rule={rule} held={held} events={events} zone={zone} />
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
  /** Absent: no Alertmanager is here. */
  readonly held: HeldAlerts | undefined;
  readonly events: readonly EventAnswer[];
  readonly zone: 'local' | 'utc';
}) {
  const { rule, held, events, zone } = props;
  const [isOpen, setOpen] = useState(false);
  const { name, query, type, state = 'inactive', alerts = [], lastError, evaluationTime, lastEvaluation } = rule;
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
          <strong>{name}</strong> <Link href={link}>{query}</Link>{' '}
          <span className="dim">
            took {printValue(evaluationTime, 'seconds')}
            {Date.parse(lastEvaluation) > 0 && `, ${printMoment(Date.parse(lastEvaluation), zone)}`}{' '}
          </span>
          {type === 'alerting' && (
            <Anchor component="button" size="xs" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
              7 days
            </Anchor>
          )}
          {isOpen && <AlertHistory name={name} />}
          {lastError && <div className="wrapped dim">{lastError}</div>}
        </td>
      </tr>
      {alerts.map((alert) => (
        <AlertRow key={JSON.stringify(alert.labels)} alert={alert} held={held} events={events} zone={zone} />
      ))}
    </>
  );
}

interface AlertRowProps {
  readonly alert: Alert;
  readonly held: HeldAlerts | undefined;
  readonly events: readonly EventAnswer[];
  readonly zone: 'local' | 'utc';
}

function AlertRow({ alert, held, events, zone }: AlertRowProps) {
  const { labels, annotations, state, activeAt, value } = alert;
  return (
    <tr>
      <td className="state">
        <Badge size="sm" variant="light" color={COLORS[state]}>
          {state}
        </Badge>
      </td>
      <td />
      <td>
        <SeriesName labels={labels} />
        {Object.entries(annotations ?? {}).map(([key, text]) => (
          <div key={key} className="dim wrapped">
            {key}: {text}
          </div>
        ))}
        <AlertDetails
          alert={held?.byLabels.get(labelsKey(labels))}
          labels={labels}
          held={held}
          deployment={activeAt === undefined ? undefined : nearestDeployment(events, labels, Date.parse(activeAt))}
        />
      </td>
      <td>{activeAt === undefined ? '' : printMoment(Date.parse(activeAt), zone)}</td>
      <td className="number" title={value}>
        {printValue(Number(value), 'number')}
      </td>
    </tr>
  );
}

/** Active alerts by the values of a label. */
function ByLabel(props: {
  readonly label: string;
  readonly rules: readonly Rule[];
  readonly held: HeldAlerts | undefined;
  readonly events: readonly EventAnswer[];
  readonly zone: 'local' | 'utc';
}) {
  const { label, rules, held, events, zone } = props;
  const byValue = Map.groupBy(
    rules.flatMap(({ alerts = [] }) => alerts),
    ({ labels }) => labels[label] ?? '',
  );
  return [...byValue]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([value, alerts]) => (
      <section key={value} aria-label={`${label} ${value}`.slice(0, 200)} className="panel">
        <strong className="wrapped">{value.slice(0, 500) || `without ${label}`}</strong>{' '}
        <span className="dim">{alerts.length}</span>
        <table className="dense">
          <tbody>
            {alerts.map((alert) => (
              <AlertRow key={JSON.stringify(alert.labels)} alert={alert} held={held} events={events} zone={zone} />
            ))}
          </tbody>
        </table>
      </section>
    ));
}

const LABELS_MAX = 50;

/** Names of labels that active alerts have, ascending. */
function labelNamesOf(rules: readonly Rule[]): string[] {
  const names = new Set(rules.flatMap(({ alerts = [] }) => alerts.flatMap(({ labels }) => Object.keys(labels))));
  return [...names].sort().slice(0, LABELS_MAX);
}

function editAddress({ file, name }: RuleGroup): string {
  const params = new URLSearchParams(keptParams());
  params.set('namespace', file);
  params.set('group', name);
  return `/rules/edit?${params}`;
}
