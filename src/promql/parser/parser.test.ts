import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { threadCpuMs } from '../../lib/test-thread-cpu.ts';
import type { Expr } from './ast.ts';
import { nestingDepthMax, regexCountMax, treeDepthMax } from './cursor.ts';
import { ParseError, type ParserOptions, parseExpr, parseMetricSelector } from './parser.ts';
import { prettyExpr } from './pretty.ts';
import { printExpr, quoteOddName } from './printer.ts';

function errorOf(text: string, options?: ParserOptions): ParseError {
  try {
    parseExpr(text, options);
  } catch (thrown) {
    assert.ok(thrown instanceof ParseError, String(thrown));
    return thrown;
  }
  return assert.fail(`no error: ${text}`);
}

/** The tree with every operation in parentheses. */
function grouped(expr: Expr): string {
  if (expr.kind === 'binary') return `(${grouped(expr.lhs)} ${expr.op} ${grouped(expr.rhs)})`;
  return expr.kind === 'unary' ? `(${expr.op}${grouped(expr.expr)})` : printExpr(expr);
}

test('operators bind as in Prometheus', () => {
  const cases: [text: string, tree: string][] = [
    ['a + b * c', '(a + (b * c))'],
    ['a - b - c', '((a - b) - c)'],
    ['a ^ b ^ c', '(a ^ (b ^ c))'],
    ['-a ^ b', '(-(a ^ b))'],
    ['-a * b', '((-a) * b)'],
    ['a ^ -b * c', '((a ^ (-b)) * c)'],
    ['a or b and c unless d', '(a or ((b and c) unless d))'],
    ['a > b + c', '(a > (b + c))'],
    ['a atan2 b % c', '((a atan2 b) % c)'],
    ['a offset 5m + b', '(a offset 5m + b)'],
    ['-a offset 5m', '(-a offset 5m)'],
    ['a </ 1 >/ 2', '((a </ 1) >/ 2)'],
  ];
  for (const [text, tree] of cases) assert.equal(grouped(parseExpr(text)), tree, text);
});

test('numbers in every notation', () => {
  const cases: [text: string, value: number][] = [
    ['1_000.5', 1000.5],
    ['0x1F', 31],
    ['0755', 493],
    ['089', 89],
    ['.5e-3', 0.0005],
    ['1e1_0', 1e10],
    ['9007199254740993', 9007199254740992],
    ['9223372036854775808', 2 ** 63],
    ['5m', 300],
    ['1h30m', 5400],
    ['-Inf', Number.NEGATIVE_INFINITY],
  ];
  for (const [text, value] of cases) {
    const expr = parseExpr(text);
    assert.equal(expr.kind, 'number');
    assert.equal(expr.kind === 'number' && expr.value, value, text);
  }
});

test('strings', () => {
  const cases: [text: string, value: string][] = [
    [String.raw`"a\n\x41\u00e9\U0001F600\101"`, 'a\nAé😀A'],
    [String.raw`'\'"'`, `'"`],
    ['`a\\n\nb`', 'a\\n\nb'],
    [String.raw`"\xc3\xa9\xff"`, 'é\udcff'],
  ];
  for (const [text, value] of cases) {
    const expr = parseExpr(text);
    assert.equal(expr.kind === 'string' && expr.value, value, text);
  }
});

describe('errors', () => {
  test('name the place in bytes', () => {
    assert.equal(errorOf('"é" +\n a b').message, '2:4: parse error: unexpected identifier "b"');
    assert.deepEqual(errorOf('{a="é"} b').pos, { start: 9, end: 10 });
  });

  test('of types are all found', () => {
    assert.deepEqual(errorOf('abs("a", 1)').messages, [
      '1:1: parse error: expected 1 argument(s) in call to "abs", got 2',
      '1:5: parse error: expected type instant vector in call to function "abs", got string',
    ]);
  });

  test('of what is switched off', () => {
    const cases: [text: string, option: keyof ParserOptions][] = [
      ['mad_over_time(a[5m])', 'experimentalFunctions'],
      ['limitk(1, a)', 'experimentalFunctions'],
      ['a[5m] smoothed', 'extendedRangeSelectors'],
      ['a + fill (0) b', 'binopFillModifiers'],
    ];
    for (const [text, option] of cases) {
      assert.match(errorOf(text).message, /not enabled|must be enabled/);
      parseExpr(text, { [option]: true });
    }
  });
});

