import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verdictOf } from '../bench/rules-verdict.ts';

test('the bench of rules tells a ratio only where both servers evaluated what was due', () => {
  const both = (pallium: number, prometheus: number) => [
    { server: 'Pallium', evaluations: pallium, due: 1000 },
    { server: 'Prometheus', evaluations: prometheus, due: 1000 },
  ];
  assert.deepEqual(verdictOf(0.7, both(950, 1010)), {
    text: "Pallium takes 0.70 of Prometheus' CPU for a rule, at most 0.7 wanted",
    met: true,
  });
  assert.deepEqual(verdictOf(0.71, both(1000, 1000)), {
    text: "Pallium takes 0.71 of Prometheus' CPU for a rule, at most 0.7 wanted: MISSED",
    met: false,
  });
  for (const [evaluated, starved] of [
    [both(949, 1000), /^no ratio: Pallium evaluated 949 of 1000 rules that were due; /],
    [both(1000, 66), /^no ratio: Prometheus evaluated 66 of 1000/],
    [both(0, 66), /^no ratio: Pallium evaluated 0 of 1000 rules that were due, Prometheus evaluated 66 /],
  ] as const) {
    const { text, met } = verdictOf(0.1, evaluated);
    assert.match(text, starved);
    assert.equal(met, undefined);
  }
  assert.equal(verdictOf(Number.NaN, both(1000, 1000)).met, undefined);
});
