import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { Logger } from '../../kit/observe/log.ts';
import { counter, metricTable, type Registry } from '../../kit/observe/metrics.ts';
import type { Service } from '../../kit/service/service.ts';
import type { Clock } from '../../lib/clock.ts';
import { SharedRoom } from '../../lib/shared-room.ts';
import type { JoinedLimits } from '../../limits/query-limits.ts';
import { KnownQueries } from '../../querier/direct/known-queries.ts';
import { WorkShares } from '../../querier/direct/work-shares.ts';
import type { QueryTurn, QueryWorkers, Worked } from '../../querier/service.ts';
import type { DirectQuerier } from './direct-querier.ts';
import { HandedOn } from './handed-on.ts';

export interface DirectQueriesOptions {
  /** All that is not small, or not known, goes there. */
  readonly workers: QueryWorkers;
  /** Loads the engine into this thread. */
  readonly open: () => Promise<DirectQuerier>;
  /** Queries under way at once; a tenant has three times what it leaves free. */
  readonly atOnceMax: number;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
}

/** CPU time within a second. */
const WORK_MS_MAX = 500;
/** CPU time after which a query took long, and that one is thought to take that was not tried yet. */
const USED_MS_MAX = 2;
/** CPU time that is kept for a query at most: what took long once is tried again. */
const RESERVED_MS_MAX = 20;
/** Answers of more bytes are not those of small queries. */
const ANSWER_BYTES_MAX = 32 * 1024;
/** Small queries of before, at which the engine is loaded into this thread. */
const SEEN_MIN = 50;

const directMetrics = metricTable({
  queries: counter('direct_queries_total', 'Small queries that were tried in the thread of their connection.', [
    'result',
  ]),
});

/**
 * Evaluates small queries in the thread that has their connection: no other thread is woken, and the whole takes a third less CPU, though
 * this thread has more to do with each than with a hand-over. Each is bounded by what it finds; what is not small is handed over after all.
 */
export class DirectQueries extends HandedOn implements QueryWorkers, Service {
  readonly name = 'direct-queries';
  readonly #options: DirectQueriesOptions;
  readonly #known: KnownQueries;
  readonly #room: SharedRoom;
  readonly #shares: WorkShares;
  readonly #metrics: ReturnType<typeof directMetrics>;
  #querier: DirectQuerier | undefined;
  #opening: Promise<void> | undefined;
  #seen = 0;
  #isStopping = false;

  constructor(options: DirectQueriesOptions) {
    const { workers, clock, registry, atOnceMax } = options;
    super(workers);
    this.#options = options;
    this.#room = new SharedRoom(atOnceMax);
    this.#known = new KnownQueries(() => clock.monotonicMs());
    this.#shares = new WorkShares(WORK_MS_MAX, () => clock.monotonicMs());
    this.#metrics = directMetrics(registry);
  }

  async handle(
    request: ApiRequest,
    limits: JoinedLimits,
    signal: AbortSignal,
    turn?: QueryTurn,
  ): Promise<Worked<ApiResponse>> {
    const { workers } = this.#options;
    const key = this.#known.keyOf(request);
    if (key === undefined) return workers.handle(request, limits, signal, turn);
    if (this.#known.mayTry(key)) {
      const worked = await this.#tried(key, request, limits, signal);
      if (worked !== undefined) return worked;
    }
    const worked = await workers.handle(request, limits, signal, turn);
    const { status, body, parts } = worked.answer;
    const isSmall = status === 200 && parts === undefined && body.length <= ANSWER_BYTES_MAX;
    if (isSmall && worked.isSmall === true) this.#known.see(key);
    return worked;
  }

  async #tried(
    key: string,
    request: ApiRequest,
    limits: JoinedLimits,
    signal: AbortSignal,
  ): Promise<Worked<ApiResponse> | undefined> {
    const querier = this.#querier;
    if (querier === undefined) return this.#open();
    const { tenant } = request;
    const reservedMs = Math.min(this.#known.lastMs(key) ?? USED_MS_MAX, RESERVED_MS_MAX);
    if (!this.#shares.reserve(tenant, reservedMs)) return this.#left('no share');
    if (!this.#room.take(tenant, 1)) {
      this.#shares.settle(tenant, reservedMs, 0);
      return this.#left('no place');
    }
    let usedMs = 0;
    let outcome: 'small' | 'not small' | undefined;
    const use = {
      mayWork: () => this.#shares.mayWork(tenant),
      worked: (ms: number) => {
        usedMs = ms;
      },
    };
    try {
      const { worked, isCrowded } = await querier.handle(request, limits, signal, use);
      if (isCrowded) return this.#left('no turn');
      outcome = worked === undefined ? 'not small' : 'small';
      this.#metrics.queries.inc({ result: worked === undefined ? 'handed on' : 'answered' });
      return worked;
    } finally {
      // who goes away has used it all the same
      this.#room.give(tenant, 1);
      this.#shares.settle(tenant, reservedMs, usedMs);
      this.#known.took(key, usedMs);
      if (outcome !== 'not small' && usedMs > USED_MS_MAX) this.#known.tried(key, 'long');
      else if (outcome !== undefined) this.#known.tried(key, outcome);
    }
  }

  #left(result: 'no share' | 'no place' | 'no turn'): undefined {
    this.#metrics.queries.inc({ result });
  }

  /** Loads the engine once small queries are asked again and again: a thread that has it takes some megabytes more. */
  #open(): undefined {
    if (++this.#seen < SEEN_MIN || this.#opening !== undefined || this.#isStopping) return;
    const { open, log } = this.#options;
    this.#opening = open().then(
      (querier) => {
        this.#querier = querier;
      },
      (error: unknown) => log.warn({ err: error }, 'small queries stay with query threads'),
    );
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#opening;
    const querier = this.#querier;
    this.#querier = undefined;
    await querier?.close();
  }
}
