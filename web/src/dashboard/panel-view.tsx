import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useContext, useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { Answer } from '../api/columns.ts';
import { runQuery } from '../api/query.ts';
import { Heatmap } from '../chart/heatmap.tsx';
import { heatmapOf } from '../chart/heatmap-columns.ts';
import { LineChart, useWidth } from '../chart/line-chart.tsx';
import { strokesFor } from '../model/color.ts';
import { printSeries } from '../model/labels.ts';
import { printValue } from '../model/units.ts';
import { EMPTY_PANEL, printPanels, stepOf } from '../model/url-state.ts';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { SeriesName } from '../parts/series-name.tsx';
import { useScope, useVisible } from '../scope.tsx';
import { isStacked, namedBy, type PanelModel, queryFor, unitOfPanel } from './model.ts';
import { TimeMarks } from './time-marks.ts';

const HEIGHT_PX = 190;
const SERIES_MAX = 40;
const ROWS_MAX = 100;
const NONE: ReadonlySet<number> = new Set();

/** A panel of a dashboard; it asks once it is seen. */
export function PanelView({ panel, intervalMs }: { readonly panel: PanelModel; readonly intervalMs: number }) {
  const { display, plugin, queries = [] } = panel.spec;
  const { tenant, rangeMs, endMs, refreshMs, round } = useScope();
  const visible = useVisible();
  const root = useRef<HTMLElement>(null);
  const width = useWidth(root);
  const seen = useSeen(root);
  const isTable = plugin.kind === 'Table';
  const stepMs = Math.max(stepOf({ rangeMs, resolution: EMPTY_PANEL.resolution }, width || 500), intervalMs);
  const exprs = queries.map(({ spec }) => queryFor(spec.plugin.spec.query, intervalMs, stepMs));
  const { data, error, isFetching } = useQuery({
    queryKey: ['panel', tenant, exprs, isTable, rangeMs, endMs, stepMs, round],
    enabled: seen && width > 0 && exprs.length > 0,
    placeholderData: keepPreviousData,
    refetchInterval: refreshMs > 0 && visible && seen && endMs === undefined ? refreshMs : false,
    queryFn: ({ signal }) => {
      const end = endMs ?? Math.floor(Date.now() / stepMs) * stepMs;
      const grid = { startMs: end - Math.floor(rangeMs / stepMs) * stepMs, endMs: end, stepMs };
      const when = isTable ? { timeMs: end } : { grid };
      return Promise.all(exprs.map((expr) => runQuery({ expr, tenant, seriesMax: SERIES_MAX, ...when }, signal)));
    },
  });
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
          {display.name.slice(0, 200)}
        </strong>
        <Link href={address} className="dim">
          query
        </Link>
      </div>
      {error && <Failure error={error} />}
      {data === undefined && !error && exprs.length > 0 && <Quiet />}
      {data !== undefined && <Drawn panel={panel} answers={data} />}
      {exprs.length === 0 && (
        <p className="dim">This kind of panel ({plugin.kind.slice(0, 60)}) is kept, and cannot be drawn here.</p>
      )}
    </section>
  );
}

function Drawn({ panel, answers }: { readonly panel: PanelModel; readonly answers: readonly Answer[] }) {
  const { plugin, queries = [] } = panel.spec;
  const { zone, setTime } = useScope();
  const timeMarks = useContext(TimeMarks);
  const unit = unitOfPanel(panel);
  const merged = useMemo(() => {
    const series = answers.flatMap((answer) => answer.series);
    const names = answers.flatMap((answer, i) => {
      const format = queries[i]?.spec.plugin.spec.seriesNameFormat;
      return answer.series.map(({ labels }) => namedBy(format, labels) || printSeries(labels));
    });
    // those that share a name share its colour
    return { series, names, strokes: strokesFor(series.map(({ labels }, i) => ({ ...labels, __name__: names[i]! }))) };
  }, [answers, queries]);
  const zoom = (startMs: number, endMs: number) => setTime(Math.max(1_000, endMs - startMs), endMs);
  const [first] = answers;
  if (first === undefined) return null;
  if (plugin.kind === 'Table') {
    const rows = answers.flatMap((answer) => answer.rows).slice(0, ROWS_MAX);
    return (
      <div className="rows" style={{ maxHeight: HEIGHT_PX }}>
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
          const last = values.findLast((value) => !Number.isNaN(value)) ?? Number.NaN;
          return (
            <div key={printSeries(labels)} title={String(last)}>
              <div className="stat">{printValue(last, unit)}</div>
              <div className="dim wrapped">{merged.names[i]!.slice(0, 120)}</div>
            </div>
          );
        })}
      </div>
    );
  }
  const heat = plugin.kind === 'HeatMapChart' ? heatmapOf(first) : undefined;
  if (heat !== undefined) return <Heatmap columns={heat} unit={unit} zone={zone} height={HEIGHT_PX} onZoom={zoom} />;
  return (
    <>
      <LineChart
        times={first.times}
        series={merged.series}
        names={merged.names}
        strokes={merged.strokes}
        hidden={NONE}
        isStacked={isStacked(panel)}
        fromZero={unit !== 'timestamp' && unit !== 'celsius'}
        unit={unit}
        zone={zone}
        height={HEIGHT_PX}
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
