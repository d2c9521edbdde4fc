import { type BinaryNode, isSilent } from '../plan/node.ts';
import { ABSENT, HISTOGRAM_POINT, type Operator, type OutputSeries, Row, RowTable } from '../row/row.ts';
import type { Execution } from './execution.ts';
import { matchSeries } from './matching.ts';
import { mergeSameLabels } from './merge.ts';

/** `and`, `or`, `unless`: points of one side where the other has, or lacks, any with the same signature. */
export async function setBinary(
  execution: Execution,
  node: BinaryNode,
  left: Operator,
  right: Operator,
): Promise<Operator> {
  const { steps } = left;
  const matches = await matchSeries(execution, left.series, right.series, node.matching!);
  if (node.op === 'or') {
    const kept = await execution.keep(left);
    const keptMatches = await matchSeries(execution, kept.series, right.series, node.matching!);
    const present = await presence(execution, kept, keptMatches.left, steps);
    const masked = new MaskedOperator(right, keptMatches.rightOf, present, false, isSilent(node.rhs));
    return mergeSameLabels(execution, new ConcatOperator(kept, masked));
  }
  // of what matches nothing nobody needs to know whether it is there, unless there is something to say of it
  const all = !isSilent(node.rhs);
  const wanted = matches.right.map((series, signature) => (all || matches.left[signature]!.length > 0 ? series : []));
  const present = await presence(execution, right, wanted, steps);
  return new MaskedOperator(left, matches.leftOf, present, node.op === 'and', isSilent(node.lhs));
}

/** For each signature the steps at which any of its series has a point; `undefined` where none ever has. */
async function presence(
  execution: Execution,
  side: Operator,
  bySignature: readonly (readonly number[])[],
  steps: number,
): Promise<(Uint8Array | undefined)[]> {
  const out: (Uint8Array | undefined)[] = [];
  const row = new Row(steps);
  for (const series of bySignature) {
    let any: Uint8Array | undefined;
    for (const i of series) {
      if (execution.due) await execution.breathe();
      const read = side instanceof RowTable ? side.rowAt(i) : row;
      if (read === row) side.row(i, row);
      if (read.filled === 0) continue;
      any ??= new Uint8Array(steps);
      for (let step = 0; step < steps; step++) any[step]! |= read.present[step]!;
    }
    if (any !== undefined) execution.hold(0, steps);
    out.push(any);
  }
  return out;
}

/** Points where the other side has one (`keepPresent`), or where it has none. */
class MaskedOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #input: Operator;
  readonly #signatureOf: Int32Array;
  readonly #present: readonly (Uint8Array | undefined)[];
  readonly #keepPresent: boolean;
  readonly #silent: boolean;

  constructor(
    input: Operator,
    signatureOf: Int32Array,
    present: readonly (Uint8Array | undefined)[],
    keepPresent: boolean,
    silent: boolean,
  ) {
    this.steps = input.steps;
    this.series = input.series;
    this.#input = input;
    this.#signatureOf = signatureOf;
    this.#present = present;
    this.#keepPresent = keepPresent;
    this.#silent = silent;
  }

  row(index: number, out: Row): void {
    const mask = this.#present[this.#signatureOf[index]!];
    const empty = mask === undefined && this.#keepPresent;
    if (!empty || !this.#silent) this.#input.row(index, out);
    if (empty) {
      out.clear();
      return;
    }
    if (mask === undefined) return;
    for (let step = 0; step < out.steps; step++) {
      const kind = out.present[step]!;
      if (kind === ABSENT || (mask[step] !== ABSENT) === this.#keepPresent) continue;
      out.present[step] = ABSENT;
      out.filled--;
      if (kind === HISTOGRAM_POINT) out.histogramCount--;
    }
  }
}

class ConcatOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #first: Operator;
  readonly #second: Operator;

  constructor(first: Operator, second: Operator) {
    this.steps = first.steps;
    this.series = [...first.series, ...second.series];
    this.#first = first;
    this.#second = second;
  }

  row(index: number, out: Row): void {
    const { length } = this.#first.series;
    if (index < length) this.#first.row(index, out);
    else this.#second.row(index - length, out);
  }
}
