import { queryFacts } from '../../api/query-facts.ts';
import type { ApiAsker, ApiBackend, ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { Logger } from '../../kit/observe/log.ts';
import type { Registry } from '../../kit/observe/metrics.ts';
import type { Channel } from '../../kit/thread/channel.ts';
import type { Clock } from '../../lib/clock.ts';
import type { TenantLimits } from '../../limits/limits.ts';
import { type JoinedLimits, joinedLimits } from '../../limits/query-limits.ts';
import type { QueryWorkers, Worked } from '../../querier/service.ts';
import type { DirectQuerier } from '../threads/direct-querier.ts';
import { DirectQueries } from '../threads/direct-queries.ts';
import type { ShardConnection, ShardReplacement } from '../threads/shard-connection.ts';
import { EndedQueries } from './ended-queries.ts';
import type { FrontHostRole, FrontQueriesData } from './front-role.ts';
import { dropping, partsOf } from './handed-route.ts';

export interface FrontQueriesOptions {
  readonly data: FrontQueriesData;
  readonly main: Promise<Channel<FrontHostRole>>;
  readonly limits: (tenant: string) => TenantLimits;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
}

/** Small queries under way at once in a front thread. */
const AT_ONCE_MAX = 32;
const TOLD_MS = 1_000;
const NOBODY: ApiAsker = { user: '', source: 'api' };

/** An answer of the main thread, which has booked it already. */
interface HandedOn extends Worked<ApiResponse> {
  readonly isHandedOn: true;
}

/**
 * Queries that come to a front thread: small ones it evaluates itself, once they are known, all others the main thread answers. Small ones
 * are over within milliseconds, and are in the list of those that ended, not in that of those under way.
 */
export class FrontQueries implements ApiBackend {
  readonly #options: FrontQueriesOptions;
  readonly #direct: DirectQueries | undefined;
  readonly #told: EndedQueries;
  /** Shards that were started again before anybody was told of them. */
  readonly #early = new Map<number, ShardConnection>();
  /** As `ShardHost.connect` is given it. */
  #replaced: ((shard: number, connection: ShardConnection) => void) | undefined;

  constructor(options: FrontQueriesOptions) {
    const { data, main, log, registry, clock } = options;
    this.#options = options;
    this.#told = new EndedQueries(main);
    if (!data.areSmallOnes) return;
    const workers = handingOn((request, signal) => this.#handOn(request, signal));
    const open = () => this.#open();
    this.#direct = new DirectQueries({ workers, open, atOnceMax: AT_ONCE_MAX, log, registry, clock });
    clock.every(TOLD_MS, () => void this.#told.send());
  }

  async handle(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const { limits, clock } = this.#options;
    const direct = this.#direct;
    if (direct === undefined || request.path !== '/api/v1/query' || this.#isRejected(request)) {
      return (await this.#handOn(request, signal)).answer;
    }
    const startedMs = clock.nowMs();
    const worked = await direct.handle(request, joinedLimits(request.tenant, limits), signal);
    if (!('isHandedOn' in worked)) this.#note(request, worked, startedMs);
    return worked.answer;
  }

  /** Whether a tenant's rules reject it, or it cannot be read: who books it is to say so. */
  #isRejected(request: ApiRequest): boolean {
    const { limits, clock } = this.#options;
    const nowMs = clock.nowMs();
    try {
      const facts = queryFacts(request, nowMs);
      return facts !== undefined && limits(request.tenant).queryRejection.rejects(facts, nowMs);
    } catch {
      return true;
    }
  }

  #note(request: ApiRequest, { metrics }: Worked<ApiResponse>, startedMs: number): void {
    const { data, clock, log } = this.#options;
    const query = request.params.find(([name]) => name === 'query')?.[1] ?? '';
    const endedMs = clock.nowMs();
    const durationMs = endedMs - startedMs;
    const { tenant, asker = NOBODY } = request;
    this.#told.add({
      ended: { tenant, query, rangeSeconds: 0, endedMs, durationMs, count: 1 },
      asker,
      metrics: metrics?.names ?? [],
    });
    if (data.slowFromMs === 0 || durationMs <= data.slowFromMs) return;
    log.info({ tenant, query, path: request.path, ms: durationMs }, 'a query took long');
  }

  async #handOn(request: ApiRequest, signal: AbortSignal): Promise<HandedOn> {
    const main = await this.#options.main;
    const { answer, isSmall, ...response } = await main.call('query', request, { signal, dropped: dropping(main) });
    const parts = answer === undefined ? {} : { parts: partsOf(answer, main, signal) };
    return {
      answer: { ...response, ...parts },
      cache: undefined,
      ...(isSmall !== undefined && { isSmall }),
      isHandedOn: true,
    };
  }

  async #open(): Promise<DirectQuerier> {
    const { main, clock } = this.#options;
    const { data, shards } = await (await main).call('openQueries', {});
    const { DirectQuerier: Loaded } = await import('../threads/direct-querier.ts');
    const host = {
      connect: (replaced: (shard: number, connection: ShardConnection) => void) => {
        this.#replaced = replaced;
        return shards.map((connection, shard) => this.#early.get(shard) ?? connection);
      },
    };
    return Loaded.open(data, host, clock);
  }

  /** The way to a shard that was started again. */
  reconnect({ shard, connection }: ShardReplacement): void {
    if (this.#replaced === undefined) this.#early.set(shard, connection);
    else this.#replaced(shard, connection);
  }

  /** Resolves when the main thread has heard of all queries that ended until now. */
  told(): Promise<void> {
    return this.#told.send();
  }

  async stop(): Promise<void> {
    await this.#told.send();
    await this.#direct?.stop();
  }
}

/** Workers of which front threads ask one thing only. */
function handingOn(handle: (request: ApiRequest, signal: AbortSignal) => Promise<Worked<ApiResponse>>): QueryWorkers {
  const never = (): never => {
    throw new Error('bug: a front thread asks for queries of the API only');
  };
  return {
    handle: (request: ApiRequest, _: JoinedLimits, signal: AbortSignal) => handle(request, signal),
    ...{ instant: never, range: never, partial: never, instants: never, deleteTenant: never, tenantDeletion: never },
  };
}
