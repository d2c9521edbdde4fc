import type { Dashboard, GridItem, Layout, Panel, PanelQuery, Variable } from '../contract/dashboard.ts';

/** Why something is no dashboard. */
export class DashboardError extends Error {}

export const DASHBOARD_BYTES_MAX = 1 << 20;
const DEPTH_MAX = 64;
export const PANELS_MAX = 500;
const QUERIES_MAX = 50;
const ANNOTATIONS_MAX = 50;
const VARIABLES_MAX = 100;
const LAYOUTS_MAX = 200;
const TITLE_CHARS_MAX = 4_096;
const TEXT_CHARS_MAX = 65_536;
const HEIGHT_MAX = 1_000;
const COLUMNS = 24;

export type JsonObject = Readonly<Record<string, unknown>>;

/** JSON of an object, no deeper than what is walked without care for the stack. @throws DashboardError */
export function parseJson(text: string): JsonObject {
  checkDepth(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw new DashboardError(`no JSON: ${thrown instanceof Error ? thrown.message.slice(0, 200) : ''}`);
  }
  return objectIn(value, 'the body');
}

/**
 * Checks a dashboard in the shape of Perses' model, as far as it is drawn; whatever else it holds stays as it is.
 *
 * @throws DashboardError
 */
export function readDashboard(value: unknown): Dashboard {
  const given = objectIn(value, 'the dashboard');
  if (given.kind !== 'Dashboard') throw new DashboardError('its kind is not Dashboard');
  const metadata = given.metadata === undefined ? {} : objectIn(given.metadata, 'metadata');
  const spec = objectIn(given.spec, 'spec');
  const display = spec.display === undefined ? {} : objectIn(spec.display, 'spec.display');
  const name = textIn(display.name ?? metadata.name ?? '', 'spec.display.name', TITLE_CHARS_MAX);
  if (name.trim() === '') throw new DashboardError('it has no name');
  textIn(display.description ?? '', 'spec.display.description', TEXT_CHARS_MAX);
  const panels = objectIn(spec.panels ?? {}, 'spec.panels');
  const keys = Object.keys(panels);
  if (keys.length > PANELS_MAX) throw new DashboardError(`${keys.length} panels are more than ${PANELS_MAX}`);
  for (const key of keys) {
    if (key === '__proto__' || key.length > 200) throw new DashboardError('a panel has a key that cannot be used');
    checkPanel(panels[key], `spec.panels.${key.slice(0, 60)}`);
  }
  const variables = listIn(spec.variables ?? [], 'spec.variables', VARIABLES_MAX).map(variableIn);
  const layouts = listIn(spec.layouts ?? [], 'spec.layouts', LAYOUTS_MAX).map((layout, i) =>
    layoutIn(layout, `spec.layouts[${i}]`, panels),
  );
  listIn(spec.annotations ?? [], 'spec.annotations', ANNOTATIONS_MAX).forEach(checkAnnotation);
  for (const tag of listIn(spec.tags ?? [], 'spec.tags', 100)) textIn(tag, 'a tag', 200);
  return {
    ...given,
    kind: 'Dashboard',
    metadata: {
      ...metadata,
      name: textIn(metadata.name ?? '', 'metadata.name', TITLE_CHARS_MAX),
      project: textIn(metadata.project ?? '', 'metadata.project', TITLE_CHARS_MAX),
      ...(metadata.folder !== undefined && { folder: textIn(metadata.folder, 'metadata.folder', TITLE_CHARS_MAX) }),
    },
    spec: {
      ...spec,
      display: { ...display, name },
      duration: textIn(spec.duration ?? '1h', 'spec.duration', 100),
      variables,
      panels: panels as Readonly<Record<string, Panel>>,
      layouts,
    },
  };
}

function checkPanel(value: unknown, where: string): asserts value is Panel {
  const panel = objectIn(value, where);
  if (panel.kind !== 'Panel') throw new DashboardError(`the kind of ${where} is not Panel`);
  const spec = objectIn(panel.spec, `${where}.spec`);
  const display = objectIn(spec.display, `${where}.spec.display`);
  textIn(display.name, `${where}.spec.display.name`, TITLE_CHARS_MAX);
  textIn(display.description ?? '', `${where}.spec.display.description`, TEXT_CHARS_MAX);
  checkPlugin(spec.plugin, `${where}.spec.plugin`);
  listIn(spec.queries ?? [], `${where}.spec.queries`, QUERIES_MAX).forEach((each, i) => {
    checkQuery(each, `${where}.spec.queries[${i}]`);
  });
}

/** Those of other kinds are kept as they are. */
function checkAnnotation(value: unknown, index: number): void {
  const where = `spec.annotations[${index}]`;
  const { display = {}, plugin } = objectIn(value, where);
  textIn(objectIn(display, `${where}.display`).name ?? '', `${where}.display.name`, TITLE_CHARS_MAX);
  if (plugin === undefined) return;
  const { kind, spec } = checkPlugin(plugin, `${where}.plugin`);
  if (kind !== 'PrometheusPromQLAnnotation') return;
  const { expr, title } = objectIn(spec, `${where}.plugin.spec`);
  textIn(expr, `${where}: expr`, TEXT_CHARS_MAX);
  textIn(title ?? '', `${where}: title`, TITLE_CHARS_MAX);
}

