import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExpr } from '../promql/parser/parser.ts';
import { cutWindows, piecesOf } from './long-windows.ts';

const DAY_MS = 86_400_000;

function cut(text: string) {
  return cutWindows(parseExpr(text, { experimentalFunctions: true }), text, DAY_MS);
}

function pieces(text: string, timeMs: number) {
  return cut(text)!.windows.flatMap((window) =>
    window.asked.map(({ func }) => {
      const { before, intervals, after } = piecesOf(window, func, timeMs, DAY_MS);
      return [before, intervals, after].map(
        (piece) => piece && [piece.expr, piece.startMs / DAY_MS, piece.endMs / DAY_MS],
      );
    }),
  );
}

test('a window is cut at the borders of days, and is together what it was', () => {
  assert.deepEqual(pieces('count_over_time(x{a="b"}[5d])', 10.25 * DAY_MS), [
    [
      ['count_over_time(x{a="b"}[18h])', 6, 6],
      ['count_over_time(x{a="b"}[1d])', 7, 10],
      ['count_over_time(x{a="b"}[6h])', 10.25, 10.25],
    ],
  ]);
  assert.deepEqual(pieces('(max_over_time(x[4d] offset 2d))', 10 * DAY_MS), [
    [undefined, ['max_over_time(x[1d])', 5, 8], undefined],
  ]);
  assert.deepEqual(pieces('avg_over_time(x[4d])', 10 * DAY_MS), [
    [undefined, ['sum_over_time(x[1d])', 7, 10], undefined],
    [undefined, ['count_over_time(x[1d])', 7, 10], undefined],
  ]);
  assert.deepEqual(pieces('absent_over_time(x[73h])', 10 * DAY_MS), [
    [['present_over_time(x[1h])', 7, 7], ['present_over_time(x[1d])', 8, 10], undefined],
  ]);
});

test('what is around windows keeps its places', () => {
  const text = 'sum by ("é") (max_over_time(x[5d])) / on("é") count(last_over_time(y[5d]) > 3)';
  const { windows, outer } = cut(text)!;
  assert.deepEqual(
    windows.map(({ call }) => call.func),
    ['max_over_time', 'last_over_time'],
  );
  assert.equal(
    outer!.text,
    text.replace(/(?:max|last)_over_time\(.\[5d\]\)/g, (call) => (call[0] === 'm' ? 'a' : 'b').padEnd(call.length)),
  );
  assert.equal(cut('max_over_time(x[5d])')!.outer, undefined);
});

test('windows are left whole where the pieces do not tell the answer, or something else selects series', () => {
  for (const text of [
    'stddev_over_time(x[30d])',
    'quantile_over_time(0.9, x[30d])',
    'increase(x[30d])',
    'changes(x[30d])',
    'max_over_time(x[3d])',
    'max_over_time(x[401d])',
    'max_over_time(x[30d] @ end())',
    'max_over_time(x[30d:1h])',
    'max_over_time(x[30d]) / x',
    'max_over_time(x[30d]) / max_over_time(x[1h])',
    'absent(max_over_time(x[30d]))',
    'count(absent_over_time(x[30d]))',
    'info(last_over_time(x[30d]))',
    '1 + time()',
  ])
    assert.equal(cut(text), undefined, text);
});
