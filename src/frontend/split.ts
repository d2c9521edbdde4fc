import type { RangeRequest } from '../contract/query.ts';

/** Steps of a range query, both ends inclusive; each end is a step. */
export interface StepRange {
  readonly startMs: number;
  readonly endMs: number;
}

/** The query that a part with one step would be is an instant, which is evaluated otherwise: a part has more, or the whole has one. */
const STEPS_MIN = 2;

/**
 * The steps of a query by intervals of the clock, as the store keeps samples by UTC day. A step looks back, so that the one on a border
 * goes with those before it: with those after it a day would be read for the sake of that one step, once more. Steps too few for a part
 * stay with those before them.
 *
 * @param intervalMs above 0
 */
export function splitByInterval(
  { startMs, endMs, stepMs }: Pick<RangeRequest, 'startMs' | 'endMs' | 'stepMs'>,
  intervalMs: number,
): StepRange[] {
  const parts: StepRange[] = [];
  const lastMs = startMs + Math.floor((endMs - startMs) / stepMs) * stepMs;
  for (let fromMs = startMs; fromMs <= lastMs; ) {
    const borderMs = (Math.floor(fromMs / intervalMs) + 1) * intervalMs;
    let nextMs = fromMs + Math.max(STEPS_MIN, Math.floor((borderMs - fromMs) / stepMs) + 1) * stepMs;
    if (lastMs - nextMs < (STEPS_MIN - 1) * stepMs) nextMs = lastMs + stepMs;
    parts.push({ startMs: fromMs, endMs: nextMs - stepMs });
    fromMs = nextMs;
  }
  return parts;
}

/** Each step by itself. */
export function eachStep({ startMs, endMs, stepMs }: Pick<RangeRequest, 'startMs' | 'endMs' | 'stepMs'>): StepRange[] {
  const steps: StepRange[] = [];
  for (let timeMs = startMs; timeMs <= endMs; timeMs += stepMs) steps.push({ startMs: timeMs, endMs: timeMs });
  return steps;
}

/** Ranges of steps, ascending, of which those that follow on each other become one. */
export function joined(ranges: readonly StepRange[], stepMs: number): StepRange[] {
  const out: StepRange[] = [];
  for (const { startMs, endMs } of ranges) {
    const before = out.at(-1);
    if (before !== undefined && before.endMs + stepMs === startMs)
      out[out.length - 1] = { startMs: before.startMs, endMs };
    else out.push({ startMs, endMs });
  }
  return out;
}
