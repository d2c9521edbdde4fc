import type { LabelMatcher } from '../../model/matcher.ts';
import type { PromFunction } from '../functions/function.ts';
import type { AggregateOp, BinaryOp, VectorMatching } from '../parser/ast.ts';
import type { PosRange } from '../position.ts';
import type { Grid } from './grid.ts';

/**
 * A query with every time resolved: offsets, `@`, durations and subquery steps are gone, each node has the grid of steps at
 * which it is evaluated. Immutable; optimisations make new trees.
 */
export type PlanNode =
  | NumberNode
  | StringNode
  | TimeNode
  | SelectorNode
  | MatrixNode
  | CallNode
  | AggregateNode
  | BinaryNode
  | NegateNode
  | RepeatNode
  | SharedNode;

interface NumberNode {
  readonly kind: 'number';
  readonly value: number;
  readonly grid: Grid;
  readonly pos: PosRange;
}

interface StringNode {
  readonly kind: 'string';
  readonly value: string;
  readonly grid: Grid;
  readonly pos: PosRange;
}

/** `time()`: the grid itself, in seconds. */
interface TimeNode {
  readonly kind: 'time';
  readonly grid: Grid;
  readonly pos: PosRange;
}

/** A request to the storage, both ends inclusive. Selectors that share one share its series and samples. */
export interface Select {
  readonly matchers: readonly LabelMatcher[];
  readonly startMs: number;
  readonly endMs: number;
}

/** An instant vector selector: at each step the newest sample within the lookback. */
export interface SelectorNode {
  readonly kind: 'selector';
  readonly select: Select;
  readonly smoothed: boolean;
  /** Histograms matter by count and sum only: their resets are found as they are read. */
  readonly statsOnly: boolean;
  /** The time of the data that the first step sees; further steps as far apart as the grid's. */
  readonly dataStartMs: number;
  readonly grid: Grid;
  readonly pos: PosRange;
}

/** Where the samples of a range vector come from. */
type MatrixSource =
  | {
      readonly kind: 'select';
      readonly select: Select;
      readonly anchored: boolean;
      readonly smoothed: boolean;
      readonly statsOnly: boolean;
    }
  | { readonly kind: 'subquery'; readonly node: PlanNode };

/** A range vector: at each step the samples of a window. */
export interface MatrixNode {
  readonly kind: 'matrix';
  readonly source: MatrixSource;
  readonly rangeMs: number;
  /** The end of the first step's window (included; the start is not). */
  readonly dataStartMs: number;
  /** With `@`: every step sees the window of the first. */
  readonly fixed: boolean;
  readonly grid: Grid;
  readonly pos: PosRange;
}

export interface CallNode {
  readonly kind: 'call';
  readonly func: PromFunction;
  readonly args: readonly PlanNode[];
  /** The position of each argument as it was written, before anything was folded. */
  readonly argPos: readonly PosRange[];
  /** Labels that `absent` and `absent_over_time` answer, from the selector that is their argument. */
  readonly absentLabels: readonly (readonly [string, string])[];
  readonly info: InfoSelect | undefined;
  readonly grid: Grid;
  readonly pos: PosRange;
}

/** The series that `info()` looks for beside its first argument. */
export interface InfoSelect {
  /** Matchers of the second argument, without those of `__name__`. */
  readonly dataMatchers: readonly LabelMatcher[];
  /** Matchers of `__name__`; `target_info` where there is none. */
  readonly nameMatchers: readonly LabelMatcher[];
  /** The time of the info series' data at the first step. */
  readonly dataStartMs: number;
  readonly fixed: boolean;
}

export interface AggregateNode {
  readonly kind: 'aggregate';
  readonly op: AggregateOp;
  readonly input: PlanNode;
  readonly param: PlanNode | undefined;
  /** Ascending. */
  readonly grouping: readonly string[];
  readonly without: boolean;
  readonly grid: Grid;
  readonly pos: PosRange;
}

export interface BinaryNode {
  readonly kind: 'binary';
  readonly op: BinaryOp;
  readonly lhs: PlanNode;
  readonly rhs: PlanNode;
  /** Set where both sides are vectors. */
  readonly matching: VectorMatching | undefined;
  readonly bool: boolean;
  /** Which sides are scalars. */
  readonly lhsScalar: boolean;
  readonly rhsScalar: boolean;
  readonly grid: Grid;
  readonly pos: PosRange;
}

interface NegateNode {
  readonly kind: 'negate';
  readonly input: PlanNode;
  readonly grid: Grid;
  readonly pos: PosRange;
}

/** Evaluated at the first step only; every step has its result. */
interface RepeatNode {
  readonly kind: 'repeat';
  readonly input: PlanNode;
  readonly grid: Grid;
  readonly pos: PosRange;
}

/** A part that stands in the query more than once: evaluated once and kept. Equal `id`, equal result. */
interface SharedNode {
  readonly kind: 'shared';
  readonly id: number;
  readonly input: PlanNode;
  readonly grid: Grid;
  readonly pos: PosRange;
}

/** The children of a node, in the order in which they are evaluated. */
export function childrenOf(node: PlanNode): readonly PlanNode[] {
  switch (node.kind) {
    case 'number':
    case 'string':
    case 'time':
    case 'selector':
      return [];
    case 'matrix':
      return node.source.kind === 'subquery' ? [node.source.node] : [];
    case 'call':
      return node.args;
    case 'aggregate':
      return node.param === undefined ? [node.input] : [node.param, node.input];
    case 'binary':
      return [node.lhs, node.rhs];
    case 'negate':
    case 'repeat':
    case 'shared':
      return [node.input];
  }
}

/** The same node over other children, given in the order of `childrenOf`. */
export function withChildren(node: PlanNode, children: readonly PlanNode[]): PlanNode {
  switch (node.kind) {
    case 'number':
    case 'string':
    case 'time':
    case 'selector':
      return node;
    case 'matrix':
      return node.source.kind === 'subquery' ? { ...node, source: { kind: 'subquery', node: children[0]! } } : node;
    case 'call':
      return { ...node, args: children };
    case 'aggregate':
      return node.param === undefined
        ? { ...node, input: children[0]! }
        : { ...node, param: children[0]!, input: children[1]! };
    case 'binary':
      return { ...node, lhs: children[0]!, rhs: children[1]! };
    case 'negate':
    case 'repeat':
    case 'shared':
      return { ...node, input: children[0]! };
  }
}

/** The request that a node itself makes to the storage. */
export function selectOf(node: PlanNode): Select | undefined {
  if (node.kind === 'selector') return node.select;
  return node.kind === 'matrix' && node.source.kind === 'select' ? node.source.select : undefined;
}

/** All that a plan asks of the storage; undefined where that shows while it is evaluated only. */
export function selectsOf(plan: PlanNode): readonly Select[] | undefined {
  const found: Select[] = [];
  const visit = (node: PlanNode): boolean => {
    if (node.grid.steps === 0) return true;
    if (node.kind === 'call' && node.info !== undefined) return false;
    const select = selectOf(node);
    if (select !== undefined) found.push(select);
    return childrenOf(node).every(visit);
  };
  return visit(plan) ? found : undefined;
}

/** Whether nothing is ever said of the node's rows, so that those nobody needs may be left out. */
export function isSilent(node: PlanNode): boolean {
  switch (node.kind) {
    case 'matrix':
    case 'aggregate':
    case 'binary':
    case 'shared':
      return false;
    case 'selector':
      return !node.smoothed;
    case 'call':
      return node.func.silent !== false && node.args.every(isSilent);
    default:
      return childrenOf(node).every(isSilent);
  }
}
