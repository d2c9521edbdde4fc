import type { MessagePort } from 'node:worker_threads';
import type { StoreSpec } from '../../chunkstore/open.ts';
import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { PushRequest, PushResponse } from '../../contract/push.ts';
import type { InstantOutcome, InstantRequest } from '../../contract/query.ts';
import type { PostedAlert, RuleGroupState } from '../../contract/rules.ts';
import type { logConfig } from '../../kit/observe/log.ts';
import type { MetricSnapshot } from '../../kit/observe/metrics.ts';
import type { LoopState } from '../../kit/service/loops.ts';
import type { CallContext } from '../../kit/thread/channel.ts';
import type { QueryLimits } from '../../limits/query-limits.ts';
import type { ParserOptions } from '../../promql/parser/parser.ts';
import type { RulerConfig } from '../../ruler/config.ts';
import type { RuleConfigLimits } from '../../ruler/rule-config.ts';
import type { RulerLimits } from '../../ruler/ruler.ts';
import type { ThreadPeers } from '../cluster/thread-peers.ts';

// The ruler's worker answers to `RulerRole`, and asks the process by way of `RulerHostRole`.

export type RulerRole = {
  /** Resolves when the rules that there are have been read. */
  connect(request: RulerConnect): Promise<void>;
  /** Groups that are evaluated here. */
  ownRules(request: { readonly tenant: string }): Promise<readonly RuleGroupState[]>;
  /** `/api/v1/rules` and `/api/v1/alerts`. */
  handle(
    request: { readonly request: ApiRequest; readonly limits: QueryLimits },
    call: CallContext,
  ): Promise<ApiResponse>;
  config(request: RuleConfigRequest, call: CallContext): Promise<RuleConfigAnswer>;
  /** Reads a tenant's rules again. */
  changed(request: { readonly tenant: string }): Promise<void>;
  /** Sends alerts again that were sent already. */
  resend(request: Record<string, never>): Promise<void>;
  metrics(request: Record<string, never>): Promise<MetricSnapshot>;
  loops(request: Record<string, never>): Promise<readonly LoopState[]>;
  /** Resolves when nothing is under way any more. The call is cancelled at the deadline. */
  stop(request: Record<string, never>, call: CallContext): Promise<void>;
};

export interface RulerConnect {
  readonly port: MessagePort;
  readonly hasAlertmanager: boolean;
  /** Where others ask this process, and how it asks them; absent: nobody shares its store. */
  readonly peers?: ThreadPeers & { readonly address: string };
}

export type RulerHostRole = {
  instants(
    request: { readonly tenant: string; readonly requests: readonly InstantRequest[] },
    call: CallContext,
  ): Promise<readonly InstantOutcome[]>;
  /** Series as they would come over HTTP: they are encoded where they are made. */
  push(request: PushRequest, call: CallContext): Promise<PushResponse>;
  limits(request: { readonly tenant: string }): Promise<RulerLimits>;
  post(request: { readonly tenant: string; readonly alerts: readonly PostedAlert[] }, call: CallContext): Promise<void>;
};

/** A request of the configuration API. */
export type RuleConfigRequest =
  | { readonly kind: 'list'; readonly tenant: string; readonly namespace?: string; readonly group?: string }
  | { readonly kind: 'listAll' }
  | {
      readonly kind: 'put';
      readonly tenant: string;
      readonly namespace: string;
      readonly text: string;
      readonly user: string;
      readonly limits: RuleConfigLimits;
      /** The version of the group that it replaces, 0: there is none. Absent: whatever is there. */
      readonly expected?: number;
      /** Only say what the change would reset. */
      readonly dryRun: boolean;
    }
  | { readonly kind: 'versions'; readonly tenant: string; readonly namespace: string; readonly group: string }
  | {
      readonly kind: 'version';
      readonly tenant: string;
      readonly namespace: string;
      readonly group: string;
      readonly number: number;
    }
  | {
      readonly kind: 'remove';
      readonly tenant: string;
      /** Undefined: everything. */
      readonly namespace?: string;
      readonly group?: string;
      readonly user: string;
    };

export interface RuleConfigAnswer {
  readonly found: boolean;
  /** YAML of what was asked for, or JSON of a dry run or a list of versions. */
  readonly text: string;
}

export interface RulerWorkerData {
  readonly store: StoreSpec;
  readonly config: RulerConfig;
  readonly parser: ParserOptions;
  readonly log: typeof logConfig.type;
}
