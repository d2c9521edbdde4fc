import type { Random } from './random.ts';

export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
  /** How often something is tried before it counts as failed. */
  readonly triesMax: number;
}

/**
 * How long to wait before the next try: anything up to the least wait doubled for each failed one, so that many who
 * failed together do not come back together. At least half of it, so that there is always some relief.
 */
export function backoffMs(backoff: Backoff, failedTries: number, random: Random): number {
  const wait = Math.min(backoff.maxMs, backoff.minMs * 2 ** Math.min(failedTries - 1, 30));
  return wait * (0.5 + random() / 2);
}
