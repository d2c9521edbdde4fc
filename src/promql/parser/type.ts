import type { ValueType } from '../functions/function.ts';
import { functionOf } from '../functions/table.ts';
import type { Expr } from './ast.ts';

/** The type of what an expression evaluates to. */
export function typeOf(expr: Expr): ValueType {
  let node = expr;
  for (;;) {
    switch (node.kind) {
      case 'number':
        return 'scalar';
      case 'string':
        return 'string';
      case 'vector':
      case 'aggregate':
        return 'vector';
      case 'matrix':
      case 'subquery':
        return 'matrix';
      case 'call':
        return functionOf(node.func)?.signature.returnType ?? 'none';
      case 'binary':
        return isScalar(node.rhs) && isScalar(node.lhs) ? 'scalar' : 'vector';
      case 'unary':
      case 'paren':
        node = node.expr;
    }
  }
}

/** A long chain of operators leans to the left, and is asked at every level: so the right side is looked at first. */
function isScalar(expr: Expr): boolean {
  return typeOf(expr) === 'scalar';
}

/** As errors name it. */
export function typeName(type: ValueType): string {
  switch (type) {
    case 'vector':
      return 'instant vector';
    case 'matrix':
      return 'range vector';
    default:
      return type;
  }
}
