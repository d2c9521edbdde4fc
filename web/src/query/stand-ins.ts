import { placesOf, type Value, type Values } from '../dashboard/variables.ts';

/** Variables that every dashboard has, as what they stand for. */
const BUILT_IN: ReadonlyMap<string, Kind> = new Map([
  ['__rate_interval', 'duration'],
  ['__interval', 'duration'],
  ['__range', 'duration'],
  ['__interval_ms', 'number'],
  ['__range_s', 'number'],
  ['__range_ms', 'number'],
]);

type Kind = 'duration' | 'number' | 'name';

const DURATION = /^(\d+(ms|[smhdwy]))+$/;
const NUMBER = /^\d+(\.\d+)?$/;

/**
 * A query with PromQL of the same length in place of each variable, so that it can be parsed as it will be read; variables that nobody
 * knows stay as they are.
 */
export function withStandIns(text: string, values: Values): string {
  return placesOf(text).reduce((before, { name, from, to }) => {
    const kind = BUILT_IN.get(name) ?? kindOf(values.get(name));
    return kind === undefined ? before : before.slice(0, from) + standIn(kind, to - from) + before.slice(to);
  }, text);
}

function kindOf(value: Value | undefined): Kind | undefined {
  if (value === undefined) return undefined;
  const text = value.kind === 'raw' ? value.text : value.kind === 'one' ? value.value : '';
  if (DURATION.test(text)) return 'duration';
  return NUMBER.test(text) ? 'number' : 'name';
}

/** @param length at least 2 */
function standIn(kind: Kind, length: number): string {
  if (kind === 'name') return 'x'.repeat(length);
  return kind === 'number' ? '1'.repeat(length) : `${'1'.repeat(length - 1)}m`;
}
