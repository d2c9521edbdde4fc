import type {
  Annotation,
  Dashboard,
  GridItem,
  Layout,
  Panel,
  PanelQuery,
  PanelRepeat,
  Plugin,
  Variable,
} from '../contract/dashboard.ts';
import { GRAFANA_PANEL, GRAFANA_TARGET } from './grafana-kept.ts';
import { overridesOf } from './grafana-overrides.ts';
import { classicOf, isSecondSchema } from './grafana-second-schema.ts';
import { isTransformation, transformed } from './grafana-transformations.ts';
import { persesUnit } from './grafana-units.ts';
import { list, number, object, text } from './loose-json.ts';
import { DashboardError, type JsonObject, PANELS_MAX, readDashboard } from './read-dashboard.ts';

/** A dashboard that came in, and what was not taken over as it was. */
export interface ImportedDashboard {
  readonly dashboard: Dashboard;
  readonly notes: readonly string[];
}

const NOTES_MAX = 200;
const COLUMNS = 24;
const HEIGHT_DEFAULT = 8;
/** Rows before version 5 of Grafana's schema are twelve wide. */
const OLD_COLUMNS = 12;

export function isGrafana(given: JsonObject): boolean {
  return (
    given.kind === undefined && (Array.isArray(given.panels) || Array.isArray(given.rows) || 'templating' in given)
  );
}

/**
 * A dashboard of Grafana, of its classic JSON, in the shape that is kept here. Panels, queries and variables that cannot be drawn
 * are kept as they came.
 *
 * @throws DashboardError
 */
export function fromGrafana(given: JsonObject): ImportedDashboard {
  return new GrafanaReader(given).read();
}

/** Panels, and rows with those in them. */
function countOf(given: JsonObject): number {
  const groups = [...list(given.rows), ...list(given.panels)];
  return groups.reduce((sum: number, each) => sum + 1 + list(object(each).panels).length, 0);
}

class GrafanaReader {
  readonly #given: JsonObject;
  readonly #notes: string[] = [];
  readonly #panels: Record<string, Panel> = {};
  readonly #layouts: Layout[] = [];
  #items: GridItem[] = [];
  #section:
    | { readonly title: string; readonly isOpen: boolean; readonly y: number; readonly repeat: string }
    | undefined;
  #count = 0;

  constructor(given: JsonObject) {
    this.#given = given;
  }

