import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dashboard, GridItem, ListVariable } from '../../../src/contract/dashboard.ts';
import { spansOf } from './annotation-spans.ts';
import { placeBelow, settled, withMoved } from './grid.ts';
import { namedBy, panelAt, queryFor, renamed, unitNamed } from './model.ts';
import { settingsBy } from './overrides.ts';
import { sectionsOf } from './repeats.ts';
import { intervalOf, ratedSelectors } from './sample-interval.ts';
import { columnsOf, hasColumns, isReduced } from './table-columns.ts';
import { chosenValue, interpolated, offered, patternOf, type Value, type Values } from './variables.ts';

test('ranges follow the interval of the samples and the step', () => {
  const ask = (text: string, intervalMs: number, stepMs: number) =>
    queryFor(text, { intervalMs, stepMs, rangeMs: 3_600_000 }, new Map());
  assert.equal(
    ask('rate(a[$__rate_interval]) + rate(b[$__rate_interval])', 15_000, 10_000),
    'rate(a[60s]) + rate(b[60s])',
  );
  assert.equal(ask('rate(a[$__rate_interval])', 15_000, 300_000), 'rate(a[315s])');
  assert.equal(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a place of a variable
    ask('rate(a[${__rate_interval}]) $__range $__unknown', 15_000, 300_000),
    'rate(a[315s]) 3600s $__unknown',
  );
});

