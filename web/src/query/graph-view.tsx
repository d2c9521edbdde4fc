import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import type { Answer } from '../api/columns.ts';
import { fetchData } from '../api/http.ts';
import { Heatmap } from '../chart/heatmap.tsx';
import { areNative, heatmapOf, undrawnIn } from '../chart/heatmap-columns.ts';
import { LineChart, type PointMark } from '../chart/line-chart.tsx';
import { strokesFor } from '../model/color.ts';
import { differing, type LabelSet, printSeries } from '../model/labels.ts';
import { type Unit, unitOf } from '../model/units.ts';
import type { PanelState } from '../model/url-state.ts';
import { Undrawn } from '../parts/undrawn.tsx';
import { useScope } from '../scope.tsx';
import { useEventMarks } from './event-marks.ts';
import { Legend } from './legend.tsx';

const HEIGHT_PX = 320;
const NO_MARKS: readonly PointMark[] = [];
const NONE: ReadonlySet<number> = new Set();

/** A range of time drawn. */
export function GraphView(props: {
  readonly answer: Answer;
  readonly panel: PanelState;
  readonly unit: Unit;
  readonly tenant: string;
  readonly onZoom: (startMs: number, endMs: number) => void;
}) {
  const { answer, panel, unit, tenant, onZoom } = props;
  const { times, series, seriesTotal } = answer;
  const { zone } = useScope();
  const [hidden, setHidden] = useState<{ readonly of: Answer; readonly places: ReadonlySet<number> }>();
  const strokes = useMemo(() => strokesFor(series.map(({ labels }) => labels)), [series]);
  const names = useMemo(() => differing(series.map(({ labels }) => labels)).own.map(shortName), [series]);
  const marks = useExemplars(panel, answer, tenant);
  const timeMarks = useEventMarks(answer, tenant);
  const heat = useMemo(() => (panel.display === 'heatmap' ? heatmapOf(answer) : undefined), [panel.display, answer]);
  if (seriesTotal === 0)
    return <p className="dim">No series. The query is right, but nothing fits it in this range.</p>;
  // that of the values in the buckets, not of their counts
  const bucketUnit = unitOf(`histogram_quantile(0.5, ${panel.expr})`);
  if (panel.display === 'heatmap' || areNative(series)) {
    const columns = heat ?? heatmapOf(answer);
    if (columns === undefined) {
      return <p className="dim">A heatmap wants histograms: native ones, or series with the label le.</p>;
    }
    return (
      <>
        <Undrawn what={undrawnIn(series, 'heatmap')} />
        <Heatmap columns={columns} unit={bucketUnit} zone={zone} height={HEIGHT_PX} onZoom={onZoom} />
      </>
    );
  }
  const places = hidden?.of === answer ? hidden.places : NONE;
  return (
    <>
      {seriesTotal > series.length && (
        <p className="dim">
          The {series.length} largest of {seriesTotal} series are drawn.
        </p>
      )}
      <Undrawn what={undrawnIn(series, 'lines')} />
      <LineChart
        times={times}
        series={series}
        names={names}
        strokes={strokes}
        hidden={places}
        isStacked={panel.display === 'stacked'}
        fromZero={panel.yAxisMin === 'zero'}
        unit={unit}
        zone={zone}
        height={HEIGHT_PX}
        marks={marks}
        timeMarks={timeMarks}
        onZoom={onZoom}
      />
      <Legend
        series={series}
        strokes={strokes}
        unit={unit}
        hidden={places}
        onHidden={(next) => setHidden({ of: answer, places: next })}
      />
    </>
  );
}

function shortName(labels: LabelSet): string {
  return printSeries(labels);
}

interface ExemplarAnswer {
  readonly seriesLabels: LabelSet;
  readonly exemplars: readonly { readonly labels: LabelSet; readonly value: string; readonly timestamp: number }[];
}
const EXEMPLARS_MAX = 2_000;

function useExemplars({ exemplars, expr }: PanelState, { times }: Answer, tenant: string): readonly PointMark[] {
  const [start, end] = [times[0] ?? 0, times.at(-1) ?? 0];
  const { data } = useQuery({
    queryKey: ['exemplars', tenant, expr, start, end],
    enabled: exemplars && times.length > 0,
    queryFn: async ({ signal }) => {
      const params = new URLSearchParams({ query: expr, start: String(start), end: String(end) });
      const found = await fetchData<ExemplarAnswer[]>({ path: '/api/v1/query_exemplars', params, tenant }, signal);
      return found.flatMap(({ seriesLabels, exemplars: all }) =>
        all.map(
          ({ labels, value, timestamp }): PointMark => ({
            timeSeconds: timestamp,
            value: Number(value),
            lines: [`exemplar ${value}: ${printSeries(labels)}`, printSeries(seriesLabels)],
          }),
        ),
      );
    },
  });
  return exemplars && data !== undefined ? data.slice(0, EXEMPLARS_MAX) : NO_MARKS;
}
