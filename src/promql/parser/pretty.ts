import { quoteName } from '../../model/labels.ts';
import type { Expr } from './ast.ts';
import { type NamePrinter, printAggregation, printExpr, printOperator, printSubqueryRange } from './printer.ts';
import { utf8Length } from './token.ts';

const LINE_BYTES_MAX = 100;
const INDENT = '  ';

/** An expression over several lines where one would be too long, as `/api/v1/format_query` gives it. */
export function prettyExpr(expr: Expr, printName: NamePrinter = quoteName): string {
  return pretty(expr, 0, printName);
}

function pretty(expr: Expr, level: number, printName: NamePrinter): string {
  const indent = INDENT.repeat(level);
  const line = printExpr(expr, printName);
  const fits = line.length <= LINE_BYTES_MAX && utf8Length(line) <= LINE_BYTES_MAX;
  switch (expr.kind) {
    case 'subquery':
      // Prometheus leaves the indent out here
      return fits ? line : pretty(expr.expr, level, printName) + printSubqueryRange(expr);
    case 'unary':
      return indent + expr.op + pretty(expr.expr, level, printName).trim();
    case 'aggregate': {
      if (fits) break;
      const param = expr.param === undefined ? '' : `${pretty(expr.param, level + 1, printName)},\n`;
      return `${indent}${printAggregation(expr, printName)}(\n${param}${pretty(expr.expr, level + 1, printName)}\n${indent})`;
    }
    case 'call': {
      if (fits) break;
      const args = expr.args.map((arg) => pretty(arg, level + 1, printName)).join(',\n');
      return `${indent}${expr.func}(\n${args}\n${indent})`;
    }
    case 'binary':
      if (fits) break;
      return `${pretty(expr.lhs, level + 1, printName)}\n${indent}${printOperator(expr, printName)}\n${pretty(expr.rhs, level + 1, printName)}`;
    case 'paren':
      if (fits) break;
      return `${indent}(\n${pretty(expr.expr, level + 1, printName)}\n${indent})`;
  }
  return indent + line;
}
