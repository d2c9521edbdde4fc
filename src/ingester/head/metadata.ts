import type { MetadataLimits } from '../../contract/ingest.ts';
import { getOrMake } from '../../lib/map.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';

/** Most characters of an entry, whatever the limits: a note of the log holds it. */
const ENTRY_CHARS_MAX = 1024 * 1024;
/** Memory of an entry besides its texts, roughly. */
const ENTRY_OVERHEAD_BYTES = 200;
/** Memory of a tenant's part, roughly. */
const TENANT_OVERHEAD_BYTES = 400;
/** An entry that no sender has told for so long gives way to others when a limit is reached. */
const RETAINED_MS = 600_000;
/** How often a tenant at its limit is searched for such entries. */
const SEARCH_EVERY_MS = 60_000;

// reasons, as Cortex has them in its metrics
const PER_USER = 'per_user_metadata_limit';
const PER_METRIC = 'per_metric_metadata_limit';
const NO_ROOM = 'head_full';

interface KnownEntry extends MetricMetadata {
  /** When a sender told it last. */
  seenMs: number;
}

interface TenantMetadata {
  readonly metrics: Map<string, KnownEntry[]>;
  searchedMs: number;
  /** When any of it was told last. */
  seenMs: number;
}

/** Type, help and unit of the metrics of each tenant, as senders gave them. */
export class MetadataBook {
  readonly #byTenant = new Map<string, TenantMetadata>();
  /** Memory, roughly. */
  bytes = 0;

  /**
   * Takes entries within the limits.
   * @param isFull whether there is no room for anything new
   * @returns those that say something new, to be logged; how many were not taken, by reason
   */
  take(
    tenant: string,
    entries: readonly MetricMetadata[],
    { limits, nowMs, isFull }: { readonly limits: MetadataLimits; readonly nowMs: number; readonly isFull: boolean },
  ): { readonly news: MetricMetadata[]; readonly refused: Record<string, number> } {
    const refused: Record<string, number> = {};
    const refuse = (reason: string) => {
      refused[reason] = (refused[reason] ?? 0) + 1;
    };
    const news: MetricMetadata[] = [];
    const known = this.#byTenant.get(tenant);
    if (known !== undefined) known.seenMs = nowMs;
    for (const entry of entries) {
      const old = this.#byTenant.get(tenant)?.metrics.get(entry.metric);
      const same = old?.find((one) => isSame(one, entry));
      if (same !== undefined) {
        same.seenMs = nowMs;
        continue;
      }
      if (isFull || entry.metric.length + entry.help.length + entry.unit.length > ENTRY_CHARS_MAX) refuse(NO_ROOM);
      else if (old !== undefined && this.#isFullMetric(old, limits, nowMs)) refuse(PER_METRIC);
      else if (old === undefined && this.#isFullTenant(tenant, limits, nowMs)) refuse(PER_USER);
      else if (this.#add(tenant, entry, nowMs)) news.push(entry);
    }
    return { news, refused };
  }

  /** Takes entries whatever the limits, as a log has them. */
  load(tenant: string, entries: readonly MetricMetadata[], nowMs: number): void {
    for (const entry of entries) this.#add(tenant, entry, nowMs);
  }

  /** Takes back what `take` called new and no log has. */
  drop(tenant: string, news: readonly MetricMetadata[]): void {
    const own = this.#byTenant.get(tenant);
    if (own === undefined) return;
    for (const entry of news) this.#keep(own, entry.metric, (one) => !isSame(one, entry));
  }

  #add(tenant: string, entry: MetricMetadata, nowMs: number): boolean {
    let own = this.#byTenant.get(tenant);
    if (own === undefined) {
      own = { metrics: new Map(), searchedMs: 0, seenMs: nowMs };
      this.#byTenant.set(tenant, own);
      this.bytes += TENANT_OVERHEAD_BYTES;
    }
    const list = getOrMake(own.metrics, entry.metric, () => [] as KnownEntry[]);
    if (list.some((one) => isSame(one, entry))) return false;
    const { metric, type, help, unit } = entry;
    list.push({ metric, type, help, unit, seenMs: nowMs });
    this.bytes += sizeOf(entry);
    return true;
  }

  #isFullMetric(list: readonly KnownEntry[], { perMetricMax }: MetadataLimits, nowMs: number): boolean {
    if (perMetricMax === 0 || list.length < perMetricMax) return false;
    // what nobody tells any more makes room
    const stale = list.findIndex(({ seenMs }) => seenMs < nowMs - RETAINED_MS);
    if (stale < 0) return true;
    this.bytes -= sizeOf(list[stale]!);
    (list as KnownEntry[]).splice(stale, 1);
    return false;
  }

  #isFullTenant(tenant: string, { metricsMax }: MetadataLimits, nowMs: number): boolean {
    const own = this.#byTenant.get(tenant);
    if (metricsMax === 0 || own === undefined || own.metrics.size < metricsMax) return false;
    if (nowMs - own.searchedMs < SEARCH_EVERY_MS) return true;
    own.searchedMs = nowMs;
    for (const metric of [...own.metrics.keys()]) {
      this.#keep(own, metric, ({ seenMs }) => seenMs >= nowMs - RETAINED_MS);
    }
    return own.metrics.size >= metricsMax;
  }

  #keep({ metrics }: TenantMetadata, metric: string, isKept: (entry: KnownEntry) => boolean): void {
    const list = metrics.get(metric);
    if (list === undefined) return;
    for (const entry of list) if (!isKept(entry)) this.bytes -= sizeOf(entry);
    const kept = list.filter(isKept);
    if (kept.length === 0) metrics.delete(metric);
    else if (kept.length < list.length) metrics.set(metric, kept);
  }

  /** Forgets tenants that told nothing since `beforeMs`. Nobody need log it: after a start they are there for a while again. */
  forgetQuiet(beforeMs: number): void {
    for (const [tenant, { seenMs }] of this.#byTenant) if (seenMs < beforeMs) this.forget(tenant);
  }

  forget(tenant: string): void {
    const own = this.#byTenant.get(tenant);
    if (own === undefined) return;
    for (const list of own.metrics.values()) for (const entry of list) this.bytes -= sizeOf(entry);
    this.bytes -= TENANT_OVERHEAD_BYTES;
    this.#byTenant.delete(tenant);
  }

  of(tenant: string): MetricMetadata[] {
    return [...this.#entries(this.#byTenant.get(tenant))];
  }

  *#entries(own: TenantMetadata | undefined): Iterable<MetricMetadata> {
    for (const list of own?.metrics.values() ?? []) {
      for (const { metric, type, help, unit } of list) yield { metric, type, help, unit };
    }
  }

  /** Everything, also while more comes: that may be in it or not. */
  *all(): Iterable<readonly [tenant: string, entries: Iterable<MetricMetadata>]> {
    for (const [tenant, own] of this.#byTenant) yield [tenant, this.#entries(own)];
  }
}

function isSame(a: MetricMetadata, b: MetricMetadata): boolean {
  return a.metric === b.metric && a.type === b.type && a.help === b.help && a.unit === b.unit;
}

function sizeOf({ metric, type, help, unit }: MetricMetadata): number {
  return ENTRY_OVERHEAD_BYTES + 2 * (metric.length + type.length + help.length + unit.length);
}
