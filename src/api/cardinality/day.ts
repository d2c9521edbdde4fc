import { DAY_MS } from '../../lib/day.ts';
import { oldestOf } from '../../limits/allowed-past.ts';
import { METRIC_NAME } from '../../model/labels.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import type { Call } from '../call.ts';
import { turnsOf } from '../context.ts';
import { ApiError } from '../error.ts';
import { isGoInt } from '../params.ts';

/** A day of UTC, both ends inclusive, Unix ms. */
export interface Day {
  readonly date: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** The day that a parameter names, today where it names none; cut to what the tenant may see. */
export function dayOf(call: Call, param: string): Day {
  const { params, sources, limits } = call;
  const nowMs = sources.clock.nowMs();
  const date = params.get(param) || new Date(nowMs).toISOString().slice(0, 10);
  const startMs = /^\d{4}-\d\d-\d\d$/.test(date) ? Date.parse(`${date}T00:00:00Z`) : Number.NaN;
  if (!Number.isFinite(startMs))
    throw ApiError.invalidParam(param, `${JSON.stringify(date.slice(0, 40))} is no day, like 2026-11-29`);
  return { date, startMs: Math.max(startMs, oldestOf(limits, nowMs)), endMs: startMs + DAY_MS - 1 };
}

/** Whether nothing of the day is cut. */
export function isWhole({ startMs, endMs }: Day): boolean {
  return endMs - startMs === DAY_MS - 1;
}

/** Entries of a list: a default, and at most `max`. */
export function sizeOf({ params }: Call, name: string, otherwise: number, max: number): number {
  const text = params.get(name);
  if (text === '') return otherwise;
  if (!(isGoInt(text) && Number(text) > 0)) throw ApiError.invalidParam(name, 'a positive number is wanted');
  if (Number(text) > max) throw ApiError.invalidParam(name, `must not exceed ${max}`);
  return Number(text);
}

export const EVERYTHING: readonly LabelMatcher[] = [LabelMatcher.of(METRIC_NAME, '=~', '.*')];

/** The selector of `match[]`; none: everything. */
export async function oneSelector(call: Call): Promise<readonly LabelMatcher[]> {
  const selectors = await call.params.matchers(turnsOf(call));
  if (selectors.length > 1) throw ApiError.invalidParam('match[]', 'one selector is wanted');
  return selectors[0] ?? EVERYTHING;
}
