import { Group, SegmentedControl, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { curlOf, fetchData, send } from '../api/http.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope } from '../scope.tsx';

type View = 'diff' | 'all' | 'runtime' | 'flags';
const VIEWS: readonly (readonly [View, string])[] = [
  ['diff', 'Not the default'],
  ['all', 'All'],
  ['runtime', 'Limits of single tenants'],
  ['flags', 'Flags'],
];

/** The configuration in force, secrets masked. */
export function ConfigTab() {
  const { round } = useScope();
  const [view, setView] = useState<View>('diff');
  const [filter, setFilter] = useState('');
  const call = {
    path: view === 'flags' ? '/api/v1/status/flags' : view === 'runtime' ? '/runtime_config' : '/config',
    params: new URLSearchParams(view === 'diff' ? { mode: 'diff' } : {}),
    tenant: '',
  };
  const { data, error } = useQuery({
    queryKey: ['config', view, round],
    queryFn: async ({ signal }) => {
      if (view !== 'flags') return (await send(call, signal)).text();
      const flags = await fetchData<Readonly<Record<string, string>>>(call, signal);
      return Object.entries(flags)
        .map(([name, value]) => `-${name}=${value}`)
        .join('\n');
    },
  });
  const lines = (data ?? '').split('\n');
  const shown = filter === '' ? lines : lines.filter((line) => line.includes(filter));
  return (
    <>
      <Group gap="sm" mb="sm">
        <SegmentedControl
          size="xs"
          aria-label="which configuration"
          value={view}
          onChange={(value) => setView(value as View)}
          data={VIEWS.map(([value, label]) => ({ value, label }))}
        />
        <TextInput
          size="xs"
          aria-label="lines that have"
          placeholder="lines that have"
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
        />
        <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
      </Group>
      {error && <Failure error={error} />}
      {data === undefined && !error && <Quiet />}
      {data !== undefined && (
        <section aria-label="configuration">
          <pre className="block">
            {shown.join('\n').trim() || (view === 'diff' ? 'Everything is as it is by default.' : 'Nothing.')}
          </pre>
        </section>
      )}
    </>
  );
}
