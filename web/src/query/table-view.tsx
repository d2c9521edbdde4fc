import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import type { Answer, HistogramPoint } from '../api/columns.ts';
import { printSeries } from '../model/labels.ts';
import { printMoment } from '../model/time-text.ts';
import { SeriesName } from '../parts/series-name.tsx';
import { useScope } from '../scope.tsx';

const ROW_PX = 27;
/** Rows of longer tables are one line high: their height is known, and scrolling measures nothing. */
const MEASURED_MAX = 500;
const POINTS_SHOWN_MAX = 200;

/** Values of one moment; only rows that are seen are there. */
export function TableView({ answer }: { readonly answer: Answer }) {
  const { rows, seriesTotal } = answer;
  const { zone } = useScope();
  const root = useRef<HTMLDivElement>(null);
  const isMeasured = rows.length <= MEASURED_MAX;
  const rowList = useVirtualizer({
    count: rows.length,
    getScrollElement: () => root.current,
    estimateSize: () => ROW_PX,
    overscan: 6,
  });
  if (rows.length === 0) return <p className="dim">No series. The query is right, but nothing fits it at this time.</p>;
  return (
    <>
      {seriesTotal > rows.length && (
        <p className="dim">
          The first {rows.length} of {seriesTotal} series.
        </p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: so that it can be scrolled by keys */}
      <section className="rows" ref={root} tabIndex={0} aria-label={`result: ${rows.length} rows`}>
        <div style={{ height: rowList.getTotalSize(), position: 'relative' }}>
          {rowList.getVirtualItems().map(({ index, start }) => {
            const { labels, values, histogram } = rows[index]!;
            return (
              <div
                key={index}
                className="row"
                data-index={index}
                ref={isMeasured ? rowList.measureElement : undefined}
                data-fixed={!isMeasured || undefined}
                title={isMeasured ? undefined : printSeries(labels)}
                style={{ position: 'absolute', top: 0, left: 0, right: 0, transform: `translateY(${start}px)` }}
              >
                <span className="row-labels">{isMeasured ? <SeriesName labels={labels} /> : printSeries(labels)}</span>
                <span className="row-value">
                  {histogram !== undefined && <Histogram point={histogram} />}
                  {values.length === 1 && histogram === undefined && values[0]![1]}
                  {values.length > 1 &&
                    values.slice(-POINTS_SHOWN_MAX).map(([time, text]) => (
                      <div key={time}>
                        {text} <span className="dim">@ {printMoment(time * 1000, zone)}</span>
                      </div>
                    ))}
                </span>
              </div>
            );
          })}
        </div>
      </section>
    </>
  );
}

/** The buckets of a native histogram as bars. */
function Histogram({ point }: { readonly point: HistogramPoint }) {
  const most = Math.max(...point.buckets.map(([, , , count]) => count), 0);
  return (
    <details>
      <summary>
        count {point.count}, sum {point.sum}
      </summary>
      {point.buckets.map(([rule, lower, upper, count]) => (
        <div key={`${lower} ${upper}`} className="tooltip-row" style={{ gridTemplateColumns: '80px auto auto' }}>
          <span
            className="swatch"
            style={{ width: `${(count / most) * 100}%`, background: 'var(--mantine-primary-color-filled)' }}
          />
          <span>
            {rule === 1 || rule === 3 ? '[' : '('}
            {lower}, {upper}
            {rule === 0 || rule === 3 ? ']' : ')'}
          </span>
          <span>{count}</span>
        </div>
      ))}
    </details>
  );
}
