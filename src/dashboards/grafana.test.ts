import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListVariable } from '../contract/dashboard.ts';
import { toGrafana } from './grafana-export.ts';
import { importDashboard } from './grafana-import.ts';

const target = (expr: string, more: object = {}) => ({ refId: 'A', expr, legendFormat: '{{code}}', ...more });

const TRANSFORMATIONS = [
  { id: 'merge', options: {} },
  {
    id: 'organize',
    options: {
      excludeByName: { Time: true, job: false },
      renameByName: { instance: 'Host', 'Value #B': 'Second' },
      indexByName: { 'Value #A': 1, instance: 0 },
    },
  },
  { id: 'sortBy', options: { sort: [{ field: 'Value #A', desc: true }] } },
  { id: 'groupBy', options: {} },
  {
    id: 'groupBy',
    options: {
      fields: { job: { operation: 'groupby' }, 'Value #A': { operation: 'aggregate', aggregations: ['sum'] } },
    },
  },
  {
    id: 'calculateField',
    options: { mode: 'binary', alias: 'Half', binary: { left: 'Value #A', operator: '/', right: '2' } },
  },
  {
    id: 'calculateField',
    options: { mode: 'binary', alias: 'Odd', binary: { left: '0x10', operator: '+', right: ' ' } },
  },
  { id: 'calculateField', options: { mode: 'windowFunctions' } },
];

const OVERRIDES = [
  {
    matcher: { id: 'byName', options: '500' },
    properties: [
      { id: 'displayName', value: 'errors' },
      { id: 'color', value: { mode: 'fixed', fixedColor: 'dark-red' } },
      { id: 'unit', value: 'percentunit' },
      { id: 'custom.lineWidth', value: 3 },
    ],
  },
  { matcher: { id: 'byFrameRefID', options: 'A' }, properties: [{ id: 'custom.transform', value: 'negative-Y' }] },
  { matcher: { id: 'byType', options: 'number' }, properties: [{ id: 'unit', value: 's' }] },
];

