import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Value, Values } from '../dashboard/variables.ts';
import { promqlLanguage } from './promql-language.ts';
import { withStandIns } from './stand-ins.ts';

const VALUES: Values = new Map<string, Value>([
  ['job', { kind: 'one', value: 'shop' }],
  ['jobs', { kind: 'several', values: ['shop', '5m'] }],
  ['all', { kind: 'raw', text: '.*' }],
  ['range', { kind: 'one', value: '1h30m' }],
  ['q', { kind: 'one', value: '0.95' }],
]);

/** Places that are marked as wrong. */
function errorsIn(text: string): string[] {
  const found: string[] = [];
  promqlLanguage(() => VALUES)
    .parser.parse(text)
    .iterate({
      enter: ({ type, from, to }) => {
        if (type.isError) found.push(`${from}-${to}`);
      },
    });
  return found;
}

test('variables of a dashboard are no errors, whatever they stand for', () => {
  for (const text of [
    'sum by ($job) (rate(http_requests_total{job=~"$jobs", route="x"}[$__rate_interval]))',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a place of a variable
    'histogram_quantile($q, rate(x_bucket[${__rate_interval}] offset $range))',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a place of a variable
    'avg_over_time(up[$__range:${__interval}]) > $__range_s / $__interval_ms',
    'rate(node_$job[[[range]]]) + $all',
    'label_replace(up, "a", "$1", "b", "(.*)$")',
  ]) {
    assert.deepEqual(errorsIn(text), [], text);
    assert.equal(withStandIns(text, VALUES).length, text.length, text);
  }
});

test('what nobody knows, and what is wrong beside a variable, stays marked', () => {
  assert.notDeepEqual(errorsIn('rate(up[$__no_such_interval])'), []);
  assert.notDeepEqual(errorsIn('rate(up[$__rate_interval])) + +'), []);
  assert.deepEqual(errorsIn('rate(up[5m])'), []);
});
