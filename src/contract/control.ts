// Requests that an operator may make of a process over HTTP.

export interface CompactorControl {
  /** Does what is due now, after the run that is under way. @param force sweeps at once what is usually left for a while */
  run(request: { readonly force: boolean }): Promise<CompactionReport>;
}

/** The outcome of a compactor run. */
export interface CompactionReport {
  readonly tablesCreated: string[];
  /** Past retention, or for `-retention.size`. */
  readonly tablesDropped: string[];
  /** Past retention as it looked to this run; they are dropped when further looks agree. */
  readonly tablesDue: string[];
  /** The time that retention counts from, as it looked to this run, Unix ms; −Infinity: there are no samples. */
  retentionNowMs: number;
  /** Tenants' days that are merged now, or had nothing to merge. */
  days: number;
  /** Tenants' days of which all was past retention. */
  daysRemoved: number;
  /** Groups that were read and are replaced now. */
  sources: number;
  groups: number;
  samples: number;
  /** Bytes of groups that were written. */
  bytes: number;
  /** Delete requests that are through. */
  deletes: number;
  swept: { rows: number; objects: number; moved: number } | undefined;
  /** End of the oldest day that should have been merged and is not; 0: none. */
  oldestOpenMs: number;
  /** Rows and slots that are damaged: they stay as they are. */
  readonly damaged: string[];
  /** Steps that failed, by message, and are tried again. */
  readonly failures: string[];
}

/** Deletes tenants. */
export interface TenantPurger {
  /** From when it resolves nothing that the tenant had is in any answer, nor in a head or its log. */
  delete(tenant: string, signal: AbortSignal): Promise<void>;
  /** The newest request; undefined: there is none. */
  deletion(tenant: string, signal: AbortSignal): Promise<TenantDeletion | undefined>;
}

/** Has queries leave out what a tenant had. */
export interface TenantHider {
  /** All that a tenant has until now is left out by queries, from when this resolves, and goes from the store by and by. */
  deleteTenant(tenant: string, signal: AbortSignal): Promise<TenantDeletion>;
  /** The newest request; undefined: there is none. */
  tenantDeletion(tenant: string, signal: AbortSignal): Promise<TenantDeletion | undefined>;
}

/** A request to delete all that a tenant has. */
export interface TenantDeletion {
  /** Everything until then, Unix ms. */
  readonly endMs: number;
  /** Nothing of it is left in the store. */
  readonly processed: boolean;
}
