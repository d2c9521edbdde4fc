import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegexTooLargeError } from './regex.ts';
import { CapturingRegex, parseTemplate } from './template.ts';

const NAMES = Array.from({ length: 3000 }, (_, i) => `some_metric_${i}_of_many_total`).join('|');
const MIXED = Array.from({ length: 3000 }, (_, i) => (i % 2 === 0 ? `some_metric_${i}_.+` : `(?i:any_${i}_case)`)).join(
  '|',
);

function expand(source: string, value: string, ...templates: string[]): string[] | undefined {
  const parsed = templates.map(parseTemplate);
  return CapturingRegex.compile(source, parsed).expand(value, parsed);
}

test('a list that is too long for groups is taken where none are asked for', () => {
  const regex = CapturingRegex.compile(NAMES, []);
  assert.deepEqual(
    ['some_metric_7_of_many_total', 'some_metric_7', 'some_metric_3000_of_many_total'].map((name) =>
      regex.matches(name),
    ),
    [true, false, false],
  );
  const mixed = CapturingRegex.compile(MIXED, []);
  assert.deepEqual(
    [mixed.matches('ANY_7_case'), mixed.matches('some_metric_8_'), mixed.matches('some_metric_8_x')],
    [true, false, true],
  );
  assert.deepEqual(expand(NAMES, 'some_metric_1_of_many_total', 'x', '<$0>'), ['x', '<some_metric_1_of_many_total>']);
  assert.equal(expand(NAMES, 'some_metric_1', 'x'), undefined);
});

test('and where the only group is all of it', () => {
  assert.deepEqual(expand(`(${MIXED})`, 'Any_9_Case', '$1!'), ['Any_9_Case!']);
  for (const [source, template] of [
    [NAMES, '$1'],
    [`(${NAMES}).*`, '$1'],
    [`(${NAMES})|(x)`, '$1'],
    [`(?:${NAMES})`, '$1'],
    [`((${NAMES}))`, '$2'],
    [`(?P<name>${NAMES})`, '$name'],
    ['a'.repeat(300_000), 'x'],
  ] as const) {
    assert.throws(() => expand(source, 'x', template), RegexTooLargeError, template);
  }
});

test('what one match may cost is bounded without groups, too', () => {
  const regex = CapturingRegex.compile(`${NAMES}|[a-c]*d`, []);
  assert.equal(regex.matches(`${'a'.repeat(1000)}d`), true);
  assert.throws(() => regex.matches(`${'a'.repeat(2_100_000)}d`), /regex_capture_steps_max/);
});
