import type { SeriesColumns } from '../api/columns.ts';
import type { TimeMark } from '../chart/time-mark.ts';
import { colorOf } from '../model/color.ts';
import { namedBy } from './model.ts';

/** Spans of steps in a row where a series has a value that is not 0. */
export function spansOf(
  times: Float64Array,
  { labels, values }: Pick<SeriesColumns, 'labels' | 'values'>,
  name: string,
  title: string | undefined,
  stepSeconds: number,
): TimeMark[] {
  const spans: TimeMark[] = [];
  const text = [name, namedBy(title, labels) ?? '']
    .filter((part) => part !== '')
    .join(': ')
    .slice(0, 200);
  let from: number | undefined;
  for (let i = 0; i <= times.length; i++) {
    const isActive = i < times.length && !Number.isNaN(values[i]) && values[i] !== 0;
    if (isActive) from ??= times[i]!;
    else if (from !== undefined) {
      const last = times[i - 1]!;
      const toSeconds = last - from >= stepSeconds ? last : undefined;
      spans.push({ fromSeconds: from, toSeconds, color: colorOf({ __name__: name }), isFaint: false, text });
      from = undefined;
    }
  }
  return spans;
}
