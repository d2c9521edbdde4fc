import { useQuery } from '@tanstack/react-query';
import { runQuery } from '../api/query.ts';
import { printSeries } from '../model/labels.ts';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { type StateSpan, Timeline } from '../rules/timeline.tsx';
import { useScope, useVisible } from '../scope.tsx';

const WEEK_MS = 7 * 86_400_000;
const STEP_MS = 600_000;
const SERIES_MAX = 200;

/** When alerts of a name were pending and firing in the last 7 days, as the series `ALERTS` tells. */
export function AlertHistory({ name }: { readonly name: string }) {
  const { tenant, zone, endMs: chosen, round, refreshMs } = useScope();
  const visible = useVisible();
  // the whole step up to each point counts: an alert of a minute is seen
  const expr = `max_over_time(ALERTS{alertname=${JSON.stringify(name)}}[${STEP_MS / 1_000}s])`;
  const { data, error } = useQuery({
    queryKey: ['alert-history', tenant, expr, chosen, round],
    refetchInterval: visible && chosen === undefined ? refreshMs || 30_000 : false,
    queryFn: async ({ signal }) => {
      // the last step ends now: what fires at this moment is seen
      const endMs = chosen ?? Math.floor(Date.now() / 1_000) * 1_000;
      const startMs = endMs - WEEK_MS;
      const grid = { startMs, endMs, stepMs: STEP_MS };
      const { series } = await runQuery({ expr, tenant, grid, seriesMax: SERIES_MAX }, signal);
      const rows = new Map<string, StateSpan[]>();
      for (const { labels, values } of series) {
        const { alertname: _, alertstate, ...rest } = labels;
        const key = printSeries(rest);
        const spans = rows.get(key) ?? [];
        spans.push(...spansOf(values, startMs, alertstate === 'firing' ? 'firing' : 'pending'));
        rows.set(key, spans);
      }
      return { rows: [...rows].map(([row, spans]) => ({ name: row, spans })), startMs, endMs };
    },
  });
  if (error) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  if (data.rows.length === 0) return <p className="dim">Neither pending nor firing in the last 7 days.</p>;
  return <Timeline rows={data.rows} startMs={data.startMs} endMs={data.endMs} zone={zone} />;
}

/** Runs of steps with a value. @param values each of the step that ends there, from startMs on; NaN: none */
function spansOf(values: Float64Array, startMs: number, state: StateSpan['state']): StateSpan[] {
  const spans: StateSpan[] = [];
  let from = -1;
  for (let i = 0; i <= values.length; i++) {
    const isThere = i < values.length && !Number.isNaN(values[i]!);
    if (isThere && from < 0) from = i;
    if (!isThere && from >= 0) {
      spans.push({ fromMs: startMs + (from - 1) * STEP_MS, toMs: startMs + (i - 1) * STEP_MS, state });
      from = -1;
    }
  }
  return spans;
}
