import { list, number, object, text } from './loose-json.ts';
import { DASHBOARD_BYTES_MAX, DashboardError, type JsonObject, PANELS_MAX } from './read-dashboard.ts';

// Grafana's second schema (`dashboard.grafana.app/v2…`) as its classic JSON: elements and layouts become panels with a place.

const COLUMNS = 24;
const AUTO_HEIGHT = 9;
const LEVELS_MAX = 5;

export function isSecondSchema(given: JsonObject): boolean {
  return given.kind === 'Dashboard' && 'elements' in object(given.spec);
}

/** @throws DashboardError */
export function classicOf({ spec: given }: JsonObject): JsonObject {
  const spec = object(given);
  const { title, description, tags, elements, layout, variables, annotations, timeSettings, links } = spec;
  if (typeof elements !== 'object' || elements === null || Array.isArray(elements)) {
    throw new DashboardError("Grafana's second schema: elements is no object");
  }
  const { from, to, autoRefresh } = object(timeSettings);
  const placed = new Placing(elements as JsonObject);
  placed.layout(object(layout), 0);
  return {
    ...{ title, description, tags, links, refresh: autoRefresh, time: { from, to } },
    panels: placed.panels,
    templating: { list: list(variables).map((one) => variableOf(object(one))) },
    annotations: { list: list(annotations).map((one) => annotationOf(object(one))) },
  };
}

/** Layouts from above to below; sections of the classic JSON are not within each other. */
class Placing {
  readonly panels: JsonObject[] = [];
  readonly #elements: JsonObject;
  /** Characters of elements by name; a layout may name one often, and each becomes a panel of its own. */
  readonly #charsOf = new Map<string, number>();
  #chars = 0;
  #y = 0;

  constructor(elements: JsonObject) {
    this.#elements = elements;
  }

  layout({ kind, spec: given }: JsonObject, level: number): void {
    if (level > LEVELS_MAX) throw new DashboardError(`layouts nest more than ${LEVELS_MAX} levels`);
    const spec = object(given);
    switch (kind) {
      case 'GridLayout':
        this.#grid(list(spec.items).map(object), level);
        return;
      case 'AutoGridLayout':
        this.#auto(spec);
        return;
      case 'RowsLayout':
        for (const row of list(spec.rows).map((one) => object(object(one).spec))) this.#section(row, level);
        return;
      case 'TabsLayout':
        for (const tab of list(spec.tabs).map((one) => object(object(one).spec))) this.#section(tab, level);
        return;
    }
  }

