const MINUTE_MS = 60_000;
/** The interval of a service that tells none. */
export const INTERVAL_DEFAULT_MS = MINUTE_MS;
const INTERVALS_MS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600].map((seconds) => seconds * 1000);

/** The placeholder for a range in saved, imported and generated dashboards. */
export const RATE_INTERVAL = '$__rate_interval';

/** The range of a rate: four samples, and no step that misses one. */
export function rateIntervalMs(intervalMs: number, stepMs: number): number {
  return Math.max(4 * intervalMs, stepMs + intervalMs);
}

/** The usual interval that is nearest to what samples of ten minutes tell. @param samples of a series */
export function intervalOfSamples(samples: number): number {
  if (!(samples > 1)) return INTERVAL_DEFAULT_MS;
  const found = (10 * MINUTE_MS) / samples;
  return INTERVALS_MS.reduce((best, one) =>
    Math.abs(Math.log(one / found)) < Math.abs(Math.log(best / found)) ? one : best,
  );
}
