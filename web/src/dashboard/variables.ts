import type { ListVariable, Variable } from '../../../src/contract/dashboard.ts';

/** The value of a variable: one, several of a list, or a text that is put in as it is. */
export type Value =
  | { readonly kind: 'one'; readonly value: string }
  | { readonly kind: 'several'; readonly values: readonly string[] }
  | { readonly kind: 'raw'; readonly text: string };
export type Values = ReadonlyMap<string, Value>;

/** The choice of all values, in addresses and dashboards of Grafana. */
export const ALL = '$__all';
export const NO_VALUES: Values = new Map();
/** All values stand in a query up to this number; more are `.*`. */
const ALL_MAX = 500;
const OPTION_CHARS_MAX = 300;
const PATTERN_CHARS_MAX = 200;

const PLACES = /\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]/g;

/** `$job`, `${job}`, `${job:csv}` and `[[job]]` of variables that are known; others stay as they are. */
export function interpolated(text: string, values: Values): string {
  return text.replaceAll(PLACES, (whole, plain, braced, format, old, oldFormat) => {
    const value = values.get(plain ?? braced ?? old);
    return value === undefined ? whole : printed(value, format ?? oldFormat);
  });
}

/** Where a text has variables, known or not, in its order. */
export function placesOf(text: string): { readonly name: string; readonly from: number; readonly to: number }[] {
  return Array.from(text.matchAll(PLACES), ({ 0: whole, 1: plain, 2: braced, 4: old, index }) => ({
    name: plain ?? braced ?? old ?? '',
    from: index,
    to: index + whole.length,
  }));
}

function printed(value: Value, format: string | undefined): string {
  if (value.kind === 'raw') return value.text;
  const all = value.kind === 'one' ? [value.value] : value.values;
  switch (format) {
    case 'raw':
    case 'csv':
      return all.join(',');
    case 'pipe':
      return all.join('|');
    case 'regex':
      return alternatives(all);
    default:
      return value.kind === 'one' ? inString(value.value) : alternatives(all);
  }
}

function alternatives(all: readonly string[]): string {
  const each = all.map((one) => inString(one.replaceAll(/[\\^$*+?.()|{}[\]]/g, '\\$&')));
  return each.length === 1 ? each[0]! : `(${each.join('|')})`;
}

/** A text as it stands between quotes of any kind but backticks. */
function inString(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\x22').replaceAll("'", '\\x27').replaceAll('\n', '\\n');
}

/** The value of a variable: as it was chosen, else as the dashboard says, else the first there is. */
export function chosenValue(variable: Variable, options: readonly string[], chosen: readonly string[]): Value {
  const { spec } = variable;
  if (variable.kind === 'TextVariable') {
    return { kind: 'one', value: chosen[0] !== undefined && !variable.spec.constant ? chosen[0] : variable.spec.value };
  }
  const { allowMultiple, allowAllValue, customAllValue } = variable.spec;
  const picked = chosen.length > 0 ? chosen : defaultsOf(variable);
  const isAll = picked.includes(ALL) || (picked.length === 0 && allowAllValue === true && allowMultiple === true);
  if (isAll && customAllValue !== undefined) return { kind: 'raw', text: customAllValue };
  if (isAll && (options.length === 0 || options.length > ALL_MAX)) return { kind: 'raw', text: '.*' };
  if (isAll) return { kind: 'several', values: options };
  if (allowMultiple === true && picked.length > 0) return { kind: 'several', values: picked };
  const first = picked[0] ?? options[0] ?? '';
  // an interval that follows the step
  return spec.name !== '' && first.startsWith('$__auto') ? { kind: 'raw', text: '1m' } : { kind: 'one', value: first };
}

export function defaultsOf({ spec: { defaultValue } }: ListVariable): readonly string[] {
  if (defaultValue === undefined || defaultValue === '') return [];
  return typeof defaultValue === 'string' ? [defaultValue] : defaultValue;
}

export interface Option {
  readonly label: string;
  readonly value: string;
}

/** The values of a list that stands in the dashboard. */
export function staticOptions({ spec: { plugin } }: ListVariable): Option[] {
  const { values } = (plugin.spec ?? {}) as { readonly values?: unknown };
  if (!Array.isArray(values)) return [];
  return values.flatMap((each: unknown): Option[] => {
    if (typeof each === 'string') return [{ label: each, value: each }];
    const { value, label } = (each ?? {}) as { readonly value?: unknown; readonly label?: unknown };
    return typeof value === 'string' ? [{ label: typeof label === 'string' ? label : value, value }] : [];
  });
}

/** Found values as they are offered: filtered by the variable's expression, each once, in its order. */
export function offered({ spec: { capturingRegexp, sort } }: ListVariable, found: readonly string[]): string[] {
  const pattern = patternOf(capturingRegexp);
  const kept = pattern === undefined ? found : found.flatMap((value) => caught(pattern, value));
  const all = [...new Set(kept)];
  const [by = '', ...rest] = (sort ?? 'none').split('-');
  if (by === 'alphabetical') {
    const key = rest.includes('ci') ? (text: string) => text.toLowerCase() : (text: string) => text;
    all.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  } else if (by === 'numerical') {
    const key = (text: string) => Number(/-?\d+(\.\d+)?/.exec(text)?.[0] ?? Number.POSITIVE_INFINITY);
    all.sort((a, b) => key(a) - key(b) || (a < b ? -1 : 1));
  }
  return rest.includes('desc') ? all.reverse() : all;
}

/** Undefined for one that is wrong, or could take for ever: repetitions or alternatives within a repeated group. */
export function patternOf(text: string | undefined): RegExp | undefined {
  if (text === undefined || text === '' || text.length > PATTERN_CHARS_MAX) return undefined;
  if (repeatsChoices(text)) return undefined;
  try {
    return new RegExp(text);
  } catch {
    return undefined;
  }
}

function repeatsChoices(text: string): boolean {
  // escaped characters and classes are one character each
  const plain = text.replaceAll(/\\.|\[(?:\\.|[^\]\\])*\]/gs, 'x');
  /** Whether each open group has something to choose. */
  const open: boolean[] = [false];
  for (let i = 0; i < plain.length; i++) {
    const char = plain[i]!;
    if (char === '(') open.push(false);
    else if (char === ')') {
      const hasChoices = open.pop() === true;
      if (hasChoices && /[*+{]/.test(plain[i + 1] ?? '')) return true;
      if (hasChoices && open.length > 0) open[open.length - 1] = true;
    } else if (/[*+{|?]/.test(char) && !(char === '?' && plain[i - 1] === '(') && open.length > 0) {
      open[open.length - 1] = true;
    }
  }
  return false;
}

function caught(pattern: RegExp, value: string): string[] {
  const groups = pattern.exec(value.slice(0, OPTION_CHARS_MAX));
  if (groups === null) return [];
  const named = groups.groups?.value;
  if (named !== undefined) return [named];
  const given = groups.slice(1).filter((group) => group !== undefined);
  return [given.length > 0 ? given.join('') : value];
}