  read(): ImportedDashboard {
    const { title, description, tags, refresh, time, annotations, links, templating } = this.#given;
    const count = countOf(this.#given);
    if (count > PANELS_MAX) throw new DashboardError(`${count} panels and rows, more than ${PANELS_MAX}`);
    for (const row of list(this.#given.rows)) this.#oldRow(object(row));
    const panels = list(this.#given.panels).map(object);
    for (const panel of panels.toSorted((a, b) => order(a) - order(b))) {
      if (panel.type === 'row') this.#row(panel);
      else this.#place(panel);
    }
    this.#endSection();
    const { variables, unknown } = this.#variables(list(object(templating).list).map(object));
    const own = list(object(annotations).list).filter((each) => object(each).builtIn !== 1);
    const drawn = own.flatMap((each) => annotationOf(object(each)) ?? []);
    const left = own.filter((each) => annotationOf(object(each)) === undefined);
    if (left.length > 0) this.#note(`${left.length} annotation queries are kept, and not drawn`);
    const from = /^now-(\d+[smhdw])$/.exec(text(object(time).from))?.[1];
    return {
      dashboard: readDashboard({
        kind: 'Dashboard',
        metadata: { name: '', project: '' },
        spec: {
          display: { name: text(title) || 'Imported dashboard', description: text(description) },
          duration: from ?? '1h',
          ...(text(refresh) === '' ? {} : { refreshInterval: text(refresh) }),
          tags: list(tags)
            .filter((tag) => typeof tag === 'string')
            .slice(0, 100),
          variables,
          panels: this.#panels,
          layouts: this.#layouts,
          ...(drawn.length > 0 && { annotations: drawn }),
          grafana: {
            ...(left.length > 0 && { annotations: { list: left } }),
            ...(list(links).length > 0 && { links }),
            ...(unknown.length > 0 && { templating: { list: unknown } }),
          },
        },
      }),
      notes: this.#notes,
    };
  }

  #row(row: JsonObject): void {
    this.#endSection();
    const inner = list(row.panels).map(object);
    this.#section = {
      title: text(row.title),
      isOpen: row.collapsed !== true,
      y: number(object(row.gridPos).y, 0) + 1,
      repeat: text(row.repeat),
    };
    for (const panel of inner.toSorted((a, b) => order(a) - order(b))) this.#place(panel);
  }

  #oldRow(row: JsonObject): void {
    this.#endSection();
    this.#section = { title: text(row.title), isOpen: row.collapse !== true, y: 0, repeat: text(row.repeat) };
    let [x, y] = [0, 0];
    for (const panel of list(row.panels).map(object)) {
      const width = (Math.min(OLD_COLUMNS, Math.max(1, Math.ceil(number(panel.span, OLD_COLUMNS)))) * COLUMNS) / 12;
      if (x + width > COLUMNS) [x, y] = [0, y + HEIGHT_DEFAULT];
      this.#place({ ...panel, gridPos: { x, y, w: width, h: HEIGHT_DEFAULT } });
      x += width;
    }
    this.#endSection();
  }

  #place(panel: JsonObject): void {
    const { x, y, w, h } = object(panel.gridPos);
    const key = `panel-${this.#count++}`;
    this.#panels[key] = this.#panel(panel);
    const from = whole(x, 0, COLUMNS - 1, 0);
    this.#items.push({
      x: from,
      y: Math.max(0, whole(y, 0, 100_000, 0) - (this.#section?.y ?? 0)),
      width: Math.min(COLUMNS - from, whole(w, 1, COLUMNS, COLUMNS / 2)),
      height: whole(h, 1, 1_000, HEIGHT_DEFAULT),
      content: { $ref: `#/spec/panels/${key}` },
      ...(text(panel.repeat) !== '' && { repeat: repeatOf(panel) }),
    });
  }

  #endSection(): void {
    const { title = '', isOpen = true, repeat = '' } = this.#section ?? {};
    if (this.#items.length > 0 || title !== '') {
      const display = { title, collapse: { open: isOpen } };
      const spec = { display, items: this.#items, ...(repeat !== '' && { repeatVariable: repeat }) };
      this.#layouts.push({ kind: 'Grid', spec });
    }
    this.#items = [];
    this.#section = undefined;
  }

  #panel(panel: JsonObject): Panel {
    const display = { name: text(panel.title).slice(0, 4_000), description: text(panel.description) };
    const plugin = pluginOf(panel);
    const targets = list(panel.targets).map(object);
    const readable = targets.filter((target) => isPromQL(target, panel));
    const isKept = plugin === undefined || (targets.length > 0 && readable.length === 0);
    if (isKept) {
      const why = plugin === undefined ? `panels of type ${text(panel.type)}` : 'its queries';
      this.#note(`${named(panel)}: ${why} cannot be drawn here, and are kept`);
      return { kind: 'Panel', spec: { display, plugin: { kind: GRAFANA_PANEL, spec: panel } } };
    }
    const transformations = list(panel.transformations).map(object);
    const unknown = transformations.filter((one) => !isTransformation(one, plugin.kind));
    if (unknown.length > 0) {
      const ids = [...new Set(unknown.map(({ id }) => text(id).slice(0, 40)))].join(', ');
      this.#note(`${named(panel)}: transformations that are kept, and not done: ${ids}`);
    }
    const kept = targets.length - readable.filter(({ hide }) => hide !== true).length;
    if (kept > 0) this.#note(`${named(panel)}: ${kept} of its queries are kept, and not drawn`);
    const given = list(object(panel.fieldConfig).overrides).map(object);
    const { overrides, left } = overridesOf(
      given,
      readable.map(({ refId }) => text(refId)),
    );
    if (left.length > 0) {
      const ids = left.map((id) => id.slice(0, 40)).join(', ');
      this.#note(`${named(panel)}: settings of fields that are kept, and not done: ${ids}`);
    }
    const queries = targets.map((target) => queryOf(target, panel));
    const kepts = {
      ...(transformations.length > 0 && { transformations }),
      ...(given.length > 0 && { overrides: given }),
    };
    const more = Object.keys(kepts).length > 0 && { grafana: kepts };
    const drawn = transformed(plugin, transformations);
    const spec = overrides.length === 0 ? drawn.spec : { ...drawn.spec, overrides };
    return { kind: 'Panel', spec: { display, plugin: { ...drawn, ...(spec && { spec }) }, queries, ...more } };
  }

  #variables(given: readonly JsonObject[]): { readonly variables: Variable[]; readonly unknown: JsonObject[] } {
    const variables: Variable[] = [];
    const unknown: JsonObject[] = [];
    const names = new Set<string>();
    for (const variable of given) {
      const made = /^\w{1,200}$/.test(text(variable.name)) && !names.has(text(variable.name)) && variableOf(variable);
      if (made) {
        names.add(made.spec.name);
        variables.push(made);
      } else {
        unknown.push(variable);
        this.#note(`variable ${text(variable.name).slice(0, 100)}: type ${text(variable.type)} is kept, and not used`);
      }
    }
    return { variables, unknown };
  }

  #note(note: string): void {
    if (this.#notes.length < NOTES_MAX) this.#notes.push(note.slice(0, 500));
  }
}

