import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RED_VARIANTS } from '../dashboards/red-family.ts';
import { parseExpr } from '../promql/parser/parser.ts';
import { measuresOf } from './measures.ts';

test('measures of every family can be asked, for the whole and by a label', () => {
  const measures = measuresOf(RED_VARIANTS, 'job="a"', () => true);
  assert.equal(new Set(measures.map(({ kind }) => kind)).size, 4);
  for (const { value, events, labels } of measures) {
    for (const by of [[], labels.slice(0, 1)]) {
      parseExpr(value(by, '30m'));
      if (events !== undefined) parseExpr(events(by, '30m'));
    }
  }
});

test('a service has the measures that its metrics give', () => {
  const names = (...metrics: string[]) =>
    measuresOf(RED_VARIANTS, '', (metric) => metrics.includes(metric)).map(({ name }) => name);
  assert.deepEqual(names('http_requests_total'), ['HTTP: requests', 'HTTP: error ratio']);
  assert.deepEqual(names('process_cpu_seconds_total', 'process_open_fds'), ['CPU of an instance']);
});
