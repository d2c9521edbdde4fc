import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { MemoryCache } from '../../cache/memory.ts';
import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { TenantDeletion } from '../../contract/control.ts';
import { type Job, RULES_OF } from '../../contract/jobs.ts';
import type {
  InstantOutcome,
  InstantRequest,
  PartialRequest,
  PartialResult,
  QueryResult,
  RangeRequest,
} from '../../contract/query.ts';
import type { JobDesk } from '../../frontend/job-desk.ts';
import type { Logger } from '../../kit/observe/log.ts';
import { withTrace } from '../../kit/observe/trace.ts';
import type { Service } from '../../kit/service/service.ts';
import { serve, Transferred } from '../../kit/thread/channel.ts';
import { failing, takenParts } from '../../kit/thread/part-stream.ts';
import { WorkerThread, workerUrl } from '../../kit/thread/worker.ts';
import { type PooledCallOptions, WorkerPool } from '../../kit/thread/worker-pool.ts';
import type { Clock } from '../../lib/clock.ts';
import type { JoinedLimits } from '../../limits/query-limits.ts';
import { tenantsOf } from '../../model/tenants.ts';
import type { JobOutcome } from '../../querier/job-worker.ts';
import { QUERY_STACK_MB } from '../../querier/query-stack.ts';
import type { Asked, QueryTurn, QueryWorkers, Worked } from '../../querier/service.ts';
import type { ClusterNode } from '../cluster/cluster-node.ts';
import { ringPorts } from '../cluster/thread-ring.ts';
import { GenerationReads } from './generation-reads.ts';
import type { ThreadLayout } from './layout.ts';
import type {
  HeadPorts,
  JobsRole,
  PartedHead,
  PartedJob,
  QueryRole,
  QueryWorkerData,
  SharedCachesRole,
} from './query-role.ts';
import type { ShardHost } from './shard-thread-role.ts';
import { SharedRows } from './shared-rows.ts';

export interface QueryThreadsOptions {
  readonly data: Omit<QueryWorkerData, 'generationReads'>;
  readonly layout: ThreadLayout;
  /** Where recent samples are, or who asks for them. */
  readonly heads: { readonly shards: ShardHost } | { readonly cluster: ClusterNode } | { readonly desk: JobDesk };
  readonly log: Logger;
  readonly clock: Clock;
}

/** Queries of a front end that a thread has under way: most of them wait. */
const FRONTEND_CALLS_MAX = 2_000;

/** Queries of one tenant that a thread has under way while other tenants ask, too: they take turns, and each turn is some 10 ms. */
const TENANT_CALLS_MAX = 4;

/** Queries in threads of their own: one that is always there, others when queries take long. */
export class QueryThreads implements Service, QueryWorkers {
  readonly name = 'query-threads';
  readonly #options: QueryThreadsOptions;
  #pool: WorkerPool<QueryRole> | undefined;
  readonly generationReads = new GenerationReads();
  readonly #shared: SharedCachesRole;
  readonly #rows: SharedRows;
  #ready = false;

