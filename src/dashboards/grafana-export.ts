import type { Annotation, Dashboard, GridItem, Panel, PanelQuery, Plugin, Variable } from '../contract/dashboard.ts';
import { GRAFANA_PANEL, GRAFANA_TARGET } from './grafana-kept.ts';
import { grafanaUnit } from './grafana-units.ts';

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const SCHEMA_VERSION = 39;

/** A dashboard as Grafana's classic JSON. It asks for the data source when it is opened, by a variable of that name. */
export function toGrafana({ spec }: Dashboard): object {
  const panels: object[] = [];
  let y = 0;
  for (const { spec: layout } of spec.layouts) {
    const { title = '', collapse } = layout.display ?? {};
    const isOpen = collapse?.open !== false;
    const from = y + (title === '' && isOpen ? 0 : 1);
    const inner = layout.items.map((item) => panelOf(spec.panels, item, from));
    if (from > y) {
      const gridPos = { x: 0, y, w: 24, h: 1 };
      const repeat = layout.repeatVariable === undefined ? {} : { repeat: layout.repeatVariable };
      panels.push({ type: 'row', title, collapsed: !isOpen, gridPos, panels: isOpen ? [] : inner, ...repeat });
    }
    if (isOpen) panels.push(...inner);
    const end = Math.max(0, ...layout.items.map((item) => item.y + item.height));
    y = from + (isOpen ? end : 0);
  }
  const kept = (spec as { readonly grafana?: Kept }).grafana ?? {};
  const variables = spec.variables.map(variableOf);
  const hasSource = spec.variables.some(({ spec: { name } }) => name === 'datasource');
  const source = { type: 'datasource', name: 'datasource', label: 'Data source', query: 'prometheus', current: {} };
  return {
    title: spec.display.name,
    description: spec.display.description ?? '',
    tags: spec.tags ?? [],
    schemaVersion: SCHEMA_VERSION,
    editable: true,
    time: { from: `now-${spec.duration}`, to: 'now' },
    refresh: spec.refreshInterval ?? '',
    annotations: { list: [...(spec.annotations ?? []).flatMap(annotationOf), ...(kept.annotations?.list ?? [])] },
    links: kept.links ?? [],
    templating: { list: [...(hasSource ? [] : [source]), ...variables, ...(kept.templating?.list ?? [])] },
    panels: panels.map((panel, i) => ({ id: i + 1, ...panel })),
  };
}

interface Kept {
  readonly annotations?: { readonly list?: readonly object[] };
  readonly links?: object;
  readonly templating?: { readonly list?: readonly object[] };
}

