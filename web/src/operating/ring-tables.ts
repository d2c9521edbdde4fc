/** A table of what a process tells of its ring. */
export interface RingTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const ROWS_MAX = 1_000;
const COLUMNS_MAX = 20;

/** Lists of objects become tables of their own, whatever they are named; all else stands in the first. */
export function tablesOf(told: unknown): RingTable[] {
  if (Array.isArray(told)) return [tableOf('members', told)];
  if (typeof told !== 'object' || told === null) return [];
  const facts: (readonly string[])[] = [];
  const tables: RingTable[] = [];
  for (const [name, value] of Object.entries(told)) {
    if (Array.isArray(value) && value.every(isObject)) tables.push(tableOf(name, value));
    else facts.push([name, textOf(value)]);
  }
  return [...(facts.length === 0 ? [] : [{ title: 'ring', columns: ['', 'value'], rows: facts }]), ...tables];
}

function tableOf(title: string, list: readonly unknown[]): RingTable {
  const objects = list.filter(isObject).slice(0, ROWS_MAX);
  const columns = [...new Set(objects.flatMap((one) => Object.keys(one)))].slice(0, COLUMNS_MAX);
  return { title, columns, rows: objects.map((one) => columns.map((column) => textOf(one[column]))) };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
