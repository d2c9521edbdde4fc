/** A write that was refused again and again, Unix ms. */
export interface Refusal {
  readonly startMs: number;
  /** The last try by now. */
  endMs: number;
}

/** Time in which the store was away, Unix ms. */
export interface StoreOutage {
  readonly startMs: number;
  /** Undefined: it is still away. */
  readonly endMs: number | undefined;
}

export interface RefusalVerdict {
  readonly longestMs: number;
  /** The longest part of a refusal that lies within an outage of the store. */
  readonly storeAwayMs: number;
  /** Limit of that part; undefined: the store was never away. */
  readonly storeAwayMsMax: number | undefined;
  readonly isWell: boolean;
}

/** Writes that stop with the store are refused for all of an outage, or for what drivers' tries leave of it. */
const OUTAGE_SHARE_MAX = 0.5;

/** Verdict on refusals. While the store is away writes go on: there the limit is lower where an outage is short. */
export function refusalVerdict(
  refusals: readonly Refusal[],
  outages: readonly StoreOutage[],
  msMax: number,
): RefusalVerdict {
  const longestMs = refusals.reduce((max, { startMs, endMs }) => Math.max(max, endMs - startMs), 0);
  let storeAwayMs = 0;
  let storeAwayMsMax: number | undefined;
  let isWell = longestMs <= msMax;
  for (const outage of outages) {
    const untilMs = outage.endMs ?? Number.POSITIVE_INFINITY;
    const within = refusals.reduce(
      (max, { startMs, endMs }) => Math.max(max, Math.min(endMs, untilMs) - Math.max(startMs, outage.startMs)),
      0,
    );
    const limitMs = Math.min(msMax, OUTAGE_SHARE_MAX * (untilMs - outage.startMs));
    storeAwayMs = Math.max(storeAwayMs, within);
    storeAwayMsMax = Math.min(storeAwayMsMax ?? limitMs, limitMs);
    isWell &&= within <= limitMs;
  }
  return { longestMs, storeAwayMs, storeAwayMsMax, isWell };
}
