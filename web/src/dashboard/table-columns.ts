import type { TableStep } from '../../../src/contract/table-step.ts';
import { printSeries } from '../model/labels.ts';
import { printValue, type Unit } from '../model/units.ts';
import { calculated } from './calculated.ts';
import { settingsBy } from './overrides.ts';

/** A table of a panel: headers, and texts by row; a number is as it came, or with its column's unit. */
export interface ColumnTable {
  readonly headers: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A series by its name, to make a row of. */
export interface NamedSeries {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: Float64Array;
}

/** Columns by name, cells by row. */
interface Cells {
  readonly names: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Rows of one query. */
export type QueryRows = readonly {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [seconds: number, text: string])[];
}[];

interface Settings {
  readonly name: string;
  readonly header?: string;
  readonly hide?: boolean;
  readonly sort?: string;
}

/** The settings of a table's columns, whoever wrote them. */
function settingsOf(value: unknown): Settings[] {
  if (!Array.isArray(value)) return [];
  return value.filter((one): one is Settings => typeof (one as Partial<Settings> | null)?.name === 'string');
}

/** Whether a panel is a table by columns, and not a list of series. */
export function hasColumns(spec: Readonly<Record<string, unknown>>, queries: number): boolean {
  return (
    queries > 1 ||
    [spec.columnSettings, spec.onlyColumns, spec.limit, spec.steps, spec.overrides].some((one) => one !== undefined)
  );
}

/** Whether rows are made of whole series. */
export function isReduced(spec: Readonly<Record<string, unknown>> | undefined): boolean {
  return stepsOf(spec?.steps).some(({ kind }) => kind === 'reduce');
}

/**
 * Labels and values as columns: rows of several queries with the same labels are one.
 *
 * @param series for steps that make a row of each
 */
export function columnsOf(
  answers: readonly QueryRows[],
  spec: Readonly<Record<string, unknown>>,
  series: readonly NamedSeries[] = [],
): ColumnTable {
  const settings = settingsOf(spec.columnSettings);
  const fields = settingsBy(spec);
  let cells = cellsOf(answers);
  for (const step of stepsOf(spec.steps)) cells = stepped(cells, step, series);
  const only = Array.isArray(spec.onlyColumns) ? new Set<unknown>(spec.onlyColumns) : undefined;
  const hidden = new Set(settings.filter(({ hide }) => hide === true).map(({ name }) => name));
  const all = cells.names.map((name) => ({ name, own: fields(name, queryOf(name)) }));
  // those that are named come first, in their order
  const named = settings.map(({ name }) => name).filter((name) => cells.names.includes(name));
  const shown = [...new Set([...named, ...cells.names])].filter(
    (name) => !hidden.has(name) && (only?.has(name) ?? true) && all.find((one) => one.name === name)?.own.hide !== true,
  );
  const rows = [...cells.rows];
  const sorted = settings.find(({ name, sort }) => (sort === 'asc' || sort === 'desc') && cells.names.includes(name));
  if (sorted !== undefined) {
    const sign = sorted.sort === 'desc' ? -1 : 1;
    const at = cells.names.indexOf(sorted.name);
    rows.sort((a, b) => sign * compare(a[at]!, b[at]!));
  }
  const limit = typeof spec.limit === 'number' ? spec.limit : rows.length;
  const columns = shown.map((name) => {
    const at = cells.names.indexOf(name);
    const { own } = all[at]!;
    return { at, header: settings.find((one) => one.name === name)?.header ?? own.name ?? name, unit: own.unit };
  });
  const printed = (cell: string, unit: Unit | undefined) =>
    unit === undefined || cell === '' || Number.isNaN(Number(cell)) ? cell : printValue(Number(cell), unit);
  return {
    headers: columns.map(({ header }) => header),
    rows: rows.slice(0, limit).map((row) => columns.map(({ at, unit }) => printed(row[at]!, unit))),
  };
}

/** The place of the query that a column of values is of. */
function queryOf(name: string): number | undefined {
  const [, number = '1'] = /^Value(?: #(\d+))?$/.exec(name) ?? [undefined, ''];
  return number === '' ? undefined : Number(number) - 1;
}

function cellsOf(answers: readonly QueryRows[]): Cells {
  const bySeries = new Map<string, { readonly labels: Readonly<Record<string, string>>; readonly values: string[] }>();
  for (const [at, rows] of answers.entries()) {
    for (const { labels, values } of rows) {
      const { __name__: _, ...rest } = labels;
      const key = printSeries(rest);
      const row = bySeries.get(key) ?? { labels: rest, values: [] };
      row.values[at] = values[0]?.[1] ?? '';
      bySeries.set(key, row);
    }
  }
  const rows = [...bySeries.values()];
  const labels = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort();
  return {
    names: [...labels, ...answers.map((_, at) => (at === 0 ? 'Value' : `Value #${at + 1}`))],
    rows: rows.map((row) => [
      ...labels.map((name) => row.labels[name] ?? ''),
      ...answers.map((_, at) => row.values[at] ?? ''),
    ]),
  };
}

type JsonObject = Readonly<Record<string, unknown>>;

/** Steps that can be done, whoever wrote them. */
function stepsOf(value: unknown): TableStep[] {
  if (!Array.isArray(value)) return [];
  const isTexts = (list: unknown) => Array.isArray(list) && list.every((one) => typeof one === 'string');
  const haveTexts = (list: unknown, ...keys: readonly string[]) =>
    Array.isArray(list) && list.every((one) => isTexts(keys.map((key) => (one as JsonObject | null)?.[key])));
  return value.slice(0, 20).filter((step): step is TableStep => {
    const { kind, calcs, by, columns, name } = (step ?? {}) as JsonObject;
    if (kind === 'reduce') return haveTexts(calcs, 'calc', 'name');
    if (kind === 'groupBy') return isTexts(by) && haveTexts(calcs, 'calc', 'column');
    if (kind === 'reduceRow') return isTexts(columns) && typeof name === 'string';
    return kind === 'calculate' && typeof name === 'string';
  });
}

function stepped({ names, rows }: Cells, step: TableStep, series: readonly NamedSeries[]): Cells {
  const numbers = (cells: readonly string[]) =>
    cells
      .filter((cell) => cell !== '')
      .map(Number)
      .filter((value) => !Number.isNaN(value));
  switch (step.kind) {
    case 'reduce': {
      const labels = step.labels ? [...new Set(series.flatMap((one) => Object.keys(one.labels)))].sort() : [];
      return {
        names: distinct(['Field', ...labels, ...step.calcs.map(({ name }) => name)]),
        rows: series.map((one) => [
          one.name,
          ...labels.map((name) => one.labels[name] ?? ''),
          ...step.calcs.map(({ calc }) => shown(calculated(one.values, calc))),
        ]),
      };
    }
    case 'groupBy': {
      const by = step.by.filter((name) => names.includes(name));
      const of = (row: readonly string[], name: string) => row[names.indexOf(name)] ?? '';
      const groups = Map.groupBy(rows, (row) => JSON.stringify(by.map((name) => of(row, name))));
      const calcs = step.calcs.filter(({ column }) => names.includes(column));
      return {
        names: [...by, ...calcs.map(({ column, calc }) => `${column} (${calc})`)],
        rows: [...groups.values()].map((group) => [
          ...by.map((name) => of(group[0]!, name)),
          ...calcs.map(({ column, calc }) => shown(calculated(numbers(group.map((row) => of(row, column))), calc))),
        ]),
      };
    }
    case 'calculate': {
      const at = (row: readonly string[], operand: string | number) => {
        if (typeof operand === 'number') return operand;
        const cell = row[names.indexOf(operand)] ?? '';
        return cell === '' ? Number.NaN : Number(cell);
      };
      const made = rows.map((row) => shown(operated(at(row, step.left), step.operator, at(row, step.right))));
      return withColumn({ names, rows }, step.name, made, step.only);
    }
    case 'reduceRow': {
      const columns = step.columns.length > 0 ? step.columns : names.filter((name) => name.startsWith('Value'));
      const places = columns.map((name) => names.indexOf(name)).filter((at) => at >= 0);
      const made = rows.map((row) => shown(calculated(numbers(places.map((at) => row[at]!)), step.calc)));
      return withColumn({ names, rows }, step.name, made, step.only);
    }
  }
}

/** Names of columns, of which later ones that are there get a number. */
function distinct(names: readonly string[]): string[] {
  const taken = new Set<string>();
  for (const name of names) {
    let own = name;
    for (let number = 2; taken.has(own); number++) own = `${name} #${number}`;
    taken.add(own);
  }
  return [...taken];
}

/** Cells with a column more, or with another in place of that of the name. */
function withColumn({ names, rows }: Cells, name: string, made: readonly string[], only: boolean): Cells {
  if (only) return { names: [name], rows: made.map((cell) => [cell]) };
  const at = names.indexOf(name);
  if (at >= 0) return { names, rows: rows.map((row, i) => row.with(at, made[i]!)) };
  return { names: [...names, name], rows: rows.map((row, i) => [...row, made[i]!]) };
}

function operated(left: number, operator: string, right: number): number {
  switch (operator) {
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    default:
      return left + right;
  }
}

function shown(value: number): string {
  return Number.isNaN(value) ? '' : String(value);
}

/** Numbers by size, texts by letters. */
function compare(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  if (a !== '' && b !== '' && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return a < b ? -1 : a > b ? 1 : 0;
}
