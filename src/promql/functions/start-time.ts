/**
 * Whether start timestamps tell of a counter reset between two samples; 0 is unknown.
 * Source: Prometheus `promql/functions.go`.
 */
export function isStartReset(prevStartMs: number, prevMs: number, startMs: number, timeMs: number): boolean {
  // the same as before, unknown, or invalid, or OpenTelemetry's way to say unknown
  if (startMs === prevStartMs || startMs === 0 || startMs >= timeMs) return false;
  if (startMs < prevMs) return false;
  if (startMs > prevMs) return true;
  // It starts where the last sample was: a delta series, unless the start of the last one was unknown too.
  if (prevStartMs > prevMs) return false;
  return prevStartMs !== 0 && prevStartMs !== prevMs;
}

/** Whether a sample's start timestamp tells of a reset after `afterMs`, which lies before the sample. */
export function isStartResetAfter(afterMs: number, startMs: number, timeMs: number): boolean {
  if (startMs <= afterMs || timeMs <= afterMs) return false;
  return isStartReset(afterMs, afterMs, startMs, timeMs);
}

/** Whether a sample claims to have begun before the one ahead of it, with another start than that. */
export function startsOverlap(prevStartMs: number, prevMs: number, startMs: number): boolean {
  return startMs !== 0 && startMs < prevMs && startMs !== prevStartMs;
}
