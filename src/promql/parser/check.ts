import { METRIC_NAME, quoteGo } from '../../model/labels.ts';
import type { ValueType } from '../functions/function.ts';
import { functionOf } from '../functions/table.ts';
import type {
  AggregateExpr,
  BinaryExpr,
  BinaryOp,
  Call,
  DurationExpr,
  Expr,
  VectorMatching,
  VectorSelector,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { typeName, typeOf } from './type.ts';

type Settled = { -readonly [Key in keyof BinaryExpr]: BinaryExpr[Key] };

const COMPARISONS: ReadonlySet<BinaryOp> = new Set<BinaryOp>(['==', '!=', '<', '<=', '>', '>=']);
const SET_OPS: ReadonlySet<BinaryOp> = new Set<BinaryOp>(['and', 'or', 'unless']);

/**
 * Notes what is wrong with the types in a tree, in the order in which Prometheus finds it. As the last step before
 * anybody sees the tree it also settles how binary operators match, which depends on the types of both sides.
 */
export function checkExpr(cursor: Cursor, expr: Expr): void {
  const levelsMax = cursor.treeLevelsMax;
  if (depthExceeds(expr, levelsMax)) cursor.note(expr.pos, `expression is deeper than ${levelsMax} levels`);
  else new Checker(cursor).check(expr);
}

/** Does not recurse itself. */
function depthExceeds(root: Expr, depthMax: number): boolean {
  let level: (Expr | DurationExpr)[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) return true;
    level = level.flatMap(childrenOf).filter((child) => child !== undefined);
  }
  return false;
}

function childrenOf(node: Expr | DurationExpr): readonly (Expr | DurationExpr | undefined)[] {
  switch (node.kind) {
    case 'binary':
    case 'op':
      return [node.lhs, node.rhs];
    case 'call':
      return node.args;
    case 'aggregate':
      return [node.param, node.expr];
    case 'paren':
    case 'unary':
      return [node.expr];
    case 'subquery':
      return [node.expr, node.rangeExpr, node.stepExpr, node.offsetExpr];
    case 'matrix':
      return [node.vector, node.rangeExpr];
    case 'vector':
      return [node.offsetExpr];
    default:
      return [];
  }
}

