import type { CacheStats } from '../cache/client.ts';
import type { ApiAsker, ApiBackend, ApiRequest, ApiResponse } from '../contract/api.ts';
import type { TenantDeletion, TenantHider } from '../contract/control.ts';
import type {
  BatchRunner,
  InstantOutcome,
  InstantRequest,
  PartialRequest,
  PartialResult,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  RangeRequest,
} from '../contract/query.ts';
import { apiError, failureOf } from '../kit/http/failure.ts';
import { counter, metricTable, type Registry } from '../kit/observe/metrics.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import type { TenantLimits } from '../limits/limits.ts';
import { type JoinedLimits, joinedLimits } from '../limits/query-limits.ts';
import type { QueryFacts } from '../limits/query-rules.ts';
import { queryErrors } from '../model/errors-query.ts';
import { tenantsOf } from '../model/tenants.ts';
import type { AskedFor } from './asked-metrics.ts';
import { FoundMetrics } from './found-metrics.ts';
import type { MetricUseBook } from './metric-use.ts';
import { type ActiveQuery, QueryBook } from './query-book.ts';
import { QueryCosts } from './query-costs.ts';

const querierMetrics = metricTable({
  fetched: counter('cache_fetched_keys_total', 'Parts of chunk groups that the cache was asked for.', ['cache']),
  hits: counter('cache_hits_total', 'Parts of chunk groups that the cache had.', ['cache']),
  resultsDays: counter(
    'query_results_cache_lookups_total',
    'Days of range queries that the cache of answers was asked for, by how much of each it had: whole, part, none.',
    ['had'],
  ),
  resultsFailures: counter(
    'query_results_cache_failures_total',
    'Queries that were evaluated without the cache of answers, as it could not be known whether these hold.',
  ),
  failures: counter(
    'cache_failures_total',
    'Calls to the cache that failed, took too long, or were left out after others did.',
    ['cache'],
  ),
});

/** The workers that evaluate for the service: query threads, or a querier in this one. */
export interface QueryWorkers extends TenantHider {
  handle(
    request: ApiRequest,
    limits: JoinedLimits,
    signal: AbortSignal,
    turn?: QueryTurn,
  ): Promise<Worked<ApiResponse>>;
  instant(request: Asked<InstantRequest>, limits: JoinedLimits, signal: AbortSignal): Promise<Worked<QueryResult>>;
  range(request: Asked<RangeRequest>, limits: JoinedLimits, signal: AbortSignal): Promise<Worked<QueryResult>>;
  partial(request: Asked<PartialRequest>, limits: JoinedLimits, signal: AbortSignal): Promise<Worked<PartialResult>>;
  /** Rules have a class of their own: they neither wait for nor hold up what users of the tenant ask. */
  instants(
    request: Asked<readonly InstantRequest[]>,
    limits: JoinedLimits,
    signal: AbortSignal,
  ): Promise<Worked<readonly InstantOutcome[]>>;
}

/** Where a query stands among those of its tenant that wait. */
export interface QueryTurn {
  /** Work that it is estimated to be. */
  readonly costMs: number;
  /** Higher ones come first. */
  readonly priority: number;
}

export interface Asked<Request> {
  readonly tenant: string;
  readonly request: Request;
  /** As of `QueryRunContext`. */
  readonly inBackground?: boolean | undefined;
}

export interface Worked<Answer> {
  readonly answer: Answer;
  /** How the worker's cache did since its last answer; undefined: it has none. */
  readonly cache: CacheStats | undefined;
  /** How the worker's cache of answers did since its last answer; absent: it has none. */
  readonly results?: ResultsCounts | undefined;
  /** Metrics that a request asked for; absent: for none, or it was refused. */
  readonly metrics?: AskedFor | undefined;
  /** From when the worker began until it had the answer. */
  readonly workedMs?: number;
  /** Whether its expression is small (`isSmallExpr`): only then it is parsed outside of query threads. Absent: it is not. */
  readonly isSmall?: boolean;
}

/** Counts of a cache of answers (`frontend/results-cache.ts`). */
export interface ResultsCounts {
  readonly whole: number;
  readonly part: number;
  readonly none: number;
  readonly failures: number;
}