/** Classic JSON as Grafana 11 exports it, with what most dashboards have. */
const GRAFANA = {
  title: 'Shop',
  tags: ['web'],
  schemaVersion: 39,
  refresh: '30s',
  time: { from: 'now-6h', to: 'now' },
  annotations: {
    list: [
      { builtIn: 1, name: 'Annotations & Alerts', datasource: '-- Grafana --', type: 'dashboard' },
      {
        name: 'Down',
        enable: true,
        iconColor: 'red',
        expr: 'up{job="$job"} == 0',
        titleFormat: '{{instance}} is down',
      },
      {
        name: 'Deploys',
        enable: false,
        datasource: { type: 'grafana', uid: '-- Grafana --' },
        target: { type: 'tags', tags: ['deploy'] },
      },
      { name: 'Loki', datasource: { type: 'loki' }, expr: '{app="x"}' },
    ],
  },
  templating: {
    list: [
      { name: 'datasource', type: 'datasource', query: 'prometheus', current: { value: 'x' } },
      {
        name: 'job',
        label: 'Job',
        type: 'query',
        query: { query: 'label_values(up{env="prod"}, job)', refId: 'x' },
        regex: '/(.*)-web/',
        multi: true,
        includeAll: true,
        allValue: '.*',
        sort: 1,
        current: { value: ['$__all'] },
      },
      { name: 'quantile', type: 'custom', query: 'Median : 0.5, 0.9, with\\,comma', current: { value: '0.9' } },
      { name: 'window', type: 'interval', query: '1m,5m', current: { value: '5m' } },
      { name: 'filters', type: 'adhoc', datasource: { type: 'prometheus' } },
    ],
  },
  panels: [
    {
      type: 'timeseries',
      title: 'Requests',
      gridPos: { x: 12, y: 0, w: 12, h: 9 },
      fieldConfig: { defaults: { unit: 'reqps', custom: { stacking: { mode: 'normal' } } }, overrides: OVERRIDES },
      targets: [target('rate(http_requests_total{job=~"$job"}[$__rate_interval])'), target('up', { hide: true })],
    },
    {
      type: 'stat',
      title: 'Up',
      repeat: 'job',
      repeatDirection: 'h',
      maxPerRow: 3,
      gridPos: { x: 0, y: 0, w: 12, h: 9 },
      options: { reduceOptions: { calcs: ['mean'] } },
      targets: [target('up')],
    },
    {
      type: 'row',
      title: 'More',
      repeat: 'job',
      collapsed: true,
      gridPos: { x: 0, y: 9, w: 24, h: 1 },
      panels: [
        { type: 'heatmap', title: 'Heat', gridPos: { x: 0, y: 10, w: 24, h: 8 }, targets: [target('b')] },
        {
          type: 'geomap',
          title: 'Map',
          gridPos: { x: 0, y: 18, w: 6, h: 5 },
          targets: [target('c')],
          odd: { kept: true },
        },
        {
          type: 'logs',
          title: 'Logs',
          gridPos: { x: 6, y: 18, w: 6, h: 5 },
          targets: [{ expr: '{app="x"}', datasource: { type: 'loki' } }],
        },
        {
          type: 'timeseries',
          title: 'Loki',
          gridPos: { x: 6, y: 23, w: 6, h: 5 },
          targets: [{ expr: '{app="x"}', datasource: { type: 'loki' } }],
        },
        { type: 'text', title: '', gridPos: { x: 12, y: 18, w: 6, h: 5 }, options: { content: '# Words' } },
        { type: 'bargauge', title: 'Bars', gridPos: { x: 18, y: 18, w: 6, h: 5 }, targets: [target('d')] },
        {
          type: 'gauge',
          title: 'Gauge',
          fieldConfig: { defaults: { unit: 'percentunit', max: 1 } },
          gridPos: { x: 18, y: 23, w: 6, h: 5 },
          targets: [target('e')],
        },
        {
          type: 'table',
          title: 'Table',
          gridPos: { x: 0, y: 28, w: 6, h: 5 },
          targets: [target('f'), target('g')],
          transformations: TRANSFORMATIONS,
        },
      ],
    },
  ],
};