  #section({ title, collapse, layout, repeat }: JsonObject, level: number): void {
    this.#add({
      ...{ type: 'row', title: text(title), collapsed: collapse === true, panels: [] },
      ...{ gridPos: { x: 0, y: this.#y++, w: COLUMNS, h: 1 }, repeat: text(object(repeat).value) },
    });
    this.layout(object(layout), level + 1);
  }

  #grid(items: readonly JsonObject[], level: number): void {
    const top = this.#y;
    for (const { kind, spec: given } of items) {
      const spec = object(given);
      // as an early form of the schema had sections
      if (kind === 'GridLayoutRow') {
        const { title, collapsed, elements, repeat } = spec;
        const layout = { kind: 'GridLayout', spec: { items: elements } };
        this.#section({ title, collapse: collapsed, layout, repeat }, level);
        continue;
      }
      const { x, y, width, height, element, repeat } = spec;
      const gridPos = { x: number(x, 0), y: top + number(y, 0), w: number(width, 12), h: number(height, 8) };
      const { value, direction, maxPerRow } = object(repeat);
      const repeated = text(value) !== '' && { repeat: value, repeatDirection: direction, maxPerRow };
      this.#add({ ...this.#panelOf(element), ...repeated, gridPos });
      this.#y = Math.max(this.#y, gridPos.y + gridPos.h);
    }
  }

  #auto({ maxColumnCount, items }: JsonObject): void {
    const columns = Math.min(6, Math.max(1, Math.round(number(maxColumnCount, 3))));
    const width = Math.floor(COLUMNS / columns);
    const top = this.#y;
    for (const [i, { spec }] of list(items).map(object).entries()) {
      const y = top + Math.floor(i / columns) * AUTO_HEIGHT;
      const { element, repeat } = object(spec);
      const { value } = object(repeat);
      const gridPos = { x: (i % columns) * width, y, w: width, h: AUTO_HEIGHT };
      this.#add({ ...this.#panelOf(element), ...(text(value) !== '' && { repeat: value }), gridPos });
      this.#y = y + AUTO_HEIGHT;
    }
  }

  #add(panel: JsonObject): void {
    if (this.panels.length >= PANELS_MAX) throw new DashboardError(`more than ${PANELS_MAX} panels and rows`);
    this.panels.push(panel);
  }

  /** @throws DashboardError where panels would take more than a dashboard may */
  #count(name: string, element: JsonObject): void {
    const chars = this.#charsOf.get(name) ?? JSON.stringify(element).length;
    this.#charsOf.set(name, chars);
    this.#chars += chars;
    if (this.#chars > DASHBOARD_BYTES_MAX) {
      const taken = `elements take ${this.#chars} bytes where layouts name them`;
      throw new DashboardError(`${taken}, more than ${DASHBOARD_BYTES_MAX}`);
    }
  }

  #panelOf(reference: unknown): JsonObject {
    const name = text(object(reference).name);
    const element = Object.hasOwn(this.#elements, name) ? object(this.#elements[name]) : {};
    this.#count(name, element);
    const { title, description, vizConfig, data, libraryPanel } = object(element.spec);
    if (element.kind !== 'Panel') return { type: 'library-panel', title, libraryPanel };
    const { kind, group, spec: viz } = object(vizConfig);
    const { options, fieldConfig } = object(viz);
    const { queries, transformations, queryOptions } = object(object(data).spec);
    return {
      ...{ type: kind === 'VizConfig' ? group : kind, title, description, options, fieldConfig },
      interval: object(queryOptions).interval,
      targets: list(queries).map((query) => targetOf(object(object(query).spec))),
      transformations: list(transformations).map((one) => {
        const { kind: id, group: named, spec: settings } = object(one);
        const { options: own } = object(settings);
        return { id: id === 'Transformation' ? named : id, options: own };
      }),
    };
  }
}

function targetOf({ refId, hidden, query, datasource }: JsonObject): JsonObject {
  const { kind, group, spec, datasource: own } = object(query);
  const type = text(kind === 'DataQuery' ? group : kind);
  return {
    ...object(spec),
    ...{ refId, hide: hidden === true },
    datasource: { ...object(datasource), ...object(own), ...(type !== '' && { type }) },
  };
}

const KINDS: Readonly<Record<string, string>> = {
  QueryVariable: 'query',
  CustomVariable: 'custom',
  IntervalVariable: 'interval',
  ConstantVariable: 'constant',
  TextVariable: 'textbox',
  DatasourceVariable: 'datasource',
  AdhocVariable: 'adhoc',
  GroupByVariable: 'groupby',
};
const SORTS = [
  'disabled',
  'alphabeticalAsc',
  'alphabeticalDesc',
  'numericalAsc',
  'numericalDesc',
  'alphabeticalCaseInsensitiveAsc',
  'alphabeticalCaseInsensitiveDesc',
];

function variableOf({ kind, spec: given }: JsonObject): JsonObject {
  const { query, sort, hide, ...spec } = object(given);
  const type = Object.hasOwn(KINDS, text(kind)) ? KINDS[text(kind)]! : text(kind);
  const common = { ...spec, type, hide: hide === 'hideVariable' ? 2 : 0 };
  if (type !== 'query') return { ...common, query };
  const { kind: of, group, spec: asked, datasource } = object(query);
  const source = text(of === 'DataQuery' ? group : of);
  return {
    ...common,
    // what is asked stands in the query, or in a field of older versions
    query: typeof query === 'string' ? query : object(asked),
    sort: Math.max(0, SORTS.indexOf(text(sort))),
    datasource: { ...object(spec.datasource), ...object(datasource), ...(source !== '' && { type: source }) },
  };
}

function annotationOf({ spec: given }: JsonObject): JsonObject {
  const { name, enable, builtIn, query, datasource, legacyOptions, ...more } = object(given);
  const { kind, group, spec: asked, datasource: own } = object(query);
  const type = text(kind === 'DataQuery' ? group : kind);
  return {
    ...more,
    ...object(legacyOptions),
    ...object(asked),
    ...{ name, enable, builtIn: builtIn === true ? 1 : 0 },
    datasource: { ...object(datasource), ...object(own), ...(type !== '' && { type }) },
  };
}