export interface QuerierServiceOptions {
  readonly workers: QueryWorkers;
  /** The backend of the cache of chunk groups, as metrics name it. */
  readonly cacheBackend: string;
  readonly limits: (tenant: string) => TenantLimits;
  /** A request as rules look at it; undefined where it is none of theirs. */
  readonly factsOf?: (request: ApiRequest, nowMs: number) => QueryFacts | undefined;
  /** Whether answers tell that their expression is small (`ApiResponse.isSmall`): whoever hands queries on may evaluate it the next time. */
  readonly tellsSmall?: boolean;
  /** Told of queries that took long; absent: of none. */
  readonly slow?: SlowQueries;
  /** Counts what is asked for; absent: nothing does. */
  readonly use?: Pick<MetricUseBook, 'note'>;
  readonly registry: Registry;
  readonly clock: Clock;
}

export interface SlowQueries {
  readonly fromMs: number;
  log(query: SlowQuery): void;
}

/** A query that took long. Its times as they were asked for; empty where not. */
export interface SlowQuery extends ActiveQuery {
  readonly ms: number;
}

/** Metrics that one selector finds and that are counted, and how far back they are looked for. */
const FOUND_NAMES_MAX = 1_000;
const FOUND_MS = 3_600_000;
const NOBODY: ApiAsker = { user: '', source: 'api' };
const RULE: ApiAsker = { user: '', source: 'rule' };

/** Hands queries to its workers with the limits of their tenants, and keeps the book of them. */
export class QuerierService implements Service, ApiBackend, QueryRunner, BatchRunner, TenantHider {
  readonly name = 'querier';
  readonly #options: QuerierServiceOptions;
  readonly book: QueryBook;
  readonly #costs = new QueryCosts();
  readonly #metrics: ReturnType<typeof querierMetrics>;
  readonly #found: FoundMetrics | undefined;

  constructor(options: QuerierServiceOptions) {
    this.#options = options;
    this.book = new QueryBook(options.clock);
    this.#metrics = querierMetrics(options.registry);
    const { use, clock } = options;
    this.#found =
      use &&
      new FoundMetrics({
        find: (...asked) => this.#findMetrics(...asked),
        note: (...counted) => use.note(...counted),
        clock,
      });
    this.#count({ hits: 0, misses: 0, failures: 0 });
    this.#countResults({ whole: 0, part: 0, none: 0, failures: 0 });
  }

