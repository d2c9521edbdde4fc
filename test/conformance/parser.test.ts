import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { functions } from '../../src/promql/functions/table.ts';
import { exprToJson } from '../../src/promql/parser/json.ts';
import { ParseError, type ParserOptions, parseExpr } from '../../src/promql/parser/parser.ts';
import { prettyExpr } from '../../src/promql/parser/pretty.ts';
import { printExpr } from '../../src/promql/parser/printer.ts';
import { typeOf } from '../../src/promql/parser/type.ts';

const folder = new URL('../../../shared/conformance/', import.meta.url);
const skip = existsSync(folder) ? false : `${folder.pathname} is missing`;

const EVERYTHING: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
};

interface ParserCase {
  readonly expr: string;
  /** Set where `expr` is not what was parsed, since that is not UTF-8. */
  readonly expr_base64?: string;
  readonly ok: boolean;
  readonly type?: string;
  readonly formatted?: string;
  /** Where it differs from `formatted`. */
  readonly pretty?: string;
  readonly error?: string;
  readonly error_pos?: readonly [start: number, end: number];
  /** The verdict of a default server, where it differs. */
  readonly default_ok?: boolean;
  readonly default_error?: string;
}

function readLines<T>(path: string): T[] {
  const text = readFileSync(new URL(path, folder), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line): T => JSON.parse(line));
}

function outcome(text: string, options: ParserOptions): Partial<ParserCase> {
  try {
    const expr = parseExpr(text, options);
    return { ok: true, type: typeOf(expr), formatted: printExpr(expr), pretty: prettyExpr(expr) };
  } catch (thrown) {
    if (!(thrown instanceof ParseError)) throw thrown;
    return { ok: false, error: thrown.message, error_pos: [thrown.pos.start, thrown.pos.end] };
  }
}

test('expressions parse, print and fail as in Prometheus', { skip }, () => {
  const cases = readLines<ParserCase>('vectors/parser.jsonl');
  for (const { expr, expr_base64, ok, type, formatted, pretty, error, error_pos } of cases) {
    const expected = ok ? { ok, type, formatted, pretty: pretty ?? formatted } : { ok, error, error_pos };
    const actual = outcome(expr, EVERYTHING);
    // the replacement character is longer than the byte it stands for
    assert.deepEqual(actual, expr_base64 === undefined ? expected : { ...expected, error_pos: actual.error_pos }, expr);
  }
  assert.equal(cases.length, 4712);
});

test('a default server understands less', { skip }, () => {
  for (const { expr, ok, error, default_ok, default_error } of readLines<ParserCase>('vectors/parser.jsonl')) {
    const { ok: actualOk, error: actualError } = outcome(expr, {});
    const expected = default_ok === undefined ? { ok, error } : { ok: default_ok, error: default_error };
    assert.deepEqual({ ok: actualOk, error: actualError }, expected, expr);
  }
});

test('syntax trees are those of /api/v1/parse_query, to the byte', { skip }, () => {
  const cases = readLines<{ expr: string; ast: unknown }>('vectors/parser_ast.jsonl');
  for (const { expr, ast } of cases) {
    assert.equal(JSON.stringify(exprToJson(parseExpr(expr, EVERYTHING))), JSON.stringify(ast), expr);
  }
  assert.equal(cases.length, 3056);
});

test('functions take and give what they do in Prometheus', { skip }, () => {
  interface FunctionFacts {
    readonly name: string;
    readonly arg_types: readonly string[];
    readonly variadic: number;
    readonly return_type: string;
    readonly experimental: boolean;
  }
  const facts: FunctionFacts[] = JSON.parse(readFileSync(new URL('functions.json', folder), 'utf8'));
  const signatures = Object.fromEntries(Object.values(functions).map(({ name, signature }) => [name, signature]));
  // the facts are those of 3.14
  assert.deepEqual(signatures.integral, {
    argTypes: ['matrix', 'scalar'],
    returnType: 'vector',
    variadic: 1,
    experimental: true,
  });
  delete signatures.integral;
  assert.deepEqual(Object.keys(signatures).sort(), facts.map(({ name }) => name).sort());
  for (const { name, arg_types, variadic, return_type, experimental } of facts) {
    assert.deepEqual(signatures[name], { argTypes: arg_types, returnType: return_type, variadic, experimental }, name);
  }
});
