import os from 'node:os';
import type { CacheStats } from '../cache/client.ts';
import type { ApiBackend, ApiRequest, ApiResponse } from '../contract/api.ts';
import type { TenantDeletion } from '../contract/control.ts';
import { apiError, failureOf } from '../kit/http/failure.ts';
import type { Logger } from '../kit/observe/log.ts';
import { counter, metricTable, type Registry } from '../kit/observe/metrics.ts';
import type { Service } from '../kit/service/service.ts';
import { WorkerThread, workerUrl } from '../kit/thread/worker.ts';
import { WorkerPool } from '../kit/thread/worker-pool.ts';
import type { Clock } from '../lib/clock.ts';
import type { TenantLimits } from '../limits/limits.ts';
import { QueryBook } from '../querier/query-book.ts';
import type { IngesterService } from './ingester.ts';
import type { QueryRole, QueryWorkerData } from './threads/query-role.ts';

const querierMetrics = metricTable({
  fetched: counter('cache_fetched_keys_total', 'Parts of chunk groups that the cache was asked for.', ['cache']),
  hits: counter('cache_hits_total', 'Parts of chunk groups that the cache had.', ['cache']),
  failures: counter(
    'cache_failures_total',
    'Calls to the cache that failed, took too long, or were left out after others did.',
    ['cache'],
  ),
});

export interface QuerierOptions {
  readonly data: QueryWorkerData;
  readonly ingester: IngesterService;
  readonly limits: (tenant: string) => TenantLimits;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
}

/** Hands API requests to query workers. */
export class QuerierService implements Service, ApiBackend {
  readonly name = 'querier';
  readonly #options: QuerierOptions;
  readonly book: QueryBook;
  readonly #metrics: ReturnType<typeof querierMetrics>;
  #pool: WorkerPool<QueryRole> | undefined;
  #ready = false;

  constructor(options: QuerierOptions) {
    this.#options = options;
    this.book = new QueryBook(options.clock);
    this.#metrics = querierMetrics(options.registry);
    this.#count({ hits: 0, misses: 0, failures: 0 });
  }

  async start(): Promise<void> {
    const { data, ingester, log } = this.#options;
    const { config } = data;
    this.#pool = WorkerPool.start<QueryRole>({
      name: 'query',
      // short queries find one that no long one holds up, also on two processors
      size: config.workers || Math.max(2, os.availableParallelism() >> 1),
      sizeMin: config.workers || 1,
      callsPerWorkerMax: config.maxConcurrent,
      queueMax: config.queueMax,
      log,
      spawn: (i) => {
        const worker = WorkerThread.start<QueryRole>({
          name: `query-${i}`,
          url: workerUrl('./threads/query-worker', import.meta.url),
          data,
          // its objects live as long as a query: what is too small a nursery for them is copied again and again
          resourceLimits: { maxOldGenerationSizeMb: config.workerHeapMb, maxYoungGenerationSizeMb: 24 },
        });
        const shards = ingester.connect();
        const ready = worker.channel.call('connect', { shards }, { transfer: shards.map(({ port }) => port) });
        ready.then(
          () => {
            this.#ready = true;
          },
          () => {}, // then it is gone
        );
        return { channel: worker.channel, gone: worker.gone, terminate: () => worker.terminate(), ready };
      },
    });
  }

  notReady(): string | undefined {
    return this.#ready ? undefined : 'query workers are starting';
  }

  async handle(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const ended = this.book.begin(request);
    try {
      const asked = { request, limits: this.#options.limits(request.tenant) };
      const { response, cache } = await this.#pool!.call('handle', asked, { signal });
      if (cache !== undefined) this.#count(cache);
      return response;
    } catch (thrown) {
      signal.throwIfAborted();
      const { status, errorType, headers, text } = failureOf(thrown);
      const body = new TextEncoder().encode(JSON.stringify(apiError(errorType, text)));
      return { status, contentType: 'application/json', headers, body };
    } finally {
      ended();
    }
  }

  #count({ hits, misses, failures }: CacheStats): void {
    const labels = { cache: this.#options.data.caches.chunkStore.cacheBackend };
    this.#metrics.fetched.inc(labels, hits + misses);
    this.#metrics.hits.inc(labels, hits);
    this.#metrics.failures.inc(labels, failures);
  }

  /** All that a tenant has until now is left out by queries, from when this resolves, and goes from the store by and by. */
  async deleteTenant(tenant: string, signal: AbortSignal): Promise<TenantDeletion> {
    return this.#pool!.call('deleteTenant', { tenant }, { signal });
  }

  /** The newest request to delete the tenant. */
  async tenantDeletion(tenant: string, signal: AbortSignal): Promise<TenantDeletion | undefined> {
    return this.#pool!.call('tenantDeletion', { tenant }, { signal });
  }

  async stop(): Promise<void> {
    await this.#pool?.close();
  }
}
