import { Button, SegmentedControl } from '@mantine/core';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { curlOf, fetchData, send } from '../api/http.ts';
import { printDuration } from '../model/duration.ts';
import { printValue } from '../model/units.ts';
import { EMPTY_PANEL, printPanels } from '../model/url-state.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Cut } from '../parts/cut.tsx';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope, useVisible } from '../scope.tsx';
import { useSession } from '../session.tsx';

interface Active {
  readonly id: string;
  readonly duration: string;
  readonly query: string;
  readonly start: string;
  readonly end: string;
  readonly step: string;
}
interface Top {
  readonly query: string;
  readonly timeRangeSeconds: number;
  readonly count: number;
  readonly sumDurationSeconds?: number;
  readonly avgDurationSeconds?: number;
}
interface TopLists {
  readonly topByCount: readonly Top[];
  readonly topByAvgDuration: readonly Top[];
  readonly topBySumDuration: readonly Top[];
}

const LISTS = [
  ['topBySumDuration', 'Most time'],
  ['topByAvgDuration', 'Slowest'],
  ['topByCount', 'Most often'],
] as const;

/** Queries under way, which can be cancelled, and those that took most. */
export function QueriesTab() {
  return (
    <>
      <Running />
      <TopQueries />
    </>
  );
}

function Running() {
  const { tenant, round } = useScope();
  const { rights } = useSession();
  const visible = useVisible();
  const client = useQueryClient();
  const [failure, setFailure] = useState<unknown>();
  const call = { path: '/api/v1/status/active_queries', tenant };
  const { data, error } = useQuery({
    queryKey: ['active-queries', tenant, round],
    refetchInterval: visible ? 2_000 : false,
    queryFn: ({ signal }) => fetchData<Active[]>(call, signal),
  });
  const cancel = async (id: string) => {
    try {
      const params = new URLSearchParams({ id });
      await send({ path: '/api/v1/status/cancel_query', params, tenant, method: 'POST' });
      setFailure(undefined);
    } catch (thrown) {
      setFailure(thrown);
    }
    await client.invalidateQueries({ queryKey: ['active-queries'] });
  };
  return (
    <section className="panel" aria-label="running queries">
      <strong>Running</strong> <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
      {error && data === undefined && <Failure error={error} />}
      {failure !== undefined && <Failure error={failure} />}
      {data?.length === 0 && <p className="dim">No query of this tenant is running.</p>}
      {data !== undefined && data.length > 0 && (
        <table className="dense">
          <thead>
            <tr>
              <th>Query</th>
              <th className="number">for</th>
              <th>Range</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {data.map(({ id, query, duration, start, end, step }) => (
              <tr key={id}>
                <td>
                  <code>
                    <Cut text={query} />
                  </code>
                </td>
                <td className="number">{duration}</td>
                <td>{start === '' ? 'instant' : `${start} – ${end}, step ${step}`}</td>
                <td>
                  {rights.includes('edit') && (
                    <Button size="compact-xs" variant="default" onClick={() => cancel(id)}>
                      Cancel
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function TopQueries() {
  const { tenant, round } = useScope();
  const [list, setList] = useState<(typeof LISTS)[number][0]>('topBySumDuration');
  const params = new URLSearchParams({ topN: '50', maxLifetimeSeconds: '86400' });
  const call = { path: '/api/v1/status/top_queries', params, tenant };
  const { data, error } = useQuery({
    queryKey: ['top-queries', tenant, round],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => (await (await send(call, signal)).json()) as TopLists,
  });
  if (error && data === undefined) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  const kept = tenant === '' ? '' : new URLSearchParams({ tenant }).toString();
  return (
    <section className="panel" aria-label="top queries">
      <SegmentedControl
        size="xs"
        aria-label="order"
        value={list}
        onChange={(value) => setList(value as typeof list)}
        data={LISTS.map(([value, label]) => ({ value, label }))}
      />{' '}
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
      {data[list].length === 0 && <p className="dim">No query of this tenant has ended within the last day.</p>}
      {data[list].length > 0 && (
        <table className="dense">
          <thead>
            <tr>
              <th>Query</th>
              <th>Range</th>
              <th className="number">Times</th>
              <th className="number">{list === 'topBySumDuration' ? 'Time' : 'Mean'}</th>
            </tr>
          </thead>
          <tbody>
            {data[list].map(({ query, timeRangeSeconds, count, sumDurationSeconds, avgDurationSeconds }) => (
              <tr key={`${timeRangeSeconds} ${query}`}>
                <td>
                  <code>
                    <Cut text={query} />
                  </code>{' '}
                  <Link href={`/query?${printPanels([{ ...EMPTY_PANEL, expr: query }], kept)}`} className="dim">
                    query
                  </Link>
                </td>
                <td>{timeRangeSeconds === 0 ? 'instant' : printDuration(timeRangeSeconds * 1000)}</td>
                <td className="number">{count}</td>
                <td className="number">{printSeconds(sumDurationSeconds ?? avgDurationSeconds)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function printSeconds(seconds: number | undefined): string {
  return seconds === undefined ? '–' : printValue(seconds, 'seconds');
}
