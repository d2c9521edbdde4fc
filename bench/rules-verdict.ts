/** Evaluations that a server counted in a time, beside those that were due in it. */
export interface Evaluated {
  readonly server: string;
  readonly evaluations: number;
  readonly due: number;
}

/** CPU of Pallium's rules beside that of Prometheus': more is too much. */
export const BAR = 0.7;
/** Share of what is due that a server may leave out: beyond, it starved, and what it took says nothing. */
const MISSED_MAX = 0.05;

export interface Verdict {
  readonly text: string;
  /** Undefined: there is no ratio. */
  readonly met: boolean | undefined;
}

/** Whether the bar is met, or why that cannot be said. @param ratio of CPU an evaluation */
export function verdictOf(ratio: number, servers: readonly Evaluated[]): Verdict {
  const starved = servers.filter(({ evaluations, due }) => evaluations < (1 - MISSED_MAX) * due);
  if (starved.length > 0 || !Number.isFinite(ratio)) {
    const whose = starved.map(
      ({ server, evaluations, due }) => `${server} evaluated ${evaluations} of ${Math.round(due)} rules that were due`,
    );
    const why = whose.length === 0 ? ['nothing was measured'] : whose;
    return { text: `no ratio: ${why.join(', ')}; run it again on a machine that has time`, met: undefined };
  }
  const met = ratio <= BAR;
  return {
    text: `Pallium takes ${ratio.toFixed(2)} of Prometheus' CPU for a rule, at most ${BAR} wanted${met ? '' : ': MISSED'}`,
    met,
  };
}