  constructor(options: QueryThreadsOptions) {
    this.#options = options;
    const { data, clock } = options;
    const cache = new MemoryCache({ bytesMax: data.queryRange.resultsCacheSize, clock });
    this.#rows = new SharedRows(clock);
    this.#shared = {
      get: ({ keys }) => cache.get(keys),
      set: ({ entries }) => cache.set(entries),
      rows: ({ key }) => this.#rows.get(key),
      keepRows: ({ tenant, key, rows }) => this.#rows.keep(tenant, key, rows),
    };
  }

  async start(): Promise<void> {
    const { data, layout, heads, log, clock } = this.#options;
    const isFrontend = 'desk' in heads;
    this.#pool = WorkerPool.start<QueryRole>({
      name: 'query',
      size: layout.queryThreads,
      sizeMin: layout.queryThreadsMin,
      // those of a front end wait for queriers, and have their turns there
      callsPerWorkerMax: isFrontend ? FRONTEND_CALLS_MAX : data.config.maxConcurrent,
      queueMax: data.config.queueMax,
      ...(isFrontend ? {} : { callsPerTenantMax: TENANT_CALLS_MAX }),
      log,
      clock,
      spawn: (i) => this.#spawn(i),
    });
  }

  #spawn(index: number) {
    const { heads } = this.#options;
    const data = !('cluster' in heads)
      ? this.#options.data
      : { ...this.#options.data, peers: heads.cluster.threadPeers() };
    const worker = WorkerThread.start<QueryRole>({
      name: `query-${index}`,
      url: workerUrl('./query-worker', import.meta.url),
      data: { ...data, generationReads: this.generationReads.ofWorker(index) },
      // its objects live as long as a query: what is too small a nursery for them is copied again and again
      resourceLimits: {
        maxOldGenerationSizeMb: data.config.workerHeapMb,
        maxYoungGenerationSizeMb: 24,
        stackSizeMb: QUERY_STACK_MB,
      },
    });
    const { ports, moved } = this.#headPorts(worker);
    const { port1, port2: shared } = new MessageChannel();
    serve(port1, this.#shared);
    const ready = worker.channel.call('connect', { heads: ports, shared }, { transfer: [...moved, shared] });
    ready.then(
      () => {
        this.#ready = true;
      },
      () => {}, // then it is gone
    );
    return { channel: worker.channel, gone: worker.gone, terminate: () => worker.terminate(), ready };
  }

  /** Ports for a worker, and those among them that move to it. */
  #headPorts(worker: WorkerThread<QueryRole>): { readonly ports: HeadPorts; readonly moved: MessagePort[] } {
    const { heads } = this.#options;
    if ('cluster' in heads) {
      const { own, other, moved } = ringPorts();
      heads.cluster.connect(own, worker.gone);
      return { ports: { ring: other }, moved };
    }
    if ('desk' in heads) {
      const { port1, port2: jobs } = new MessageChannel();
      serve(port1, jobsRole(heads.desk));
      return { ports: { jobs }, moved: [jobs] };
    }
    const shards = heads.shards.connect((shard, connection) => {
      worker.channel.call('reconnect', { shard, connection }, { transfer: [connection.port] }).catch(() => {});
    }, worker.gone);
    return { ports: { shards }, moved: shards.map(({ port }) => port) };
  }

  notReady(): string | undefined {
    return this.#ready ? undefined : 'query workers are starting';
  }

  handle(
    request: ApiRequest,
    limits: JoinedLimits,
    signal: AbortSignal,
    turn?: QueryTurn,
  ): Promise<Worked<ApiResponse>> {
    const { heads } = this.#options;
    const own = this.#for(request.tenant, limits, signal);
    const { costMs = 0, priority = 0 } = turn ?? {};
    // its jobs have their turns where they are left
    if (!('desk' in heads)) {
      return this.#handled({ request, limits }, { ...own, ...turn });
    }
    const { desk } = heads;
    const query = desk.begin();
    return this.#handled({ request, limits, turn: { query, costMs, priority } }, own, () => desk.end(query));
  }

  /**
   * The answer as soon as its head is here, where it has parts: the call goes on while they are taken.
   * @param ended called when it is over
   */
  async #handled(
    asked: Parameters<QueryRole['handle']>[0],
    options: PooledCallOptions,
    ended?: () => void,
  ): Promise<Worked<ApiResponse>> {
    const { promise: head, resolve: begun } = Promise.withResolvers<PartedHead>();
    const whole = this.#pool!.call('handle', asked, { ...options, begun });
    if (ended !== undefined) whole.then(ended, ended);
    const worked = await Promise.race([head, whole]);
    if ('cache' in worked) return worked;
    const { answer, metrics, parts } = worked;
    return { answer: { ...answer, parts: takenParts(parts, failing(whole)) }, cache: undefined, metrics };
  }

  /** Works at a job of a front end elsewhere. */
  async job(
    { tenant, payload, inParts, costMs, priority, isOfRules }: Job,
    limits: JoinedLimits,
    signal: AbortSignal,
  ): Promise<Worked<JobOutcome>> {
    // it has waited for its turn already
    const owner = isOfRules === true ? `${RULES_OF}${tenant}` : this.#pool!.quietest(tenantsOf(tenant));
    const options = { signal, tenant: owner, costMs, priority, gathers: isOfRules === true };
    const { promise: head, resolve: begun } = Promise.withResolvers<PartedJob>();
    const whole = this.#pool!.call('job', { tenant, payload, limits, inParts }, { ...options, begun });
    const worked = await Promise.race([head, whole]);
    if ('answer' in worked) return worked;
    const { parts, ...answer } = worked;
    return { answer: { ...answer, parts: takenParts(parts, failing(whole)) }, cache: undefined };
  }

  instant(asked: Asked<InstantRequest>, limits: JoinedLimits, signal: AbortSignal): Promise<Worked<QueryResult>> {
    const { inBackground } = asked;
    return this.#pool!.call(
      'instant',
      { ...asked, limits },
      { ...this.#for(asked.tenant, limits, signal), inBackground },
    );
  }

  range(asked: Asked<RangeRequest>, limits: JoinedLimits, signal: AbortSignal): Promise<Worked<QueryResult>> {
    const { inBackground } = asked;
    return this.#pool!.call(
      'range',
      { ...asked, limits },
      { ...this.#for(asked.tenant, limits, signal), inBackground },
    );
  }

  partial(asked: Asked<PartialRequest>, limits: JoinedLimits, signal: AbortSignal): Promise<Worked<PartialResult>> {
    return this.#pool!.call('partial', { ...asked, limits }, this.#for(asked.tenant, limits, signal));
  }

  instants(
    asked: Asked<readonly InstantRequest[]>,
    limits: JoinedLimits,
    signal: AbortSignal,
  ): Promise<Worked<readonly InstantOutcome[]>> {
    const tenant = `${RULES_OF}${asked.tenant}`;
    const outstandingMax = limits.maxOutstandingRequestsPerTenant;
    return this.#pool!.call('instants', { ...asked, limits }, { signal, tenant, outstandingMax, gathers: true });
  }

  /** Tenants that have documents of a kind, or had. */
  documentTenants(kind: string, signal: AbortSignal): Promise<readonly string[]> {
    return this.#pool!.call('documentTenants', { kind }, { signal });
  }

  #for(name: string, limits: JoinedLimits, signal: AbortSignal): PooledCallOptions {
    const tenant = this.#pool!.quietest(tenantsOf(name));
    return { signal, tenant, outstandingMax: limits.maxOutstandingRequestsPerTenant };
  }

  moveDays(tenant: string, fromMs: number, toMs: number): Promise<void> {
    return this.#pool!.call('moveDays', { tenant, fromMs, toMs });
  }

  deleteTenant(tenant: string, signal: AbortSignal): Promise<TenantDeletion> {
    return this.#pool!.call('deleteTenant', { tenant }, { signal });
  }

  tenantDeletion(tenant: string, signal: AbortSignal): Promise<TenantDeletion | undefined> {
    return this.#pool!.call('tenantDeletion', { tenant }, { signal });
  }

  async stop(): Promise<void> {
    this.#rows.close();
    await this.#pool?.close();
  }
}

/** Leaves the jobs of a thread with the desk. */
function jobsRole(desk: JobDesk): JobsRole {
  return {
    async ask({ trace, ...wanted }, { signal }) {
      const answer = await withTrace(trace, () => desk.ask(wanted, signal));
      return Transferred.of(answer, [answer.bytes.buffer]);
    },
  };
}
