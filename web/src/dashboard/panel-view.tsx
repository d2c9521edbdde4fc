import { Anchor } from '@mantine/core';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useContext, useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { Panel } from '../../../src/contract/dashboard.ts';
import type { Answer } from '../api/columns.ts';
import { runQuery } from '../api/query.ts';
import { Heatmap } from '../chart/heatmap.tsx';
import { areNative, heatmapOf, undrawnIn } from '../chart/heatmap-columns.ts';
import { LineChart, useWidth } from '../chart/line-chart.tsx';
import { strokesFor } from '../model/color.ts';
import { printSeries } from '../model/labels.ts';
import { printValue } from '../model/units.ts';
import { EMPTY_PANEL, printPanels, stepOf } from '../model/url-state.ts';
import { Failure, Notes } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { SeriesName } from '../parts/series-name.tsx';
import { Undrawn } from '../parts/undrawn.tsx';
import { useScope, useVisible } from '../scope.tsx';
import { calculated } from './calculated.ts';
import { Markdown } from './markdown.tsx';
import { isStacked, namedBy, queryFor, renamed, unitOfPanel } from './model.ts';
import { settingsBy } from './overrides.ts';
import { type ColumnTable, columnsOf, hasColumns, isReduced } from './table-columns.ts';
import { TimeMarks } from './time-marks.ts';
import { interpolated, type Values } from './variables.ts';

/** A row of the grid, and what a panel takes of its rows beside the chart: title, names, edges. */
const ROW_PX = 36;
const AROUND_PX = 92;
const CHART_PX_MIN = 40;
const SERIES_MAX = 100;
const ROWS_MAX = 100;
const BARS_MAX = 50;
const NONE: ReadonlySet<number> = new Set();
/** Kinds of panels that are drawn; others are kept, and told. */
const DRAWN: ReadonlySet<string> = new Set([
  'TimeSeriesChart',
  'StatChart',
  'GaugeChart',
  'BarChart',
  'Table',
  'TimeSeriesTable',
  'HeatMapChart',
  'StatusHistoryChart',
  'Markdown',
]);

export interface PanelViewProps {
  readonly panel: Panel;
  readonly intervalMs: number;
  readonly values: Values;
  /** Rows of the grid that it takes. */
  readonly rows: number;
}

/** A panel of a dashboard; it asks once it is seen. */
export function PanelView({ panel, intervalMs, values, rows }: PanelViewProps) {
  const { display, plugin } = panel.spec;
  const isDrawn = DRAWN.has(plugin.kind);
  const queries = promQueries(panel);
  const { tenant, rangeMs, endMs, refreshMs, round } = useScope();
  const visible = useVisible();
  const root = useRef<HTMLElement>(null);
  const width = useWidth(root);
  const seen = useSeen(root);
  const isTable = plugin.kind === 'Table' || plugin.kind === 'TimeSeriesTable';
  // rows are made of whole series
  const isInstant = isTable && !isReduced(plugin.spec);
  const stepMs = Math.max(stepOf({ rangeMs, resolution: EMPTY_PANEL.resolution }, width || 500), intervalMs);
  const times = { intervalMs, stepMs, rangeMs };
  const exprs = queries.map(({ spec }) => queryFor(spec.plugin.spec.query, times, values));
  const client = useQueryClient();
  const queryKey = ['panel', tenant, exprs, isInstant, rangeMs, endMs, stepMs, round];
  const enabled = seen && width > 0 && exprs.length > 0 && isDrawn;
  const { data, error, isFetching, isPlaceholderData, fetchStatus, refetch } = useQuery({
    queryKey,
    enabled,
    placeholderData: keepPreviousData,
    refetchInterval: refreshMs > 0 && visible && seen && endMs === undefined ? refreshMs : false,
    queryFn: ({ signal }) => {
      const end = endMs ?? Math.floor(Date.now() / stepMs) * stepMs;
      const grid = { startMs: end - Math.floor(rangeMs / stepMs) * stepMs, endMs: end, stepMs };
      const when = isInstant ? { timeMs: end } : { grid };
      return Promise.all(
        exprs.map((expr) => runQuery({ expr, tenant, seriesMax: SERIES_MAX, isDashboard: true, ...when }, signal)),
      );
    },
  });
  const isCancelled = enabled && fetchStatus === 'idle' && !error && (data === undefined || isPlaceholderData);
  const panels = exprs.map((expr) => ({ ...EMPTY_PANEL, expr, rangeMs, endMs }));
  const address = `/query?${printPanels(panels, tenant === '' ? '' : new URLSearchParams({ tenant }).toString())}`;
  return (
    <section
      className="panel dashboard-panel"
      ref={root}
      aria-label={display.name.slice(0, 200)}
      data-state={isFetching ? 'busy' : 'idle'}
    >
      <div className="panel-title">
        <strong className="wrapped" title={display.description}>
          {interpolated(display.name, values).slice(0, 200)}
        </strong>
        {isFetching && (
          <button type="button" className="dim late" onClick={() => client.cancelQueries({ queryKey })}>
            cancel
          </button>
        )}
        {exprs.length > 0 && (
          <Link href={address} className="dim">
            query
          </Link>
        )}
      </div>
      <div className="progress" data-busy={isFetching || undefined} aria-hidden="true" />
      {error && <Failure error={error} />}
      {!isDrawn && <Kept panel={panel} />}
      {plugin.kind === 'Markdown' && <Markdown text={interpolated(textOf(plugin.spec?.text), values)} />}
      {isDrawn && plugin.kind !== 'Markdown' && exprs.length === 0 && <p className="dim">It has no query yet.</p>}
      {isCancelled && (
        <p className="dim" role="status">
          Cancelled.{' '}
          <Anchor component="button" type="button" size="xs" onClick={() => refetch()}>
            ask again
          </Anchor>
        </p>
      )}
      {data === undefined && !error && !isCancelled && isDrawn && exprs.length > 0 && <Quiet />}
      {data !== undefined && isDrawn && exprs.length > 0 && (
        <div className={isPlaceholderData ? 'stale' : ''}>
          <PanelNotes answers={data} />
          <Drawn panel={panel} answers={data} heightPx={Math.max(CHART_PX_MIN, rows * ROW_PX - AROUND_PX)} />
        </div>
      )}
    </section>
  );
}