test('common panels and variables of Grafana are taken over, the rest is kept and told', () => {
  const { dashboard, notes } = importDashboard({ dashboard: GRAFANA, overwrite: true });
  const { spec } = dashboard;
  const kinds = Object.values(spec.panels).map(({ spec: { display, plugin } }) => [display.name, plugin.kind]);
  assert.deepEqual(kinds, [
    ['Up', 'StatChart'],
    ['Requests', 'TimeSeriesChart'],
    ['Heat', 'HeatMapChart'],
    ['Map', 'GrafanaPanel'],
    ['Logs', 'GrafanaPanel'],
    ['', 'Markdown'],
    ['Bars', 'BarChart'],
    ['Loki', 'GrafanaPanel'],
    ['Gauge', 'GaugeChart'],
    ['Table', 'Table'],
  ]);
  assert.deepEqual(
    spec.layouts.map(({ spec: { display, items } }) => [
      display?.title,
      display?.collapse?.open,
      items.length,
      items[0],
    ]),
    [
      [
        '',
        true,
        2,
        {
          x: 0,
          y: 0,
          width: 12,
          height: 9,
          content: { $ref: '#/spec/panels/panel-0' },
          repeat: { variable: 'job', direction: 'h', perRow: 3 },
        },
      ],
      ['More', false, 8, { x: 0, y: 0, width: 24, height: 8, content: { $ref: '#/spec/panels/panel-2' } }],
    ],
  );
  const requests = spec.panels['panel-1']!.spec;
  assert.deepEqual(requests.plugin.spec, {
    yAxis: { format: { unit: 'requests/sec' } },
    visual: { stack: 'all', areaOpacity: 0.6 },
    overrides: [{ names: ['500'], name: 'errors', color: '#e02f44', unit: 'percent-decimal' }],
  });
  assert.deepEqual(
    requests.queries!.map(({ spec: { plugin } }) => [plugin.kind, plugin.spec.seriesNameFormat]),
    [
      ['PrometheusTimeSeriesQuery', '{{code}}'],
      ['GrafanaTarget', undefined],
    ],
  );
  assert.deepEqual([spec.duration, spec.refreshInterval, spec.tags], ['6h', '30s', ['web']]);
  const [source, job, quantile, window] = spec.variables as readonly ListVariable[];
  assert.equal(source!.spec.display?.hidden, true);
  assert.deepEqual(job!.spec, {
    name: 'job',
    display: { name: 'Job' },
    defaultValue: ['$__all'],
    allowAllValue: true,
    allowMultiple: true,
    customAllValue: '.*',
    capturingRegexp: '(.*)-web',
    sort: 'alphabetical-asc',
    plugin: { kind: 'PrometheusLabelValuesVariable', spec: { labelName: 'job', matchers: ['up{env="prod"}'] } },
  });
  assert.deepEqual(quantile!.spec.plugin.spec, {
    values: [{ label: 'Median', value: '0.5' }, { value: '0.9' }, { value: 'with,comma' }],
  });
  assert.deepEqual(window!.spec.plugin.spec, { values: [{ value: '1m' }, { value: '5m' }] });
  assert.equal(spec.layouts[1]!.spec.repeatVariable, 'job');
  assert.deepEqual(spec.annotations, [
    {
      display: { name: 'Down' },
      plugin: {
        kind: 'PrometheusPromQLAnnotation',
        spec: { expr: 'up{job="$job"} == 0', title: '{{instance}} is down' },
      },
    },
    { display: { name: 'Deploys', hidden: true }, plugin: { kind: 'EventAnnotation', spec: { tags: ['deploy'] } } },
  ]);
  const table = Object.values(spec.panels).find(({ spec: { plugin } }) => plugin.kind === 'Table')!;
  assert.deepEqual(table.spec.plugin.spec, {
    columnSettings: [
      { name: 'instance', header: 'Host' },
      { name: 'Value', sort: 'desc' },
      { name: 'Time', hide: true },
      { name: 'Value #2', header: 'Second' },
    ],
    steps: [
      { kind: 'groupBy', by: ['job'], calcs: [{ column: 'Value', calc: 'sum' }] },
      { kind: 'calculate', name: 'Half', operator: '/', left: 'Value', right: 2, only: false },
      { kind: 'calculate', name: 'Odd', operator: '+', left: '0x10', right: ' ', only: false },
    ],
  });
  assert.equal(notes.length, 8, notes.join('\n'));
  assert.match(
    notes.join('\n'),
    /"Requests": settings of fields that are kept, and not done: custom.transform, byType/,
  );
  assert.match(notes.join('\n'), /1 annotation queries are kept, and not drawn/);
  assert.match(notes.join('\n'), /"Table": transformations that are kept, and not done: groupBy, calculateField/);
  assert.match(notes.join('\n'), /"Map": panels of type geomap cannot be drawn here, and are kept/);
  assert.match(notes.join('\n'), /variable filters: type adhoc is kept/);
});

test('a dashboard goes to Grafana and comes back as it was', () => {
  const { dashboard } = importDashboard(GRAFANA);
  const written = toGrafana(dashboard) as unknown as typeof GRAFANA;
  assert.deepEqual(importDashboard(JSON.parse(JSON.stringify(written))).dashboard, dashboard);
  const map = written.panels.at(-1)!.panels!.find(({ title }) => title === 'Map');
  assert.deepEqual(map, GRAFANA.panels[2]!.panels![1]);
  assert.deepEqual(
    written.templating.list.map(({ name, type }) => [name, type]),
    GRAFANA.templating.list.map(({ name, type }) => [name, type === 'interval' ? 'custom' : type]),
  );
});

