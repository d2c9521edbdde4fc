import type { LabelMatcher } from '../../model/matcher.ts';
import type { PosRange } from '../position.ts';

/** A PromQL syntax tree, as Prometheus' `promql/parser/ast.go` has it. Nodes are immutable. */
export type Expr =
  | NumberLiteral
  | StringLiteral
  | VectorSelector
  | MatrixSelector
  | SubqueryExpr
  | Call
  | AggregateExpr
  | BinaryExpr
  | UnaryExpr
  | ParenExpr;

export interface NumberLiteral {
  readonly kind: 'number';
  readonly value: number;
  /** Written as a duration (`5m`), which the printer keeps. */
  readonly duration: boolean;
  readonly pos: PosRange;
}

export interface StringLiteral {
  readonly kind: 'string';
  readonly value: string;
  readonly pos: PosRange;
}

/** `@ 123`, `@ start()`, `@ end()`. */
export type At = { readonly timeMs: number } | 'start' | 'end';

/** A length of time that may need arithmetic at query time (`5m + step()`). A plain one is `ms`. */
export type DurationExpr =
  | {
      readonly kind: 'number';
      readonly ms: number;
      /** The number that arithmetic counts with: `5m` is 300, `2` is 2. */
      readonly seconds: number;
      readonly duration: boolean;
      readonly pos: PosRange;
    }
  | {
      readonly kind: 'op';
      /** `min` and `max` are written `min_of` and `max_of`. */
      readonly op: '+' | '-' | '*' | '/' | '%' | '^' | 'step' | 'range' | 'min' | 'max' | 'neg' | 'pos';
      readonly lhs: DurationExpr | undefined;
      readonly rhs: DurationExpr | undefined;
      /** Written in parentheses. */
      readonly wrapped: boolean;
      readonly pos: PosRange;
    };

export interface VectorSelector {
  readonly kind: 'vector';
  /** The metric name where it was written before the braces, else `''`; also the last of `matchers`. */
  readonly name: string;
  readonly matchers: readonly LabelMatcher[];
  /** As written, positive looks back. */
  readonly offsetMs: number;
  /** Set where the offset needs arithmetic; then `offsetMs` is 0. */
  readonly offsetExpr: DurationExpr | undefined;
  readonly at: At | undefined;
  readonly anchored: boolean;
  readonly smoothed: boolean;
  readonly pos: PosRange;
}

export interface MatrixSelector {
  readonly kind: 'matrix';
  readonly vector: VectorSelector;
  readonly rangeMs: number;
  readonly rangeExpr: DurationExpr | undefined;
  readonly pos: PosRange;
}

export interface SubqueryExpr {
  readonly kind: 'subquery';
  readonly expr: Expr;
  readonly rangeMs: number;
  readonly rangeExpr: DurationExpr | undefined;
  /** 0: the engine's default step. */
  readonly stepMs: number;
  readonly stepExpr: DurationExpr | undefined;
  readonly offsetMs: number;
  readonly offsetExpr: DurationExpr | undefined;
  readonly at: At | undefined;
  readonly pos: PosRange;
}

export interface Call {
  readonly kind: 'call';
  /** A name in the table of functions. */
  readonly func: string;
  readonly args: readonly Expr[];
  readonly pos: PosRange;
}

export type AggregateOp =
  | 'sum'
  | 'avg'
  | 'count'
  | 'min'
  | 'max'
  | 'group'
  | 'stddev'
  | 'stdvar'
  | 'topk'
  | 'bottomk'
  | 'count_values'
  | 'quantile'
  | 'limitk'
  | 'limit_ratio';

export interface AggregateExpr {
  readonly kind: 'aggregate';
  readonly op: AggregateOp;
  readonly expr: Expr;
  /** k, φ, the ratio or the label of `topk`, `quantile`, `limit_ratio`, `count_values`. */
  readonly param: Expr | undefined;
  readonly grouping: readonly string[];
  readonly without: boolean;
  readonly pos: PosRange;
}

export type BinaryOp =
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '^'
  | 'atan2'
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | 'and'
  | 'or'
  | 'unless'
  | '</'
  | '>/';

export interface VectorMatching {
  readonly card: 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many';
  readonly labels: readonly string[];
  /** `labels` come from `on`, not `ignoring`. */
  readonly on: boolean;
  /** Labels of `group_left` or `group_right`. */
  readonly include: readonly string[];
  readonly fillLeft: number | undefined;
  readonly fillRight: number | undefined;
}

export interface BinaryExpr {
  readonly kind: 'binary';
  readonly op: BinaryOp;
  readonly lhs: Expr;
  readonly rhs: Expr;
  /** Set where both sides are vectors. */
  readonly matching: VectorMatching | undefined;
  readonly bool: boolean;
  readonly pos: PosRange;
}

export interface UnaryExpr {
  readonly kind: 'unary';
  readonly op: '+' | '-';
  readonly expr: Expr;
  readonly pos: PosRange;
}

export interface ParenExpr {
  readonly kind: 'paren';
  readonly expr: Expr;
  readonly pos: PosRange;
}
