import { printSeries } from '../model/labels.ts';

/** A table of a panel: headers, and texts by row; a number is as it came. */
export interface ColumnTable {
  readonly headers: readonly string[];
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
  return queries > 1 || [spec.columnSettings, spec.onlyColumns, spec.limit].some((one) => one !== undefined);
}

/** Labels and values as columns: rows of several queries with the same labels are one. */
export function columnsOf(answers: readonly QueryRows[], spec: Readonly<Record<string, unknown>>): ColumnTable {
  const settings = settingsOf(spec.columnSettings);
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
  const values = answers.map((_, at) => (at === 0 ? 'Value' : `Value #${at + 1}`));
  const all = [...labels, ...values];
  const only = Array.isArray(spec.onlyColumns) ? new Set<unknown>(spec.onlyColumns) : undefined;
  const hidden = new Set(settings.filter(({ hide }) => hide === true).map(({ name }) => name));
  // those that are named come first, in their order
  const named = settings.map(({ name }) => name).filter((name) => all.includes(name));
  const shown = [...new Set([...named, ...all])].filter((name) => !hidden.has(name) && (only?.has(name) ?? true));
  const cell = (row: (typeof rows)[number], name: string) => {
    const at = values.indexOf(name);
    return (at === -1 ? row.labels[name] : row.values[at]) ?? '';
  };
  const sorted = settings.find(({ sort }) => sort === 'asc' || sort === 'desc');
  if (sorted !== undefined) {
    const sign = sorted.sort === 'desc' ? -1 : 1;
    rows.sort((a, b) => sign * compare(cell(a, sorted.name), cell(b, sorted.name)));
  }
  const limit = typeof spec.limit === 'number' ? spec.limit : rows.length;
  const headerOf = (name: string) => settings.find((one) => one.name === name)?.header ?? name;
  return {
    headers: shown.map(headerOf),
    rows: rows.slice(0, limit).map((row) => shown.map((name) => cell(row, name))),
  };
}

/** Numbers by size, texts by letters. */
function compare(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  if (a !== '' && b !== '' && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return a < b ? -1 : a > b ? 1 : 0;
}
