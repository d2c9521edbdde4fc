import { Alert, Anchor, Badge, Button, Group, NativeSelect, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { Link } from 'wouter';
import { curlOf, fetchData } from '../api/http.ts';
import type { LabelSet } from '../model/labels.ts';
import { labelsIn } from '../model/matchers.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { SeriesName } from '../parts/series-name.tsx';
import { useScope } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { ROUTES_PATH } from './alertmanager.ts';
import './alerts.css';

interface RouteNode {
  /** No other route's. */
  readonly id: string;
  readonly receiver: string;
  readonly matchers: readonly string[];
  /** Null: by all labels. */
  readonly groupBy: readonly string[] | null;
  readonly continues: boolean;
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatIntervalMs: number;
  readonly muteTimeIntervals: readonly string[];
  readonly activeTimeIntervals: readonly string[];
  readonly routes: readonly RouteNode[];
}
interface Routing {
  /** Null: there is no configuration. */
  readonly route: RouteNode | null;
  readonly receivers: readonly string[];
}
interface TrialRoute {
  readonly receiver: string;
  readonly route: string;
  readonly groupLabels: LabelSet;
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatIntervalMs: number;
}
interface TrialResult {
  readonly integration: string;
  readonly index: number;
  readonly status: 'ok' | 'failed' | 'limited';
  readonly error?: string;
  readonly messages?: readonly string[];
}

const BASE = '/config/v1/alerts';

/** The routing tree: where an alert would go, and what its receivers would be sent. */
export function RoutingPage() {
  const { tenant, round } = useScope();
  const { rights } = useSession();
  const call = { path: ROUTES_PATH, tenant };
  const { data, error } = useQuery({
    queryKey: ['routing', tenant, round],
    queryFn: ({ signal }) => fetchData<Routing>(call, signal),
  });
  const [hit, setHit] = useState<ReadonlySet<string>>(new Set());
  if (error) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  const mayEdit = rights.includes('edit');
  return (
    <>
      <Group mb="xs">
        <Anchor component={Link} href={`/alerts${keptParams()}`} size="sm">
          alerts
        </Anchor>
        {mayEdit && (
          <Anchor component={Link} href={`/routing/edit${keptParams()}`} size="sm">
            {data.route === null ? 'write a configuration' : 'edit the configuration'}
          </Anchor>
        )}
      </Group>
      {data.route === null ? (
        <Text size="sm">
          The tenant has no configuration of the Alertmanager: alerts go to nobody. It is written here, or sent by
          mimirtool and cortextool.
        </Text>
      ) : (
        <div className="two-columns">
          <section className="panel column" aria-label="routing tree">
            <strong>Routing tree</strong>
            <ul className="tree">
              <Branch node={data.route} hit={hit} isRoot />
            </ul>
          </section>
          {mayEdit && (
            <Stack gap="xs" className="column">
              <WhereTo tenant={tenant} onHit={setHit} />
              <TestReceiver tenant={tenant} receivers={data.receivers} />
            </Stack>
          )}
        </div>
      )}
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
    </>
  );
}

function Branch(props: { readonly node: RouteNode; readonly hit: ReadonlySet<string>; readonly isRoot?: boolean }) {
  const { node, hit, isRoot = false } = props;
  const { groupBy, muteTimeIntervals, activeTimeIntervals } = node;
  const times = [
    ...muteTimeIntervals.map((name) => `muted in ${name}`),
    ...activeTimeIntervals.map((name) => `active in ${name}`),
  ];
  return (
    <li>
      <div className="node" data-hit={hit.has(node.id) || undefined}>
        <code>{isRoot ? 'all alerts' : node.matchers.join(', ').slice(0, 500) || 'all'}</code>
        <span className="wrapped">→ {node.receiver.slice(0, 200)}</span>
        <span className="dim">
          by {groupBy === null ? 'all labels' : groupBy.join(', ').slice(0, 200) || 'nothing'} · {timersOf(node)}
          {node.continues && ' · goes on'}
          {times.length > 0 && ` · ${times.join(', ').slice(0, 200)}`}
        </span>
      </div>
      {node.routes.length > 0 && (
        <ul>
          {node.routes.map((child) => (
            <Branch key={child.id} node={child} hit={hit} />
          ))}
        </ul>
      )}
    </li>
  );
}

function timersOf(times: Pick<RouteNode, 'groupWaitMs' | 'groupIntervalMs' | 'repeatIntervalMs'>): string {
  const { groupWaitMs, groupIntervalMs, repeatIntervalMs } = times;
  return `first after ${spoken(groupWaitMs)}, changes every ${spoken(groupIntervalMs)}, again after ${spoken(repeatIntervalMs)}`;
}

function spoken(ms: number): string {
  if (ms < 120_000) return `${ms / 1000} s`;
  return ms < 7_200_000 ? `${ms / 60_000} min` : `${ms / 3_600_000} h`;
}

function WhereTo({ tenant, onHit }: { readonly tenant: string; readonly onHit: (ids: ReadonlySet<string>) => void }) {
  const [text, setText] = useState(
    () => new URLSearchParams(window.location.search).get('labels') ?? 'alertname="InstanceDown", severity="page"',
  );
  const [found, setFound] = useState<readonly TrialRoute[]>();
  const [error, setError] = useState<unknown>();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const labels = labelsIn(text);
    try {
      if (labels === undefined) throw new Error('labels are wanted: alertname="Down", severity="page"');
      const routes = await fetchData<readonly TrialRoute[]>({
        path: `${BASE}/route`,
        method: 'POST',
        tenant,
        json: { labels },
      });
      setFound(routes);
      setError(undefined);
      onHit(new Set(routes.map(({ route }) => route)));
    } catch (thrown) {
      setFound(undefined);
      setError(thrown);
      onHit(new Set());
    }
  };
  return (
    <section className="panel" aria-label="where would this alert go">
      <form onSubmit={submit}>
        <strong>Where would this alert go?</strong>
        <Group gap="xs" align="end" mt={4}>
          <TextInput
            size="xs"
            label="Labels"
            className="grows"
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
          <Button size="xs" type="submit">
            Tell
          </Button>
        </Group>
      </form>
      {error !== undefined && <Failure error={error} />}
      {found?.map((route) => (
        <div key={route.route} className="wrapped told">
          → <strong>{route.receiver.slice(0, 200)}</strong>{' '}
          <span className="dim">
            {timersOf(route)}; in the group <SeriesName labels={route.groupLabels} />
          </span>
        </div>
      ))}
    </section>
  );
}

