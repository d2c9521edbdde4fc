import type { AlertmanagerBackend } from '../contract/alertmanager.ts';
import type { ApiBackend } from '../contract/api.ts';
import type { CompactorControl } from '../contract/control.ts';
import type { IngesterAdmin } from '../contract/ingester.ts';
import type { PushBackend, SeriesBackend } from '../contract/push.ts';
import type { BatchRunner, QueryRunner } from '../contract/query.ts';
import type { MarkReads, MoveDays } from '../distributor/late-samples.ts';
import type { HoldToken } from '../kit/folder/hold.ts';
import type { Gate } from '../kit/http/auth.ts';
import type { HttpListener, Listener } from '../kit/http/listener.ts';
import type { Logger } from '../kit/observe/log.ts';
import type { MetricSource, Registry } from '../kit/observe/metrics.ts';
import type { Loops } from '../kit/service/loops.ts';
import type { ServiceGroup } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import type { LimitsService } from '../limits/limits-service.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { ClusterNode } from './cluster/cluster-node.ts';
import type { PeerHost } from './cluster/peer-host.ts';
import type { Config } from './config.ts';
import type { FrontThreads } from './front/front-threads.ts';
import type { LateState } from './late-state.ts';
import type { ThreadLayout } from './threads/layout.ts';
import type { ShardHost } from './threads/shard-thread-role.ts';

/** The state that modules of one process share. Each leaves here the parts of it that others need. */
export interface App {
  readonly config: Config;
  /** Reads the configuration anew, from where it came; absent: it came from nowhere. @throws ConfigError */
  readonly readConfig?: (() => Config) | undefined;
  readonly version: string;
  readonly startTimeMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
  /** Metrics of worker threads, added up with this thread's. */
  readonly metricSources: MetricSource[];
  /** The loops of this process. */
  readonly loops: Loops;
  readonly limits: LimitsService;
  readonly gate: Gate;
  readonly http: Listener;
  /** For endpoints that can do harm; undefined without `-server.admin-address`. */
  readonly admin: HttpListener | undefined;
  readonly parts: Parts;
  /** All services of the process, once they are known: for `/ready` and `/services`. */
  services: ServiceGroup | undefined;
}

/** Set by the module that makes it, used by those that are built after it. */
export interface Parts {
  /** Threads that listen in place of the main thread; absent: that listens. */
  fronts?: FrontThreads;
  hold?: HoldToken;
  layout?: ThreadLayout;
  shards?: ShardHost;
  /** This process in its cluster; absent: it is alone. */
  cluster?: ClusterNode;
  /** The key of sessions that all processes of the cluster have; absent: this process' own. */
  sessionKey?: () => Uint8Array;
  /** The way to other processes; absent: there are none. */
  peers?: PeerHost;
  /** The queue of queries of this process, where it has one. */
  scheduler?: Scheduler;
  ingester?: IngesterAdmin;
  compactor?: CompactorControl;
  /** Evaluates expressions. */
  queries?: ApiBackend & QueryRunner & BatchRunner;
  /** Tenants that have documents of a kind, or had. */
  documentTenants?: (kind: string, signal: AbortSignal) => Promise<readonly string[]>;
  /** The table of what services remember. */
  state?: LateState;
  /** Knows the rules of tenants. */
  ruler?: ApiBackend & { changed(tenant: string): Promise<void>; resend(): Promise<void>; metrics: MetricSource };
  /** Is given the alerts of all tenants' rules. */
  alertmanager?: AlertmanagerBackend & { metrics: MetricSource; reload(): Promise<void> };
  /** Marks a tenant's days as changed, for answers that are cached; absent: none are. */
  moveDays?: MoveDays;
  /** Present where all who read the marks of `moveDays` are in this process. */
  generationReads?: MarkReads;
  /** Takes series that this process makes. */
  pusher?: SeriesBackend & PushBackend;
  /** Where the process' own metrics are; absent: nowhere. */
  selfMonitoringTenant?: string;
}

/** @throws where a module was not built before the one that asks: a missing name in its `needs` */
export function part<Name extends keyof Parts>(app: App, name: Name): NonNullable<Parts[Name]> {
  const found = app.parts[name];
  if (found === undefined) throw new Error(`bug: no module has made the ${name} part yet`);
  return found;
}
