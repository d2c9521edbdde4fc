import os from 'node:os';
import type { Logger } from '../kit/observe/log.ts';
import type { Service } from '../kit/service/service.ts';
import { WorkerThread, workerUrl } from '../kit/service/worker.ts';
import { WorkerPool } from '../kit/service/worker-pool.ts';
import type { Clock } from '../lib/clock.ts';
import type { TenantLimits } from '../limits/limits.ts';
import { AppError } from '../model/errors.ts';
import type { ApiBackend, ApiRequest, ApiResponse } from '../querier/api-contract.ts';
import { QueryBook } from '../querier/query-book.ts';
import type { QueryRole, QueryWorkerData, TenantDeletion } from '../querier/worker-contract.ts';
import type { IngesterService } from './ingester.ts';

export interface QuerierOptions {
  readonly data: QueryWorkerData;
  readonly ingester: IngesterService;
  readonly limits: (tenant: string) => TenantLimits;
  readonly log: Logger;
  readonly clock: Clock;
}

/** Hands API requests to query workers. */
export class QuerierService implements Service, ApiBackend {
  readonly name = 'querier';
  readonly #options: QuerierOptions;
  readonly book: QueryBook;
  #pool: WorkerPool<QueryRole> | undefined;
  #ready = false;

  constructor(options: QuerierOptions) {
    this.#options = options;
    this.book = new QueryBook(options.clock);
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
          url: workerUrl('./query-worker', import.meta.url),
          data,
          // its objects live as long as a query: what is too small a nursery for them is copied again and again
          resourceLimits: { maxOldGenerationSizeMb: config.workerHeapMb, maxYoungGenerationSizeMb: 24 },
        });
        const shards = ingester.connect();
        const ready = worker.channel.call('connect', { shards }, { transfer: shards });
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
      return await this.#pool!.call('handle', { request, limits: this.#options.limits(request.tenant) }, { signal });
    } catch (thrown) {
      signal.throwIfAborted();
      const { facts, message } = AppError.from(thrown);
      return {
        status: facts.http,
        contentType: 'application/json',
        headers: facts.http === 503 ? { 'retry-after': '1' } : {},
        body: new TextEncoder().encode(JSON.stringify({ status: 'error', errorType: facts.promType, error: message })),
      };
    } finally {
      ended();
    }
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
