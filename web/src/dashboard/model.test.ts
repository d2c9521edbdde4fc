import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Dashboard, namedBy, panelAt, queryFor, unitNamed } from './model.ts';

test('ranges follow the interval of the samples and the step', () => {
  assert.equal(
    queryFor('rate(a[$__rate_interval]) + rate(b[$__rate_interval])', 15_000, 10_000),
    'rate(a[60s]) + rate(b[60s])',
  );
  assert.equal(queryFor('rate(a[$__rate_interval])', 15_000, 300_000), 'rate(a[315s])');
});

test('units, names and panels are found, and unknown ones do no harm', () => {
  assert.deepEqual(['bytes/sec', 'requests/sec', 'percent-decimal', 'parsec', undefined].map(unitNamed), [
    'bytes/s',
    'per-second',
    'percent',
    'number',
    'number',
  ]);
  assert.equal(namedBy('{{code}} {{ method }} {{none}}', { code: '200', method: 'GET' }), '200 GET ');
  assert.equal(namedBy('', {}), undefined);
  const dashboard = { spec: { panels: { a: { kind: 'Panel' } } } } as unknown as Dashboard;
  assert.equal(panelAt(dashboard, '#/spec/panels/a')?.kind, 'Panel');
  for (const ref of ['#/spec/panels/b', '#/spec/panels/constructor', ''])
    assert.equal(panelAt(dashboard, ref), undefined);
});