function panelOf(panels: Readonly<Record<string, Panel>>, item: GridItem, fromY: number): object {
  const { x, y, width, height, content, repeat } = item;
  const panel = panels[content.$ref.replace(/^#\/spec\/panels\//, '')]!;
  const { display, plugin, queries = [] } = panel.spec;
  const gridPos = { x, y: y + fromY, w: width, h: height };
  const { transformations, overrides = [] } = (panel.spec as { grafana?: KeptOfPanel }).grafana ?? {};
  if (plugin.kind === GRAFANA_PANEL) return { ...plugin.spec, title: display.name, gridPos };
  return {
    title: display.name,
    description: display.description ?? '',
    gridPos,
    datasource: DATASOURCE,
    ...drawnAs(plugin, overrides),
    targets: queries.map(targetOf),
    ...(transformations !== undefined && { transformations }),
    ...(repeat !== undefined && {
      repeat: repeat.variable,
      repeatDirection: repeat.direction,
      ...(repeat.perRow !== undefined && { maxPerRow: repeat.perRow }),
    }),
  };
}

function annotationOf({ display, plugin }: Annotation): object[] {
  const common = { name: display?.name ?? '', enable: display?.hidden !== true, iconColor: 'blue' };
  const spec = plugin?.spec ?? {};
  switch (plugin?.kind) {
    case 'PrometheusPromQLAnnotation': {
      const { expr, title, step } = spec;
      return [{ ...common, datasource: DATASOURCE, expr, titleFormat: title ?? '', ...(step ? { step } : {}) }];
    }
    case 'EventAnnotation': {
      const { tags = [], matchAny = false } = spec;
      const datasource = { type: 'grafana', uid: '-- Grafana --' };
      return [{ ...common, datasource, target: { type: 'tags', tags, matchAny, limit: 100 } }];
    }
    default:
      return [];
  }
}

/** Type and options; a kind that Grafana has not becomes a text that says so, with the panel beside it. */
function drawnAs(plugin: Plugin, overrides: readonly object[]): object {
  const spec = (plugin.spec ?? {}) as {
    readonly yAxis?: { readonly format?: Format; readonly min?: number; readonly max?: number };
    readonly format?: Format;
    readonly yAxisFormat?: Format;
    readonly visual?: { readonly stack?: string };
    readonly calculation?: string;
    readonly max?: number;
    readonly text?: string;
  };
  const { unit = 'decimal', decimalPlaces } = spec.yAxis?.format ?? spec.format ?? spec.yAxisFormat ?? {};
  const { min, max = spec.max } = spec.yAxis ?? {};
  const stacking = spec.visual?.stack === 'all' ? { stacking: { mode: 'normal' }, fillOpacity: 60 } : {};
  const defaults = {
    unit: grafanaUnit(unit),
    ...(decimalPlaces !== undefined && { decimals: decimalPlaces }),
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
    custom: stacking,
  };
  const fieldConfig = { defaults, overrides };
  const calcs = [spec.calculation === undefined || spec.calculation === 'last' ? 'lastNotNull' : spec.calculation];
  const options = { reduceOptions: { calcs, fields: '', values: false } };
  switch (plugin.kind) {
    case 'TimeSeriesChart':
      return { type: 'timeseries', fieldConfig };
    case 'StatChart':
      return { type: 'stat', fieldConfig, options };
    case 'GaugeChart':
      return { type: 'gauge', fieldConfig, options };
    case 'BarChart':
      return { type: 'bargauge', fieldConfig, options };
    case 'Table':
    case 'TimeSeriesTable':
      return { type: 'table', fieldConfig };
    case 'HeatMapChart':
      return { type: 'heatmap', fieldConfig };
    case 'StatusHistoryChart':
      return { type: 'status-history', fieldConfig };
    case 'Markdown':
      return { type: 'text', options: { mode: 'markdown', content: spec.text ?? '' } };
    default:
      return { type: 'text', options: { mode: 'markdown', content: `A panel of kind ${plugin.kind}` }, perses: plugin };
  }
}

interface KeptOfPanel {
  readonly transformations?: readonly object[];
  readonly overrides?: readonly object[];
}

interface Format {
  readonly unit?: string;
  readonly decimalPlaces?: number;
}

function targetOf({ spec: { plugin } }: PanelQuery, index: number): object {
  if (plugin.kind === GRAFANA_TARGET) return plugin.spec;
  const refId = index < 26 ? String.fromCharCode(65 + index) : `Q${index}`;
  const { query = '', seriesNameFormat = '', minStep } = plugin.spec as typeof plugin.spec & { minStep?: string };
  return {
    refId,
    datasource: DATASOURCE,
    expr: query,
    legendFormat: seriesNameFormat || '__auto',
    ...(minStep !== undefined && { interval: minStep }),
  };
}

function variableOf({ kind, spec }: Variable): object {
  const { name, display = {} } = spec;
  const common = {
    name,
    label: display.name ?? '',
    description: display.description ?? '',
    hide: display.hidden ? 2 : 0,
  };
  if (kind === 'TextVariable') {
    const { value, constant } = spec;
    const type = name === 'datasource' ? 'datasource' : constant ? 'constant' : 'textbox';
    if (type === 'datasource')
      return { ...common, hide: 0, type, query: 'prometheus', current: { text: value, value } };
    return { ...common, type, query: value, current: { text: value, value } };
  }
  const { plugin, defaultValue = '', allowAllValue, allowMultiple, customAllValue, capturingRegexp, sort } = spec;
  const { labelName = '', matchers = [], expr = '', values = [] } = (plugin.spec ?? {}) as ListSpec;
  const more = {
    ...common,
    multi: allowMultiple === true,
    includeAll: allowAllValue === true,
    ...(customAllValue !== undefined && { allValue: customAllValue }),
    current: { text: defaultValue, value: defaultValue },
    ...(capturingRegexp !== undefined && { regex: `/${capturingRegexp}/` }),
    sort: SORTS[sort ?? ''] ?? 0,
  };
  const asked = (query: string) => ({ ...more, type: 'query', datasource: DATASOURCE, query, refresh: 2 });
  switch (plugin.kind) {
    case 'PrometheusLabelValuesVariable':
      return asked(`label_values(${matchers.length === 0 ? '' : `${matchers[0]}, `}${labelName})`);
    case 'PrometheusLabelNamesVariable':
      return asked(`label_names(${matchers[0] ?? ''})`);
    case 'PrometheusPromQLVariable':
      return asked(`query_result(${expr})`);
    default: {
      const all = values.map((one) => (typeof one === 'string' ? { value: one } : one));
      const written = (each: string) => each.replaceAll(',', '\\,');
      const query = all
        .map(({ label, value }) =>
          label === undefined || label === value ? written(value) : `${written(label)} : ${written(value)}`,
        )
        .join(', ');
      return { ...more, type: 'custom', query };
    }
  }
}

interface ListSpec {
  readonly labelName?: string;
  readonly matchers?: readonly string[];
  readonly expr?: string;
  readonly values?: readonly (string | { readonly label?: string; readonly value: string })[];
}

const SORTS: Readonly<Record<string, number>> = {
  'alphabetical-asc': 1,
  'alphabetical-desc': 2,
  'numerical-asc': 3,
  'numerical-desc': 4,
  'alphabetical-ci-asc': 5,
  'alphabetical-ci-desc': 6,
};
