export const DAY_MS = 86_400_000;

/** Day number since 1970 of a Unix time; may be negative. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS);
}

/** The day that was asked for last: most questions are about today. */
let known = { day: Number.NaN, date: '' };

/** `2026-11-29`: the day of a Unix time, UTC. */
export function dateOf(timeMs: number): string {
  const day = dayOf(timeMs);
  if (day !== known.day) known = { day, date: new Date(timeMs).toISOString().slice(0, 10) };
  return known.date;
}

/** Stands for any time where an oldest one is told, Unix ms: the first that a Date can be. */
export const ANY_TIME_MS = -8.64e15;
