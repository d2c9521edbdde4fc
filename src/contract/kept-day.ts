/** Part of a day, both ends inclusive, Unix ms. */
export interface DayRange {
  readonly startMs: number;
  readonly endMs: number;
}

/** A place for what was found of a day that is over. */
export interface KeptDay {
  readonly value: Uint8Array | undefined;
  /** Keeps what was found, which began after the place was asked for. */
  keep(value: Uint8Array): Promise<void>;
}

/**
 * The place of a question about a day of one tenant, until anything of the day changes.
 *
 * @param question all that the answer depends on beside the samples of the day
 * @returns undefined where nothing is kept of that day: it is too young, partly gone, or about to change
 */
export type KeptDays = (question: string, day: DayRange, signal: AbortSignal) => Promise<KeptDay | undefined>;
