import { printMoment } from '../model/time-text.ts';
import type { Zone } from '../scope.tsx';
import '../alerts/alerts.css';

/** A span in which an alert was pending or firing. Unix ms. */
export interface StateSpan {
  readonly fromMs: number;
  readonly toMs: number;
  readonly state: 'pending' | 'firing';
}

export interface TimelineRow {
  readonly name: string;
  readonly spans: readonly StateSpan[];
}

const ROWS_MAX = 50;
const SPANS_MAX = 500;
const DAY_MS = 86_400_000;

/** When alerts were pending and firing, a line each. */
export function Timeline(props: {
  readonly rows: readonly TimelineRow[];
  readonly startMs: number;
  readonly endMs: number;
  readonly zone: Zone;
}) {
  const { rows, startMs, endMs, zone } = props;
  const place = (ms: number) => ((Math.min(endMs, Math.max(startMs, ms)) - startMs) / (endMs - startMs)) * 100;
  const days: number[] = [];
  for (let day = Math.ceil(startMs / DAY_MS) * DAY_MS; day < endMs && days.length < 60; day += DAY_MS) days.push(day);
  return (
    <div className="timeline">
      {rows.slice(0, ROWS_MAX).map(({ name, spans }, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two may have one name
        <div key={i} className="timeline-row">
          <span className="bar-name" title={name.slice(0, 2_000)}>
            {name.slice(0, 200)}
          </span>
          <svg className="timeline-room" viewBox="0 0 100 10" preserveAspectRatio="none" role="img">
            <title>{`${spans.length} times`}</title>
            {days.map((day) => (
              <line key={day} x1={place(day)} x2={place(day)} y1="0" y2="10" className="timeline-day" />
            ))}
            {spans.slice(-SPANS_MAX).map(({ fromMs, toMs, state }) => (
              <rect
                key={`${fromMs} ${state}`}
                x={place(fromMs)}
                width={Math.max(0.25, place(toMs) - place(fromMs))}
                y={state === 'firing' ? 0 : 4}
                height={state === 'firing' ? 10 : 6}
                className={`timeline-${state}`}
              >
                <title>{`${state} ${printMoment(fromMs, zone)} to ${printMoment(toMs, zone)}`}</title>
              </rect>
            ))}
          </svg>
        </div>
      ))}
      <div className="timeline-row dim">
        <span />
        <span className="timeline-ends">
          <span>{printMoment(startMs, zone)}</span>
          <span>{printMoment(endMs, zone)}</span>
        </span>
      </div>
      {rows.length > ROWS_MAX && <p className="dim">{rows.length - ROWS_MAX} more</p>}
    </div>
  );
}
