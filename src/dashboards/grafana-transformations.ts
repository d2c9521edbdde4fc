import type { Plugin } from '../contract/dashboard.ts';
import type { JsonObject } from './read-dashboard.ts';

/** A column of a table, as Perses has them: `Value` of one query, `Value #2` of the second. */
export interface ColumnSettings {
  readonly name: string;
  readonly header?: string;
  readonly hide?: boolean;
  readonly sort?: 'asc' | 'desc';
}

const SETTINGS_MAX = 100;
/** Series become rows, and rows of several queries with the same labels one, without being told to. */
const OF_ITSELF = ['labelsToFields', 'merge', 'joinByField', 'seriesToColumns', 'joinByLabels'];
const OF_TABLES = [...OF_ITSELF, 'organize', 'sortBy', 'filterFieldsByName', 'limit'];

/** Whether a transformation is done by a panel of a kind. */
export function isTransformation(id: string, kind: string): boolean {
  return kind === 'Table' ? OF_TABLES.includes(id) : id === 'renameByRegex';
}

/** A panel's plugin that does what transformations say, as far as it can. */
export function transformed(plugin: Plugin, transformations: readonly JsonObject[]): Plugin {
  let spec: Record<string, unknown> = { ...plugin.spec };
  const columns = new Map<string, ColumnSettings>();
  const set = (name: string, more: Partial<ColumnSettings>) => {
    const column = columnOf(name);
    if (columns.size < SETTINGS_MAX) columns.set(column, { ...columns.get(column), ...more, name: column });
  };
  const order: string[] = [];
  for (const { id, options } of transformations) {
    const given = object(options);
    if (!isTransformation(text(id), plugin.kind)) continue;
    switch (id) {
      case 'organize':
        for (const [name, hide] of Object.entries(object(given.excludeByName))) if (hide === true) set(name, { hide });
        for (const [name, header] of Object.entries(object(given.renameByName)))
          if (typeof header === 'string' && header !== '') set(name, { header });
        order.push(
          ...Object.entries(object(given.indexByName))
            .filter(([, index]) => typeof index === 'number')
            .sort(([, a], [, b]) => Number(a) - Number(b))
            .map(([name]) => columnOf(name)),
        );
        break;
      case 'sortBy': {
        const [first] = list(given.sort).map(object);
        if (typeof first?.field === 'string') set(first.field, { sort: first.desc === true ? 'desc' : 'asc' });
        break;
      }
      case 'filterFieldsByName': {
        const names = list(object(given.include).names).filter((name) => typeof name === 'string');
        if (names.length > 0) spec = { ...spec, onlyColumns: names.slice(0, SETTINGS_MAX).map(columnOf) };
        break;
      }
      case 'limit': {
        const limit = Number(given.limitField ?? 10);
        if (Number.isInteger(limit) && limit > 0) spec = { ...spec, limit };
        break;
      }
      case 'renameByRegex': {
        const { regex, renamePattern } = given;
        if (typeof regex === 'string' && typeof renamePattern === 'string' && regex.length <= 200)
          spec = { ...spec, rename: { regex, to: renamePattern.slice(0, 200) } };
        break;
      }
    }
  }
  // those that have a place come in its order
  for (const name of order) if (!columns.has(name)) set(name, {});
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  const settings = [...columns.values()].sort((a, b) => place(a.name) - place(b.name));
  return settings.length === 0 ? { ...plugin, spec } : { ...plugin, spec: { ...spec, columnSettings: settings } };
}

/** Grafana's name of a column as ours: `Value #A` of several queries is `Value`, `Value #B` is `Value #2`. */
function columnOf(name: string): string {
  const [, letter] = /^Value #([A-Z])$/.exec(name) ?? [];
  if (letter === undefined) return name.slice(0, 200);
  const at = letter.charCodeAt(0) - 64;
  return at === 1 ? 'Value' : `Value #${at}`;
}

function object(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
