import type { Plugin } from '../contract/dashboard.ts';
import type { Operand, TableStep } from '../contract/table-step.ts';
import { list, object, text } from './loose-json.ts';
import type { JsonObject } from './read-dashboard.ts';

/** A column of a table, as Perses has them: `Value` of one query, `Value #2` of the second. */
export interface ColumnSettings {
  readonly name: string;
  readonly header?: string;
  readonly hide?: boolean;
  readonly sort?: 'asc' | 'desc';
}

const SETTINGS_MAX = 100;
const STEPS_MAX = 20;
/** Series become rows, and rows of several queries with the same labels one, without being told to. */
const OF_ITSELF = ['labelsToFields', 'merge', 'joinByField', 'seriesToColumns', 'joinByLabels'];
const OF_TABLES = [...OF_ITSELF, 'organize', 'sortBy', 'filterFieldsByName', 'limit'];

/** Values of many, as Grafana names them, with the names of the columns that they make. */
const calcNames: Readonly<Record<string, string>> = {
  lastNotNull: 'Last *',
  last: 'Last',
  firstNotNull: 'First *',
  first: 'First',
  mean: 'Mean',
  max: 'Max',
  min: 'Min',
  sum: 'Total',
  count: 'Count',
  range: 'Range',
};
const OPERATORS = ['+', '-', '*', '/'];

/** Whether a transformation is done by a panel of a kind. */
export function isTransformation({ id, options }: JsonObject, kind: string): boolean {
  if (kind !== 'Table') return id === 'renameByRegex';
  return OF_TABLES.includes(text(id)) || stepOf(text(id), object(options)) !== undefined;
}

/** The step that a transformation is; undefined: it is none, or one that cannot be done. */
function stepOf(id: string, options: JsonObject): TableStep | undefined {
  switch (id) {
    case 'reduce': {
      const calcs = list(options.reducers).map(text);
      if (text(options.mode) === 'reduceFields' || !calcs.every(isCalc)) return undefined;
      return {
        kind: 'reduce',
        calcs: (calcs.length === 0 ? ['max'] : calcs.slice(0, 10)).map((calc) => ({ calc, name: calcNames[calc]! })),
        labels: options.labelsToFields === true,
      };
    }
    case 'groupBy': {
      const fields = Object.entries(object(options.fields)).map(([name, field]) => ({ name, ...object(field) }));
      const of = (operation: string) => fields.filter((field) => (field as JsonObject).operation === operation);
      const by = of('groupby').map(({ name }) => columnOf(name));
      const calcs = of('aggregate').flatMap(({ name, ...field }) =>
        list((field as JsonObject).aggregations).map((calc) => ({ column: columnOf(name), calc: text(calc) })),
      );
      if (by.length === 0 || !calcs.every(({ calc }) => isCalc(calc))) return undefined;
      return { kind: 'groupBy', by: by.slice(0, SETTINGS_MAX), calcs: calcs.slice(0, SETTINGS_MAX) };
    }
    case 'calculateField': {
      const only = options.replaceFields === true;
      const alias = text(options.alias).slice(0, 200);
      const mode = text(options.mode) || 'reduceRow';
      if (mode === 'binary') {
        const { left, right, operator } = object(options.binary);
        const [a, b] = [operandOf(left), operandOf(right)];
        const sign = text(operator) || '+';
        if (a === undefined || b === undefined || !OPERATORS.includes(sign)) return undefined;
        return { kind: 'calculate', name: alias || `${a} ${sign} ${b}`, operator: sign, left: a, right: b, only };
      }
      if (mode !== 'reduceRow') return undefined;
      const { reducer, include } = object(options.reduce);
      const calc = text(reducer) || 'sum';
      if (!isCalc(calc)) return undefined;
      const columns = list(include).filter((name) => typeof name === 'string');
      const name = alias || calcNames[calc]!;
      return { kind: 'reduceRow', name, calc, columns: columns.slice(0, SETTINGS_MAX).map(columnOf), only };
    }
    default:
      return undefined;
  }
}

function isCalc(calc: string): boolean {
  return Object.hasOwn(calcNames, calc);
}

/** A field by its name, or by a matcher of it, or a number that stands there. */
function operandOf(value: unknown): Operand | undefined {
  const { matcher, fixed } = object(value);
  const { id, options } = object(matcher);
  const given = typeof value === 'string' ? value : id === 'byName' ? text(options) : text(fixed);
  if (given === '') return undefined;
  return /^-?\d+(\.\d+)?$/.test(given) ? Number(given) : columnOf(given);
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
  const steps: TableStep[] = [];
  for (const { id, options } of transformations) {
    const given = object(options);
    if (!isTransformation({ id, options }, plugin.kind)) continue;
    const step = stepOf(text(id), given);
    if (step !== undefined && steps.length < STEPS_MAX) steps.push(step);
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
  if (steps.length > 0) spec = { ...spec, steps };
  // those that have a place come in its order
  for (const name of order) if (!columns.has(name)) set(name, {});
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  const settings = [...columns.values()].sort((a, b) => place(a.name) - place(b.name));
  return settings.length === 0 ? { ...plugin, spec } : { ...plugin, spec: { ...spec, columnSettings: settings } };
}

/** Grafana's name of a column as ours: `Value #A` of several queries is `Value`, `Value #B` is `Value #2`. */
function columnOf(name: string): string {
  const [, letter, calc = ''] = /^Value #([A-Z])( \(\w+\))?$/.exec(name) ?? [];
  if (letter === undefined) return name.slice(0, 200);
  const at = letter.charCodeAt(0) - 64;
  return `${at === 1 ? 'Value' : `Value #${at}`}${calc}`;
}
