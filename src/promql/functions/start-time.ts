/**
 * Whether start timestamps tell of a counter reset between two samples; 0 is unknown.
 * Source: Prometheus `promql/functions.go`.
 */
export function isStartReset(prevStartMs: number, prevMs: number, startMs: number, timeMs: number): boolean {
  // unknown, or invalid, or OpenTelemetry's way to say unknown
  if (startMs === 0 || startMs >= timeMs) return false;
  if (startMs < prevMs) return false;
  if (startMs > prevMs) return true;
  // It starts where the last sample was: a delta series, unless the start of the last one was unknown too.
  if (prevStartMs > prevMs) return false;
  return prevStartMs !== 0 && prevStartMs !== prevMs;
}

/** Whether a sample claims to have begun before the one ahead of it, with another start than that. */
export function startsOverlap(prevStartMs: number, prevMs: number, startMs: number): boolean {
  return startMs !== 0 && startMs < prevMs && startMs !== prevStartMs;
}
