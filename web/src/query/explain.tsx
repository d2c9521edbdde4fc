import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { fetchData } from '../api/http.ts';
import { printMoment } from '../model/time-text.ts';
import { printValue } from '../model/units.ts';
import type { PanelState } from '../model/url-state.ts';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope, type Zone } from '../scope.tsx';

/** A part of the plan: `src/contract/query.ts`. */
interface Explanation {
  readonly what: string;
  readonly steps: number;
  readonly series: number;
  readonly points: number;
  readonly ms: number;
  readonly children: readonly Explanation[];
}

/** A tree of what each part of the query's plan did: series, points and time. */
export function Explain({
  panel,
  tenant,
  stepMs,
  round,
}: {
  readonly panel: PanelState;
  readonly tenant: string;
  readonly stepMs: number;
  readonly round: number;
}) {
  const { expr, rangeMs, endMs } = panel;
  const [over, setOver] = useState<'moment' | 'range'>('moment');
  const { data, error } = useQuery({
    queryKey: ['explain', tenant, expr, over, rangeMs, endMs, stepMs, round],
    queryFn: ({ signal }) => {
      const end = endMs ?? Date.now();
      const at = (ms: number) => String(ms / 1000);
      const [path, times] =
        over === 'moment'
          ? ['/api/v1/query_explain', { time: at(end) }]
          : ['/api/v1/query_range_explain', { start: at(end - rangeMs), end: at(end), step: at(stepMs) }];
      return fetchData<Explanation>(
        { path: path!, params: new URLSearchParams({ query: expr, ...(times as object) }), tenant },
        signal,
      );
    },
  });
  return (
    <>
      <SegmentedControl
        size="xs"
        mb="xs"
        value={over}
        onChange={(value) => setOver(value as 'moment' | 'range')}
        data={[
          { value: 'moment', label: 'At the end' },
          { value: 'range', label: 'Over the range' },
        ]}
      />
      {error && <Failure error={error} />}
      {data === undefined && !error && <Quiet />}
      {data !== undefined && (
        <ul className="tree">
          <Node node={data} whole={data.ms} />
        </ul>
      )}
    </>
  );
}

/** Moments of a plan, in ms, as people read them. */
function readable(what: string, zone: Zone): string {
  return what.replaceAll(/\b1\d{12}\b/g, (ms) => printMoment(Number(ms), zone));
}

function Node({ node, whole }: { readonly node: Explanation; readonly whole: number }) {
  const { zone } = useScope();
  const { what, series, points, ms, children } = node;
  const own = Math.max(0, ms - children.reduce((sum, child) => sum + child.ms, 0));
  return (
    <li>
      <span className="node">
        <code>{readable(what, zone)}</code>
        <span className="dim">
          {series} series · {printValue(points, 'number')} points · {printValue(ms / 1000, 'seconds')}
          {whole > 0 && children.length > 0 && ` (${Math.round((own / whole) * 100)} % of its own)`}
        </span>
      </span>
      {children.length > 0 && (
        <ul>
          {children.map((child, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a part is its place
            <Node key={i} node={child} whole={whole} />
          ))}
        </ul>
      )}
    </li>
  );
}
