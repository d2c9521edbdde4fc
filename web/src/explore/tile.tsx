import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { Link } from 'wouter';
import type { Grid } from '../api/columns.ts';
import { runQuery } from '../api/query.ts';
import { useWidth } from '../chart/line-chart.tsx';
import { SparkLine } from '../chart/spark-line.tsx';
import { printSeries } from '../model/labels.ts';
import { printValue, unitOf } from '../model/units.ts';
import { EMPTY_PANEL, printPanels } from '../model/url-state.ts';
import { useScope } from '../scope.tsx';

const POINTS = 80;
const HEIGHT_PX = 56;
const SERIES_MAX = 12;

/** The step of a tile's line, ms. */
export function tileStep(rangeMs: number): number {
  return Math.max(15_000, Math.ceil(rangeMs / POINTS / 1_000) * 1_000);
}

/**
 * A query at a glance: its line, its newest value, and the query itself, which opens.
 *
 * @param onHistograms the answer has native histograms, of which there is no line
 */
export function Tile({ expr, onHistograms }: { readonly expr: string; readonly onHistograms: () => void }) {
  const { tenant, rangeMs, endMs, round } = useScope();
  const root = useRef<HTMLDivElement>(null);
  const width = useWidth(root);
  const stepMs = tileStep(rangeMs);
  const { data, error } = useQuery({
    queryKey: ['tile', tenant, expr, rangeMs, endMs, round],
    queryFn: async ({ signal }) => {
      const ask = (grid: Grid) => runQuery({ expr, tenant, grid, seriesMax: SERIES_MAX }, signal);
      const end = endMs ?? Math.floor(Date.now() / stepMs) * stepMs;
      const line = await ask({ startMs: end - Math.floor(rangeMs / stepMs) * stepMs, endMs: end, stepMs });
      if (endMs !== undefined || line.series.length > 0) return line;
      // a metric that came after the line's last step
      const nowMs = Date.now();
      return ask({ startMs: nowMs, endMs: nowMs, stepMs });
    },
  });
  const hasHistograms = data?.series.some(({ histograms }) => histograms.length > 0) === true;
  // biome-ignore lint/correctness/useExhaustiveDependencies: told once for each query of a tenant
  useEffect(() => {
    if (hasHistograms) onHistograms();
  }, [hasHistograms, expr, tenant]);
  const unit = unitOf(expr);
  const last = data?.series.length === 1 ? data.series[0]!.values.findLast((value) => !Number.isNaN(value)) : undefined;
  const address = `/query?${printPanels([{ ...EMPTY_PANEL, expr, rangeMs, endMs }], tenant === '' ? '' : new URLSearchParams({ tenant }).toString())}`;
  return (
    <div className="tile" ref={root}>
      <div style={{ height: HEIGHT_PX }}>
        {error && <span className="dim wrapped">{error.message.slice(0, 300)}</span>}
        {data !== undefined && width > 0 && <SparkLine answer={data} width={width} height={HEIGHT_PX} />}
      </div>
      <div className="tile-foot">
        <Link href={address} className="tile-query" title={expr}>
          {expr}
        </Link>
        <span className="row-value">
          {last !== undefined && printValue(last, unit)}
          {data !== undefined && data.seriesTotal > 1 && `${data.seriesTotal} series`}
        </span>
      </div>
      {data !== undefined && data.seriesTotal > 1 && (
        <div className="dim tile-names">
          {data.series
            .slice(0, 4)
            .map(({ labels }) => printSeries(labels))
            .join('  ')}
        </div>
      )}
    </div>
  );
}
