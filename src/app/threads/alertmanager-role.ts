import type { MessagePort } from 'node:worker_threads';
import type { AlertmanagerSettings } from '../../alertmanager/config.ts';
import type { AlertmanagerLimits } from '../../alertmanager/limits.ts';
import type { StoreSpec } from '../../chunkstore/open.ts';
import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { PostedAlert } from '../../contract/rules.ts';
import type { logConfig } from '../../kit/observe/log.ts';
import type { MetricSnapshot } from '../../kit/observe/metrics.ts';
import type { LoopState } from '../../kit/service/loops.ts';
import type { CallContext } from '../../kit/thread/channel.ts';
import type { ThreadPeers } from '../cluster/thread-peers.ts';

// The Alertmanager's worker answers to these calls.

export type AlertmanagerRole = {
  /** Resolves when all tenants that have something go on. */
  start(request: AlertmanagerStart): Promise<void>;
  setLimits(request: KnownLimits): void;
  setFallback(request: { readonly fallback: string | undefined }): Promise<void>;
  handle(request: ApiRequest, call: CallContext): Promise<ApiResponse>;
  post(request: PostRequest, call: CallContext): Promise<void>;
  /** Requests of other members. */
  handleOwned(request: ApiRequest, call: CallContext): Promise<ApiResponse>;
  postOwned(request: PostRequest, call: CallContext): Promise<void>;
  release(request: { readonly tenant: string }, call: CallContext): Promise<void>;
  metrics(request: Record<string, never>): Promise<MetricSnapshot>;
  loops(request: Record<string, never>): Promise<readonly LoopState[]>;
  stop(request: Record<string, never>): Promise<void>;
};

/** The process, as the thread asks it. */
export type AlertmanagerHostRole = {
  /** Tenants may have other owners now. */
  ownersMoved(request: Record<string, never>): void;
};

export interface PostRequest {
  readonly tenant: string;
  readonly alerts: readonly PostedAlert[];
}

/** Limits of all tenants. */
export interface KnownLimits {
  readonly others: AlertmanagerLimits;
  readonly tenants: ReadonlyMap<string, AlertmanagerLimits>;
}

export interface AlertmanagerStart {
  /** The way to `AlertmanagerHostRole`. */
  readonly host: MessagePort;
  readonly limits: KnownLimits;
  readonly externalUrl: string;
  readonly fallback: string | undefined;
  /** Where others ask this process, and how it asks them; absent: nobody shares its store. */
  readonly peers?: ThreadPeers & { readonly address: string };
}

export interface AlertmanagerWorkerData {
  readonly store: StoreSpec;
  readonly config: AlertmanagerSettings;
  readonly version: string;
  readonly log: typeof logConfig.type;
}
