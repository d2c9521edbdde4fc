import { Anchor, Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { fetchData, send } from '../api/http.ts';
import { ApiProblem } from '../api/problem.ts';
import { labelsIn } from '../model/matchers.ts';
import { DeleteDialog } from '../parts/delete-dialog.tsx';
import { EditConflict } from '../parts/edit-conflict.tsx';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { type TextVersion, TextVersions } from '../parts/text-versions.tsx';
import { YamlEditor } from '../rules/yaml-editor.tsx';
import { useScope } from '../scope.tsx';
import { useSession } from '../session.tsx';
import './alerts.css';

const PATH = '/config/v1/alerts';
const VERSIONS_PATH = `${PATH}/versions`;
const TYPED_MS = 400;
const NEW_CONFIG = `alertmanager_config: |
  route:
    receiver: team
    group_by: [alertname]
    routes:
      - matchers: ['severity="page"']
        receiver: on-call
  receivers:
    - name: team
    - name: on-call
      webhook_configs:
        - url: https://example.com/hook
`;

interface FoundRoute {
  readonly receiver: string;
  readonly route: string;
}

function fetchText(tenant: string, path: string, signal: AbortSignal): Promise<string> {
  return send({ path, tenant }, signal).then((response) => response.text());
}

/** The Alertmanager's configuration of a tenant, checked while it is written. */
export function RoutingEditorPage() {
  const { tenant } = useScope();
  const { rights } = useSession();
  const mayEdit = rights.includes('edit');
  const { data, error } = useQuery({
    queryKey: ['alertmanager-config', tenant],
    enabled: mayEdit,
    staleTime: 0,
    queryFn: async ({ signal }) => {
      // before the text: a change in between is seen as one when it is saved
      const versions = await fetchData<readonly TextVersion[]>({ path: VERSIONS_PATH, tenant }, signal);
      const newest = versions[0];
      const isThere = newest !== undefined && !newest.deleted;
      return { versions, text: isThere ? await fetchText(tenant, PATH, signal) : undefined };
    },
  });
  if (!mayEdit) return <Text size="sm">The configuration has secrets: whoever sees it needs the right to edit.</Text>;
  if (error && data === undefined) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  return <ConfigEditor key={tenant} given={data} />;
}

interface Given {
  /** The newest first. */
  readonly versions: readonly TextVersion[];
  /** Undefined: there is none. */
  readonly text: string | undefined;
}

function ConfigEditor({ given }: { readonly given: Given }) {
  const { tenant } = useScope();
  const client = useQueryClient();
  const [, navigate] = useLocation();
  // what is edited began with this version, whatever came since
  const [from] = useState(given);
  const [text, setText] = useState(from.text ?? NEW_CONFIG);
  const [labels, setLabels] = useState('alertname="InstanceDown", severity="page"');
  const [error, setError] = useState<unknown>();
  const [open, setOpen] = useState<'versions' | 'remove'>();
  const [typed] = useDebouncedValue(text, TYPED_MS);
  const [asked] = useDebouncedValue(labels, TYPED_MS);
  const alert = labelsIn(asked);
  const verdict = useQuery({
    queryKey: ['alertmanager-verdict', tenant, typed, alert],
    queryFn: ({ signal }) =>
      fetchData<readonly FoundRoute[]>(
        { path: `${PATH}/route`, method: 'POST', tenant, json: { config: typed, labels: alert ?? {} } },
        signal,
      ),
  });
  const act = async (work: () => Promise<unknown>) => {
    try {
      await work();
      setError(undefined);
      await client.invalidateQueries({ queryKey: ['routing'] });
      await client.invalidateQueries({ queryKey: ['alertmanager-config'] });
      navigate(`/routing${keptParams()}`);
    } catch (thrown) {
      setError(thrown);
    }
  };
  const [newest] = from.versions;
  const replaced = newest === undefined || newest.deleted ? 0 : newest.version;
  const save = (expected: number | undefined) =>
    act(() => {
      const params = new URLSearchParams(expected === undefined ? {} : { version: String(expected) });
      return send({ path: PATH, params, method: 'POST', tenant, text });
    });
  const isConflict = error instanceof ApiProblem && error.status === 409;
  return (
    <>
      <Group gap="sm" mb="xs">
        <Anchor component={Link} href={`/routing${keptParams()}`} size="sm">
          routing
        </Anchor>
        <Button
          size="xs"
          disabled={verdict.isError || verdict.isFetching || typed !== text}
          onClick={() => void save(replaced)}
        >
          Save
        </Button>
        {from.versions.length > 0 && (
          <Button size="xs" variant="default" onClick={() => setOpen('versions')}>
            Versions
          </Button>
        )}
        {from.text !== undefined && (
          <Button size="xs" variant="default" onClick={() => setOpen('remove')}>
            Delete
          </Button>
        )}
      </Group>
      <div className="two-columns">
        <Stack gap="xs" className="column">
          <YamlEditor label="configuration" text={text} onText={setText} />
          <Text size="xs" c="dimmed">
            The form of Cortex and Mimir: the Alertmanager's own configuration as the text of alertmanager_config,
            templates by name in template_files.
          </Text>
        </Stack>
        <Stack gap="xs" className="column">
          {verdict.error && !verdict.isFetching && (
            <Failure error={verdict.error} title="The configuration is not right" />
          )}
          {verdict.data !== undefined && (
            <Text size="sm" role="status" c="teal">
              The configuration is right.
            </Text>
          )}
          <section className="panel" aria-label="where an alert would go">
            <TextInput
              size="xs"
              label="An alert with these labels"
              value={labels}
              error={labelsIn(labels) === undefined ? 'like alertname="Down", severity="page"' : null}
              onChange={(event) => setLabels(event.currentTarget.value)}
            />
            {alert !== undefined &&
              verdict.data?.map(({ receiver, route }) => (
                <div key={route} className="wrapped told">
                  would go to <strong>{receiver.slice(0, 200)}</strong>
                </div>
              ))}
          </section>
          {isConflict && (
            <EditConflict what="the configuration" error={error} onOverwrite={() => void save(undefined)} />
          )}
          {error !== undefined && !isConflict && <Failure error={error} />}
        </Stack>
      </div>
      {open === 'versions' && (
        <TextVersions
          textKey={[tenant, 'alertmanager']}
          versions={from.versions}
          fetchText={(version, signal) => fetchText(tenant, `${VERSIONS_PATH}/${version}`, signal)}
          text={text}
          onText={setText}
          onClose={() => setOpen(undefined)}
        />
      )}
      <DeleteDialog
        opened={open === 'remove'}
        title="Delete the configuration? Alerts go to nobody then."
        onClose={() => setOpen(undefined)}
        onDelete={() => void act(() => send({ path: PATH, method: 'DELETE', tenant }))}
      />
    </>
  );
}
