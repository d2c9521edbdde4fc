import assert from 'node:assert/strict';
import { test } from 'node:test';
import { strokesFor } from './color.ts';
import { parseDuration, printDuration } from './duration.ts';
import { differing, printSeries } from './labels.ts';
import { printValue, type Unit, unitOf } from './units.ts';
import { parsePanels, parseTime, printPanels, stepOf } from './url-state.ts';

test('durations are read and written as Prometheus does', () => {
  for (const text of ['1h', '1h30m', '2d', '1w', '500ms', '1y', '15s', '1d12h']) {
    assert.equal(printDuration(parseDuration(text)!), text);
  }
  for (const text of ['', '0s', 'x', '1m1h', '-1h', '1.5h']) assert.equal(parseDuration(text), undefined, text);
  assert.equal(parseDuration('90'), 90_000);
});

test('a link of Prometheus with two panels gives both, and comes back the same', () => {
  const query =
    'g0.expr=rate(up%5B5m%5D)&g0.tab=0&g0.stacked=1&g0.range_input=2h&g0.end_input=2026-11-29%2006:00:00&g0.step_input=30&' +
    'g1.expr=up&g1.tab=1&tenant=a';
  const panels = parsePanels(query);
  assert.deepEqual(
    panels.map(({ expr, tab, display, rangeMs, endMs, resolution }) => [
      expr,
      tab,
      display,
      rangeMs,
      endMs,
      resolution.type,
    ]),
    [
      ['rate(up[5m])', 'graph', 'stacked', 7_200_000, Date.UTC(2026, 10, 29, 6), 'custom'],
      ['up', 'table', 'lines', 3_600_000, undefined, 'auto'],
    ],
  );
  const printed = printPanels(panels, query);
  assert.deepEqual(parsePanels(printed), panels);
  assert.equal(new URLSearchParams(printed).get('tenant'), 'a');
  assert.equal(parsePanels('').length, 1);
  assert.equal(parsePanels('g0.expr=x&g0.tab=explain')[0]!.tab, 'explain');
});

test('no address makes more panels than are drawn, nor a step that the API refuses', () => {
  const many = Array.from({ length: 500 }, (_, i) => `g${i}.expr=up`).join('&');
  assert.equal(parsePanels(many).length, 32);
  const panel = parsePanels('g0.expr=up&g0.range_input=1y&g0.res_type=custom&g0.res_step=1s')[0]!;
  assert.ok(panel.rangeMs / stepOf(panel, 1000) <= 11_000);
  const auto = parsePanels('g0.expr=up&g0.range_input=1h')[0]!;
  assert.ok(auto.rangeMs / stepOf(auto, 1000) <= 500);
});

test('times are UTC unless they say otherwise', () => {
  const at = Date.UTC(2026, 10, 29, 6, 30);
  for (const text of ['2026-11-29 06:30:00', '2026-11-29 06:30', '2026-11-29T06:30:00Z', String(at / 1000)]) {
    assert.equal(parseTime(text), at, text);
  }
  for (const text of ['', 'soon', '2026-99-01 00:00']) assert.equal(parseTime(text), undefined, text);
});

test('values carry the unit that the names tell', () => {
  const units: readonly (readonly [string, Unit])[] = [
    ['node_memory_MemAvailable_bytes', 'bytes'],
    ['rate(node_network_receive_bytes_total[5m])', 'bytes/s'],
    ['histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))', 'seconds'],
    ['rate(http_requests_total[5m])', 'per-second'],
    ['rate(http_request_duration_seconds_count[5m])', 'per-second'],
    ['rate(node_cpu_seconds_total[5m])', 'number'],
    ['process_start_time_seconds', 'timestamp'],
    ['time() - process_start_time_seconds', 'seconds'],
    ['rate(node_disk_read_time_seconds_total[5m])', 'number'],
    ['node_disk_io_time_seconds_total', 'seconds'],
    ['queue_wait_time_seconds', 'seconds'],
    ['node_filesystem_used_ratio', 'percent'],
    ['count(node_memory_MemAvailable_bytes)', 'number'],
    ['up', 'number'],
  ];
  for (const [expr, unit] of units) assert.equal(unitOf(expr), unit, expr);
  const printed: readonly (readonly [number, Unit, string])[] = [
    [1536, 'bytes', '1.5 KiB'],
    [0.25, 'seconds', '250 ms'],
    [0.000002, 'seconds', '2 µs'],
    [5400, 'seconds', '90 min'],
    [0.123, 'percent', '12.3 %'],
    [1_234_567, 'number', '1.235 M'],
    [42, 'number', '42'],
    [Number.NaN, 'bytes', 'NaN'],
    [Number.POSITIVE_INFINITY, 'seconds', '+Inf'],
  ];
  for (const [value, unit, text] of printed) assert.equal(printValue(value, unit), text);
});

test('a series has its colour whatever else is drawn before or after it, and eight have eight', () => {
  const sets = Array.from({ length: 8 }, (_, i) => ({ instance: `host-${i}` }));
  const strokes = strokesFor(sets);
  assert.equal(new Set(strokes.map(({ color }) => color)).size, 8);
  assert.deepEqual(strokesFor(sets.toReversed()).reverse(), strokes);
  const many = strokesFor(Array.from({ length: 32 }, (_, i) => ({ i: String(i) })));
  assert.equal(new Set(many.map((stroke) => JSON.stringify(stroke))).size, 32);
});

test('series are told in a form that can be asked again', () => {
  assert.equal(printSeries({ __name__: 'up', job: 'a"b' }), 'up{job="a\\"b"}');
  assert.equal(printSeries({ __name__: 'http.requests', 'a.b': 'c' }), '{"http.requests", "a.b"="c"}');
  assert.equal(printSeries({}), '{}');
  assert.deepEqual(
    differing([
      { a: '1', b: '2' },
      { a: '1', b: '3' },
    ]),
    { common: { a: '1' }, own: [{ b: '2' }, { b: '3' }] },
  );
});
