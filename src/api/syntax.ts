import type { ApiResponse } from '../contract/api.ts';
import type { Expr } from '../promql/parser/ast.ts';
import { exprToJson } from '../promql/parser/json.ts';
import { ParseError, parseExpr } from '../promql/parser/parser.ts';
import { prettyExpr } from '../promql/parser/pretty.ts';
import { quoteOddName } from '../promql/parser/printer.ts';
import { success } from './answer.ts';
import type { Call } from './call.ts';
import { ApiError } from './error.ts';

/** `/api/v1/format_query` */
export function formatQuery(call: Call): ApiResponse {
  const expr = parsed(call);
  const printName = call.sources.syntax?.unquotedUtf8Names ? quoteOddName : undefined;
  return success(call.limits, {}, (out) => out.string(prettyExpr(expr, printName)));
}

/** `/api/v1/parse_query` */
export function parseQuery(call: Call): ApiResponse {
  const expr = parsed(call);
  return success(call.limits, {}, (out) => out.json(exprToJson(expr)));
}

function parsed({ params, sources }: Call): Expr {
  try {
    return parseExpr(params.get('query'), sources.syntax);
  } catch (thrown) {
    if (thrown instanceof ParseError) throw ApiError.invalidParam('query', thrown.message);
    throw thrown;
  }
}
