import os from 'node:os';
import type { PushBackend, PushRequest, PushResponse } from '../contract/push.ts';
import type { DistributorConfig } from '../distributor/config.ts';
import type { EdgeAnswer, EdgeLimits } from '../distributor/edge-push.ts';
import { senderFailureOf } from '../kit/http/failure.ts';
import type { Logger } from '../kit/observe/log.ts';
import { counter, metricTable, type Registry } from '../kit/observe/metrics.ts';
import type { Service } from '../kit/service/service.ts';
import { WorkerThread, workerUrl } from '../kit/thread/worker.ts';
import { WorkerPool } from '../kit/thread/worker-pool.ts';
import type { Clock } from '../lib/clock.ts';
import type { TenantLimits } from '../limits/limits.ts';
import type { IngesterService } from './ingester.ts';
import { TenantRates } from './tenant-rates.ts';
import type { EdgeRole } from './threads/edge-role.ts';
import type { EdgeData } from './threads/edge-worker.ts';

const distributorMetrics = metricTable({
  samples: counter('distributor_received_samples_total', 'Samples received, kept or not.'),
  series: counter('distributor_received_series_total', 'Series in writes received.'),
  metadata: counter('distributor_received_metadata_total', 'Metadata entries received.'),
  rawBytes: counter('distributor_received_bytes_total', 'Bytes of writes received, inflated.'),
  discarded: counter('discarded_samples_total', 'Samples that were not kept, by tenant and reason.', [
    'user',
    'reason',
  ]),
});

/** With so few a thread for each step of a write costs more in messages than it gains. */
const WITHIN_SHARD_PROCESSORS_MAX = 2;

/** Tenants whose discarded samples are counted apart; what is beyond is counted as `other`. */
const TENANTS_COUNTED_MAX = 1000;

export interface DistributorOptions {
  readonly config: DistributorConfig;
  readonly ingester: IngesterService;
  readonly limits: (tenant: string) => TenantLimits;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
}

/** Hands writes to edge workers, and counts. */
export class DistributorService implements Service, PushBackend {
  readonly name = 'distributor';
  readonly #options: DistributorOptions;
  readonly #metrics: ReturnType<typeof distributorMetrics>;
  readonly #tenants = new Set<string>();
  readonly rates: TenantRates;
  #pool: WorkerPool<EdgeRole> | undefined;

  constructor(options: DistributorOptions) {
    this.#options = options;
    this.#metrics = distributorMetrics(options.registry);
    this.rates = new TenantRates(options.clock);
  }

  async start(): Promise<void> {
    const { config, ingester, log } = this.#options;
    const data: EdgeData = { rawBytesMax: config.maxRecvMsgSize, seriesSecret: ingester.seriesSecret };
    const processors = os.availableParallelism();
    const within = config.edgeWorkers === 0 && ingester.writable === 1 && processors <= WITHIN_SHARD_PROCESSORS_MAX;
    this.#pool = WorkerPool.start<EdgeRole>({
      name: 'edge',
      size: config.edgeWorkers || Math.max(1, Math.min(4, processors >> 1)),
      callsPerWorkerMax: config.inflightPushes,
      queueMax: config.queuedPushes,
      log,
      spawn: (i) => {
        if (within) return ingester.edgeWithin(config.maxRecvMsgSize);
        const worker = WorkerThread.start<EdgeRole>({
          name: `edge-${i}`,
          url: workerUrl('./threads/edge-worker', import.meta.url),
          data,
        });
        const shards = ingester
          .connect()
          .slice(0, ingester.writable)
          .map(({ port }) => port);
        worker.channel.call('connect', { shards }, { transfer: shards }).catch(() => {});
        return worker;
      },
    });
  }

  async push(request: PushRequest): Promise<PushResponse> {
    const { tenant, headers, body } = request;
    const limits = edgeLimits(this.#options.limits(tenant));
    try {
      // a body that shares its memory with others cannot move
      const own = body.byteLength === body.buffer.byteLength ? body : body.slice();
      const answer = await this.#pool!.call(
        'push',
        { tenant, headers, body: own, limits },
        { transfer: [own.buffer as ArrayBuffer] },
      );
      this.#count(tenant, answer);
      return answer.response;
    } catch (thrown) {
      const { status, headers, text } = senderFailureOf(thrown);
      return { status, headers, text };
    }
  }

  #count(tenant: string, { samples, series, metadata, rawBytes, discarded }: EdgeAnswer): void {
    this.rates.add(tenant, samples);
    this.#metrics.samples.inc(samples);
    this.#metrics.series.inc(series);
    this.#metrics.metadata.inc(metadata);
    this.#metrics.rawBytes.inc(rawBytes);
    const reasons = Object.entries(discarded);
    if (reasons.length === 0) return;
    if (this.#tenants.size < TENANTS_COUNTED_MAX) this.#tenants.add(tenant);
    const user = this.#tenants.has(tenant) ? tenant : 'other';
    for (const [reason, count] of reasons) this.#metrics.discarded.inc({ user, reason }, count);
  }

  async stop(): Promise<void> {
    await this.#pool?.close();
  }
}

function edgeLimits(limits: TenantLimits): EdgeLimits {
  return {
    ingestionRate: limits.ingestionRate,
    ingestionBurstSize: limits.ingestionBurstSize,
    maxLabelNameLength: limits.maxLabelNameLength,
    maxLabelValueLength: limits.maxLabelValueLength,
    maxLabelNamesPerSeries: limits.maxLabelNamesPerSeries,
    maxLabelsSizeBytes: limits.maxLabelsSizeBytes,
    maxMetadataLength: limits.maxMetadataLength,
    rejectOldSamples: limits.rejectOldSamples,
    rejectOldSamplesMaxAgeMs: limits.rejectOldSamplesMaxAgeMs,
    creationGracePeriodMs: limits.creationGracePeriodMs,
    outOfOrderTimeWindowMs: limits.outOfOrderTimeWindowMs,
    maxSeriesPerUser: limits.maxSeriesPerUser,
    maxSeriesPerMetric: limits.maxSeriesPerMetric,
    maxExemplars: limits.maxExemplars,
  };
}
