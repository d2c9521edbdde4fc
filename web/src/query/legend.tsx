import { Group, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';
import type { SeriesColumns } from '../api/columns.ts';
import type { Stroke } from '../model/color.ts';
import { printSeries } from '../model/labels.ts';
import { printValue, type Unit } from '../model/units.ts';
import { SeriesName } from '../parts/series-name.tsx';

/** From so many series on they can be searched. */
const SEARCHED_MIN = 8;

/** The series of a graph: a click shows one alone, with ctrl it hides or shows one. */
export function Legend(props: {
  readonly series: readonly SeriesColumns[];
  readonly strokes: readonly Stroke[];
  readonly unit: Unit;
  readonly hidden: ReadonlySet<number>;
  readonly onHidden: (hidden: ReadonlySet<number>) => void;
}) {
  const { series, strokes, unit, hidden, onHidden } = props;
  const [filter, setFilter] = useState('');
  const lasts = useMemo(
    () => series.map(({ values }) => values.findLast((value) => !Number.isNaN(value)) ?? Number.NaN),
    [series],
  );
  const texts = useMemo(() => series.map(({ labels }) => printSeries(labels).toLowerCase()), [series]);
  const shown = series.map((_, i) => i).filter((i) => texts[i]!.includes(filter.toLowerCase()));
  const others = (i: number) => new Set(series.map((_, at) => at).filter((at) => at !== i));
  const click = (i: number, several: boolean) => {
    const isAlone = hidden.size === series.length - 1 && !hidden.has(i);
    if (several) onHidden(new Set(hidden.has(i) ? [...hidden].filter((at) => at !== i) : [...hidden, i]));
    else onHidden(isAlone ? new Set() : others(i));
  };
  return (
    <>
      {series.length >= SEARCHED_MIN && (
        <Group mt={4}>
          <TextInput
            size="xs"
            placeholder="search series"
            aria-label="search series"
            value={filter}
            onChange={(event) => setFilter(event.currentTarget.value)}
          />
          <span className="dim">
            {shown.length} of {series.length}
          </span>
        </Group>
      )}
      <div className="legend">
        {shown.map((i) => (
          <button
            type="button"
            key={texts[i]}
            className="legend-row"
            data-hidden={hidden.has(i) || undefined}
            aria-pressed={!hidden.has(i)}
            onClick={(event) => click(i, event.ctrlKey || event.metaKey)}
          >
            <span
              className="swatch"
              style={{ background: strokes[i]!.color, opacity: strokes[i]!.dash.length > 0 ? 0.7 : 1 }}
            />
            <span className="legend-name">
              <SeriesName labels={series[i]!.labels} />
            </span>
            <span className="row-value" title={String(lasts[i])}>
              {printValue(lasts[i]!, unit)}
            </span>
          </button>
        ))}
      </div>
    </>
  );
}
