import type { FloatHistogram } from '../../model/histogram.ts';
import { compareUtf8, type Labels } from '../../model/labels.ts';
import type { VectorMatching } from '../parser/ast.ts';
import { type BinaryNode, isSilent, type PlanNode } from '../plan/node.ts';
import { ABSENT, FLOAT_POINT, type Operator, type OutputSeries, Row, RowTable, rowBytes } from '../row/row.ts';
import {
  ARITHMETIC,
  type BinaryScope,
  COMPARISONS,
  floatFunction,
  histogramBinary,
  noteFinding,
} from './element-binary.ts';
import type { Execution } from './execution.ts';
import { type Matches, matchSeries, signatureLabels } from './matching.ts';
import { SAME_LABELSET } from './merge.ts';
import { StepFindings } from './step-findings.ts';

/** An arithmetic or comparison operator between two vectors. */
export async function vectorBinary(
  execution: Execution,
  node: BinaryNode,
  left: Operator,
  right: Operator,
): Promise<Operator> {
  const matching = node.matching!;
  const { fillLeft, fillRight } = matching;
  if (fillLeft === undefined && fillRight === undefined) {
    if (left.series.length === 0 || right.series.length === 0) {
      // there may be something to say of the side that is not empty
      if (!isSilent(node.lhs)) await execution.drain(left);
      if (!isSilent(node.rhs)) await execution.drain(right);
      return RowTable.empty(left.steps);
    }
    const matches = await matchSeries(execution, left.series, right.series, matching);
    if (isStatic(matches, matching)) return pairs(execution, node, left, right, matches);
  }
  return new Matcher(execution, node, await execution.keep(left), await execution.keep(right)).run();
}

/** Whether a series has at most one partner, whatever the step: the sides that may not repeat a signature do not. */
function isStatic({ left, right }: Matches, { card }: VectorMatching): boolean {
  const unique = (side: readonly (readonly number[])[]): boolean => side.every((series) => series.length <= 1);
  return (card === 'many-to-one' || unique(left)) && (card === 'one-to-many' || unique(right));
}

/** The labels of a result, from those of the many side (or the left) and the other one. */
function resultLabels(execution: Execution, node: BinaryNode): (many: Labels, one: Labels) => Labels {
  const matching = node.matching!;
  const dropName = ARITHMETIC.has(node.op) || (node.bool && !execution.features.delayedNameRemoval);
  const names = new Set(matching.labels);
  return (many, one) => {
    let labels = dropName ? many.dropReserved() : many;
    if (matching.card === 'one-to-one') labels = matching.on ? labels.keep(names) : labels.drop(names);
    for (const name of matching.include) labels = labels.with(name, one.get(name));
    return labels;
  };
}

async function pairs(
  execution: Execution,
  node: BinaryNode,
  left: Operator,
  right: Operator,
  matches: Matches,
): Promise<Operator> {
  const labelsOf = resultLabels(execution, node);
  const { card } = node.matching!;
  const swapped = card === 'one-to-many';
  const [many, manyOf, ones] = swapped ? [right, matches.rightOf, matches.left] : [left, matches.leftOf, matches.right];
  const found: [left: number, right: number][] = [];
  const series: OutputSeries[] = [];
  const keys = new Set<string>();
  const { labels: matched, include } = node.matching!;
  for (let i = 0; i < many.series.length; i++) {
    if (execution.dueAfter(i, matched.length + include.length)) await execution.breathe();
    const partner = ones[manyOf[i]!]![0];
    if (partner === undefined) continue;
    const one = swapped ? left : right;
    const labels = labelsOf(many.series[i]!.labels, one.series[partner]!.labels);
    execution.holdLabels(labels);
    keys.add(labels.key);
    found.push(swapped ? [partner, i] : [i, partner]);
    series.push({ labels, dropName: node.bool });
  }
  // results of different pairs with the same labels: a matter of single steps
  if (keys.size < series.length) {
    return new Matcher(execution, node, await execution.keep(left), await execution.keep(right)).run();
  }
  await drainUnmatched(execution, node.lhs, left, matches.leftOf, matches.right);
  await drainUnmatched(execution, node.rhs, right, matches.rightOf, matches.left);
  // a row that several pairs need is made once
  const leftRows = card === 'one-to-many' ? await execution.keepAll(left) : left;
  const rightRows = card === 'many-to-one' ? await execution.keepAll(right) : right;
  return new PairOperator(execution, node, leftRows, rightRows, found, series);
}