test("Grafana's second schema is taken over as the classic one is", () => {
  const { panels, templating, annotations } = GRAFANA;
  const [requests, up] = panels as unknown as Record<string, never>[];
  const element = (panel: Record<string, unknown>) => ({
    kind: 'Panel',
    spec: {
      title: panel.title,
      vizConfig: {
        kind: 'VizConfig',
        group: panel.type,
        spec: { options: panel.options, fieldConfig: panel.fieldConfig },
      },
      data: {
        kind: 'QueryGroup',
        spec: {
          queries: (panel.targets as { refId: string; hide?: boolean }[]).map(({ refId, hide, ...spec }) => ({
            kind: 'PanelQuery',
            spec: { refId, hidden: hide === true, query: { kind: 'DataQuery', group: 'prometheus', spec } },
          })),
        },
      },
    },
  });
  const place = (name: string, x: number, y: number, more: object = {}) => ({
    kind: 'GridLayoutItem',
    spec: { x, y, width: 12, height: 9, element: { kind: 'ElementReference', name }, ...more },
  });
  const repeat = { mode: 'variable', value: 'job', direction: 'h', maxPerRow: 3 };
  const query = templating.list[1]!;
  const second = {
    apiVersion: 'dashboard.grafana.app/v2beta1',
    kind: 'Dashboard',
    spec: {
      title: 'Shop',
      tags: ['web'],
      timeSettings: { from: 'now-6h', to: 'now', autoRefresh: '30s' },
      elements: { a: element(requests!), b: element(up!), lib: { kind: 'LibraryPanel', spec: { title: 'Shared' } } },
      layout: {
        kind: 'RowsLayout',
        spec: {
          rows: [
            {
              kind: 'RowsLayoutRow',
              spec: {
                title: 'First',
                layout: { kind: 'GridLayout', spec: { items: [place('b', 0, 0, { repeat }), place('a', 12, 0)] } },
              },
            },
            {
              kind: 'RowsLayoutRow',
              spec: {
                title: 'Second',
                collapse: true,
                layout: {
                  kind: 'AutoGridLayout',
                  spec: { maxColumnCount: 2, items: ['a', 'lib', 'gone'].map((name) => place(name, 0, 0)) },
                },
              },
            },
          ],
        },
      },
      variables: [
        {
          kind: 'QueryVariable',
          spec: {
            ...{ name: 'job', label: 'Job', hide: 'dontHide', multi: true, includeAll: true, allValue: '.*' },
            ...{ regex: query.regex, current: query.current, sort: 'alphabeticalAsc' },
            query: { kind: 'DataQuery', group: 'prometheus', spec: query.query },
          },
        },
      ],
      annotations: [
        {
          kind: 'AnnotationQuery',
          spec: {
            ...{ name: 'Down', enable: true },
            query: { kind: 'DataQuery', group: 'prometheus', spec: { expr: annotations.list[1]!.expr } },
            legacyOptions: { titleFormat: '{{instance}} is down' },
          },
        },
      ],
    },
  };
  const { dashboard, notes } = importDashboard(second);
  const { spec } = dashboard;
  const classic = importDashboard(GRAFANA).dashboard.spec;
  assert.deepEqual([spec.display.name, spec.duration, spec.refreshInterval], ['Shop', '6h', '30s']);
  const named = (name: string) => Object.values(spec.panels).find((one) => one.spec.display.name === name)?.spec.plugin;
  assert.deepEqual(named('Requests'), classic.panels['panel-1']!.spec.plugin);
  assert.equal(named('Shared')?.kind, 'GrafanaPanel');
  assert.deepEqual(
    spec.layouts.map(({ spec: { display, items } }) => [display?.title, display?.collapse?.open, items.length]),
    [
      ['First', true, 2],
      ['Second', false, 3],
    ],
  );
  assert.deepEqual(spec.layouts[0]!.spec.items[0], classic.layouts[0]!.spec.items[0]);
  assert.deepEqual(spec.layouts[1]!.spec.items[2]!.y, 9);
  assert.deepEqual(spec.variables, [classic.variables![1]]);
  assert.deepEqual(spec.annotations, classic.annotations!.slice(0, 1));
  assert.match(notes.join('\n'), /"Shared": panels of type library-panel cannot be drawn here/);
  const deep = (level: number): object => ({
    kind: 'RowsLayout',
    spec: { rows: [{ spec: { layout: level === 0 ? {} : deep(level - 1) } }] },
  });
  assert.throws(
    () => importDashboard({ ...second, spec: { elements: {}, layout: deep(9) } }),
    /nest more than 5 levels/,
  );
  const rows = (level: number): object => ({
    kind: 'GridLayoutRow',
    spec: { elements: level === 0 ? [] : [rows(level - 1)] },
  });
  const nested = { elements: {}, layout: { kind: 'GridLayout', spec: { items: [rows(9)] } } };
  assert.throws(() => importDashboard({ ...second, spec: nested }), /nest more than 5 levels/);
  // one large element that is named often would be as many large panels
  const large = element({ ...up!, title: 'x'.repeat(100_000) });
  const items = Array.from({ length: 499 }, (_, i) => place('large', 0, i));
  const spread = { elements: { large }, layout: { kind: 'GridLayout', spec: { items } } };
  assert.throws(() => importDashboard({ ...second, spec: spread }), /where layouts name them, more than 1048576/);
  const auto = { elements: { large }, layout: { kind: 'AutoGridLayout', spec: { items } } };
  assert.throws(() => importDashboard({ ...second, spec: auto }), /where layouts name them, more than 1048576/);
});

