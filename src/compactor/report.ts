/** What a run has done. Plain data: it travels from the worker. */
export interface CompactionReport {
  readonly tablesCreated: string[];
  /** Past retention, or for `-retention.size`. */
  readonly tablesDropped: string[];
  /** Tenants' days that are merged now, or had nothing to merge. */
  days: number;
  /** Tenants' days of which all was past retention. */
  daysRemoved: number;
  /** Groups that were read and are replaced now. */
  sources: number;
  groups: number;
  samples: number;
  /** Of groups that were written. */
  bytes: number;
  /** Delete requests that are through. */
  deletes: number;
  swept: { rows: number; objects: number; moved: number } | undefined;
  /** End of the oldest day that should have been merged and is not; 0: none. */
  oldestOpenMs: number;
  /** Rows and slots that are damaged: they stay as they are. */
  readonly damaged: string[];
  /** What could not be done, and is tried again. */
  readonly failures: string[];
}

export function emptyReport(): CompactionReport {
  return {
    tablesCreated: [],
    tablesDropped: [],
    days: 0,
    daysRemoved: 0,
    sources: 0,
    groups: 0,
    samples: 0,
    bytes: 0,
    deletes: 0,
    swept: undefined,
    oldestOpenMs: 0,
    damaged: [],
    failures: [],
  };
}
