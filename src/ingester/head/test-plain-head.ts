import { APPENDED, DUPLICATE_TIME, HELD, OUT_OF_ORDER, TOO_OLD } from '../../contract/ingest.ts';
import { getOrMake } from '../../lib/map.ts';

/** A sample as the plain head keeps it. */
export interface PlainSample {
  readonly timeMs: number;
  /** The bits of a float or a stale marker: they tell NaN from NaN. */
  readonly bits: bigint | undefined;
  /** The content of a histogram, in one form. */
  readonly histogram?: string;
  /** Whether it is a histogram, or came with a start timestamp. */
  readonly rich: boolean;
  readonly startMs: number;
  /** Decides between samples of one time: the greater one is seen. */
  readonly rank: readonly [kind: number, order: bigint | string, startMs: number];
}

interface PlainSeries {
  newest: PlainSample | undefined;
  /** In the order they came, by window. */
  readonly windows: Map<number, PlainSample[]>;
}

/**
 * A head's behaviour, as plainly as it can be said: maps, and no memory of its own. The oracle that the head is fuzzed against;
 * nothing else uses it.
 */
export class PlainHead {
  readonly #windowMs: number;
  readonly #tenants = new Map<string, { newestMs: number; readonly series: Map<string, PlainSeries> }>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Samples of one request, in order; returns how many got which answer. */
  ingest(
    tenantId: string,
    samples: readonly { readonly series: string; readonly sample: PlainSample }[],
    outOfOrderMs: number,
  ): number[] {
    const tenant = getOrMake(this.#tenants, tenantId, () => ({
      newestMs: Number.NEGATIVE_INFINITY,
      series: new Map(),
    }));
    const lateFromMs =
      outOfOrderMs > 0 && tenant.newestMs > 0 ? tenant.newestMs - outOfOrderMs : Number.POSITIVE_INFINITY;
    const counts = [0, 0, 0, 0, 0, 0];
    let newestMs = tenant.newestMs;
    for (const { series, sample } of samples) {
      const one = getOrMake(tenant.series, series, () => ({ newest: undefined, windows: new Map() }) as PlainSeries);
      const answer = this.#append(one, sample, lateFromMs);
      counts[answer]!++;
      if (answer === APPENDED) newestMs = Math.max(newestMs, sample.timeMs);
    }
    tenant.newestMs = newestMs;
    return counts;
  }

  #append(series: PlainSeries, sample: PlainSample, lateFromMs: number): number {
    const { newest } = series;
    const window = getOrMake(series.windows, Math.floor(sample.timeMs / this.#windowMs), () => []);
    if (newest === undefined || sample.timeMs > newest.timeMs) {
      window.push(sample);
      series.newest = sample;
      return APPENDED;
    }
    const isHeld = (held: PlainSample) =>
      held.timeMs === sample.timeMs && held.bits === sample.bits && held.histogram === sample.histogram;
    // of what is not the newest, histograms and start timestamps are looked for apart from plain floats
    if (window.some((held) => held.rich === sample.rich && isHeld(held))) return HELD;
    if (sample.histogram === undefined && sample.timeMs === newest.timeMs && newest.bits === sample.bits) return HELD;
    if (sample.timeMs === newest.timeMs) return DUPLICATE_TIME;
    if (sample.timeMs < lateFromMs) return lateFromMs === Number.POSITIVE_INFINITY ? OUT_OF_ORDER : TOO_OLD;
    window.push(sample);
    return APPENDED;
  }

  /** Lets go of a window's samples. What is newest stays known. */
  drop(window: number): void {
    for (const { series } of this.#tenants.values()) for (const one of series.values()) one.windows.delete(window);
  }

  /** Samples as queries see them: by series, then by time; of equal times the one of the greatest rank. */
  held(tenantId: string): Map<string, Map<number, PlainSample>> {
    const all = new Map<string, Map<number, PlainSample>>();
    for (const [name, { windows }] of this.#tenants.get(tenantId)?.series ?? []) {
      const samples = [...windows.values()].flat();
      if (samples.length === 0) continue;
      const byTime = new Map<number, PlainSample>();
      for (const sample of samples.sort((a, b) => a.timeMs - b.timeMs)) {
        const other = byTime.get(sample.timeMs);
        if (other === undefined || isGreater(sample.rank, other.rank)) byTime.set(sample.timeMs, sample);
      }
      all.set(name, byTime);
    }
    return all;
  }
}

function isGreater(a: PlainSample['rank'], b: PlainSample['rank']): boolean {
  for (const i of [0, 1, 2] as const) if (a[i] !== b[i]) return a[i] > b[i];
  return false;
}