test('odd and hostile JSON of Grafana is no dashboard, or a plain one', () => {
  const odd = { title: 7, panels: [null, 3, {}, { type: 'row', panels: 'x' }, { gridPos: { x: -5, w: 1e9, h: 'a' } }] };
  const { dashboard } = importDashboard({ ...odd, templating: { list: [null, { name: '__proto__' }] }, tags: [1] });
  assert.equal(dashboard.spec.display.name, 'Imported dashboard');
  for (const { spec } of dashboard.spec.layouts) {
    for (const { x, width } of spec.items) assert.ok(x >= 0 && x + width <= 24);
  }
  const old = { title: 'old', rows: [{ title: 'r', panels: [{ type: 'graph', span: 6, targets: [{ expr: 'up' }] }] }] };
  assert.equal(importDashboard(old).dashboard.spec.layouts[0]!.spec.items[0]!.width, 12);
  assert.throws(() => importDashboard({ panels: Array.from({ length: 600 }, () => ({})) }), /600 panels/);
});

test("a folder of Grafana's is that of the list", () => {
  const { dashboard } = importDashboard({ dashboard: GRAFANA, meta: { folderTitle: 'Shops' } });
  assert.equal(dashboard.metadata.folder, 'Shops');
});

test('odd annotations and repeats are refused with their place', () => {
  const { dashboard } = importDashboard(GRAFANA);
  const of = (spec: object) => importDashboard({ ...dashboard, spec: { ...dashboard.spec, ...spec } } as never);
  const plugin = { kind: 'PrometheusPromQLAnnotation', spec: { expr: 7 } };
  assert.throws(() => of({ annotations: [{ display: { name: 'x' }, plugin }] }), /annotations\[0\]: expr is no text/);
  assert.throws(() => of({ annotations: Array.from({ length: 60 }, () => ({})) }), /60 entries, more than 50/);
  const item = { ...dashboard.spec.layouts[0]!.spec.items[0]!, repeat: { variable: 'job', direction: 'x' } };
  assert.throws(() => of({ layouts: [{ kind: 'Grid', spec: { items: [item] } }] }), /direction is neither h nor v/);
});
