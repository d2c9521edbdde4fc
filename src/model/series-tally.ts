/** Counts of a selector's series in a time range. */
export interface SeriesTally {
  /** Those with samples near the range. */
  readonly series: number;
  /** In the order of the least series of each: the value of each name ('': none), and how many series' last sample is no stale marker. */
  readonly groups: readonly { readonly values: readonly string[]; readonly count: number }[];
}

export const NO_TALLY: SeriesTally = { series: 0, groups: [] };