class Checker {
  readonly #cursor: Cursor;
  /** The text in UTF-8, whose bytes positions count. */
  readonly #bytes: Uint8Array;
  /** Second arguments of `info`, which may select everything. */
  readonly #mayBeEmpty = new Set<Expr>();

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
    this.#bytes = new TextEncoder().encode(cursor.text);
  }

  /** The type of `expr`. */
  check(expr: Expr): ValueType {
    switch (expr.kind) {
      case 'number':
        return 'scalar';
      case 'string':
        return 'string';
      case 'vector':
        this.#checkSelector(expr);
        return 'vector';
      case 'matrix':
        this.#checkSelector(expr.vector);
        return 'matrix';
      case 'subquery': {
        const type = this.check(expr.expr);
        if (type !== 'vector') {
          this.#note(expr, `subquery is only allowed on instant vector, got ${type} instead`);
        }
        return 'matrix';
      }
      case 'paren':
        return this.check(expr.expr);
      case 'unary': {
        const type = this.check(expr.expr);
        if (type !== 'scalar' && type !== 'vector') {
          const got = quoteGo(typeName(type));
          this.#note(expr, `unary expression only allowed on expressions of type scalar or instant vector, got ${got}`);
        }
        return type;
      }
      case 'aggregate':
        this.#checkAggregate(expr);
        return 'vector';
      case 'call':
        return this.#checkCall(expr);
      case 'binary':
        return this.#checkBinary(expr);
    }
  }

  #note(expr: Expr, text: string): void {
    this.#cursor.note(expr.pos, text);
  }

  #expect(expr: Expr, type: ValueType, place: string): void {
    const got = this.check(expr);
    if (got !== type) this.#note(expr, `expected type ${typeName(type)} in ${place}, got ${typeName(got)}`);
  }

  #checkSelector(selector: VectorSelector): void {
    const { name, matchers } = selector;
    if (name !== '') {
      // the last one is the name that stands before the braces
      for (const matcher of matchers.slice(0, -1)) {
        if (matcher.name === METRIC_NAME) {
          const twice = `${quoteGo(name)} or ${quoteGo(matcher.value)}`;
          this.#note(selector, `metric name must not be set twice: ${twice}`);
        }
      }
    } else if (!this.#mayBeEmpty.has(selector) && matchers.every((matcher) => matcher.matchesEmpty)) {
      this.#note(selector, 'vector selector must contain at least one non-empty matcher');
    }
  }

  #checkAggregate({ op, expr, param }: AggregateExpr): void {
    this.#expect(expr, 'vector', 'aggregation expression');
    if (param !== undefined) this.#expect(param, op === 'count_values' ? 'string' : 'scalar', 'aggregation parameter');
  }

  #checkCall(call: Call): ValueType {
    const { func, args } = call;
    const { signature, info } = functionOf(func)!;
    const { argTypes, variadic, returnType } = signature;
    const name = quoteGo(func);
    const least = argTypes.length - 1;
    if (variadic === 0) {
      if (args.length !== argTypes.length) {
        this.#note(call, `expected ${argTypes.length} argument(s) in call to ${name}, got ${args.length}`);
      }
    } else if (args.length < least) {
      this.#note(call, `expected at least ${least} argument(s) in call to ${name}, got ${args.length}`);
    } else if (variadic > 0 && args.length > least + variadic) {
      this.#note(call, `expected at most ${least + variadic} argument(s) in call to ${name}, got ${args.length}`);
    }
    if (info === true && args.length > 1) this.#checkInfoSelector(call, args[1]!);
    for (const [i, arg] of args.entries()) {
      if (i >= argTypes.length && variadic === 0) break;
      this.#expect(arg, argTypes[Math.min(i, argTypes.length - 1)]!, `call to function ${name}`);
    }
    return returnType;
  }

  /** The second argument of `info` says which labels to take, and is no selector of its own. */
  #checkInfoSelector(call: Call, selector: Expr): void {
    const type = typeOf(selector);
    if (type !== 'vector') {
      this.#note(call, `expected type instant vector in call to function "info", got ${typeName(type)}`);
    }
    if (selector.kind !== 'vector') this.#note(selector, 'expected label selectors only');
    else if (selector.name !== '') {
      this.#note(selector, 'expected label selectors only, got vector selector instead');
    } else this.#mayBeEmpty.add(selector);
  }

  #checkBinary(expr: BinaryExpr): ValueType {
    const left = this.check(expr.lhs);
    const right = this.check(expr.rhs);
    const { op, bool } = expr;
    const matching = expr.matching!;
    const isSetOp = SET_OPS.has(op);

    if (bool && !COMPARISONS.has(op)) {
      this.#noteAtOperator(expr, 'bool modifier can only be used on comparison operators');
    }
    if (COMPARISONS.has(op) && !bool && left === 'scalar' && right === 'scalar') {
      this.#noteAtOperator(expr, 'comparisons between scalars must use BOOL modifier');
    }
    const included = new Set(matching.on ? matching.include : []);
    for (const label of matching.labels) {
      if (!included.has(label)) continue;
      this.#noteAtOperator(expr, `label ${quoteGo(label)} must not occur in ON and GROUP clause at once`);
    }
    for (const [side, type] of [
      [expr.lhs, left],
      [expr.rhs, right],
    ] as const) {
      if (type === 'scalar' || type === 'vector') continue;
      this.#note(side, 'binary expression must contain only scalar and instant vector types');
    }
    (expr as Settled).matching = this.#checkMatching(expr, matching, left === 'vector' && right === 'vector');
    if (isSetOp && (left === 'scalar' || right === 'scalar')) {
      this.#note(expr, `set operator ${quoteGo(op)} not allowed in binary scalar expression`);
    }
    return left === 'scalar' && right === 'scalar' ? 'scalar' : 'vector';
  }

  #checkMatching(expr: BinaryExpr, matching: VectorMatching, bothVectors: boolean): VectorMatching | undefined {
    const fills = (matching.fillLeft ?? matching.fillRight) !== undefined;
    if (!bothVectors) {
      if (matching.labels.length > 0) this.#note(expr, 'vector matching only allowed between instant vectors');
      if (fills) this.#note(expr, 'filling in missing series only allowed between instant vectors');
      return undefined;
    }
    if (!SET_OPS.has(expr.op)) return matching;
    if (matching.card !== 'one-to-one') {
      this.#note(expr, `no grouping allowed for ${quoteGo(expr.op)} operation`);
      this.#note(expr, 'set operations must always be many-to-many');
    }
    if (fills) this.#note(expr, 'filling in missing series not allowed for set operators');
    return { ...matching, card: 'many-to-many' };
  }

  /** At what stands between both sides, without the space around it. */
  #noteAtOperator(expr: BinaryExpr, text: string): void {
    let start = expr.lhs.pos.end;
    while (isSpace(this.#bytes[start])) start++;
    let end = expr.rhs.pos.start - 1;
    while (isSpace(this.#bytes[end])) end--;
    this.#cursor.note({ start, end }, text);
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
