import { METRIC_NAME } from '../model/labels.ts';
import { functionOf } from '../promql/functions/table.ts';
import type { AggregateExpr, AggregateOp, BinaryExpr, Call, Expr, VectorSelector } from '../promql/parser/ast.ts';
import { typeOf } from '../promql/parser/type.ts';

// A query's steps can be evaluated apart where each step's answer needs nothing of the others. Nearly all of the language is so. What
// is left: some parameters are taken at the first step, some notes tell of all steps, and sums and choices depend in their last bit on the
// order of series, which can be another where some series are missing.

/** Why a query's steps are evaluated together. */
export type SplitRefusal =
  /** No step differs from another. */
  | 'constant'
  /** A parameter is taken, or told of, at one step for all. */
  | 'parameter'
  /** A sum or a choice of series whose order is that of the steps. */
  | 'order'
  /** A function that looks at all steps. */
  | 'function';

export interface SplitRules {
  /** Names are dropped at the very end of a query. */
  readonly delayedNameRemoval: boolean;
}

/** @returns why not; undefined: any of the query's steps may be evaluated without the others */
export function splitRefusal(expr: Expr, rules: SplitRules): SplitRefusal | undefined {
  const reader = new Reader(rules);
  try {
    reader.series(expr);
  } catch (thrown) {
    if (thrown instanceof Refused) return thrown.reason;
    throw thrown;
  }
  return reader.varies ? undefined : 'constant';
}

class Refused extends Error {
  readonly reason: SplitRefusal;

  constructor(reason: SplitRefusal) {
    super(reason);
    this.reason = reason;
  }
}

/** The series of an expression, as they are known before anything is read. */
interface SeriesOrder {
  /** Some of the series, alone, come in the order that they have among all. */
  readonly kept: boolean;
  /** They have one name at most, so that they stay different without it. */
  readonly oneName: boolean;
}

const ORDERED: SeriesOrder = { kept: true, oneName: true };
const UNORDERED: SeriesOrder = { kept: false, oneName: true };

/** Add in the order of their series, or choose by it. */
const IN_ORDER: ReadonlySet<AggregateOp> = new Set(['sum', 'avg', 'stddev', 'stdvar', 'topk', 'bottomk', 'limitk']);
const COMPARES: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=', '</', '>/']);

class Reader {
  readonly #rules: SplitRules;
  /** There is a selector that sees other samples at other steps. */
  varies = false;
  #pinned = 0;

  constructor(rules: SplitRules) {
    this.#rules = rules;
  }

  /** @throws Refused */
  series(expr: Expr): SeriesOrder {
    switch (expr.kind) {
      case 'number':
      case 'string':
        return ORDERED;
      case 'vector':
        if (expr.at === undefined && this.#pinned === 0) this.varies = true;
        return { kept: true, oneName: isOneMetric(expr) };
      case 'matrix':
        return this.series(expr.vector);
      case 'subquery': {
        // one inner step is evaluated as an instant, which keeps series apart
        if (this.#rules.delayedNameRemoval) throw new Refused('function');
        const pins = expr.at === undefined ? 0 : 1;
        this.#pinned += pins;
        const inner = this.series(expr.expr);
        this.#pinned -= pins;
        return inner;
      }
      case 'paren':
        return this.series(expr.expr);
      case 'unary': {
        const inner = this.series(expr.expr);
        return expr.op === '+' ? inner : withoutName(inner);
      }
      case 'aggregate':
        return this.#aggregate(expr);
      case 'binary':
        return this.#binary(expr);
      case 'call':
        return this.#call(expr);
    }
  }

  #aggregate({ op, expr, param, grouping, without }: AggregateExpr): SeriesOrder {
    const input = this.series(expr);
    if (param !== undefined && !isLiteral(param)) throw new Refused('parameter');
    if (IN_ORDER.has(op) && !input.kept) throw new Refused('order');
    if (op === 'limitk' || op === 'limit_ratio') return input;
    const isOne = grouping.length === 0 && !without;
    return isOne && op !== 'topk' && op !== 'bottomk' && op !== 'count_values' ? ORDERED : UNORDERED;
  }

  #binary({ op, lhs, rhs, bool }: BinaryExpr): SeriesOrder {
    const left = this.series(lhs);
    const right = this.series(rhs);
    const leftScalar = typeOf(lhs) === 'scalar';
    const rightScalar = typeOf(rhs) === 'scalar';
    if (leftScalar && rightScalar) return ORDERED;
    if (leftScalar || rightScalar) {
      const vector = leftScalar ? right : left;
      return COMPARES.has(op) && !bool ? vector : withoutName(vector);
    }
    return op === 'and' || op === 'unless' ? left : UNORDERED;
  }

  #call({ func: name, args }: Call): SeriesOrder {
    const func = functionOf(name)!;
    const { open } = func;
    const inputs = args.map((arg) => this.series(arg));
    const vectors = inputs.filter((_, i) => !['scalar', 'string'].includes(typeOf(args[i]!)));
    switch (open.kind) {
      case 'sort':
      case 'info':
        throw new Refused('function');
      case 'quantiles':
        // their labels are those of the first step
        if (!args.slice(1).every(isLiteral)) throw new Refused('parameter');
        return UNORDERED;
      case 'quantile':
      case 'fraction':
      case 'relabel':
        return UNORDERED;
      case 'query':
      case 'time':
      case 'constant':
      case 'pick':
      case 'scalar':
      case 'vector':
      case 'absent':
        return ORDERED;
      case 'range':
      case 'floats':
      case 'date':
      case 'histograms':
      case 'clamp':
      case 'round':
      case 'timestamp': {
        if (func.absent || vectors.length === 0) return ORDERED;
        if (vectors.length > 1) return UNORDERED;
        return func.keepsName ? vectors[0]! : withoutName(vectors[0]!);
      }
    }
  }
}

/** Series of several names may become the same: one then stands where the first of them stood. */
function withoutName({ kept, oneName }: SeriesOrder): SeriesOrder {
  return kept && oneName ? ORDERED : UNORDERED;
}

function isOneMetric({ matchers }: VectorSelector): boolean {
  return matchers.some(({ name, op }) => name === METRIC_NAME && op === '=');
}

/** The same at every step, whatever the data. */
function isLiteral(expr: Expr): boolean {
  switch (expr.kind) {
    case 'number':
    case 'string':
      return true;
    case 'paren':
    case 'unary':
      return isLiteral(expr.expr);
    default:
      return false;
  }
}