  async handle(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const { workers } = this.#options;
    let isCanceled = false;
    // a composite signal costs more than all else here
    const ends = new AbortController();
    const gone = () => ends.abort(signal.reason);
    let isSent = false;
    if (signal.aborted) gone();
    else signal.addEventListener('abort', gone, { once: true });
    const cancel = () => {
      isCanceled = true;
      ends.abort(queryErrors.queryCanceled({}));
    };
    const ended = this.book.begin(request, (query) => this.#noteSlow(query), cancel);
    try {
      const facts = this.#options.factsOf?.(request, this.#options.clock.nowMs());
      const turn = facts && this.#turnOf(request.tenant, facts);
      const worked = await workers.handle(request, this.#limits(request.tenant), ends.signal, turn);
      if (facts !== undefined && worked.workedMs !== undefined)
        this.#costs.note(request.tenant, facts, worked.workedMs);
      this.#noteUse(request.tenant, worked, request.asker ?? NOBODY);
      // whoever takes parts may go before the last
      isSent = worked.answer.parts === undefined;
      const answer = this.#answer(worked);
      return this.#options.tellsSmall !== true || worked.isSmall === undefined
        ? answer
        : { ...answer, isSmall: worked.isSmall };
    } catch (thrown) {
      isSent = true;
      signal.throwIfAborted();
      const { status, errorType, headers, text } = failureOf(isCanceled ? ends.signal.reason : thrown);
      const body = new TextEncoder().encode(JSON.stringify(apiError(errorType, text)));
      return { status, contentType: 'application/json', headers, body };
    } finally {
      if (isSent) signal.removeEventListener('abort', gone);
      ended();
    }
  }

  async instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult> {
    const { workers } = this.#options;
    const { signal, inBackground } = context;
    return this.#answer(await workers.instant({ tenant, request, inBackground }, this.#limits(tenant), signal));
  }

  async range(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    const { workers } = this.#options;
    const { signal, inBackground } = context;
    return this.#answer(await workers.range({ tenant, request, inBackground }, this.#limits(tenant), signal));
  }

  async partial(tenant: string, request: PartialRequest, { signal }: QueryRunContext): Promise<PartialResult> {
    const { workers } = this.#options;
    return this.#answer(await workers.partial({ tenant, request }, this.#limits(tenant), signal));
  }

  async instants(
    tenant: string,
    request: readonly InstantRequest[],
    { signal }: QueryRunContext,
  ): Promise<readonly InstantOutcome[]> {
    const { workers } = this.#options;
    const done = await workers.instants({ tenant, request }, this.#limits(tenant), signal);
    this.#noteUse(tenant, done, RULE);
    return this.#answer(done);
  }

  /** @throws queryRejected where one of the tenants has it so */
  #turnOf(name: string, facts: QueryFacts): QueryTurn {
    const nowMs = this.#options.clock.nowMs();
    const all = tenantsOf(name).map((tenant) => this.#options.limits(tenant));
    if (all.some((limits) => limits.queryRejection.rejects(facts, nowMs))) throw queryErrors.queryRejected({});
    const priorities = all.map((limits) => limits.queryPriority.of(facts, nowMs));
    return { costMs: this.#costs.of(name, facts), priority: Math.min(...priorities) };
  }

  #noteSlow(query: ActiveQuery): void {
    const { slow, clock } = this.#options;
    const ms = clock.nowMs() - query.startedMs;
    if (slow !== undefined && ms > slow.fromMs) slow.log({ ...query, ms });
  }

  #noteUse(tenants: string, { metrics }: Worked<unknown>, asker: ApiAsker): void {
    const { use } = this.#options;
    if (use === undefined || metrics === undefined) return;
    for (const tenant of tenantsOf(tenants)) {
      if (metrics.names.length > 0) use.note(tenant, metrics.names, asker);
      this.#found?.asked(tenant, metrics.selectors, asker);
    }
  }

  /** Names of the metrics that a selector finds, of the last hour. */
  async #findMetrics(tenant: string, selector: string, signal: AbortSignal): Promise<readonly string[]> {
    const { workers, clock } = this.#options;
    const endMs = clock.nowMs();
    const params = [
      ['match[]', selector],
      ['limit', String(FOUND_NAMES_MAX)],
      ['start', String((endMs - FOUND_MS) / 1e3)],
      ['end', String(endMs / 1e3)],
    ] as const;
    const request = { tenant, method: 'GET', path: '/api/v1/label/__name__/values', params };
    const { answer } = await workers.handle(request, this.#limits(tenant), signal);
    if (answer.status !== 200) return [];
    return (JSON.parse(new TextDecoder().decode(answer.body)) as { readonly data: readonly string[] }).data;
  }

  async stop(): Promise<void> {
    await this.#found?.stop();
  }

  #limits(tenant: string): JoinedLimits {
    return joinedLimits(tenant, this.#options.limits);
  }

  #answer<Answer>({ answer, cache, results }: Worked<Answer>): Answer {
    if (cache !== undefined) this.#count(cache);
    if (results !== undefined) this.#countResults(results);
    return answer;
  }

  #countResults({ failures, ...days }: ResultsCounts): void {
    for (const [had, count] of Object.entries(days)) this.#metrics.resultsDays.inc({ had }, count);
    this.#metrics.resultsFailures.inc({}, failures);
  }

  #count({ hits, misses, failures }: CacheStats): void {
    const labels = { cache: this.#options.cacheBackend };
    this.#metrics.fetched.inc(labels, hits + misses);
    this.#metrics.hits.inc(labels, hits);
    this.#metrics.failures.inc(labels, failures);
  }

  /** Work of another kind, with the limits of its tenant. */
  async work<Answer>(tenant: string, run: (limits: JoinedLimits) => Promise<Worked<Answer>>): Promise<Answer> {
    const done = await run(this.#limits(tenant));
    // of all such work only batches of rules say what they ask for
    this.#noteUse(tenant, done, RULE);
    return this.#answer(done);
  }

  deleteTenant(tenant: string, signal: AbortSignal): Promise<TenantDeletion> {
    return this.#options.workers.deleteTenant(tenant, signal);
  }

  tenantDeletion(tenant: string, signal: AbortSignal): Promise<TenantDeletion | undefined> {
    return this.#options.workers.tenantDeletion(tenant, signal);
  }
}