test('what a tree may hold is bounded', () => {
  const startMs = threadCpuMs();
  const nested = (depth: number) => `${'('.repeat(depth)}1${')'.repeat(depth)}`;
  const calls = (depth: number) => `${'sum(abs('.repeat(depth)}a${'))'.repeat(depth)}`;
  const regexes = (count: number) => `a{${Array.from({ length: count }, (_, i) => `l=~".*${i}.*"`)}}`;
  const chain = (length: number) => `1${' + 1'.repeat(length)}`;
  printExpr(parseExpr(nested(nestingDepthMax)));
  printExpr(parseExpr(calls(nestingDepthMax / 2)));
  prettyExpr(parseExpr(chain(treeDepthMax)));
  parseExpr(regexes(regexCountMax));
  assert.match(errorOf(nested(10_000)).message, /expression nests deeper than 200 levels$/);
  assert.match(errorOf(calls(10_000)).message, /expression nests deeper than 200 levels$/);
  assert.match(errorOf('-'.repeat(1 << 20)).message, /expression nests deeper than 200 levels$/);
  assert.match(errorOf(`a[${nested(10_000)}]`).message, /expression nests deeper than 200 levels$/);
  assert.match(errorOf(chain(treeDepthMax + 1)).message, /expression is deeper than 500 levels$/);
  assert.match(errorOf(`a[${chain(treeDepthMax + 1)}]`).message, /expression is deeper than 500 levels$/);
  assert.match(errorOf(`a${'[1m:]'.repeat(10_000)}`).message, /expression is deeper than 500 levels$/);
  assert.match(errorOf(regexes(regexCountMax + 1)).message, /more than 1000 regular expressions$/);
  const labels = 'a,'.repeat(100_000);
  assert.match(errorOf(`a + on(${labels}) group_left(${labels}) b`).message, /label "a" must not occur/);
  // a megabyte that is right
  parseExpr(`a{${'b="c",'.repeat(170_000)}}`);
  parseExpr(`"${'\\x41'.repeat(250_000)}"`);
  assert.ok(threadCpuMs() - startMs < 5000);
});

test('parseMetricSelector', () => {
  const selected = (text: string) => parseMetricSelector(text).map(String);
  assert.deepEqual(selected('up'), ['__name__="up"']);
  assert.deepEqual(selected('up{job=~"a|b", "x.y"!="z"}'), ['job=~"a|b"', '"x.y"!="z"', '__name__="up"']);
  assert.deepEqual(selected('{"http.requests"}'), ['__name__="http.requests"']);
  assert.deepEqual(selected('sum'), ['__name__="sum"']);
  const refused = (text: string, message: string) => {
    assert.throws(() => parseMetricSelector(text), { name: 'ParseError', message });
  };
  refused('', 'unknown position: parse error: unexpected end of input');
  refused('up + 1', '1:4: parse error: unexpected <op:+>');
  refused('up[5m]', '1:3: parse error: unexpected "["');
  refused('1', '1:1: parse error: unexpected number "1"');
  refused('up{', '1:4: parse error: unexpected end of input inside braces');
});

test('names of any letters go without quotes where that is switched on', () => {
  const on: ParserOptions = { unquotedUtf8Names: true };
  for (const name of [
    'Björn',
    '温度',
    '𐐀',
    'a𐐀9',
    'http.server.request.duration',
    'foo..bar',
    'foo.',
    'sum.total',
    'İnf',
  ]) {
    const expr = parseExpr(name, on);
    assert.equal(expr.kind === 'vector' && expr.name, name);
    assert.deepEqual(parseMetricSelector(name, on).map(String), parseMetricSelector(`{"${name}"}`).map(String));
    assert.throws(() => parseExpr(name), ParseError, name);
  }
  const text = 'sum by (service.name, équipe) (http.server.requests{場所=~"東京.*"} offset 5m) + 0.5';
  assert.equal(printExpr(parseExpr(text, on), quoteOddName), text);
  assert.equal(
    printExpr(parseExpr(text, on)),
    'sum by ("service.name", "équipe") (http.server.requests{"場所"=~"東京.*"} offset 5m) + 0.5',
  );
  for (const wrong of [
    '.foo',
    '5foo',
    'foo{.a="x"}',
    'foo{a:b="x"}',
    'foo😀',
    'foo١',
    'o\u0308',
    'foo[5m.foo]',
    'a.b(c)',
  ]) {
    assert.throws(() => parseExpr(wrong, on), ParseError, wrong);
  }
  assert.match(errorOf('sum by (a:b) (foo)', on).message, /invalid label name for grouping: "a:b"$/);
  parseExpr('sum by (a:b) (foo)');
});

test('what is missing behind a modifier is named, and ranges may be words', () => {
  const wanted = 'in grouping opts, expected "("';
  assert.equal(errorOf('foo < on(a) group_left').message, `1:23: parse error: unexpected end of input ${wanted}`);
  assert.equal(errorOf('a + on(b) group_right = c').message, `1:23: parse error: unexpected "=" ${wanted}`);
  for (const text of ['foo[range():1s]', 'foo[step():]']) assert.equal(printExpr(parseExpr(text)), text);
  assert.match(errorOf('foo[5m] + bar[:1m]').message, /unexpected colon before duration in duration expression$/);
});

test('a list is not read beyond its bound', () => {
  const parse = (text: string) => () => parseExpr(text, { listMax: 3 });
  parse('a{b="c", d="e", f="g"}')();
  parse('sum by (a, b, c) (d)')();
  assert.throws(parse('a{b="c", d="e", f="g", h="i"}'), /more than 3 matchers in a selector \(query_matchers_max\)/);
  assert.throws(parse('sum by (a, b, c, d) (e)'), /more than 3 labels in a list \(query_label_list_max\)/);
});