/** Where a panel is drawn more than once. */
function repeatOf({ repeat, repeatDirection, maxPerRow }: JsonObject): PanelRepeat {
  const direction = repeatDirection === 'v' ? 'v' : 'h';
  return {
    variable: text(repeat).slice(0, 200),
    direction,
    ...(typeof maxPerRow === 'number' && { perRow: whole(maxPerRow, 1, COLUMNS, 4) }),
  };
}

/** Annotation queries in PromQL, and those that ask Grafana's own store by tags; undefined: another kind, or hidden. */
function annotationOf(given: JsonObject): Annotation | undefined {
  const { name, enable, datasource, expr, titleFormat, textFormat, step, useValueForTime, tags, type } = given;
  const target = object(given.target);
  const display = { name: text(name).slice(0, 200), ...(enable === false && { hidden: true }) };
  const source = text(object(datasource).type) || text(datasource);
  const query = text(expr) || text(target.expr);
  const isTags = text(type) === 'tags' || text(target.type) === 'tags';
  if (query !== '' && useValueForTime !== true && isPromQL({ expr: query }, { datasource })) {
    const title = text(titleFormat) || text(textFormat);
    const spec = { expr: query, ...(title !== '' && { title }), ...(text(step) !== '' && { step: text(step) }) };
    return { display, plugin: { kind: 'PrometheusPromQLAnnotation', spec } };
  }
  if (isTags && /^(grafana|-- Grafana --|)$/.test(source)) {
    const all = [...list(tags), ...list(target.tags)].filter((tag) => typeof tag === 'string').slice(0, 50);
    const matchAny = given.matchAny === true || target.matchAny === true;
    return { display, plugin: { kind: 'EventAnnotation', spec: { tags: all, ...(matchAny && { matchAny }) } } };
  }
  return undefined;
}

