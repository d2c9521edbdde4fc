import {
  divideHistogram,
  equalHistograms,
  type FloatHistogram,
  multiplyHistogram,
  withResetHint,
} from '../../model/histogram.ts';
import { addHistograms, compactHistogram, subtractHistograms } from '../../model/histogram-add.ts';
import { trimHistogram } from '../../model/histogram-trim.ts';
import type { Annotations } from '../annotations.ts';
import type { BinaryOp } from '../parser/ast.ts';
import type { PosRange } from '../position.ts';

/** Operators that keep or drop a sample by comparing it. */
export const COMPARISONS: ReadonlySet<BinaryOp> = new Set<BinaryOp>(['==', '!=', '<', '<=', '>', '>=']);

/** After these the metric is another one. */
export const ARITHMETIC: ReadonlySet<BinaryOp> = new Set<BinaryOp>(['+', '-', '*', '/', '^', '%', 'atan2']);

/** The operator between floats. Arithmetic operators give their result, comparisons 1 or 0. Trims and set operators have no floats. */
export function floatFunction(op: BinaryOp): (lhs: number, rhs: number) => number {
  switch (op) {
    case '+':
      return (lhs, rhs) => lhs + rhs;
    case '-':
      return (lhs, rhs) => lhs - rhs;
    case '*':
      return (lhs, rhs) => lhs * rhs;
    case '/':
      return (lhs, rhs) => lhs / rhs;
    case '%':
      return (lhs, rhs) => lhs % rhs;
    case '^':
      return power;
    case 'atan2':
      return Math.atan2;
    case '==':
      return (lhs, rhs) => (lhs === rhs ? 1 : 0);
    case '!=':
      return (lhs, rhs) => (lhs !== rhs ? 1 : 0);
    case '<':
      return (lhs, rhs) => (lhs < rhs ? 1 : 0);
    case '<=':
      return (lhs, rhs) => (lhs <= rhs ? 1 : 0);
    case '>':
      return (lhs, rhs) => (lhs > rhs ? 1 : 0);
    case '>=':
      return (lhs, rhs) => (lhs >= rhs ? 1 : 0);
    default:
      throw new Error(`bug: ${op} has no meaning for two floats`);
  }
}

/** Go's `math.Pow`: unlike JavaScript's, 1 to any power is 1, and −1 to an infinite one too. */
function power(lhs: number, rhs: number): number {
  if (lhs === 1) return 1;
  if (lhs === -1 && Math.abs(rhs) === Infinity) return 1;
  return lhs ** rhs;
}

/** The result of an operator between two points of which at least one is a histogram. */
export interface HistogramOutcome {
  histogram: FloatHistogram | undefined;
  /** For a comparison: whether it holds. */
  keep: boolean;
}

/** A note on two points: kinds that do not go together, or what was done so that they do. */
export type Finding =
  | 'float and float'
  | 'float and histogram'
  | 'histogram and float'
  | 'histogram and histogram'
  | 'layout'
  | 'collision'
  | 'reconciled';

/** Who hears of it. */
export interface BinaryScope {
  readonly op: BinaryOp;
  readonly found: (finding: Finding) => void;
}

export function noteFinding(annotations: Annotations, op: BinaryOp, pos: PosRange, finding: Finding): void {
  switch (finding) {
    case 'layout':
      annotations.incompatibleBucketLayout(op, pos);
      return;
    case 'collision':
      annotations.counterResetCollision(op === '+' ? 'addition' : 'subtraction', pos);
      return;
    case 'reconciled':
      annotations.mismatchedCustomBuckets(op === '+' ? 'addition' : 'subtraction', pos);
      return;
    default: {
      const [lhs, rhs] = finding.split(' and ');
      annotations.incompatibleTypes(lhs!, op, rhs!, pos);
    }
  }
}

/**
 * An operator between two points, a number or a histogram each, at least one the latter. `undefined` where there is no result,
 * which is then said. Source: Prometheus `vectorElemBinop`.
 */
export function histogramBinary(
  scope: BinaryScope,
  lhs: number | FloatHistogram,
  rhs: number | FloatHistogram,
): HistogramOutcome | undefined {
  const { op, found } = scope;
  if (typeof lhs === 'number') {
    if (op === '*' && typeof rhs !== 'number') return kept(compactHistogram(multiplyHistogram(rhs, lhs)));
    found(typeof rhs === 'number' ? 'float and float' : 'float and histogram');
    return undefined;
  }
  if (typeof rhs === 'number') {
    switch (op) {
      case '*':
        return kept(compactHistogram(multiplyHistogram(lhs, rhs)));
      case '/':
        return kept(compactHistogram(divideHistogram(lhs, rhs)));
      case '</':
        return kept(trimHistogram(lhs, rhs, 'below'));
      case '>/':
        return kept(trimHistogram(lhs, rhs, 'above'));
      default:
        found('histogram and float');
        return undefined;
    }
  }
  switch (op) {
    case '+':
    case '-': {
      const combined = op === '+' ? addHistograms(lhs, rhs) : subtractHistograms(lhs, rhs);
      if (combined === undefined) {
        found('layout');
        return undefined;
      }
      if (combined.resetsCollide) {
        // Prometheus takes this warning for a failure: there is no result
        found('collision');
        return undefined;
      }
      if (combined.boundsReconciled) found('reconciled');
      const { histogram } = combined;
      return kept(compactHistogram(op === '+' ? histogram : withResetHint(histogram, 'gauge')));
    }
    case '==':
      return { histogram: lhs, keep: equalHistograms(lhs, rhs) };
    case '!=':
      return { histogram: lhs, keep: !equalHistograms(lhs, rhs) };
    default:
      found('histogram and histogram');
      return undefined;
  }
}

function kept(histogram: FloatHistogram): HistogramOutcome {
  return { histogram, keep: true };
}
