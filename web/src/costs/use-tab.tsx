import { Group, SegmentedControl, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { curlOf, send } from '../api/http.ts';
import { printMoment } from '../model/time-text.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Cut } from '../parts/cut.tsx';
import { Failure, Notes } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope } from '../scope.tsx';

interface Stats {
  readonly statsCollectedSince?: number;
  readonly statsCollectedRecordsTotal: number;
  readonly records: readonly {
    readonly metricName: string;
    readonly requestsCount: number;
    readonly lastRequestTimestamp: number;
    readonly sources: { readonly rule: number; readonly dashboard: number; readonly api: number };
    readonly user: string;
    readonly present: boolean;
  }[];
  readonly warnings?: readonly string[];
}

const SHOWN_MAX = 500;

/** How often each metric is asked for, and by whom; those that nobody asks for first. */
export function UseTab() {
  const { tenant, zone, round } = useScope();
  const [which, setWhich] = useState<'unused' | 'all'>('unused');
  const [days, setDays] = useState('30');
  const [text, setText] = useState('');
  const [pattern] = useDebouncedValue(text, 300);
  const params = new URLSearchParams({ days, limit: String(SHOWN_MAX) });
  if (which === 'unused') params.set('le', '0');
  if (pattern !== '') params.set('match_pattern', pattern);
  const call = { path: '/api/v1/status/metric_names_stats', params, tenant };
  const { data, error } = useQuery({
    queryKey: ['metric-use', tenant, params.toString(), round],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => (await (await send(call, signal)).json()) as Stats,
  });
  return (
    <>
      <Group gap="sm" mb="sm">
        <SegmentedControl
          size="xs"
          aria-label="which metrics"
          value={which}
          onChange={(value) => setWhich(value as typeof which)}
          data={[
            { value: 'unused', label: 'Never asked for' },
            { value: 'all', label: 'All' },
          ]}
        />
        <SegmentedControl
          size="xs"
          aria-label="days"
          value={days}
          onChange={setDays}
          data={['1', '7', '30'].map((value) => ({ value, label: value === '1' ? 'today' : `${value} days` }))}
        />
        <TextInput
          size="xs"
          aria-label="names that match"
          placeholder="names that match"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
      </Group>
      {error && <Failure error={error} />}
      {data === undefined && !error && <Quiet />}
      {data !== undefined && (
        <>
          <Notes warnings={data.warnings ?? []} infos={[]} />
          <Text size="sm" c="dimmed" mb="xs">
            {data.statsCollectedRecordsTotal.toLocaleString('en')} metrics
            {data.statsCollectedSince === undefined
              ? ', and no query has been counted yet'
              : `, counted since ${printMoment(data.statsCollectedSince * 1000, zone)}`}
            . Counted are queries, look-ups of series and labels, and remote reads; those that find metrics by other
            labels than the name count for up to 1,000 that they find.
          </Text>
          <table className="dense">
            <thead>
              <tr>
                <th>Metric</th>
                <th className="number">Asked for</th>
                <th className="number">by rules</th>
                <th className="number">by dashboards</th>
                <th className="number">by others</th>
                <th>Last</th>
                <th>User</th>
              </tr>
            </thead>
            <tbody>
              {data.records.map(({ metricName, requestsCount, lastRequestTimestamp, sources, user, present }) => (
                <tr key={metricName}>
                  <td>
                    <Cut text={metricName} />
                    {!present && <span className="dim"> not there now</span>}
                  </td>
                  <td className="number">{requestsCount}</td>
                  <td className="number">{sources.rule}</td>
                  <td className="number">{sources.dashboard}</td>
                  <td className="number">{sources.api}</td>
                  <td>{lastRequestTimestamp === 0 ? '–' : printMoment(lastRequestTimestamp * 1000, zone)}</td>
                  <td>
                    <Cut text={user === '' ? '–' : user} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {data.statsCollectedRecordsTotal > data.records.length && (
            <p className="dim">{data.statsCollectedRecordsTotal - data.records.length} more</p>
          )}
        </>
      )}
    </>
  );
}
