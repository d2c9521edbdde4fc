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

/** Of arithmetic operators the result, of comparisons 1 or 0. Trims and set operators have no floats. */
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

/** What an operator makes of two points of which at least one is a histogram. */
export interface HistogramOutcome {
  histogram: FloatHistogram | undefined;
  /** For a comparison: whether it holds. */
  keep: boolean;
}

/** Who hears of what goes wrong. */
export interface BinaryScope {
  readonly op: BinaryOp;
  readonly pos: PosRange;
  readonly annotations: Annotations;
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
  const { op, pos, annotations } = scope;
  if (typeof lhs === 'number') {
    if (op === '*' && typeof rhs !== 'number') return kept(compactHistogram(multiplyHistogram(rhs, lhs)));
    annotations.incompatibleTypes('float', op, typeof rhs === 'number' ? 'float' : 'histogram', pos);
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
        annotations.incompatibleTypes('histogram', op, 'float', pos);
        return undefined;
    }
  }
  switch (op) {
    case '+':
    case '-': {
      const combined = op === '+' ? addHistograms(lhs, rhs) : subtractHistograms(lhs, rhs);
      if (combined === undefined) {
        annotations.incompatibleBucketLayout(op, pos);
        return undefined;
      }
      const name = op === '+' ? 'addition' : 'subtraction';
      if (combined.resetsCollide) {
        // Prometheus takes this warning for a failure: there is no result
        annotations.counterResetCollision(name, pos);
        return undefined;
      }
      if (combined.boundsReconciled) annotations.mismatchedCustomBuckets(name, pos);
      const { histogram } = combined;
      return kept(compactHistogram(op === '+' ? histogram : withResetHint(histogram, 'gauge')));
    }
    case '==':
      return { histogram: lhs, keep: equalHistograms(lhs, rhs) };
    case '!=':
      return { histogram: lhs, keep: !equalHistograms(lhs, rhs) };
    default:
      annotations.incompatibleTypes('histogram', op, 'histogram', pos);
      return undefined;
  }
}

function kept(histogram: FloatHistogram): HistogramOutcome {
  return { histogram, keep: true };
}
