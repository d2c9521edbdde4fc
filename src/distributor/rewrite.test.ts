import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { Relabelling } from '../limits/relabel.ts';
import { Rewrites, rewriteText } from './rewrite.ts';

const steps = [
  { source_labels: ['__name__'], regex: 'debug_.*', action: 'drop' },
  { source_labels: ['pod'], target_label: 'instance' },
];

test('rules travel as text, and labels are dropped after the steps', () => {
  const limits = { ...DEFAULT_LIMITS, metricRelabelConfigs: Relabelling.parse(steps), dropLabels: ['pod'] };
  const rewrite = new Rewrites().of(rewriteText(limits))!;
  assert.deepEqual(rewrite.apply(['pod', 'p-1', '__name__', 'up']), ['__name__', 'up', 'instance', 'p-1']);
  assert.equal(rewrite.apply(['__name__', 'debug_x']), undefined);
});

test('no rules are no text, and the same rules are the same rewrite', () => {
  assert.equal(rewriteText(DEFAULT_LIMITS), '');
  const rewrites = new Rewrites();
  assert.equal(rewrites.of(''), undefined);
  const text = rewriteText({ ...DEFAULT_LIMITS, dropLabels: ['a'] });
  assert.equal(rewrites.of(text), rewrites.of(text));
  assert.notDeepEqual(
    rewrites.of(text)!.hash,
    rewrites.of(rewriteText({ ...DEFAULT_LIMITS, dropLabels: ['b'] }))!.hash,
  );
});

test('a name that is given twice is left for the check to refuse', () => {
  const rewrite = new Rewrites().of(rewriteText({ ...DEFAULT_LIMITS, dropLabels: ['a'] }))!;
  assert.deepEqual(rewrite.apply(['a', '1', 'a', '2']), ['a', '1', 'a', '2']);
});