/** Rows without a partner on the other side are needed for what there is to say of them at most. */
async function drainUnmatched(
  execution: Execution,
  node: PlanNode,
  side: Operator,
  signatureOf: Int32Array,
  partners: readonly (readonly number[])[],
): Promise<void> {
  if (isSilent(node)) return;
  const unmatched = [...side.series.keys()].filter((i) => partners[signatureOf[i]!]!.length === 0);
  await execution.drain(side, unmatched);
}

/** Each result from one series of either side: nothing is held, rows are made as they are asked for. */
class PairOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #left: Operator;
  readonly #right: Operator;
  readonly #pairs: readonly (readonly [left: number, right: number])[];
  readonly #rightRow: Row;
  readonly #element: ElementOperator;

  constructor(
    execution: Execution,
    node: BinaryNode,
    left: Operator,
    right: Operator,
    found: readonly (readonly [number, number])[],
    series: readonly OutputSeries[],
  ) {
    this.steps = left.steps;
    this.series = series;
    this.#left = left;
    this.#right = right;
    this.#pairs = found;
    this.#rightRow = new Row(left.steps);
    this.#element = new ElementOperator(execution, node);
  }

  row(index: number, out: Row): void {
    const [left, right] = this.#pairs[index]!;
    const other = this.#rightRow;
    this.#left.row(left, out);
    this.#right.row(right, other);
    const { run } = out;
    if (run >= 0 && run === other.run && out.filled === other.filled && this.#element.mapsFloats) {
      const { float } = this.#element;
      for (let i = run; i < run + out.filled; i++) out.values[i] = float(out.values[i]!, other.values[i]!);
      return;
    }
    const element = this.#element;
    element.pair = index;
    let filled = 0;
    let histogramCount = 0;
    for (let step = 0; step < out.steps; step++) {
      if (out.present[step] === ABSENT) continue;
      element.step = step;
      const answer = other.present[step] === ABSENT ? undefined : element.of(out, step, other, step);
      if (answer === undefined || answer === DROPPED) {
        out.present[step] = ABSENT;
      } else if (typeof answer === 'number') {
        out.values[step] = answer;
        out.present[step] = FLOAT_POINT;
        filled++;
      } else {
        out.present[step] = ABSENT;
        out.setHistogram(step, answer);
        histogramCount++;
        filled++;
      }
    }
    out.filled = filled;
    out.histogramCount = histogramCount;
  }
}

/** A comparison that does not hold: matched, but without a result. */
const DROPPED = Symbol('dropped');

/** One operator between two points. */
class ElementOperator {
  readonly float: (lhs: number, rhs: number) => number;
  /** Floats always give floats. */
  readonly mapsFloats: boolean;
  /** The step and the pair at hand. */
  step = 0;
  pair = 0;
  readonly #scope: BinaryScope;
  readonly #bool: boolean;
  readonly #compares: boolean;
  readonly #trims: boolean;

  constructor(execution: Execution, node: BinaryNode) {
    const { annotations } = execution;
    const findings = new StepFindings(node.grid.steps, (finding) =>
      noteFinding(annotations, node.op, node.pos, finding),
    );
    annotations.owed(() => findings.tell());
    this.#scope = { op: node.op, found: (finding) => findings.add(this.step, this.pair, finding) };
    this.#bool = node.bool;
    this.#compares = COMPARISONS.has(node.op);
    this.#trims = node.op === '</' || node.op === '>/';
    this.float = this.#trims ? () => 0 : floatFunction(node.op);
    this.mapsFloats = !this.#trims && (!this.#compares || node.bool);
  }

