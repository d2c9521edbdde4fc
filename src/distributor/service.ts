import type { PushBackend, PushRequest, PushResponse, SeriesBackend, SeriesPush } from '../contract/push.ts';
import { senderFailureOf } from '../kit/http/failure.ts';
import { counter, metricTable, type Registry } from '../kit/observe/metrics.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import type { TenantLimits } from '../limits/limits.ts';
import type { EdgeAnswer, EdgeLimits, Edges } from './edge-push.ts';
import type { SlotSizes } from './local-slots.ts';
import { rewriteText } from './rewrite.ts';
import { encodeSeriesPush } from './series-push.ts';
import { TenantRates } from './tenant-rates.ts';

const distributorMetrics = metricTable({
  samples: counter('distributor_received_samples_total', 'Samples received, kept or not.'),
  series: counter('distributor_received_series_total', 'Series in writes received.'),
  metadata: counter('distributor_received_metadata_total', 'Metadata entries received.'),
  rawBytes: counter('distributor_received_bytes_total', 'Bytes of writes received, inflated.'),
  discarded: counter('discarded_samples_total', 'Samples that were not kept, by tenant and reason.', [
    'user',
    'reason',
  ]),
  discardedMetadata: counter('discarded_metadata_total', 'Metadata that was not kept, by tenant and reason.', [
    'user',
    'reason',
  ]),
});

/** Tenants whose discarded samples and metadata are counted apart; what is beyond is counted as `other`. */
const TENANTS_COUNTED_MAX = 1000;

export interface DistributorOptions {
  readonly edges: Edges;
  readonly limits: (tenant: string) => TenantLimits;
  /** How tenants are spread over the shards of this process, where it has several and no ring. */
  readonly slots?: SlotSizes;
  /** Distributors that share the rates whose strategy is `global`; absent: this one alone. */
  readonly distributors?: () => number;
  /**
   * Told of late samples once they can be seen, from the oldest on: their write is answered when it resolves, and with 503 when it cannot.
   * Absent: nobody caches answers.
   */
  readonly noteLate?: (tenant: string, fromMs: number) => Promise<void>;
  /** Counts in place of this service; absent: it counts in its registry. */
  readonly count?: (tenant: string, counts: WriteCounts) => void;
  readonly registry: Registry;
  readonly clock: Clock;
}

/** A write as it is counted. */
export type WriteCounts = Pick<
  EdgeAnswer,
  'samples' | 'series' | 'metadata' | 'rawBytes' | 'discarded' | 'discardedMetadata'
>;

/** Hands writes to edges with the limits of their tenants, and counts. */
export class DistributorService implements Service, PushBackend, SeriesBackend {
  readonly name = 'distributor';
  readonly #options: DistributorOptions;
  readonly #metrics: ReturnType<typeof distributorMetrics>;
  readonly #tenants = new Set<string>();
  readonly rates: TenantRates;

  constructor(options: DistributorOptions) {
    this.#options = options;
    this.#metrics = distributorMetrics(options.registry);
    this.rates = new TenantRates(options.clock);
  }

  async start(): Promise<void> {
    this.#options.slots?.open?.();
  }

  async push({ tenant, headers, body, inOrder = false }: PushRequest): Promise<PushResponse> {
    const given = this.#options.limits(tenant);
    const own = inOrder ? { ...given, outOfOrderTimeWindowMs: 0 } : given;
    const limits = edgeLimits(own, this.#options.distributors?.() ?? 1);
    try {
      const { edges, slots } = this.#options;
      const found = slots?.of(tenant);
      // no turn is waited for what is known in this thread
      const spread = found === undefined ? {} : { slots: found instanceof Promise ? await found : found };
      const answer = await edges.push({ tenant, headers, body, limits, ...spread });
      if (answer.tenantSeries !== undefined) slots?.report(tenant, answer.tenantSeries);
      const { count } = this.#options;
      if (count === undefined) this.count(tenant, answer);
      else count(tenant, answer);
      if (answer.lateMs !== undefined) await this.#options.noteLate?.(tenant, answer.lateMs);
      return answer.response;
    } catch (thrown) {
      const { status, headers, text } = senderFailureOf(thrown);
      return { status, headers, text };
    }
  }

  async pushSeries({ tenant, series, encoded, inOrder = false }: SeriesPush): Promise<PushResponse> {
    return this.push({ tenant, ...encodeSeriesPush(series, encoded), inOrder });
  }

  /** Counts what this service, or another thread of the process, has handed on. */
  count(tenant: string, answer: WriteCounts): void {
    const { samples, series, metadata, rawBytes } = answer;
    this.rates.add(tenant, samples);
    this.#metrics.samples.inc(samples);
    this.#metrics.series.inc(series);
    this.#metrics.metadata.inc(metadata);
    this.#metrics.rawBytes.inc(rawBytes);
    const reasons = Object.entries(answer.discarded);
    const metadataReasons = Object.entries(answer.discardedMetadata);
    if (reasons.length + metadataReasons.length === 0) return;
    if (this.#tenants.size < TENANTS_COUNTED_MAX) this.#tenants.add(tenant);
    const user = this.#tenants.has(tenant) ? tenant : 'other';
    for (const [reason, count] of reasons) this.#metrics.discarded.inc({ user, reason }, count);
    for (const [reason, count] of metadataReasons) this.#metrics.discardedMetadata.inc({ user, reason }, count);
  }
}

/** @param distributors that share rates which hold for all of them */
function edgeLimits(limits: TenantLimits, distributors: number): EdgeLimits {
  const { ingestionRate, ingestionRateStrategy } = limits;
  return {
    ingestionRate: ingestionRateStrategy === 'global' ? ingestionRate / distributors : ingestionRate,
    ingestionBurstSize: limits.ingestionBurstSize,
    maxLabelNameLength: limits.maxLabelNameLength,
    maxLabelValueLength: limits.maxLabelValueLength,
    maxLabelNamesPerSeries: limits.maxLabelNamesPerSeries,
    maxLabelsSizeBytes: limits.maxLabelsSizeBytes,
    maxMetadataLength: limits.maxMetadataLength,
    maxMetadataPerUser: limits.maxMetadataPerUser,
    maxMetadataPerMetric: limits.maxMetadataPerMetric,
    rejectOldSamples: limits.rejectOldSamples,
    rejectOldSamplesMaxAgeMs: limits.rejectOldSamplesMaxAgeMs,
    creationGracePeriodMs: limits.creationGracePeriodMs,
    minSampleMs: limits.minSampleTimeS * 1000,
    retentionPeriodMs: limits.retentionPeriodMs,
    outOfOrderTimeWindowMs: limits.outOfOrderTimeWindowMs,
    maxSeriesPerUser: limits.maxSeriesPerUser,
    maxSeriesPerMetric: limits.maxSeriesPerMetric,
    maxGlobalSeriesPerUser: limits.maxGlobalSeriesPerUser,
    maxGlobalSeriesPerMetric: limits.maxGlobalSeriesPerMetric,
    maxExemplars: limits.maxExemplars,
    maxOldWindowsPerUser: limits.maxOldWindowsPerUser,
    rewrite: rewriteText(limits),
  };
}
