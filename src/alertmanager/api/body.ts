import type { ApiRequest } from '../../contract/api.ts';
import { BadRequest } from './params.ts';

/** The body's JSON. @throws BadRequest */
export function bodyOf({ body }: ApiRequest): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body ?? new Uint8Array(0)));
  } catch (thrown) {
    throw new BadRequest(`the body is no JSON: ${thrown instanceof Error ? thrown.message : 'it cannot be read'}`);
  }
}

/** A mapping of texts; nothing where there is none. @throws BadRequest */
export function labelsFrom(given: unknown, what: string): ReadonlyMap<string, string> {
  if (given === undefined || given === null) return new Map();
  if (typeof given !== 'object' || Array.isArray(given)) throw new BadRequest(`${what} are no mapping`);
  const entries = Object.entries(given);
  for (const [name, value] of entries) {
    if (typeof value !== 'string') throw new BadRequest(`${what}: the value of ${JSON.stringify(name)} is no text`);
  }
  return new Map(entries as [string, string][]);
}

const TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:?\d\d)$/;

/** Unix ms; undefined where there is none, or Go's zero time. @throws BadRequest */
export function timeFrom(given: unknown, what: string): number | undefined {
  if (given === undefined || given === null || given === '') return undefined;
  const timeMs = typeof given === 'string' && TIME.test(given) ? Date.parse(given) : Number.NaN;
  if (Number.isNaN(timeMs)) throw new BadRequest(`${what} is no time: ${JSON.stringify(given).slice(0, 100)}`);
  return (given as string).startsWith('0001-01-01T00:00:00') ? undefined : timeMs;
}
