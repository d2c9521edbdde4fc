import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExpr } from './parser.ts';
import { prettyExpr } from './pretty.ts';
import { printExpr } from './printer.ts';

const EVERYTHING = { experimentalFunctions: true, extendedRangeSelectors: true, binopFillModifiers: true };

test('printExpr', () => {
  const cases: [text: string, printed: string][] = [
    ['sum(a)by(b,"c.d")', 'sum by (b, "c.d") (a)'],
    ['sum(a) by ()', 'sum(a)'],
    ['sum(a) without ()', 'sum without () (a)'],
    ['topk(5,a)', 'topk(5, a)'],
    ['a{z="1",b=~"x|y"}', 'a{b=~"x|y",z="1"}'],
    ['{"a.b", c="d"}', '{__name__="a.b",c="d"}'],
    ['a[5m]offset 1w@end()', 'a[5m] @ end() offset 1w'],
    ['a offset -90s @ 1.5', 'a @ 1.500 offset -1m30s'],
    ['a[1h:]', 'a[1h:]'],
    ['a[(step()+1m)*2:10]', 'a[(step() + 1m) * 2:10s]'],
    ['a smoothed offset 5m', 'a smoothed offset 5m'],
    ['a+on(b)group_left c', 'a + on (b) group_left () c'],
    ['a>bool 1e3', 'a > bool 1000'],
    ['a+fill_left(1000000)fill_right(.5)b', 'a + fill_left (1e+06) fill_right (0.5) b'],
    ['a+fill_left(2)fill_right(2)b', 'a + fill (2) b'],
    ['1e-7', '0.0000001'],
    ['1e25', '10000000000000000000000000'],
    ['-NaN', 'NaN'],
    ["'\\xff\"\\n'", String.raw`"\xff\"\n"`],
    ['# why\na', 'a'],
  ];
  for (const [text, printed] of cases) assert.equal(printExpr(parseExpr(text, EVERYTHING)), printed, text);
});

test('prettyExpr breaks what is longer than a hundred bytes', () => {
  const selector = `metric_with_a_rather_long_name{label="${'x'.repeat(30)}"}`;
  const text = `sum by (a) (rate(${selector}[5m])) / on (a) (${selector} or -label_replace(${selector}, "a", "$1", "b", "(.*)"))`;
  assert.equal(
    prettyExpr(parseExpr(text)),
    `  sum by (a) (rate(${selector}[5m]))
/ on (a)
  (
      ${selector}
    or
      -label_replace(
        ${selector},
        "a",
        "$1",
        "b",
        "(.*)"
      )
  )`,
  );
});
