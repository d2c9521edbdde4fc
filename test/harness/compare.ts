/** How two answers of the API may differ and still count as equal. */
export interface Tolerance {
  /** The relative tolerance of numbers in strings, inclusive. */
  readonly relative: number;
  /** Whether texts of errors are compared. */
  readonly errors: boolean;
}

export const CLOSE: Tolerance = { relative: 1e-9, errors: false };

/**
 * Where two values differ first, or undefined. Warnings and infos are sets, and `<varies>` equals anything.
 * @param want of JSON
 */
export function difference(want: unknown, got: unknown, tolerance = CLOSE, path = ''): string | undefined {
  if (want === '<varies>' || want === got) return undefined;
  if (Array.isArray(want) && Array.isArray(got)) {
    if (want.length !== got.length) return `${path}: ${want.length} elements wanted, ${got.length} are there`;
    for (const [i, each] of want.entries()) {
      const found = difference(each, got[i], tolerance, `${path}[${i}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isObject(want) && isObject(got)) {
    for (const key of new Set([...Object.keys(want), ...Object.keys(got)])) {
      if (key === 'error' && !tolerance.errors) continue;
      if (key === 'warnings' || key === 'infos') {
        const [missing, surplus] = setDifference(want[key], got[key]);
        if (missing.length + surplus.length === 0) continue;
        if (missing.length === 1 && surplus.length === 1) {
          return `${path}.${key}[0]: wanted ${show(missing[0])}, there is ${show(surplus[0])}`;
        }
      }
      if (!(key in want)) return `${path}.${key}: not wanted, there is ${show(got[key])}`;
      if (!(key in got)) return `${path}.${key}: wanted ${show(want[key])}, is missing`;
      const found = difference(want[key], got[key], tolerance, `${path}.${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (typeof want === typeof got && sameNumber(want, got, tolerance.relative)) return undefined;
  return `${path}: wanted ${show(want)}, there is ${show(got)}`;
}

/** The answer with what has no order sorted: series of vectors and matrices, and plain lists. */
export function sorted(answer: unknown): unknown {
  if (!isObject(answer)) return answer;
  const { data } = answer;
  if (Array.isArray(data)) return { ...answer, data: sortBy(data, stable) };
  if (isObject(data) && Array.isArray(data.result) && data.resultType !== 'scalar' && data.resultType !== 'string') {
    return { ...answer, data: { ...data, result: sortBy(data.result, (each) => stable(each.metric ?? each)) } };
  }
  return answer;
}

function sortBy<T>(list: readonly T[], key: (each: T) => string): T[] {
  return list
    .map((each) => [key(each), each] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, each]) => each);
}

/** JSON with the keys of every object in order. */
function stable(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

function sameNumber(a: unknown, b: unknown, relative: number): boolean {
  const [x, y] = [number(a), number(b)];
  if (x === undefined || y === undefined) return false;
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) && Number.isNaN(y);
  return x === y || Math.abs(x - y) <= relative * Math.max(Math.abs(x), Math.abs(y));
}

function number(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const text = value.replace(/^([+-]?)Inf$/i, '$1Infinity');
  if (text === 'NaN') return Number.NaN;
  const parsed = Number(text);
  return Number.isNaN(parsed) ? undefined : parsed;
}

/** Elements that only one of two lists has. */
function setDifference(want: unknown, got: unknown): [missing: unknown[], surplus: unknown[]] {
  const [a, b] = [want, got].map((list) => new Set(Array.isArray(list) ? (list as unknown[]) : []));
  return [[...a!.difference(b!)], [...b!.difference(a!)]];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 400);
}