function pluginOf(panel: JsonObject): Plugin | undefined {
  const defaults = object(object(panel.fieldConfig).defaults);
  const custom = object(defaults.custom);
  const options = object(panel.options);
  const oldAxis = object(list(panel.yaxes)[0]);
  const unit = persesUnit(text(defaults.unit) || text(panel.format) || text(oldAxis.format) || 'short');
  const format = { unit, ...(Number.isInteger(defaults.decimals) && { decimalPlaces: defaults.decimals }) };
  const calculation = calculationOf(text(list(object(options.reduceOptions).calcs)[0]));
  switch (panel.type) {
    case 'timeseries':
    case 'graph': {
      const stacked = panel.stack === true || !['', 'none'].includes(text(object(custom.stacking).mode));
      const min = typeof defaults.min === 'number' ? { min: defaults.min } : {};
      const max = typeof defaults.max === 'number' ? { max: defaults.max } : {};
      const visual = stacked ? { visual: { stack: 'all', areaOpacity: 0.6 } } : {};
      return { kind: 'TimeSeriesChart', spec: { yAxis: { format, ...min, ...max }, ...visual } };
    }
    case 'stat':
    case 'singlestat':
      return { kind: 'StatChart', spec: { calculation, format } };
    case 'gauge': {
      const max = typeof defaults.max === 'number' ? { max: defaults.max } : {};
      return { kind: 'GaugeChart', spec: { calculation, format, ...max } };
    }
    case 'bargauge':
    case 'barchart':
      return { kind: 'BarChart', spec: { calculation, format } };
    case 'table':
    case 'table-old':
      return { kind: 'Table', spec: {} };
    case 'heatmap':
      return { kind: 'HeatMapChart', spec: { yAxisFormat: format } };
    case 'state-timeline':
    case 'status-history':
      return { kind: 'StatusHistoryChart', spec: {} };
    case 'text':
      return { kind: 'Markdown', spec: { text: text(options.content) || text(panel.content) } };
    default:
      return undefined;
  }
}

/** One value of a series, as Perses names it. */
function calculationOf(grafana: string): string {
  const known: Readonly<Record<string, string>> = { mean: 'mean', sum: 'sum', max: 'max', min: 'min', first: 'first' };
  return Object.hasOwn(known, grafana) ? known[grafana]! : 'last';
}

/** Queries without a data source are taken for PromQL, as those that name it by a variable. */
function isPromQL(target: JsonObject, panel: JsonObject): boolean {
  if (typeof target.expr !== 'string') return false;
  const type = text(object(target.datasource).type) || text(object(panel.datasource).type);
  return ['', 'prometheus', 'datasource', 'mixed'].includes(type) || /prom|mimir|thanos|cortex|victoria/i.test(type);
}

function queryOf(target: JsonObject, panel: JsonObject): PanelQuery {
  if (!isPromQL(target, panel) || target.hide === true) {
    return { kind: 'TimeSeriesQuery', spec: { plugin: { kind: GRAFANA_TARGET, spec: target as never } } };
  }
  const legend = text(target.legendFormat);
  const minStep = text(target.interval) || text(panel.interval);
  const spec = {
    query: text(target.expr),
    ...(legend === '' || legend === '__auto' ? {} : { seriesNameFormat: legend }),
    ...(/^\d+[smhd]$/.test(minStep) && { minStep }),
  };
  return { kind: 'TimeSeriesQuery', spec: { plugin: { kind: 'PrometheusTimeSeriesQuery', spec } } };
}

function variableOf(variable: JsonObject): Variable | undefined {
  const { name, label, hide, current, multi, includeAll, allValue, regex, sort, query, description } = variable;
  const display = {
    ...(text(label) !== '' && { name: text(label) }),
    ...(text(description) !== '' && { description: text(description) }),
    ...(hide === 2 && { hidden: true }),
  };
  const common = { name: text(name), display };
  const value = object(current).value;
  switch (variable.type) {
    case 'constant':
    case 'datasource':
      return {
        kind: 'TextVariable',
        spec: {
          ...common,
          display: { ...display, hidden: true },
          value: text(value) || text(query),
          constant: true,
        },
      };
    case 'textbox':
      return { kind: 'TextVariable', spec: { ...common, value: text(value) || text(query) } };
    case 'custom':
    case 'interval':
    case 'query': {
      const plugin = variable.type === 'query' ? queryPlugin(variable) : staticPlugin(text(query), variable);
      if (plugin === undefined) return undefined;
      const chosen = Array.isArray(value) ? value.filter((one) => typeof one === 'string') : text(value);
      const pattern = /^\/(.*)\/[a-z]*$/s.exec(text(regex))?.[1] ?? text(regex);
      return {
        kind: 'ListVariable',
        spec: {
          ...common,
          ...(chosen.length > 0 && { defaultValue: chosen }),
          allowAllValue: includeAll === true,
          allowMultiple: multi === true,
          ...(text(allValue) !== '' && { customAllValue: text(allValue) }),
          ...(pattern !== '' && variable.type === 'query' && { capturingRegexp: pattern }),
          ...(typeof sort === 'number' && sort > 0 && { sort: SORTS[sort] ?? 'alphabetical-asc' }),
          plugin,
        },
      };
    }
    default:
      return undefined;
  }
}

