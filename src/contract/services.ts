// Services of a tenant and their events, as the API tells them.

/** A line of `GET /api/v1/services`. Numbers are null where nothing is known, or the query was refused. */
export interface ServiceRow {
  readonly key: string;
  readonly id: { readonly cluster: string; readonly namespace: string; readonly name: string };
  /** A service, or a machine that services run on. */
  readonly kind: 'service' | 'infrastructure';
  /** Requests per second. */
  readonly rate: number | null;
  /** Share of requests that failed. */
  readonly errorRatio: number | null;
  /** The 99th percentile; where only sums are known, the mean. */
  readonly durationSeconds: number | null;
  /** The fullest of what it may use of processor, memory or files, as a share. */
  readonly saturation: number | null;
  readonly instances: number | null;
  readonly lastDeployment: { readonly beginMs: number; readonly from: string; readonly to: string } | null;
}

/** `GET /api/v1/services` */
export interface ServiceListAnswer {
  readonly services: readonly ServiceRow[];
  /** Unix ms; null: the list is still being filled. */
  readonly renewedMs: number | null;
  /** Texts of queries that were refused: their numbers are not known. */
  readonly refusals: readonly string[];
}

/** An event of `GET /api/v1/events`. Times in Unix ms. */
export interface EventAnswer {
  readonly id: string;
  readonly type: 'deployment' | 'canary' | 'rollback' | 'restart' | 'annotation';
  readonly evidence: string;
  readonly time: number;
  /** Absent: a moment, or it goes on. */
  readonly timeEnd?: number;
  readonly service?: {
    readonly key: string;
    readonly cluster: string;
    readonly namespace: string;
    readonly name: string;
  };
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly text?: string | undefined;
  readonly tags: readonly string[];
  readonly user?: string | undefined;
}
