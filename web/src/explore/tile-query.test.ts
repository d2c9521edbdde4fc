import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asSeen, kindOf, prefixesOf, relatedTo, selectorOf, tileQuery } from './tile-query.ts';

test('each kind of metric is asked for in the way that suits it', () => {
  const query = (name: string, type = '', by?: string) => tileQuery({ name, type }, [], 60_000, by);
  assert.equal(query('http_requests_total'), 'sum (rate(http_requests_total[4m]))');
  assert.equal(query('http_requests_total', 'counter', 'code'), 'sum by (code) (rate(http_requests_total[4m]))');
  assert.equal(
    query('x_seconds_bucket', 'histogram', 'route'),
    'histogram_quantile(0.9, sum by (route, le) (rate(x_seconds_bucket[4m])))',
  );
  assert.equal(query('x_seconds', 'histogram'), 'histogram_quantile(0.9, sum (rate(x_seconds[4m])))');
  assert.equal(query('go_info'), 'count (go_info)');
  assert.equal(query('process_start_time_seconds', 'gauge'), 'min (time() - process_start_time_seconds)');
  assert.equal(query('memory_bytes', 'gauge', 'a.b'), 'avg by ("a.b") (memory_bytes)');
});

test('a native histogram that nobody described is told by its samples', () => {
  const seen = new Set(['latency', 'request_time_seconds']);
  for (const name of ['latency', 'request_time_seconds', 'other']) {
    const metric = asSeen({ name, type: '', help: '' }, seen);
    assert.equal(kindOf(metric), name === 'other' ? 'gauge' : 'native-histogram', name);
    // as a gauge it is asked for first, which answers with histograms
    assert.equal(kindOf({ name, type: '' }), 'gauge', name);
  }
});

test('selectors hold any name and any value', () => {
  assert.equal(selectorOf('up', [{ label: 'job', value: 'a"b\\' }]), 'up{job="a\\"b\\\\"}');
  assert.equal(selectorOf('http.requests', [{ label: 'a.b', value: '<b>' }]), '{"http.requests", "a.b"="<b>"}');
});

test('metrics stand together by their first word', () => {
  const names = ['go_a', 'go_b', 'go_c', 'up', 'node_cpu_seconds_total', 'node_cpu_info', 'node_load1'];
  assert.deepEqual(prefixesOf(names), [
    ['go_', 3],
    ['node_', 3],
  ]);
  assert.deepEqual(relatedTo('node_cpu_seconds_total', names, 2), ['node_cpu_info', 'node_load1']);
});
