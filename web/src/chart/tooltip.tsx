import { printMoment } from '../model/time-text.ts';
import { printValue, type Unit } from '../model/units.ts';
import type { Zone } from '../scope.tsx';

export interface TooltipRow {
  readonly name: string;
  readonly color: string;
  readonly value: number;
  readonly unit: Unit;
}

const ROWS_MAX = 16;
const WIDTH_PX = 380;

/** Values at the cursor, the largest first. */
export function ChartTooltip(props: {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly timeMs: number;
  readonly zone: Zone;
  readonly isPinned: boolean;
  readonly rows: readonly TooltipRow[];
  readonly notes?: readonly string[];
}) {
  const { left, top, width, timeMs, zone, isPinned, rows, notes = [] } = props;
  const beside = left + 16 + WIDTH_PX > width ? Math.max(0, left - 16 - Math.min(WIDTH_PX, width)) : left + 16;
  return (
    <div className="tooltip" data-pinned={isPinned || undefined} style={{ left: beside, top: Math.max(0, top - 20) }}>
      <div className="tooltip-time">{printMoment(timeMs, zone)}</div>
      {rows.slice(0, isPinned ? 200 : ROWS_MAX).map(({ name, color, value, unit }) => (
        <div className="tooltip-row" key={name}>
          <span className="swatch" style={{ background: color }} />
          <span className="tooltip-name">{name}</span>
          <span className="tooltip-value" title={String(value)}>
            {printValue(value, unit)}
            {isPinned && <small> {String(value)}</small>}
          </span>
        </div>
      ))}
      {!isPinned && rows.length > ROWS_MAX && (
        <div className="dim">{rows.length - ROWS_MAX} more, click to see them</div>
      )}
      {notes.map((note) => (
        <div key={note} className="dim wrapped">
          {note}
        </div>
      ))}
    </div>
  );
}
