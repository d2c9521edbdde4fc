/** How long it took until all succeeded again after one failure. */
export interface JudgedHeal {
  readonly ms: number;
  readonly isStarved: boolean;
}

export interface HealVerdict {
  readonly slowestMs: number;
  readonly judged: number;
  readonly leftOut: number;
  readonly isWell: boolean;
}

/**
 * Verdict on heals: slow ones are left out where the machine was starved. Nothing is shown where they are as many as the others, or where
 * fewer than `judgedMin` are left. A form that is short has few heals: there it is no failure that all were slow while the machine was
 * starved.
 */
export function healVerdict(
  heals: readonly JudgedHeal[],
  msMax: number,
  judgedMin: number,
  isShort = false,
): HealVerdict {
  const judged = heals.filter(({ ms, isStarved }) => ms <= msMax || !isStarved);
  const leftOut = heals.length - judged.length;
  const slowestMs = judged.reduce((max, { ms }) => Math.max(max, ms), 0);
  const isShown = judged.length >= judgedMin && (leftOut === 0 || judged.length > leftOut);
  return {
    slowestMs,
    judged: judged.length,
    leftOut,
    isWell: slowestMs <= msMax && (isShown || (isShort && leftOut > 0)),
  };
}
