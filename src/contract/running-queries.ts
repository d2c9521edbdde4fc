/** A query under way, as processes tell each other of it. Times since are told, as clocks differ. */
export interface RunningQuery {
  readonly id: number;
  readonly tenant: string;
  readonly query: string;
  /** As they were asked for; empty where not. */
  readonly start: string;
  readonly end: string;
  readonly step: string;
  readonly forMs: number;
}

/** Queries under way in one process. */
export interface QueriesOfProcess {
  /** @param tenant undefined: those of all */
  running(tenant: string | undefined, signal: AbortSignal): Promise<readonly RunningQuery[]>;
  /** Ends a query of the tenant. @returns whether there is one with this id */
  cancel(tenant: string, id: number, signal: AbortSignal): Promise<boolean>;
}