test('variables are filled in as text, whatever is in them', () => {
  const values: Values = new Map<string, Value>([
    ['job', { kind: 'one', value: 'a"} or up{x="' }],
    ['several', { kind: 'several', values: ['a.b', 'c'] }],
    ['all', { kind: 'raw', text: '.*' }],
  ]);
  const cases: [string, string][] = [
    ['up{job="$job"}', 'up{job="a\\x22} or up{x=\\x22"}'],
    ['up{job=~"$several"}', 'up{job=~"(a\\\\.b|c)"}'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a place of a variable
    ['up{job=~"${several:pipe}"} [[all]]', 'up{job=~"a.b|c"} .*'],
    ['label_replace(up, "a", "$1", "b", "(.*)$")', 'label_replace(up, "a", "$1", "b", "(.*)$")'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a place of a variable
    ['$unknown ${constructor} $__proto__', '$unknown ${constructor} $__proto__'],
  ];
  for (const [text, wanted] of cases) assert.equal(interpolated(text, values), wanted);
});

test('options are filtered, sorted and chosen, and no expression takes for ever', () => {
  const list = (spec: Partial<ListVariable['spec']>): ListVariable => ({
    kind: 'ListVariable',
    spec: { name: 'v', plugin: { kind: 'StaticListVariable', spec: { values: ['x'] } }, ...spec },
  });
  const found = ['b10-web', 'b9-web', 'other'];
  assert.deepEqual(offered(list({ capturingRegexp: '(.*)-web', sort: 'numerical-asc' }), found), ['b9', 'b10']);
  assert.deepEqual(offered(list({ sort: 'alphabetical-desc' }), found), ['other', 'b9-web', 'b10-web']);
  const before = performance.now();
  offered(list({ capturingRegexp: '^(a+)+$' }), [`${'a'.repeat(300)}b`]);
  offered(list({ capturingRegexp: '((a*)*)*b' }), ['a'.repeat(300)]);
  assert.ok(performance.now() - before < 2_000);
  assert.deepEqual(chosenValue(list({}), ['x', 'y'], []), { kind: 'one', value: 'x' });
  assert.deepEqual(chosenValue(list({ defaultValue: 'y' }), ['x', 'y'], []), { kind: 'one', value: 'y' });
  const several = { allowMultiple: true, allowAllValue: true };
  assert.deepEqual(chosenValue(list(several), ['x', 'y'], []), { kind: 'several', values: ['x', 'y'] });
  assert.deepEqual(chosenValue(list(several), ['x', 'y'], ['y']), { kind: 'several', values: ['y'] });
  assert.deepEqual(chosenValue(list({ ...several, customAllValue: '.+' }), ['x'], ['$__all']), {
    kind: 'raw',
    text: '.+',
  });
});

test('intervals are found from the counters of a dashboard', () => {
  const query =
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a place of a variable
    'sum(rate(http_requests_total{job=~"$job"}[$__rate_interval])) / rate(b[${__rate_interval}]) + rate(c[5m])';
  const plugin = { kind: 'PrometheusTimeSeriesQuery', spec: { query } };
  const panel = {
    kind: 'Panel',
    spec: { display: { name: '' }, plugin: { kind: 'x' }, queries: [{ kind: '', spec: { plugin } }] },
  };
  const dashboard = { spec: { panels: { panel } } } as unknown as Dashboard;
  const values: Values = new Map<string, Value>([['job', { kind: 'one', value: 'shop' }]]);
  assert.deepEqual(ratedSelectors(dashboard, values), ['http_requests_total{job=~"shop"}', 'b']);
  assert.deepEqual([40, 39, 10, 1, 0].map(intervalOf), [15_000, 15_000, 60_000, 60_000, 60_000]);
});

test('panels on the grid never lie upon each other', () => {
  const item = (x: number, y: number, width: number, height: number) => ({
    x,
    y,
    width,
    height,
    content: { $ref: '' },
  });
  const places = (items: readonly GridItem[]) => items.map(({ x, y, width, height }) => [x, y, width, height]);
  assert.deepEqual(places(settled([item(0, 5, 12, 8), item(12, 0, 12, 4), item(0, 5, 24, 2)])), [
    [0, 0, 12, 8],
    [12, 0, 12, 4],
    [0, 8, 24, 2],
  ]);
  const two = [item(0, 0, 12, 8), item(12, 0, 12, 8), item(0, 8, 12, 8)];
  // dragged over the first one
  assert.deepEqual(places(withMoved(two, 2, { x: 0, y: 0 })), [
    [0, 8, 12, 8],
    [12, 0, 12, 8],
    [0, 0, 12, 8],
  ]);
  assert.deepEqual(places(withMoved(two, 0, { width: 99, height: 0 }))[0], [0, 0, 24, 2]);
  assert.deepEqual(placeBelow(two), { x: 12, y: 8, width: 12, height: 8 });
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

test('panels are repeated over a variable, and what is below them goes down', () => {
  const item = (key: string, y: number, more: Partial<GridItem> = {}): GridItem => ({
    x: 0,
    y,
    width: 24,
    height: 4,
    content: { $ref: `#/spec/panels/${key}` },
    ...more,
  });
  const items = [item('a', 0, { repeat: { variable: 'host', direction: 'h', perRow: 2 } }), item('b', 4)];
  const dashboard = { spec: { layouts: [{ kind: 'Grid', spec: { items } }] } } as unknown as Dashboard;
  const values: Values = new Map([['host', { kind: 'several', values: ['x', 'y', 'z'] }]]);
  const places = (at: Values, choices = new Map<string, string[]>()) =>
    sectionsOf(dashboard, at, choices)[0]!.items.map(({ item: { x, y, width }, own }) => [
      x,
      y,
      width,
      own?.get('host'),
    ]);
  const one = (value: string) => ({ kind: 'one', value });
  assert.deepEqual(places(values), [
    [0, 0, 12, one('x')],
    [12, 0, 12, one('y')],
    [0, 4, 12, one('z')],
    [0, 8, 24, undefined],
  ]);
  assert.equal(places(new Map([['host', { kind: 'one', value: 'x' }]])).length, 2, 'one is one');
  assert.equal(places(new Map([['host', { kind: 'raw', text: '.*' }]]), new Map([['host', ['p', 'q']]])).length, 3);
  const rows = { ...dashboard.spec.layouts[0]!.spec, items: [item('b', 0)], repeatVariable: 'host' };
  const sections = sectionsOf(
    { spec: { layouts: [{ kind: 'Grid', spec: rows }] } } as unknown as Dashboard,
    values,
    new Map(),
  );
  assert.deepEqual(
    sections.map(({ own }) => own?.get('host')),
    [one('x'), one('y'), one('z')],
  );
});

test('a table has labels and values as columns, named, hidden, ordered and sorted as its panel says', () => {
  const row = (instance: string, value: string) => ({
    labels: { __name__: 'up', instance, job: 'j' },
    values: [[1, value] as const],
  });
  const answers = [[row('a', '9'), row('b', '10')], [row('b', '2')]];
  const spec = {
    columnSettings: [
      { name: 'instance', header: 'Host' },
      { name: 'job', hide: true },
      { name: 'Value', sort: 'desc' },
    ],
    limit: 5,
  };
  assert.ok(hasColumns(spec, 1) && hasColumns({}, 2) && !hasColumns({}, 1));
  assert.deepEqual(columnsOf(answers, spec), {
    headers: ['Host', 'Value', 'Value #2'],
    rows: [
      ['b', '10', '2'],
      ['a', '9', ''],
    ],
  });
  assert.deepEqual(columnsOf(answers, { columnSettings: 'x', onlyColumns: ['job'], limit: 1 }), {
    headers: ['job'],
    rows: [['j']],
  });
});

test('a table groups, calculates and reduces as its panel says, and columns have units', () => {
  const row = (labels: Record<string, string>, value: string) => ({ labels, values: [[1, value] as const] });
  const first = [
    row({ job: 'a', host: '1' }, '3'),
    row({ job: 'a', host: '2' }, '5'),
    row({ job: 'b', host: '1' }, '7'),
  ];
  const second = [row({ job: 'a', host: '1' }, '1'), row({ job: 'b', host: '1' }, '2')];
  const steps = (...all: object[]) => columnsOf([first, second], { steps: all });
  const groupBy = { kind: 'groupBy', by: ['job', 'gone'], calcs: [{ column: 'Value', calc: 'sum' }] };
  assert.deepEqual(steps(groupBy, null as never, { kind: 'groupBy' }), {
    headers: ['job', 'Value (sum)'],
    rows: [
      ['a', '8'],
      ['b', '7'],
    ],
  });
  const ratio = { kind: 'calculate', name: 'Ratio', operator: '/', left: 'Value', right: 'Value #2', only: true };
  assert.deepEqual(steps(ratio), { headers: ['Ratio'], rows: [['3'], [''], ['3.5']] });
  // a name that is there is that of the column which is made anew
  const percent = { kind: 'calculate', name: 'Value', operator: '*', left: 'Value', right: 100, only: false };
  assert.deepEqual(steps(percent).headers, ['host', 'job', 'Value', 'Value #2']);
  assert.deepEqual(
    steps(percent).rows.map((cells) => cells[2]),
    ['300', '500', '700'],
  );
  const total = { kind: 'reduceRow', name: 'Total', calc: 'sum', columns: [], only: false };
  assert.deepEqual(
    steps(total).rows.map((cells) => cells.at(-1)),
    ['4', '5', '9'],
  );
  const reduce = {
    steps: [
      {
        kind: 'reduce',
        calcs: [
          { calc: 'max', name: 'Max' },
          { calc: 'mean', name: 'Mean' },
        ],
        labels: true,
      },
    ],
  };
  assert.ok(isReduced(reduce) && !isReduced({}) && !isReduced(undefined));
  const series = [{ name: 'of a', labels: { job: 'a' }, values: Float64Array.from([1, Number.NaN, 3]) }];
  const overrides = [{ names: ['Max'], unit: 'seconds', name: 'Longest' }, { pattern: '/jo./', hide: true }, null, 7];
  assert.deepEqual(columnsOf([], { ...reduce, overrides }, series), {
    headers: ['Field', 'Longest', 'Mean'],
    rows: [['of a', '3 s', '2']],
  });
  const alike = [{ name: 'x', labels: { Field: 'f', Last: 'l' }, values: Float64Array.from([1, 2]) }];
  const last = { kind: 'reduce', calcs: [{ calc: 'max', name: 'Last' }], labels: true };
  assert.deepEqual(columnsOf([], { steps: [last, { kind: 'reduce', calcs: [{}] }] }, alike), {
    headers: ['Field', 'Field #2', 'Last', 'Last #2'],
    rows: [['x', 'f', 'l', '2']],
  });
});

test('settings of fields are found by name, pattern and query, and the later ones count', () => {
  const fields = settingsBy({
    overrides: [
      { names: ['a'], unit: 'bytes', color: '#123456' },
      { query: 1, name: 'second' },
      { pattern: '^(a+)+$', hide: true },
      { names: ['a'], color: 'url(x)', unit: 'seconds' },
    ],
  });
  assert.deepEqual(fields('a', 0), { unit: 'seconds', color: '#123456' });
  assert.deepEqual(fields('b', 1), { name: 'second' });
  assert.deepEqual(settingsBy({ overrides: 'x' })('a', 0), {});
});

test('series are renamed by patterns that cannot take for ever', () => {
  assert.equal(renamed('host-1:9100', { rename: { regex: '/(.*):.*/', to: '$1' } }), 'host-1');
  assert.equal(renamed('a', { rename: { regex: '(a+)+$', to: 'b' } }), 'a');
  assert.equal(renamed('a', { rename: 7 }), 'a');
});

test('an annotation marks the steps in a row at which its query has a value', () => {
  const times = Float64Array.from([0, 15, 30, 45, 60]);
  const values = Float64Array.from([1, 1, Number.NaN, 0, 1]);
  const spans = spansOf(times, { labels: { instance: 'a' }, values }, 'Down', '{{instance}}', 15);
  assert.deepEqual(
    spans.map(({ fromSeconds, toSeconds, text }) => [fromSeconds, toSeconds, text]),
    [
      [0, 15, 'Down: a'],
      [60, undefined, 'Down: a'],
    ],
  );
});

test('a pattern that could take for ever is none', () => {
  for (const text of ['^(a|a)*$', '(a+)+', '((a|a)b)*', '((a|a))*x', '(a?){20}', '('])
    assert.equal(patternOf(text), undefined, text);
  for (const text of ['(ab)*', '(.*)-(\\d+)', '[(|)]+x', '\\(a|b\\)*', '(a|b)?', '(?<value>a|b)', '(?:ab)+'])
    assert.ok(patternOf(text), text);
});
