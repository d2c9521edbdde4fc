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
  const objects = list.filter(isObject).slice(0, ROWS_MAX).map(flattened);
  const columns = [...new Set(objects.flatMap((one) => [...one.keys()]))].slice(0, COLUMNS_MAX);
  return { title, columns, rows: objects.map((one) => columns.map((column) => textOf(one.get(column), column))) };
}

/** Fields of fields stand beside the others: `holds.series`. */
function flattened(object: Readonly<Record<string, unknown>>): Map<string, unknown> {
  return new Map(
    Object.entries(object).flatMap(([name, value]) =>
      isObject(value)
        ? Object.entries(value).map(([inner, own]) => [`${name}.${inner}`, own] as const)
        : [[name, value] as const],
    ),
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Unix ms of this century; less is a duration. */
const MOMENT_MS_MIN = 1e12;

function textOf(value: unknown, name = ''): string {
  if (value === undefined || value === null) return '–';
  if (name.endsWith('Ms') && typeof value === 'number') {
    return value >= MOMENT_MS_MIN ? new Date(value).toISOString() : `${value} ms`;
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}
