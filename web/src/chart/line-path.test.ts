import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extentOf, stacked, traceLine } from './line-path.ts';

function traced(values: number[], kx = 10): string {
  const steps: string[] = [];
  const round = (value: number) => Math.round(value * 10) / 10;
  traceLine(
    Float64Array.from(values.keys()),
    Float64Array.from(values),
    0,
    values.length - 1,
    { x0: 0, kx, y0: 0, ky: 1 },
    {
      moveTo: (x, y) => steps.push(`M${round(x)},${round(y)}`),
      lineTo: (x, y) => steps.push(`L${round(x)},${round(y)}`),
    },
  );
  return steps.join(' ');
}

test('a line breaks where there is no value, and a lone point is a dot', () => {
  const gap = Number.NaN;
  assert.equal(traced([1, 2, gap, 4, gap, 5, 6]), 'M0,1 L10,2 M30,4 L30,4 M50,5 L60,6');
  assert.equal(traced([1, Number.POSITIVE_INFINITY, 3, 4]), 'M0,1 L0,1 M20,3 L30,4');
  assert.equal(traced([gap, gap]), '');
});

test('of many points on one pixel the extremes are drawn', () => {
  const values = Array.from({ length: 10_000 }, (_, i) => (i === 5_001 ? 99 : i === 7_003 ? -99 : Math.sin(i)));
  const line = traced(values, 0.01);
  const steps = line.split(' ');
  assert.ok(steps.length < 210, `${steps.length} steps`);
  assert.ok(line.includes(',99') && line.includes(',-99'));
});

test('stacked columns add up over gaps', () => {
  const gap = Number.NaN;
  const [a, b] = stacked([Float64Array.of(1, gap, gap), Float64Array.of(2, 3, gap)]);
  assert.deepEqual([...a!], [1, gap, gap]);
  assert.deepEqual([...b!], [3, 3, gap]);
  assert.deepEqual(extentOf([a!, b!], 0, 2), [1, 3]);
  assert.equal(extentOf([Float64Array.of(gap)], 0, 0), undefined);
});
