import type { AlertmanagerSettings } from '../../alertmanager/config.ts';
import type { AlertmanagerLimits } from '../../alertmanager/limits.ts';
import type { StoreSpec } from '../../chunkstore/open.ts';
import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { PostedAlert } from '../../contract/rules.ts';
import type { logConfig } from '../../kit/observe/log.ts';
import type { MetricSnapshot } from '../../kit/observe/metrics.ts';
import type { CallContext } from '../../kit/thread/channel.ts';

// The Alertmanager's worker answers to these calls.

export type AlertmanagerRole = {
  /** Resolves when all tenants that have something go on. */
  start(request: AlertmanagerStart): Promise<void>;
  setLimits(request: KnownLimits): void;
  handle(request: ApiRequest, call: CallContext): Promise<ApiResponse>;
  post(request: { readonly tenant: string; readonly alerts: readonly PostedAlert[] }, call: CallContext): Promise<void>;
  metrics(request: Record<string, never>): Promise<MetricSnapshot>;
  stop(request: Record<string, never>): Promise<void>;
};

/** Limits of all tenants. */
export interface KnownLimits {
  readonly others: AlertmanagerLimits;
  readonly tenants: ReadonlyMap<string, AlertmanagerLimits>;
}

export interface AlertmanagerStart {
  readonly limits: KnownLimits;
  readonly externalUrl: string;
  readonly fallback: string | undefined;
}

export interface AlertmanagerWorkerData {
  readonly store: StoreSpec;
  readonly config: AlertmanagerSettings;
  readonly version: string;
  readonly log: typeof logConfig.type;
}
