import { quoteName } from '../../model/labels.ts';
import type { Expr } from './ast.ts';
import { exprPrinter, type NamePrinter, printAggregation, printOperator, printSubqueryRange } from './printer.ts';
import { utf8Length } from './token.ts';

const LINE_BYTES_MAX = 100;
const INDENT = '  ';

/** An expression over several lines where one would be too long, as `/api/v1/format_query` gives it. */
export function prettyExpr(expr: Expr, printName: NamePrinter = quoteName): string {
  return new Pretty(printName).of(expr, 0);
}

class Pretty {
  readonly #printName: NamePrinter;
  readonly #print: (expr: Expr) => string;

  constructor(printName: NamePrinter) {
    this.#printName = printName;
    this.#print = exprPrinter(printName);
  }

  of(expr: Expr, level: number): string {
    const printName = this.#printName;
    const indent = INDENT.repeat(level);
    const line = this.#print(expr);
    const fits = line.length <= LINE_BYTES_MAX && utf8Length(line) <= LINE_BYTES_MAX;
    switch (expr.kind) {
      case 'subquery':
        // Prometheus leaves the indent out here
        return fits ? line : this.of(expr.expr, level) + printSubqueryRange(expr);
      case 'unary':
        return indent + expr.op + this.of(expr.expr, level).trim();
      case 'aggregate': {
        if (fits) break;
        const param = expr.param === undefined ? '' : `${this.of(expr.param, level + 1)},\n`;
        return `${indent}${printAggregation(expr, printName)}(\n${param}${this.of(expr.expr, level + 1)}\n${indent})`;
      }
      case 'call': {
        if (fits) break;
        const args = expr.args.map((arg) => this.of(arg, level + 1)).join(',\n');
        return `${indent}${expr.func}(\n${args}\n${indent})`;
      }
      case 'binary':
        if (fits) break;
        return `${this.of(expr.lhs, level + 1)}\n${indent}${printOperator(expr, printName)}\n${this.of(expr.rhs, level + 1)}`;
      case 'paren':
        if (fits) break;
        return `${indent}(\n${this.of(expr.expr, level + 1)}\n${indent})`;
    }
    return indent + line;
  }
}