/** Warnings of the answers, each once, and the number of series that are drawn where there are more. */
function PanelNotes({ answers }: { readonly answers: readonly Answer[] }) {
  const [shown, all] = [sumOf(answers, ({ series }) => series.length), sumOf(answers, (one) => one.seriesTotal)];
  return (
    <>
      <Notes warnings={[...new Set(answers.flatMap(({ warnings }) => warnings))]} infos={[]} />
      {answers.every(({ rows }) => rows.length === 0) && all > shown && (
        <p className="dim">
          The {shown} largest of {all} series are drawn.
        </p>
      )}
    </>
  );
}

function sumOf(answers: readonly Answer[], number: (answer: Answer) => number): number {
  return answers.reduce((sum, answer) => sum + number(answer), 0);
}

/** Queries that can be asked here. */
function promQueries({ spec: { queries = [] } }: Panel): NonNullable<Panel['spec']['queries']> {
  return queries.filter(({ spec }) => spec.plugin.kind === 'PrometheusTimeSeriesQuery');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The word on a panel that cannot be drawn, with what it is. */
function Kept({ panel: { spec } }: { readonly panel: Panel }) {
  const { kind, spec: own } = spec.plugin;
  const type = kind === 'GrafanaPanel' ? `Grafana's ${textOf(own?.type) || 'panel'}` : kind;
  return (
    <div className="dim">
      <p className="wrapped">This kind of panel ({type.slice(0, 60)}) is kept, and cannot be drawn here.</p>
      <details>
        <summary>as it is kept</summary>
        <pre className="block">{JSON.stringify(own ?? {}, undefined, 2).slice(0, 5_000)}</pre>
      </details>
    </div>
  );
}

interface DrawnProps {
  readonly panel: Panel;
  readonly answers: readonly Answer[];
  readonly heightPx: number;
}

function Drawn({ panel, answers, heightPx }: DrawnProps) {
  const { plugin } = panel.spec;
  const queries = useMemo(() => promQueries(panel), [panel]);
  const { zone, setTime } = useScope();
  const timeMarks = useContext(TimeMarks);
  const unit = unitOfPanel(panel);
  const merged = useMemo(() => {
    const fields = settingsBy(plugin.spec);
    const shown = answers.flatMap((answer, i) => {
      const format = queries[i]?.spec.plugin.spec.seriesNameFormat;
      return answer.series.map((series) => {
        const name = renamed(namedBy(format, series.labels) || printSeries(series.labels), plugin.spec);
        const own = fields(name, i);
        return { series, name: own.name ?? name, own };
      });
    });
    const kept = shown.filter(({ own }) => own.hide !== true);
    const series = kept.map((one) => one.series);
    const names = kept.map(({ name }) => name);
    // those that share a name share its colour
    const strokes = strokesFor(kept.map(({ series: { labels }, name }) => ({ ...labels, __name__: name })));
    return {
      series,
      names,
      strokes: strokes.map((stroke, i) => ({ ...stroke, color: kept[i]!.own.color ?? stroke.color })),
      units: kept.map(({ own }) => own.unit ?? unit),
    };
  }, [answers, queries, plugin.spec, unit]);
  const zoom = (startMs: number, endMs: number) => setTime(Math.max(1_000, endMs - startMs), endMs);
  const [first] = answers;
  if (first === undefined) return null;
  if (plugin.kind === 'Table' || plugin.kind === 'TimeSeriesTable') {
    const spec = plugin.spec ?? {};
    if (hasColumns(spec, answers.length)) {
      const { headers, rows } = columnsOf(
        answers.map((answer) => answer.rows),
        spec,
        merged.series.map(({ labels, values }, i) => ({ name: merged.names[i]!, labels, values })),
      );
      return <Columns headers={headers} rows={rows} heightPx={heightPx + 50} />;
    }
    const rows = answers.flatMap((answer) => answer.rows).slice(0, ROWS_MAX);
    return (
      <div className="rows" style={{ maxHeight: heightPx + 50 }}>
        {rows.map(({ labels, values }) => (
          <div key={printSeries(labels)} className="row">
            <span className="row-labels">
              <SeriesName labels={labels} />
            </span>
            <span className="row-value">{values[0]?.[1]}</span>
          </div>
        ))}
      </div>
    );
  }
  if (merged.series.length === 0) return <p className="dim">No values in this range.</p>;
  if (plugin.kind === 'StatChart') {
    return (
      <div className="stats">
        {merged.series.slice(0, 12).map(({ labels, values }, i) => {
          const last = calculated(values, plugin.spec?.calculation);
          return (
            <div key={printSeries(labels)} title={String(last)}>
              <div className="stat">{printValue(last, merged.units[i]!)}</div>
              {merged.names[i] !== '{}' && <div className="dim wrapped">{merged.names[i]!.slice(0, 120)}</div>}
            </div>
          );
        })}
      </div>
    );
  }
  if (plugin.kind === 'GaugeChart' || plugin.kind === 'BarChart') {
    const all = merged.series.map(({ values }) => calculated(values, plugin.spec?.calculation));
    const isShare = unit === 'percent' || unit === 'percent-100';
    const given = plugin.spec?.max;
    const whole = unit === 'percent' ? 1 : 100;
    const known = all.filter((value) => Number.isFinite(value));
    const most = typeof given === 'number' ? given : isShare ? whole : Math.max(...known, 0);
    return (
      <div className="bars" style={{ maxHeight: heightPx + 50 }}>
        {all.slice(0, BARS_MAX).map((value, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two may have one name
          <div key={i} className="bar" title={String(value)}>
            <span className="bar-name">{merged.names[i]!.slice(0, 120)}</span>
            <span className="bar-room">
              <span
                className="bar-value"
                style={{
                  width: `${most > 0 && value > 0 ? Math.min(100, (value / most) * 100) : 0}%`,
                  background: merged.strokes[i]!.color,
                }}
              />
            </span>
            <span className="bar-number">{printValue(value, merged.units[i]!)}</span>
          </div>
        ))}
        {all.length > BARS_MAX && <span className="dim">{all.length - BARS_MAX} more</span>}
      </div>
    );
  }
  const { times } = first;
  const isHeatmap = plugin.kind === 'HeatMapChart' || areNative(merged.series);
  const heat = isHeatmap ? heatmapOf({ times, series: merged.series }) : undefined;
  if (heat !== undefined) {
    return (
      <>
        <Undrawn what={undrawnIn(merged.series, 'heatmap')} />
        <Heatmap columns={heat} unit={unit} zone={zone} height={heightPx} onZoom={zoom} />
      </>
    );
  }
  const undrawn = undrawnIn(merged.series, 'lines');
  if (undrawn === undefined && merged.series.every(({ values }) => values.every(Number.isNaN))) {
    return <p className="dim">Only NaN in this range: a quantile or mean of nothing.</p>;
  }
  return (
    <>
      <Undrawn what={undrawn} />
      <LineChart
        times={times}
        series={merged.series}
        names={merged.names}
        strokes={merged.strokes}
        hidden={NONE}
        isStacked={isStacked(panel)}
        fromZero={unit !== 'timestamp' && unit !== 'celsius'}
        unit={unit}
        units={merged.units}
        zone={zone}
        height={heightPx}
        marks={NO_MARKS}
        timeMarks={timeMarks}
        onZoom={zoom}
      />
      <div className="names">
        {merged.names.slice(0, 12).map((name, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two may have one name
          <span key={i}>
            <span className="swatch" style={{ background: merged.strokes[i]!.color }} /> {name.slice(0, 80)}
          </span>
        ))}
        {merged.names.length > 12 && <span className="dim">{merged.names.length - 12} more</span>}
      </div>
    </>
  );
}

/** Cells by column; long ones are cut, and whole on hover. */
function Columns(props: ColumnTable & { readonly heightPx: number }) {
  const { headers, rows, heightPx } = props;
  return (
    <div className="rows" style={{ maxHeight: heightPx }}>
      <table className="dense">
        <thead>
          <tr>
            {headers.map((header, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two may have one header
              <th key={i}>{header.slice(0, 100)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, ROWS_MAX).map((cells, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
            <tr key={i}>
              {cells.map((cell, j) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its place
                <td key={j} title={cell.slice(0, 500)}>
                  {cell.slice(0, 200)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const NO_MARKS = [] as const;

/** Whether an element has been in view, or near it. */
function useSeen(element: React.RefObject<HTMLElement | null>): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const root = element.current;
    if (root === null || seen) return;
    const look = new IntersectionObserver(
      (entries) => entries.some(({ isIntersecting }) => isIntersecting) && setSeen(true),
      {
        rootMargin: '300px',
      },
    );
    look.observe(root);
    return () => look.disconnect();
  }, [element, seen]);
  return seen;
}
