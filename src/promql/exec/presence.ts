import { ABSENT, FLOAT_POINT, type Operator, Row } from '../row/row.ts';
import type { Execution } from './execution.ts';

/** The value of `scalar()` at each step: the one float that the vector has, NaN where it has none or several. */
export async function scalarRow(execution: Execution, vector: Operator): Promise<Row> {
  const found = new Int32Array(vector.steps);
  const out = new Row(vector.steps);
  const row = new Row(vector.steps);
  for (let i = 0; i < vector.series.length; i++) {
    if (execution.due) await execution.breathe();
    vector.row(i, row);
    for (let step = 0; step < row.steps; step++) {
      if (row.present[step] !== FLOAT_POINT) continue;
      found[step]!++;
      out.values[step] = row.values[step]!;
    }
  }
  for (let step = 0; step < out.steps; step++) out.setFloat(step, found[step] === 1 ? out.values[step]! : Number.NaN);
  return out;
}

/** The row of `absent()`: 1 at the steps at which no series has a point. */
export async function absentRow(execution: Execution, vector: Operator): Promise<Row> {
  const seen = new Uint8Array(vector.steps);
  const row = new Row(vector.steps);
  for (let i = 0; i < vector.series.length; i++) {
    if (execution.due) await execution.breathe();
    vector.row(i, row);
    for (let step = 0; step < row.steps; step++) seen[step]! |= row.present[step]!;
  }
  const out = new Row(vector.steps);
  for (let step = 0; step < out.steps; step++) if (seen[step] === ABSENT) out.setFloat(step, 1);
  return out;
}