const SORTS: Readonly<Record<number, string>> = {
  1: 'alphabetical-asc',
  2: 'alphabetical-desc',
  3: 'numerical-asc',
  4: 'numerical-desc',
  5: 'alphabetical-ci-asc',
  6: 'alphabetical-ci-desc',
};

function queryPlugin({ query, definition, datasource }: JsonObject): Plugin | undefined {
  const type = text(object(datasource).type);
  if (type !== '' && type !== 'prometheus') return undefined;
  const asked = (text(query) || text(object(query).query) || text(definition)).trim();
  const values = /^label_values\(\s*(?:(.*),\s*)?([^\s,{}()"]+)\s*\)$/s.exec(asked);
  if (values !== null) {
    const [, matcher, labelName] = values;
    const matchers = matcher === undefined || matcher.trim() === '' ? {} : { matchers: [matcher.trim()] };
    return { kind: 'PrometheusLabelValuesVariable', spec: { labelName, ...matchers } };
  }
  const names = /^label_names\(\s*(.*?)\s*\)$/s.exec(asked);
  if (names !== null) {
    return { kind: 'PrometheusLabelNamesVariable', spec: names[1] === '' ? {} : { matchers: [names[1]] } };
  }
  const metrics = /^metrics\(\s*(.*?)\s*\)$/s.exec(asked);
  if (metrics !== null) {
    const matchers = [`{__name__=~${JSON.stringify(metrics[1])}}`];
    return { kind: 'PrometheusLabelValuesVariable', spec: { labelName: '__name__', matchers } };
  }
  const result = /^query_result\(\s*(.*?)\s*\)$/s.exec(asked);
  if (result !== null) return { kind: 'PrometheusPromQLVariable', spec: { expr: result[1] } };
  return undefined;
}

/** `a, b, name : value`; a comma in a value stands behind a backslash. */
function staticPlugin(query: string, { options }: JsonObject): Plugin {
  const written = query.match(/(?:\\.|[^,\\])+/gs) ?? [];
  const values = written.map((one) => {
    const [label, value] = one
      .trim()
      .replaceAll('\\,', ',')
      .split(/\s+:\s+/, 2) as [string, string?];
    return value === undefined ? { value: label } : { label, value };
  });
  const listed = list(options)
    .map(object)
    .filter(({ value }) => typeof value === 'string' && value !== '$__all')
    .map(({ text: label, value }) => ({ label: text(label), value }));
  return { kind: 'StaticListVariable', spec: { values: values.length > 0 ? values : listed } };
}

/** From above to below, from left to right. */
function order({ gridPos }: JsonObject): number {
  const { x, y } = object(gridPos);
  return number(y, 0) * COLUMNS + number(x, 0);
}

function named(panel: JsonObject): string {
  return JSON.stringify(text(panel.title).slice(0, 100) || text(panel.type));
}

function whole(value: unknown, min: number, max: number, otherwise: number): number {
  return Math.min(max, Math.max(min, Math.round(number(value, otherwise))));
}

/** Whatever it is, as a dashboard of ours. @throws DashboardError */
export function importDashboard(body: JsonObject): ImportedDashboard {
  const inner = object(body.dashboard);
  const given = body.kind === undefined && Object.keys(inner).length > 0 ? inner : body;
  if (isSecondSchema(given)) {
    const { dashboard, notes } = fromGrafana(classicOf(given));
    return { dashboard, notes };
  }
  const folder = text(object(body.meta).folderTitle) || text(body.folderTitle);
  if (isGrafana(given) && folder !== '') {
    const { dashboard, notes } = fromGrafana(given);
    return { dashboard: { ...dashboard, metadata: { ...dashboard.metadata, folder: folder.slice(0, 200) } }, notes };
  }
  return isGrafana(given) ? fromGrafana(given) : { dashboard: readDashboard(given), notes: [] };
}
