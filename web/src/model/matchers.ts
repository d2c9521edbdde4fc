import type { LabelSet } from './labels.ts';

/** A matcher as Alertmanager's API has it. */
export interface AlertMatcher {
  readonly name: string;
  readonly value: string;
  readonly isRegex: boolean;
  readonly isEqual: boolean;
}

const ONE =
  /^\s*(?:"((?:[^"\\]|\\.)*)"|([\p{L}_:][\p{L}\p{N}_:.-]*))\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",{}]+))\s*/su;

/** `{job="a", instance=~"b.*"}`, with braces or without; undefined where it is no list of matchers. */
export function parseMatchers(text: string): AlertMatcher[] | undefined {
  let rest = text.trim();
  if (rest.startsWith('{') && rest.endsWith('}')) rest = rest.slice(1, -1).trim();
  const matchers: AlertMatcher[] = [];
  while (rest !== '') {
    const found = ONE.exec(rest);
    if (found === null) return undefined;
    const [whole, quotedName, plainName, operator, quotedValue, plainValue] = found;
    const name = quotedName === undefined ? plainName : unquoted(quotedName);
    const value = quotedValue === undefined ? plainValue : unquoted(quotedValue);
    if (name === undefined || value === undefined || name === '') return undefined;
    matchers.push({ name, value, isRegex: operator!.endsWith('~'), isEqual: !operator!.startsWith('!') });
    rest = rest.slice(whole.length);
    if (rest === '') break;
    if (!rest.startsWith(',')) return undefined;
    rest = rest.slice(1).trimStart();
  }
  return matchers;
}

function unquoted(text: string): string | undefined {
  try {
    return JSON.parse(`"${text.replaceAll('\n', '\\n')}"`) as string;
  } catch {
    return undefined;
  }
}

export function printMatcher({ name, value, isRegex, isEqual }: AlertMatcher): string {
  const operator = isRegex ? (isEqual ? '=~' : '!~') : isEqual ? '=' : '!=';
  return `${/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name)}${operator}${JSON.stringify(value)}`;
}

/** Matchers that fit an alert by all of its labels. */
export function matchersOf(labels: LabelSet): AlertMatcher[] {
  return Object.entries(labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));
}

/** Labels as they are typed: `alertname="Down", severity="page"`. */
export function labelsIn(text: string): LabelSet | undefined {
  const matchers = parseMatchers(text);
  if (matchers === undefined || matchers.some(({ isRegex, isEqual }) => isRegex || !isEqual)) return undefined;
  return Object.fromEntries(matchers.map(({ name, value }) => [name, value]));
}
