import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchersText, matchesFilter } from './matcher.ts';
import { parseMatcher, parseMatchers } from './matcher-parser.ts';

test('matchers in both grammars', () => {
  for (const [text, expected] of [
    ['a=b', '{a="b"}'],
    ['{a="b",}', '{a="b"}'],
    ['{a = "b", c!=d}', '{a="b",c!="d"}'],
    ['{"a b"=~"c.*", é!~"x"}', '{"a b"=~"c.*",é!~"x"}'],
    ['a="\\"b\\n\\\\"', '{a="\\"b\\n\\\\"}'],
    ['é="\\u00e9"', '{é="é"}'],
    ['', '{}'],
    ['{}', '{}'],
    // only the classic one: values with reserved characters, and none at all
    ['{a=b=c}', '{a="b=c"}'],
    ['{a=}', '{a=""}'],
    ['a=~b|c d', '{a=~"b|c d"}'],
    ['a="b,c",d=~"e"', '{a="b,c",d=~"e"}'],
    // both, but not the same: the classic one counts
    ['a="\\t"', '{a="\\\\t"}'],
    ['a="\\u00e9"', '{a="\\\\u00e9"}'],
  ] as const) {
    assert.equal(matchersText(parseMatchers(text)), expected, text);
  }
});

test('errors are those of the classic grammar', () => {
  for (const [text, message] of [
    ['a', 'bad matcher format: a'],
    ['{a b}', 'bad matcher format: a b'],
    ['a="b', 'matcher value contains unescaped double quote: "b'],
    ['a=~"("', 'error parsing regexp: missing closing ): `^(?:()$`'],
    ['a=~"*"', 'error parsing regexp: missing argument to repetition operator: `*`'],
  ] as const) {
    assert.throws(() => parseMatchers(text), { message }, text);
  }
  assert.throws(() => parseMatcher('{a="b"}'), { message: 'unexpected open or close brace: {a="b"}' });
  assert.equal(parseMatcher('a=b,c=d ').value, 'b,c=d');
  const many = `{${'a=b,'.repeat(2000)}}`;
  assert.throws(() => parseMatchers(many), /2000 matchers: limit of 1000 exceeded \(matchers_max\)/);
  assert.throws(() => parseMatchers('a'.repeat(70_000)), /\(matchers_length_max\)/);
});

test('a pattern matches the whole value, and a dot no line break', () => {
  const matches = (matcher: string, value: string) => parseMatcher(matcher).matches(value);
  assert.ok(matches('a=~"b|c.*"', 'cd'));
  assert.ok(!matches('a=~"b|c.*"', 'bd'));
  assert.ok(!matches('a=~"c.*"', 'c\nd'));
  assert.ok(matches('a=~"(?s)c.*"', 'c\nd'));
  assert.ok(matches('a!~"b"', 'bb'));
});

test('filters tell an empty label from one that is missing', () => {
  const labels = new Map([['a', 'b']]);
  for (const [filter, expected] of [
    ['a!=""', true],
    ['c!=""', false],
    ['c=""', true],
    ['a=""', false],
    ['a=~"b"', true],
    ['c!~"b"', true],
  ] as const) {
    assert.equal(matchesFilter([parseMatcher(filter)], labels), expected, filter);
  }
});
