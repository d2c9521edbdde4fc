import { isReserved, METRIC_NAME } from '../../model/labels.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import type { PromFunction, QueryTimes } from '../functions/function.ts';
import { functionOf } from '../functions/table.ts';
import type { At, Expr, SubqueryExpr, VectorSelector } from '../parser/ast.ts';
import { typeOf } from '../parser/type.ts';
import { type DurationScope, durationMs } from './duration.ts';
import { firstStep, type Grid, gridEndMs, gridOf } from './grid.ts';
import type { InfoSelect, MatrixNode, PlanNode, Select } from './node.ts';

/** The query's times and defaults, against which those in an expression are resolved. */
export interface BuildScope extends QueryTimes {
  readonly lookbackMs: number;
  readonly defaultSubqueryStepMs: number;
}

/** Resolves every time in `expr` and marks what does not depend on the step. Source: Prometheus `PreprocessExpr`. */
export function buildPlan(expr: Expr, grid: Grid, scope: BuildScope): PlanNode {
  return new Builder(scope).build(expr, grid);
}

class Builder {
  readonly #scope: BuildScope;
  readonly #durations: DurationScope;
  readonly #invariant = new Map<Expr, Invariance>();
  /** The part of histograms that the expressions around the one being built want. */
  #wanted: 'all' | 'stats' | 'buckets' = 'all';

  constructor(scope: BuildScope) {
    this.#scope = scope;
    this.#durations = { stepMs: scope.stepMs, rangeMs: scope.endMs - scope.startMs };
  }

  build(expr: Expr, grid: Grid): PlanNode {
    if (grid.steps > 1 && this.#invariance(expr).wrap) {
      return { kind: 'repeat', input: this.#node(expr, firstStep(grid)), grid, pos: expr.pos };
    }
    return this.#node(expr, grid);
  }

  #node(expr: Expr, grid: Grid): PlanNode {
    const around = this.#wanted;
    this.#wanted = wantedWithin(expr, around);
    const node = this.#bare(expr, grid);
    this.#wanted = around;
    return node;
  }

  #bare(expr: Expr, grid: Grid): PlanNode {
    switch (expr.kind) {
      case 'number':
        return { kind: 'number', value: expr.value, grid, pos: expr.pos };
      case 'string':
        return { kind: 'string', value: expr.value, grid, pos: expr.pos };
      case 'paren':
        return this.build(expr.expr, grid);
      case 'unary': {
        const input = this.build(expr.expr, grid);
        return expr.op === '+' ? input : { kind: 'negate', input, grid, pos: expr.pos };
      }
      case 'vector':
        return this.#selector(expr, grid);
      case 'matrix':
      case 'subquery':
        return this.#matrix(expr, grid);
      case 'binary':
        return {
          kind: 'binary',
          op: expr.op,
          lhs: this.build(expr.lhs, grid),
          rhs: this.build(expr.rhs, grid),
          matching: expr.matching,
          bool: expr.bool,
          lhsScalar: typeOf(expr.lhs) === 'scalar',
          rhsScalar: typeOf(expr.rhs) === 'scalar',
          grid,
          pos: expr.pos,
        };
      case 'aggregate': {
        const grouping = [...expr.grouping].sort();
        return {
          kind: 'aggregate',
          op: expr.op,
          input: this.build(unwrapped(expr.expr), grid),
          param: expr.param === undefined ? undefined : this.build(unwrapped(expr.param), grid),
          grouping,
          without: expr.without,
          grid,
          pos: expr.pos,
        };
      }
      case 'call': {
        const func = functionOf(expr.func)!;
        const { open } = func;
        if (open.kind === 'query') {
          return { kind: 'number', value: open.seconds(this.#scope), grid, pos: expr.pos };
        }
        if (open.kind === 'time') return { kind: 'time', grid, pos: expr.pos };
        const args = expr.args.map(unwrapped);
        return {
          kind: 'call',
          func,
          args: evaluatedArgs(func, args).map((arg) => this.build(arg, grid)),
          // Prometheus puts something without a position in the place of a subquery, and notes point there
          argPos: args.map((arg) => (arg.kind === 'subquery' ? { ...arg.pos, unplaced: true } : arg.pos)),
          absentLabels: func.absent ? absentLabels(args[0]!) : [],
          info: func.info ? this.#info(args, grid) : undefined,
          grid,
          pos: expr.pos,
        };
      }
    }
  }

  #selector(expr: VectorSelector, grid: Grid): PlanNode {
    const { lookbackMs } = this.#scope;
    const atMs = this.#atMs(expr.at);
    const dataStartMs = (atMs ?? grid.startMs) - this.#offsetMs(expr);
    const dataEndMs = dataStartMs + (atMs === undefined ? gridEndMs(grid) - grid.startMs : 0);
    const select: Select = {
      matchers: expr.matchers,
      startMs: dataStartMs - lookbackMs + 1,
      endMs: dataEndMs + (expr.smoothed ? lookbackMs : 0),
    };
    // with `@` every step sees the same data: Prometheus always evaluates that once, and so does `build`
    const node = (on: Grid): PlanNode => ({
      kind: 'selector',
      select,
      smoothed: expr.smoothed,
      statsOnly: this.#wanted === 'stats',
      dataStartMs,
      grid: on,
      pos: expr.pos,
    });
    return atMs !== undefined && grid.steps > 1
      ? { kind: 'repeat', input: node(firstStep(grid)), grid, pos: expr.pos }
      : node(grid);
  }

