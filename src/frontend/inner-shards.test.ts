import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExpr } from '../promql/parser/parser.ts';
import { cutOut } from './inner-shards.ts';

/** The parts that are asked for by themselves, those in shards with a star; undefined: the whole. */
function cut(text: string): string[] | undefined {
  return cutOut(parseExpr(text), text)?.inner.map(({ expr, isSharded }) => `${isSharded ? '*' : ''}${expr.trim()}`);
}

test('aggregations are cut out of what is around them, and that keeps its places', () => {
  assert.deepEqual(cut('sum(rate(a[5m])) / sum(rate(b[5m]))'), ['*sum(rate(a[5m]))', '*sum(rate(b[5m]))']);
  assert.deepEqual(cut('histogram_quantile(0.9, sum by (le) (rate(x[1m])))'), ['*sum by (le) (rate(x[1m]))']);
  assert.deepEqual(cut('x > bool on () group_left sum(y)'), ['x', '*sum(y)']);
  assert.deepEqual(cut('rate(x[5m]) / on (a) group_left max by (a) (y)'), ['rate(x[5m])', '*max by (a) (y)']);
  assert.deepEqual(cut('count(sum by (a) (x) > 5)'), ['*sum by (a) (x)']);
  assert.deepEqual(cut('-(min(x) + time()) * scalar(count(y))'), ['*min(x)', '*count(y)']);
  // the times of samples are not those of the steps
  assert.deepEqual(cut('timestamp(x{a="0"}) - on () group_left sum(y) * 0'), ['timestamp(x{a="0"})', '*sum(y)']);
  assert.deepEqual(cut('timestamp((x)) * 2 - on () group_left sum(y)'), ['timestamp((x))', '*sum(y)']);
  const text = 'abs(sum by ("ü") ({"ä"})) -\n  sum(b)';
  const { outer, inner } = cutOut(parseExpr(text), text)!;
  const bytes = (each: string) => Buffer.byteLength(each);
  assert.equal(outer.replaceAll(/ +/g, ' '), 'abs(a ) -\n b ');
  assert.deepEqual([bytes(outer), bytes(inner[1]!.expr)], [bytes(text), bytes(text)]);
  assert.equal(bytes(inner[0]!.expr), bytes('abs(sum by ("ü") ({"ä"})'));
  parseExpr(outer);
});

test('what depends on the order of series, or would fetch much for little, is asked for as it is', () => {
  for (const text of [
    'sum(x)', // in shards by itself
    'x + y',
    'avg(sum by (a) (x))',
    'sum(sum by (a) (x))',
    'max(sum by (a) (x))',
    'topk(2, sum by (a) (x))',
    'x > sum(y)',
    'x and on () sum(y) > 1',
    'sort(sum by (a) (x))',
    'absent(sum(x))',
    'max_over_time(sum(x)[5m:1m])',
    'avg(x) / sum(y)',
    // the name of a part would be one with the word before it
    'sum by (a) (x) *on(a)group_right{__name__="y"}',
    'sum by (a) (x) >bool{__name__="y"}',
    Array.from({ length: 9 }, () => 'sum(x)').join(' + '),
  ]) {
    const found = cut(text);
    assert.deepEqual(found, text === 'sum(x)' ? ['*sum(x)'] : undefined, text);
  }
});
