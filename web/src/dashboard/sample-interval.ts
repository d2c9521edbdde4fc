import type { Dashboard } from '../../../src/contract/dashboard.ts';
import { interpolated, type Values } from './variables.ts';

export const INTERVAL_DEFAULT_MS = 60_000;
const LOOK_BACK_MS = 600_000;
const ASKED_MAX = 4;
/** Intervals that are usual, ms. */
const USUAL_MS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600].map((seconds) => seconds * 1_000);
/** A selector with the range that follows the interval. */
const RATED = /([a-zA-Z_:][\w:]*(?:\{[^{}]*\})?|\{[^{}]*\})\s*\[\s*\$\{?__rate_interval\}?\s*\]/g;

/** Selectors whose ranges follow the interval of their samples. */
export function ratedSelectors({ spec: { panels } }: Dashboard, values: Values): string[] {
  const found = new Set<string>();
  for (const { spec } of Object.values(panels)) {
    for (const { spec: asked } of spec.queries ?? []) {
      const { query } = asked.plugin.spec as { readonly query?: unknown };
      if (typeof query !== 'string') continue;
      for (const [, selector] of query.matchAll(RATED)) found.add(interpolated(selector!, values));
      if (found.size >= ASKED_MAX) return [...found].slice(0, ASKED_MAX);
    }
  }
  return [...found];
}

/** The usual interval that so many samples in ten minutes are nearest to. */
export function intervalOf(samples: number): number {
  if (!(samples > 1)) return INTERVAL_DEFAULT_MS;
  const found = LOOK_BACK_MS / samples;
  const far = (one: number) => Math.abs(Math.log(one / found));
  return USUAL_MS.reduce((best, one) => (far(one) < far(best) ? one : best));
}
