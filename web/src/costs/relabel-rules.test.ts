import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relabelRules } from './relabel-rules.ts';

test('a selector and labels as steps of relabelling', () => {
  assert.equal(
    relabelRules('up{job="a.b", pod=~"x|y"}', 'pod, id'),
    `- action: drop
  source_labels: [__name__, job, pod]
  regex: "up;a\\\\.b;(?:x|y)"
- action: labeldrop
  regex: "pod|id"`,
  );
  assert.equal(relabelRules('', ''), '');
  assert.equal(relabelRules('{job!="a"}', ''), '', 'what does not match cannot be dropped in one step');
});
