import { Alert, Button, FileButton, Group, Modal, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { DashboardSummary } from '../../../src/contract/dashboard.ts';
import { curlOf, fetchData } from '../api/http.ts';
import { printMoment } from '../model/time-text.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { useScope } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { addDashboard, DASHBOARDS_PATH, tryDashboard } from './api.ts';
import { newDashboard } from './edits.ts';

/** Dashboards that the tenant keeps, to be opened, made and taken in. */
export function DashboardsPage() {
  const { tenant, round, zone } = useScope();
  const { rights, apis } = useSession();
  const [, navigate] = useLocation();
  const [filter, setFilter] = useState('');
  const [dialog, setDialog] = useState<'new' | 'import'>();
  const isHere = apis.includes(DASHBOARDS_PATH);
  const call = { path: DASHBOARDS_PATH, tenant };
  const { data, error } = useQuery({
    queryKey: ['dashboards', tenant, round],
    enabled: isHere,
    staleTime: 0,
    queryFn: ({ signal }) => fetchData<readonly DashboardSummary[]>(call, signal),
  });
  if (!isHere) return <Text size="sm">This process keeps no dashboards.</Text>;
  if (error) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  const mayEdit = rights.includes('edit');
  const open = (id: string, params = '') => navigate(addressOf(id) + params);
  const text = filter.toLowerCase();
  const shown = data.filter(({ title, tags, folder }) =>
    [title, folder, ...tags].some((each) => each.toLowerCase().includes(text)),
  );
  return (
    <>
      <Group mb="sm" gap="sm">
        <TextInput
          size="xs"
          placeholder="filter by title, folder or tag"
          aria-label="filter"
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
        />
        {mayEdit && (
          <>
            <Button size="xs" onClick={() => setDialog('new')}>
              New
            </Button>
            <Button size="xs" variant="default" onClick={() => setDialog('import')}>
              Import
            </Button>
          </>
        )}
        <Text size="sm" c="dimmed">
          {shown.length} of {data.length}
        </Text>
      </Group>
      {data.length === 0 && (
        <Text size="sm">
          The tenant keeps no dashboards yet. A service's own dashboard can be saved from its page; Perses' and
          Grafana's JSON can be imported.
        </Text>
      )}
      {shown.length > 0 && (
        <table className="dense">
          <thead>
            <tr>
              <th>Title</th>
              <th>Panels</th>
              <th>Changed</th>
              <th>By</th>
            </tr>
          </thead>
          <tbody>
            {inFolders(shown).map(({ folder, of }) => [
              folder !== '' && (
                <tr key={`folder ${folder}`}>
                  <th colSpan={4} scope="rowgroup" className="wrapped">
                    {folder.slice(0, 200)}
                  </th>
                </tr>
              ),
              ...of.map(({ id, title, description, tags, panels, version }) => (
                <tr key={id}>
                  <td>
                    <Link href={addressOf(id)} className="wrapped">
                      {title.slice(0, 300)}
                    </Link>{' '}
                    <span className="dim wrapped">{tags.join(' ').slice(0, 200)}</span>
                    {description !== '' && <div className="dim wrapped">{description.slice(0, 200)}</div>}
                  </td>
                  <td>{panels}</td>
                  <td>{printMoment(version.timeMs, zone)}</td>
                  <td className="wrapped">{version.user}</td>
                </tr>
              )),
            ])}
          </tbody>
        </table>
      )}
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
      <Modal
        opened={dialog === 'new'}
        onClose={() => setDialog(undefined)}
        title="New dashboard"
        closeButtonProps={{ 'aria-label': 'close' }}
      >
        <NewForm tenant={tenant} onDone={(id) => open(id, `${keptParams() === '' ? '?' : '&'}edit=1`)} />
      </Modal>
      <Modal
        opened={dialog === 'import'}
        onClose={() => setDialog(undefined)}
        title="Import"
        size="lg"
        closeButtonProps={{ 'aria-label': 'close' }}
      >
        <ImportForm tenant={tenant} onDone={(id) => open(id)} />
      </Modal>
    </>
  );
}

/** Dashboards by folder, those in none first. */
function inFolders(all: readonly DashboardSummary[]): { folder: string; of: readonly DashboardSummary[] }[] {
  const folders = Map.groupBy(all, ({ folder }) => folder);
  return [...folders].sort(([a], [b]) => (a < b ? -1 : 1)).map(([folder, of]) => ({ folder, of }));
}

function addressOf(id: string): string {
  return `/dashboards/${encodeURIComponent(id)}${keptParams()}`;
}

function NewForm({ tenant, onDone }: { readonly tenant: string; readonly onDone: (id: string) => void }) {
  const [title, setTitle] = useState('');
  const [error, setError] = useState<unknown>();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      onDone((await addDashboard(tenant, newDashboard(title))).id);
    } catch (thrown) {
      setError(thrown);
    }
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="xs">
        <TextInput label="Title" value={title} required onChange={(event) => setTitle(event.currentTarget.value)} />
        {error !== undefined && <Failure error={error} />}
        <Button type="submit" size="xs">
          Make it
        </Button>
      </Stack>
    </form>
  );
}

function ImportForm({ tenant, onDone }: { readonly tenant: string; readonly onDone: (id: string) => void }) {
  const [text, setText] = useState('');
  const [verdict, setVerdict] = useState<{ title: string; panels: number; notes: readonly string[] }>();
  const [error, setError] = useState<unknown>();
  const act = async (work: (json: unknown) => Promise<void>) => {
    setError(undefined);
    try {
      await work(JSON.parse(text));
    } catch (thrown) {
      setVerdict(undefined);
      setError(thrown);
    }
  };
  const look = (json: unknown) =>
    tryDashboard(tenant, json).then(({ dashboard: { spec }, notes }) =>
      setVerdict({ title: spec.display.name, panels: Object.keys(spec.panels).length, notes }),
    );
  const change = (next: string) => {
    setText(next);
    setVerdict(undefined);
  };
  return (
    <Stack gap="xs">
      <Text size="sm">Perses' JSON, or Grafana's classic JSON.</Text>
      <Textarea
        aria-label="JSON"
        rows={10}
        value={text}
        onChange={(event) => change(event.currentTarget.value)}
        styles={{ input: { fontFamily: 'monospace', fontSize: 12 } }}
      />
      <Group gap="xs">
        <FileButton accept=".json,application/json" onChange={(file) => void file?.text().then(change)}>
          {(props) => (
            <Button {...props} size="xs" variant="default">
              From a file
            </Button>
          )}
        </FileButton>
        <Button size="xs" variant="default" disabled={text.trim() === ''} onClick={() => void act(look)}>
          Check
        </Button>
        <Button
          size="xs"
          disabled={verdict === undefined}
          onClick={() => void act(async (json) => onDone((await addDashboard(tenant, json)).id))}
        >
          Import
        </Button>
      </Group>
      {error !== undefined && <Failure error={error} />}
      {verdict !== undefined && (
        <Alert color={verdict.notes.length > 0 ? 'yellow' : 'teal'} role="status" p="xs">
          <div className="wrapped">
            {verdict.title.slice(0, 300)}: {verdict.panels} panels.
          </div>
          {verdict.notes.map((note) => (
            <div key={note} className="wrapped dim">
              {note}
            </div>
          ))}
        </Alert>
      )}
    </Stack>
  );
}
