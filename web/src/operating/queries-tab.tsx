import { Button, SegmentedControl, Switch } from '@mantine/core';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { curlOf, send } from '../api/http.ts';
import { printDuration } from '../model/duration.ts';
import { printValue } from '../model/units.ts';
import { EMPTY_PANEL, printPanels } from '../model/url-state.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Cut } from '../parts/cut.tsx';
import { Failure, Notes } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope, useVisible } from '../scope.tsx';
import { useSession } from '../session.tsx';

interface Active {
  readonly id: string;
  /** In the list of all tenants only. */
  readonly tenant?: string;
  /** Where it runs; absent: there is one process only. */
  readonly process?: string;
  readonly duration: string;
  readonly query: string;
  readonly start: string;
  readonly end: string;
  readonly step: string;
}
interface ActiveList {
  readonly data: readonly Active[];
  readonly warnings?: readonly string[];
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
  const { rights, tenants } = useSession();
  const isOperator = rights.includes('admin') && tenants === null;
  const [ofAll, setOfAll] = useState(false);
  const visible = useVisible();
  const client = useQueryClient();
  const [failure, setFailure] = useState<unknown>();
  const call = ofAll
    ? { path: '/api/v1/status/running_queries', tenant: '' }
    : { path: '/api/v1/status/active_queries', tenant };
  const { data: list, error } = useQuery({
    queryKey: ['active-queries', tenant, round, ofAll],
    refetchInterval: visible ? 2_000 : false,
    queryFn: async ({ signal }) => (await (await send(call, signal)).json()) as ActiveList,
  });
  const data = list?.data;
  const cancel = async ({ id, tenant: of = tenant }: Active) => {
    try {
      const params = new URLSearchParams({ id });
      await send({ path: '/api/v1/status/cancel_query', params, tenant: of, method: 'POST' });
      setFailure(undefined);
    } catch (thrown) {
      setFailure(thrown);
    }
    await client.invalidateQueries({ queryKey: ['active-queries'] });
  };
  const isSpread = data?.some(({ process }) => process !== undefined) === true;
  return (
    <section className="panel" aria-label="running queries">
      <strong>Running</strong> <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
      {error && data === undefined && <Failure error={error} />}
      {failure !== undefined && <Failure error={failure} />}
      {isOperator && (
        <Switch
          size="xs"
          label="of all tenants"
          checked={ofAll}
          onChange={(event) => setOfAll(event.currentTarget.checked)}
        />
      )}
      <Notes warnings={list?.warnings ?? []} infos={[]} />
      {data?.length === 0 && <p className="dim">No query of {ofAll ? 'any' : 'this'} tenant is running.</p>}
      {data !== undefined && data.length > 0 && (
        <table className="dense">
          <thead>
            <tr>
              {ofAll && <th>Tenant</th>}
              <th>Query</th>
              {isSpread && <th>Process</th>}
              <th className="number">for</th>
              <th>Range</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {data.map((each) => (
              <tr key={each.id}>
                {ofAll && (
                  <td>
                    <Cut text={each.tenant ?? ''} />
                  </td>
                )}
                <td>
                  <code>
                    <Cut text={each.query} />
                  </code>
                </td>
                {isSpread && <td>{each.process}</td>}
                <td className="number">{each.duration}</td>
                <td>{each.start === '' ? 'instant' : `${each.start} – ${each.end}, step ${each.step}`}</td>
                <td>
                  {rights.includes('edit') && (
                    <Button size="compact-xs" variant="default" onClick={() => cancel(each)}>
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