  /** `undefined` where the kinds do not go together. */
  of(left: Row, leftStep: number, right: Row, rightStep: number): number | FloatHistogram | typeof DROPPED | undefined {
    const lhs = left.present[leftStep] === FLOAT_POINT ? left.values[leftStep]! : left.histograms[leftStep]!;
    const rhs = right.present[rightStep] === FLOAT_POINT ? right.values[rightStep]! : right.histograms[rightStep]!;
    if (typeof lhs === 'number' && typeof rhs === 'number' && !this.#trims) {
      const value = this.float(lhs, rhs);
      if (!this.#compares || this.#bool) return value;
      return value === 0 ? DROPPED : lhs;
    }
    const outcome = histogramBinary(this.#scope, lhs, rhs);
    if (outcome === undefined) return undefined;
    if (this.#bool) return outcome.keep ? 1 : 0;
    return outcome.keep ? outcome.histogram : DROPPED;
  }
}

/** The general case: which series match, and what comes of it, is found for each step. */
class Matcher {
  readonly #execution: Execution;
  readonly #matching: VectorMatching;
  readonly #steps: number;
  /** The side of which several series may share a signature, and the other one. */
  readonly #many: RowTable;
  readonly #one: RowTable;
  readonly #swapped: boolean;
  readonly #manyFill: number | undefined;
  readonly #oneFill: number | undefined;
  readonly #element: ElementOperator;
  readonly #labelsOf: (many: Labels, one: Labels) => Labels;
  readonly #dropName: boolean;
  readonly #series: OutputSeries[] = [];
  readonly #rows: Row[] = [];
  readonly #byKey = new Map<string, number>();

  constructor(execution: Execution, node: BinaryNode, left: RowTable, right: RowTable) {
    const matching = node.matching!;
    this.#execution = execution;
    this.#matching = matching;
    this.#steps = left.steps;
    this.#swapped = matching.card === 'one-to-many';
    this.#many = this.#swapped ? right : left;
    this.#one = this.#swapped ? left : right;
    this.#manyFill = this.#swapped ? matching.fillRight : matching.fillLeft;
    this.#oneFill = this.#swapped ? matching.fillLeft : matching.fillRight;
    this.#element = new ElementOperator(execution, node);
    this.#labelsOf = resultLabels(execution, node);
    this.#dropName = node.bool;
  }

  async run(): Promise<Operator> {
    const many = this.#many;
    const one = this.#one;
    const matches = await matchSeries(this.#execution, many.series, one.series, this.#matching);
    const oneOf = new Int32Array(matches.left.length);
    const pairLabels = new Map<number, Labels>();
    const filled = new Row(1);
    filled.setFloat(0, 0);
    for (let step = 0; step < this.#steps; step++) {
      if (this.#execution.due) await this.#execution.breathe();
      if (!this.#takesPart(step)) continue;
      this.#findOnes(step, matches, oneOf);
      const matched = new Map<number, Set<string>>();
      for (let i = 0; i < many.series.length; i++) {
        if (this.#execution.dueAfter(i)) await this.#execution.breathe();
        const row = many.rowAt(i);
        if (row.present[step] === ABSENT) continue;
        const signature = matches.leftOf[i]!;
        const partner = oneOf[signature]!;
        if (partner < 0 && this.#oneFill === undefined) continue;
        const own = many.series[i]!.labels;
        let labels: Labels;
        if (partner >= 0) {
          const pair = i * one.series.length + partner;
          labels = pairLabels.get(pair) ?? this.#labelsOf(own, one.series[partner]!.labels);
          if (!pairLabels.has(pair)) this.#execution.holdLabels(labels);
          pairLabels.set(pair, labels);
        } else {
          filled.values[0] = this.#oneFill!;
          labels = this.#labelsOf(own, signatureLabels(this.#matching)(own));
        }
        const other = partner >= 0 ? one.rowAt(partner) : filled;
        this.#add(step, signature, labels, row, step, other, partner >= 0 ? step : 0, matched);
      }
      if (this.#manyFill === undefined) continue;
      for (let i = 0; i < one.series.length; i++) {
        if (this.#execution.dueAfter(i)) await this.#execution.breathe();
        const row = one.rowAt(i);
        const signature = matches.rightOf[i]!;
        if (row.present[step] === ABSENT || matched.has(signature)) continue;
        filled.values[0] = this.#manyFill;
        const own = one.series[i]!.labels;
        const labels = this.#labelsOf(signatureLabels(this.#matching)(own), own);
        this.#add(step, signature, labels, filled, 0, row, step, matched);
      }
    }
    return new RowTable(this.#steps, this.#series, this.#rows);
  }

  /** Whether both sides have a point, or what is missing may be filled. */
  #takesPart(step: number): boolean {
    const any = (table: RowTable): boolean => {
      for (let i = 0; i < table.series.length; i++) if (table.rowAt(i).present[step] !== ABSENT) return true;
      return false;
    };
    const many = any(this.#many);
    const one = any(this.#one);
    if (this.#manyFill === undefined && this.#oneFill === undefined) return many && one;
    return many || one;
  }

  /** For each signature the series of the one side that has a point; −1 where there is none. */
  #findOnes(step: number, matches: Matches, oneOf: Int32Array): void {
    const one = this.#one;
    oneOf.fill(-1);
    for (let i = 0; i < one.series.length; i++) {
      if (one.rowAt(i).present[step] === ABSENT) continue;
      const signature = matches.rightOf[i]!;
      const before = oneOf[signature]!;
      if (before >= 0) {
        const group = signatureLabels(this.#matching)(one.series[i]!.labels);
        const side = this.#swapped ? 'left' : 'right';
        const [a, b] = [one.series[i]!, one.series[before]!].map(({ labels }) => String(labels)).sort(compareUtf8);
        this.#execution.fail(
          `found duplicate series for the match group ${group} on the ${side} hand-side of the operation: [${a}, ${b}];many-to-many matching not allowed: matching labels must be unique on one side`,
        );
      }
      oneOf[signature] = i;
    }
  }

  #add(
    step: number,
    signature: number,
    labels: Labels,
    many: Row,
    manyStep: number,
    one: Row,
    oneStep: number,
    matched: Map<number, Set<string>>,
  ): void {
    const element = this.#element;
    element.step = step;
    element.pair++;
    const answer = this.#swapped ? element.of(one, oneStep, many, manyStep) : element.of(many, manyStep, one, oneStep);
    if (answer === undefined) return;
    let seen = matched.get(signature);
    if (seen === undefined) {
      seen = new Set();
      matched.set(signature, seen);
    } else if (this.#matching.card === 'one-to-one') {
      this.#execution.fail(
        'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)',
      );
    }
    if (seen.has(labels.key)) {
      this.#execution.fail('multiple matches for labels: grouping labels must ensure unique matches');
    }
    seen.add(labels.key);
    if (answer === DROPPED) return;
    const row = this.#rowFor(labels);
    if (row.present[step] !== ABSENT) this.#execution.fail(SAME_LABELSET);
    if (typeof answer === 'number') row.setFloat(step, answer);
    else row.setHistogram(step, answer);
  }

  #rowFor(labels: Labels): Row {
    let at = this.#byKey.get(labels.key);
    if (at === undefined) {
      at = this.#series.length;
      this.#byKey.set(labels.key, at);
      this.#series.push({ labels, dropName: this.#dropName });
      this.#execution.holdLabels(labels);
      this.#execution.hold(this.#steps, rowBytes(this.#steps));
      this.#rows.push(new Row(this.#steps));
    }
    return this.#rows[at]!;
  }
}
