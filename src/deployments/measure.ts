/** The meaning of a change of a measure: traffic is neutral, of the others more is worse. */
export type MeasureKind = 'traffic' | 'errors' | 'latency' | 'saturation';

export type Statistic = 'rate' | 'ratio' | 'value' | 'mean' | 'p50' | 'p99';

/** Something of a service that a deployment may make better or worse. Expressions answer for a span, evaluated at its end. */
export interface Measure {
  /** As a panel's title: `Request duration, p99`. */
  readonly name: string;
  readonly kind: MeasureKind;
  readonly statistic: Statistic;
  /** @param by labels that are kept; @param span a PromQL duration */
  readonly value: (by: readonly string[], span: string) => string;
  /** Events that the value stands on; undefined: it is no statistic of events. */
  readonly events: ((by: readonly string[], span: string) => string) | undefined;
  /** Labels that it may be broken down by, best first. */
  readonly labels: readonly string[];
}

/** Whether changes are ratios, as of rates and latencies, or differences, as of shares. */
export function isRatio(statistic: Statistic): boolean {
  return statistic !== 'ratio' && statistic !== 'value';
}

/** The change from one value to another: a log ratio, or a difference. NaN where there is none. */
export function changeOf(statistic: Statistic, before: number, after: number): number {
  if (!isRatio(statistic)) return after - before;
  return before > 0 && after > 0 ? Math.log(after / before) : Number.NaN;
}

/** The standard deviation that a change has by chance alone, events being independent. */
export function countingNoise(
  statistic: Statistic,
  before: { readonly value: number; readonly events: number },
  after: { readonly value: number; readonly events: number },
): number {
  const all = before.events + after.events;
  const spread = 1 / before.events + 1 / after.events;
  switch (statistic) {
    case 'value':
      return 0;
    case 'ratio': {
      const pooled = (before.value * before.events + after.value * after.events) / all;
      // half an event, so that no errors before are not taken for certain
      const share = Math.min(1, Math.max(pooled, 0.5 / all));
      return Math.sqrt(share * (1 - share) * spread);
    }
    case 'rate':
    case 'mean':
      return Math.sqrt(spread);
    case 'p50':
      return Math.sqrt(spread / 0.5);
    // a quantile stands on the events beyond it
    case 'p99':
      return Math.sqrt(spread / 0.01);
  }
}
