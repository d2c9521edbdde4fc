import type { ApiResponse } from '../contract/api.ts';
import type { Pacer } from '../lib/pacer.ts';
import type { Expr } from '../promql/parser/ast.ts';
import { exprToJson } from '../promql/parser/json.ts';
import { parseExprInTurns } from '../promql/parser/parsed.ts';
import { ParseError } from '../promql/parser/parser.ts';
import { prettyExpr } from '../promql/parser/pretty.ts';
import { quoteOddName } from '../promql/parser/printer.ts';
import { success } from './answer.ts';
import type { Call } from './call.ts';
import { turnsOf } from './context.ts';
import { ApiError } from './error.ts';

/** `/api/v1/format_query` */
export async function formatQuery(call: Call): Promise<ApiResponse> {
  const turns = turnsOf(call);
  const expr = await parsed(call, turns);
  const printName = call.sources.syntax?.unquotedUtf8Names ? quoteOddName : undefined;
  const text = prettyExpr(expr, printName);
  await turns.step();
  return success(call.limits, {}, (out) => out.string(text));
}

/** `/api/v1/parse_query` */
export async function parseQuery(call: Call): Promise<ApiResponse> {
  const turns = turnsOf(call);
  const tree = exprToJson(await parsed(call, turns));
  await turns.step();
  return success(call.limits, {}, (out) => out.json(tree));
}

async function parsed({ params, sources }: Call, turns: Pacer): Promise<Expr> {
  try {
    const expr = await parseExprInTurns(params.get('query'), sources.syntax, turns);
    await turns.step();
    return expr;
  } catch (thrown) {
    if (thrown instanceof ParseError) throw ApiError.invalidParam('query', thrown.message);
    throw thrown;
  }
}
