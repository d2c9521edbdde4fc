const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Lengths that are compared, as they pass. */
const SPANS_MS = [30 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS] as const;
/** After a roll-out all is cold for a while. */
const SETTLE_MS = 5 * MINUTE_MS;

/**
 * Two spans of one length: before ends where the roll-out begins, after begins some minutes past its end. Unix ms. The minute in
 * which the new version is first seen has samples of it, and is in neither.
 */
export interface Spans {
  readonly spanMs: number;
  readonly beforeEndMs: number;
  readonly afterEndMs: number;
}

export interface SpanLimits {
  readonly beginMs: number;
  /** undefined: it goes on. */
  readonly endMs: number | undefined;
  /** The end of the deployment before, and the begin of the next: no span goes across. */
  readonly previousEndMs?: number | undefined;
  readonly nextBeginMs?: number | undefined;
  readonly nowMs: number;
}

/** All lengths that there is room for, the shortest first; or when the first will have passed (undefined: never). */
export function spansOf({
  beginMs,
  endMs,
  previousEndMs,
  nextBeginMs,
  nowMs,
}: SpanLimits): Spans[] | { readonly readyMs: number | undefined } {
  if (endMs === undefined) return { readyMs: undefined };
  const afterMs = endMs + SETTLE_MS;
  const room = Math.min(
    previousEndMs === undefined ? Number.POSITIVE_INFINITY : beginMs - MINUTE_MS - (previousEndMs + SETTLE_MS),
    (nextBeginMs ?? Number.POSITIVE_INFINITY) - afterMs,
  );
  const fitting = SPANS_MS.filter((spanMs) => spanMs <= room);
  const spans = fitting
    .filter((spanMs) => afterMs + spanMs <= nowMs)
    .map((spanMs) => ({ spanMs, beforeEndMs: beginMs - MINUTE_MS, afterEndMs: afterMs + spanMs }));
  if (spans.length > 0) return spans;
  return { readyMs: fitting.length === 0 ? undefined : afterMs + SPANS_MS[0] };
}
