import { sortInTurns } from '../../lib/sort-in-turns.ts';
import { Labels } from '../../model/labels.ts';
import { naturallyBefore } from '../functions/labels.ts';
import { FLOAT_POINT, type Operator } from '../row/row.ts';
import { RelabelOperator } from './elementwise.ts';
import type { Execution } from './execution.ts';

/** `sort` and `sort_desc` of an instant query: floats only, NaN last. */
export async function sortByValue(execution: Execution, input: Operator, descending: boolean): Promise<Operator> {
  const table = await execution.keep(input);
  const order = table.series.flatMap((_, i) => (table.rowAt(i).present[0] === FLOAT_POINT ? [i] : []));
  const value = (i: number): number => table.rowAt(i).values[0]!;
  const sorted = await sortInTurns(execution.turns, order, (a, b) => {
    const x = value(a);
    const y = value(b);
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return descending ? y - x || 0 : x - y || 0;
  });
  return new RelabelOperator(
    table,
    sorted.map((i) => table.series[i]!),
    sorted,
  );
}

/** `sort_by_label` and `sort_by_label_desc`: by the labels named, numbers in them as numbers, then by all. */
export async function sortByLabel(
  execution: Execution,
  input: Operator,
  names: readonly string[],
  descending: boolean,
): Promise<Operator> {
  const sign = descending ? -1 : 1;
  const order = await sortInTurns(execution.turns, [...input.series.keys()], (a, b) => {
    const x = input.series[a]!.labels;
    const y = input.series[b]!.labels;
    for (const name of names) {
      const valueX = x.get(name);
      const valueY = y.get(name);
      if (valueX !== valueY) return naturallyBefore(valueX, valueY) ? -sign : sign;
    }
    return sign * Labels.compare(x, y);
  });
  return new RelabelOperator(
    input,
    order.map((i) => input.series[i]!),
    order,
  );
}