function TestReceiver({ tenant, receivers }: { readonly tenant: string; readonly receivers: readonly string[] }) {
  const [receiver, setReceiver] = useState(receivers[0] ?? '');
  const [results, setResults] = useState<{ readonly what: string; readonly all: readonly TrialResult[] }>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const ask = async (what: 'test' | 'preview') => {
    setBusy(true);
    try {
      const all = await fetchData<readonly TrialResult[]>({
        path: `${BASE}/${what}`,
        method: 'POST',
        tenant,
        json: { receiver },
      });
      setResults({ what, all });
      setError(undefined);
    } catch (thrown) {
      setResults(undefined);
      setError(thrown);
    }
    setBusy(false);
  };
  return (
    <section className="panel" aria-label="try a receiver">
      <strong>Try a receiver</strong>
      <Group gap="xs" align="end" mt={4}>
        <NativeSelect
          size="xs"
          label="Receiver"
          value={receiver}
          data={receivers.map((value) => ({ value, label: value.slice(0, 100) }))}
          onChange={(event) => setReceiver(event.currentTarget.value)}
        />
        <Button size="xs" variant="default" loading={busy} onClick={() => void ask('preview')}>
          Show its messages
        </Button>
        <Button size="xs" loading={busy} onClick={() => void ask('test')}>
          Send a test alert
        </Button>
      </Group>
      {error !== undefined && <Failure error={error} />}
      {results?.all.length === 0 && <Text size="sm">It has no integrations: whoever is sent there hears nothing.</Text>}
      {results?.all.map(({ integration, index, status, error: reason, messages = [] }) => (
        <Alert
          key={`${integration} ${index}`}
          color={status === 'ok' ? 'teal' : 'red'}
          p="xs"
          mt={4}
          role="status"
          title={`${integration} ${index}`}
        >
          <Badge size="sm" variant="light">
            {results.what === 'test' && status === 'ok' ? 'sent' : status}
          </Badge>{' '}
          {reason !== undefined && <span className="wrapped">{reason.slice(0, 2_000)}</span>}
          {messages.map((message) => (
            <pre key={message} className="block">
              {message.slice(0, 10_000)}
            </pre>
          ))}
        </Alert>
      ))}
    </section>
  );
}
