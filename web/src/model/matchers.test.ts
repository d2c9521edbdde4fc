import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchersOf, parseMatchers, printMatcher } from './matchers.ts';

test('matchers come back as they were written', () => {
  const text = 'alertname="Down", job=~"a|b", env!="dev", x!~"y.*", "a.b"="c\\"d"';
  const matchers = parseMatchers(`{${text}}`)!;
  assert.equal(matchers.map(printMatcher).join(', '), text);
  assert.deepEqual(parseMatchers('alertname=Down,'), [
    { name: 'alertname', value: 'Down', isRegex: false, isEqual: true },
  ]);
  assert.deepEqual(parseMatchers(''), []);
  for (const wrong of ['=a', 'a', 'a="b" c="d"', 'a="', '{a="b"']) assert.equal(parseMatchers(wrong), undefined, wrong);
});

test('the matchers of an alert fit its labels, whatever they hold', () => {
  const labels = { alertname: 'A', 'o.d d': '"\\\n<b>' };
  const text = matchersOf(labels).map(printMatcher).join(', ');
  assert.deepEqual(Object.fromEntries(parseMatchers(text)!.map(({ name, value }) => [name, value])), labels);
});
