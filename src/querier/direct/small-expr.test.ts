import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExpr } from '../../promql/parser/parser.ts';
import { isSmallExpr } from './small-expr.ts';

const SMALL = [
  'up',
  'up{job="a",instance!="b"}',
  'up{job=~"a|b"}',
  'up{instance!~"10\\\\.0\\\\.0\\\\.1:9090|"}',
  'sum by (job) (rate(x[5m]))',
  'histogram_quantile(0.9, sum by (le) (rate(x_bucket[1h])))',
  'a / b + c - d',
  'topk(3, a) or vector(1)',
  'time()',
];
const NOT_SMALL = [
  '{job="a"}',
  'up{job=~"a.*"}',
  'up{job!~"a.*"}',
  'up{job=~"(a|b)(c|d)"}',
  'up{job=~"[ab]"}',
  'absent(up{job=~"(\\\\p{L}{1,3}){1,3}"})',
  '{__name__=~"a|b"}',
  'rate(x[61m])',
  'rate(x[5m + 1m])',
  'max_over_time(rate(x[1m])[5m:1m])',
  'a + b + c + d + e',
  'label_replace(a, "x", "$1", "y", "(.*)")',
  'label_join(a, "x", ",", "y", "z")',
  'count_values("x", a)',
  `${'-('.repeat(40)}a${')'.repeat(40)}`,
];

test('an expression is small where the samples that it selects bound its work', () => {
  for (const text of SMALL) assert.equal(isSmallExpr(parseExpr(text, {})), true, text);
  for (const text of NOT_SMALL) assert.equal(isSmallExpr(parseExpr(text, {})), false, text);
});

test('windows that may be cut are not small', () => {
  assert.equal(isSmallExpr(parseExpr('rate(x[10m])', {}), 300_000), false);
  assert.equal(isSmallExpr(parseExpr('rate(x[5m])', {}), 300_000), true);
});
