import type { Random } from '../../src/lib/random.ts';
import { STEP_MS, STEPS } from './data.ts';
import type { Expressions } from './expressions.ts';

/** A query of the API, at one time or at several. */
export interface Question {
  readonly query: string;
  /** Seconds since the data starts. */
  readonly start: number;
  /** Without it: an instant query. */
  readonly range?: { readonly step: number; readonly steps: number };
}

/** Windows of both servers and all steps of subqueries begin anew after it, so that a seed means the same at all times. */
const ALIGNED_MS = 554_400_000;
/** When the data starts, Unix ms: at least two hours ago, at most a week. */
export const START_MS = Math.floor((Date.now() - 7_200_000) / ALIGNED_MS) * ALIGNED_MS;

export function randomQuestion(random: Random, expressions: Expressions): Question {
  const query = expressions.vector(1 + Math.floor(random() * 3));
  // a second's half: no sample lies there
  const at = (part: number) => Math.floor(part * STEPS * STEP_MS * 1e-3) + 0.5;
  if (random() < 0.4) return { query, start: at(random() * 1.1) };
  const start = at(random());
  const step = [1, 7, 15, 60, 300][Math.floor(random() * 5)]!;
  return { query, start, range: { step, steps: Math.floor(random() * 40) } };
}

export function pathOf({ query, start, range }: Question): string {
  const from = START_MS / 1000 + start;
  if (range === undefined) return `/api/v1/query?${new URLSearchParams({ query, time: String(from) })}`;
  const { step, steps } = range;
  const params = { query, start: String(from), end: String(from + step * steps), step: String(step) };
  return `/api/v1/query_range?${new URLSearchParams(params)}`;
}