function checkQuery(value: unknown, where: string): asserts value is PanelQuery {
  const query = objectIn(value, where);
  const spec = objectIn(query.spec, `${where}.spec`);
  const plugin = checkPlugin(spec.plugin, `${where}.spec.plugin`);
  if (plugin.kind !== 'PrometheusTimeSeriesQuery') return;
  const { query: text, seriesNameFormat } = objectIn(plugin.spec, `${where}.spec.plugin.spec`);
  textIn(text, `${where}: query`, TEXT_CHARS_MAX);
  textIn(seriesNameFormat ?? '', `${where}: seriesNameFormat`, TITLE_CHARS_MAX);
}

function checkPlugin(value: unknown, where: string): JsonObject {
  const plugin = objectIn(value, where);
  textIn(plugin.kind, `${where}.kind`, 200);
  if (plugin.spec !== undefined) objectIn(plugin.spec, `${where}.spec`);
  return plugin;
}

function variableIn(value: unknown, index: number): Variable {
  const where = `spec.variables[${index}]`;
  const variable = objectIn(value, where);
  const spec = objectIn(variable.spec, `${where}.spec`);
  const name = textIn(spec.name, `${where}.spec.name`, 200);
  if (!/^\w+$/.test(name)) throw new DashboardError(`a variable's name is letters, digits and _: ${where}`);
  if (variable.kind === 'TextVariable') textIn(spec.value, `${where}.spec.value`, TEXT_CHARS_MAX);
  else if (variable.kind === 'ListVariable') {
    checkPlugin(spec.plugin, `${where}.spec.plugin`);
    textIn(spec.capturingRegexp ?? '', `${where}.spec.capturingRegexp`, TITLE_CHARS_MAX);
    textIn(spec.customAllValue ?? '', `${where}.spec.customAllValue`, TITLE_CHARS_MAX);
    const chosen = Array.isArray(spec.defaultValue) ? spec.defaultValue : [spec.defaultValue ?? ''];
    for (const one of chosen) textIn(one, `${where}.spec.defaultValue`, TITLE_CHARS_MAX);
  } else throw new DashboardError(`the kind of ${where} is neither TextVariable nor ListVariable`);
  return variable as unknown as Variable;
}

function layoutIn(value: unknown, where: string, panels: JsonObject): Layout {
  const layout = objectIn(value, where);
  if (layout.kind !== 'Grid') throw new DashboardError(`the kind of ${where} is not Grid`);
  const spec = objectIn(layout.spec, `${where}.spec`);
  if (spec.display !== undefined) {
    textIn(objectIn(spec.display, `${where}.spec.display`).title ?? '', `${where}: title`, TITLE_CHARS_MAX);
  }
  if (spec.repeatVariable !== undefined) textIn(spec.repeatVariable, `${where}.spec.repeatVariable`, 200);
  const items = listIn(spec.items ?? [], `${where}.spec.items`, PANELS_MAX).map((item, i): GridItem => {
    const at = `${where}.spec.items[${i}]`;
    const given = objectIn(item, at);
    const $ref = textIn(objectIn(given.content, `${at}.content`).$ref, `${at}.content.$ref`, 300);
    const key = $ref.replace(/^#\/spec\/panels\//, '');
    if (!Object.hasOwn(panels, key)) throw new DashboardError(`${at} names a panel that is not there`);
    if (given.repeat !== undefined) checkRepeat(given.repeat, `${at}.repeat`);
    const x = wholeIn(given.x, `${at}.x`, 0, COLUMNS - 1);
    return {
      ...given,
      x,
      y: wholeIn(given.y, `${at}.y`, 0, PANELS_MAX * HEIGHT_MAX),
      width: Math.min(wholeIn(given.width, `${at}.width`, 1, COLUMNS), COLUMNS - x),
      height: wholeIn(given.height, `${at}.height`, 1, HEIGHT_MAX),
      content: { $ref },
    };
  });
  return { ...layout, kind: 'Grid', spec: { ...spec, items } } as Layout;
}

function checkRepeat(value: unknown, where: string): void {
  const { variable, direction, perRow } = objectIn(value, where);
  textIn(variable, `${where}.variable`, 200);
  if (direction !== 'h' && direction !== 'v') throw new DashboardError(`${where}.direction is neither h nor v`);
  if (perRow !== undefined) wholeIn(perRow, `${where}.perRow`, 1, COLUMNS);
}

function objectIn(value: unknown, where: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DashboardError(`${where} is no object`);
  }
  return value as JsonObject;
}

function listIn(value: unknown, where: string, max: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new DashboardError(`${where} is no list`);
  if (value.length > max) throw new DashboardError(`${where} has ${value.length} entries, more than ${max}`);
  return value;
}

function textIn(value: unknown, where: string, max: number): string {
  if (typeof value !== 'string') throw new DashboardError(`${where} is no text`);
  if (value.length > max) throw new DashboardError(`${where} has ${value.length} characters, more than ${max}`);
  return value;
}

function wholeIn(value: unknown, where: string, min: number, max: number): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw new DashboardError(`${where} is no whole number from ${min} to ${max}`);
  }
  return value as number;
}

function checkDepth(text: string): void {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (quoted) {
      if (code === 0x5c) i++;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > DEPTH_MAX) throw new DashboardError(`it is nested more than ${DEPTH_MAX} deep`);
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
}