  #matrix(expr: Expr & { kind: 'matrix' | 'subquery' }, grid: Grid): MatrixNode {
    const rangeMs = expr.rangeExpr === undefined ? expr.rangeMs : durationMs(expr.rangeExpr, this.#durations, false);
    const timed = expr.kind === 'matrix' ? expr.vector : expr;
    const atMs = this.#atMs(timed.at);
    const dataStartMs = (atMs ?? grid.startMs) - this.#offsetMs(timed);
    const fixed = atMs !== undefined;
    const dataEndMs = dataStartMs + (fixed ? 0 : gridEndMs(grid) - grid.startMs);
    const shape = { kind: 'matrix', rangeMs, dataStartMs, fixed, grid, pos: expr.pos } as const;
    if (expr.kind === 'subquery') {
      return { ...shape, source: { kind: 'subquery', node: this.#subquery(expr, rangeMs, dataStartMs, dataEndMs) } };
    }
    const { anchored, smoothed, matchers } = expr.vector;
    const { lookbackMs } = this.#scope;
    const select: Select = {
      matchers,
      startMs: dataStartMs - rangeMs + 1 - (anchored || smoothed ? lookbackMs : 0),
      endMs: dataEndMs + (smoothed ? lookbackMs : 0),
    };
    return { ...shape, source: { kind: 'select', select, anchored, smoothed, statsOnly: this.#wanted === 'stats' } };
  }

  /** The inner steps are multiples of the subquery's step, from the first after the first window's start. */
  #subquery(expr: SubqueryExpr, rangeMs: number, dataStartMs: number, dataEndMs: number): PlanNode {
    const writtenMs = expr.stepExpr === undefined ? expr.stepMs : durationMs(expr.stepExpr, this.#durations, false);
    const stepMs = writtenMs === 0 ? this.#scope.defaultSubqueryStepMs : writtenMs;
    const startMs = Math.floor((dataStartMs - rangeMs) / stepMs) * stepMs + stepMs;
    return this.build(expr.expr, gridOf(startMs, dataEndMs, stepMs));
  }

  #info(args: readonly Expr[], grid: Grid): InfoSelect {
    const second = args[1];
    const matchers = second?.kind === 'vector' ? second.matchers : [];
    const nameMatchers = matchers.filter((matcher) => matcher.name === METRIC_NAME);
    if (nameMatchers.length === 0) nameMatchers.push(LabelMatcher.of(METRIC_NAME, '=', 'target_info'));
    // where names are only excluded, they are so from all that look like info metrics
    if (!nameMatchers.some(({ op }) => op === '=' || op === '=~')) {
      nameMatchers.unshift(LabelMatcher.of(METRIC_NAME, '=~', '.+_info'));
    }
    const reference = this.#infoReference(args[0]!);
    return {
      dataMatchers: matchers.filter((matcher) => matcher.name !== METRIC_NAME),
      nameMatchers,
      dataStartMs: (reference?.atMs ?? grid.startMs) - (reference?.offsetMs ?? 0),
      fixed: reference?.atMs !== undefined,
    };
  }

  /** The time whose data every selector within `expr` sees: info series are matched as of it. `undefined` where they differ. */
  #infoReference(expr: Expr): DataReference | undefined {
    const references: DataReference[] = [];
    if (!this.#collectReferences(expr, [], references)) return undefined;
    const first = references[0];
    if (first === undefined) return undefined;
    const sameAs = (other: DataReference): boolean =>
      first.atMs === undefined || other.atMs === undefined
        ? first.atMs === other.atMs && first.offsetMs === other.offsetMs
        : first.atMs - first.offsetMs === other.atMs - other.offsetMs;
    return references.every(sameAs) ? first : undefined;
  }

  /** @returns false where part of `expr` is a vector without a selector: that is of the time of evaluation */
  #collectReferences(expr: Expr, around: readonly SubqueryExpr[], into: DataReference[]): boolean {
    const type = typeOf(expr);
    if (type !== 'vector' && type !== 'matrix') return true;
    if (expr.kind === 'vector') {
      let offsetMs = this.#offsetMs(expr);
      let atMs = this.#atMs(expr.at);
      // a subquery shifts what is within it, unless that is pinned already
      for (let i = around.length - 1; i >= 0 && atMs === undefined; i--) {
        offsetMs += this.#offsetMs(around[i]!);
        atMs = this.#atMs(around[i]!.at);
      }
      into.push({ atMs, offsetMs });
      return true;
    }
    const inner = expr.kind === 'subquery' ? [...around, expr] : around;
    const before = into.length;
    const children = expr.kind === 'call' ? evaluatedArgs(functionOf(expr.func)!, expr.args) : childExpressions(expr);
    const whole = children.every((child) => this.#collectReferences(child, inner, into));
    return whole && into.length > before;
  }

  #offsetMs(expr: VectorSelector | SubqueryExpr): number {
    return expr.offsetExpr === undefined ? expr.offsetMs : durationMs(expr.offsetExpr, this.#durations, true);
  }

  #atMs(at: At | undefined): number | undefined {
    if (at === undefined) return undefined;
    if (at === 'start') return this.#scope.startMs;
    if (at === 'end') return this.#scope.endMs;
    return at.timeMs;
  }

  #invariance(expr: Expr): Invariance {
    let known = this.#invariant.get(expr);
    if (known === undefined) {
      known = this.#findInvariance(expr);
      this.#invariant.set(expr, known);
    }
    return known;
  }

  #findInvariance(expr: Expr): Invariance {
    switch (expr.kind) {
      case 'number':
      case 'string':
        return { invariant: true, wrap: false };
      case 'vector':
        return both(expr.at !== undefined);
      case 'matrix':
        return { invariant: expr.vector.at !== undefined, wrap: false };
      case 'subquery':
        return { invariant: expr.at !== undefined, wrap: false };
      case 'paren':
      case 'unary':
        return this.#invariance(expr.expr);
      case 'aggregate':
        // only the input decides, as in Prometheus: a parameter that varies is then taken at the first step
        return this.#invariance(unwrapped(expr.expr));
      case 'binary':
        return both(this.#invariance(expr.lhs).invariant && this.#invariance(expr.rhs).invariant);
      case 'call': {
        const func = functionOf(expr.func)!;
        const { open } = func;
        if (open.kind === 'query') return { invariant: true, wrap: false };
        const args = evaluatedArgs(func, expr.args).map(unwrapped);
        if (func.info && this.#infoReference(args[0]!) === undefined) return both(false);
        const argsAre = args.every((arg) => this.#invariance(arg).invariant);
        // the time of a sample is that of the sample, that of anything else the step's
        const pinned = open.kind === 'timestamp' && args.every((arg) => arg.kind === 'vector');
        return both(argsAre && (pinned || !func.stepDependent));
      }
    }
  }
}

/**
 * The part of histograms that is wanted within `expr`. Once buckets matter they do further down, too. Source: Prometheus
 * `detectHistogramStatsDecoding`.
 */
function wantedWithin(expr: Expr, around: 'all' | 'stats' | 'buckets'): 'all' | 'stats' | 'buckets' {
  if (around === 'buckets') return around;
  switch (expr.kind) {
    case 'subquery':
      return 'buckets';
    case 'binary':
      return BUCKET_OPS.has(expr.op) ? 'buckets' : around;
    case 'aggregate':
      return expr.op === 'count_values' ? 'buckets' : around;
    case 'call':
      return functionOf(expr.func)!.histograms ?? around;
    default:
      return around;
  }
}

/** Cut histograms, or tell whether they are the same. */
const BUCKET_OPS: ReadonlySet<string> = new Set(['</', '>/', '==', '!=']);

/** The time of a selector's data: that of the step or, pinned, `atMs`, less the offset. */
interface DataReference {
  readonly atMs: number | undefined;
  readonly offsetMs: number;
}

interface Invariance {
  /** Does not depend on the step. */
  readonly invariant: boolean;
  /** Worth being evaluated once and repeated: not so for a literal, and not possible for a range vector. */
  readonly wrap: boolean;
}

function both(invariant: boolean): Invariance {
  return { invariant, wrap: invariant };
}

/** The second argument of info() is not evaluated. */
function evaluatedArgs(func: PromFunction, args: readonly Expr[]): readonly Expr[] {
  return func.info ? args.slice(0, 1) : args;
}

/** Parentheses around an argument mean nothing. */
function unwrapped(expr: Expr): Expr {
  let inner = expr;
  while (inner.kind === 'paren') inner = inner.expr;
  return inner;
}

function childExpressions(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'call':
      return expr.args;
    case 'aggregate':
      return expr.param === undefined ? [expr.expr] : [expr.expr, expr.param];
    case 'binary':
      return [expr.lhs, expr.rhs];
    case 'unary':
    case 'paren':
    case 'subquery':
      return [expr.expr];
    case 'matrix':
      return [expr.vector];
    default:
      return [];
  }
}

/** The labels that a selector pins down: of each name with one `=` and no other matcher. */
function absentLabels(expr: Expr): [string, string][] {
  const selector = expr.kind === 'matrix' ? expr.vector : expr;
  if (selector.kind !== 'vector') return [];
  const labels = new Map<string, string>();
  const seen = new Set<string>();
  for (const { name, op, value } of selector.matchers) {
    if (isReserved(name)) continue;
    if (op === '=' && !seen.has(name)) {
      labels.set(name, value);
      seen.add(name);
    } else {
      labels.delete(name);
    }
  }
  return [...labels];
}
