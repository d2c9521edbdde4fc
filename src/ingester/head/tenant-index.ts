import assert from 'node:assert/strict';
import { type FrameLimits, REFUSED_NO_ROOM, REFUSED_PER_METRIC, REFUSED_PER_USER } from '../../contract/ingest.ts';
import { getOrMake } from '../../lib/map.ts';
import type { HeadChanges } from './head-changes.ts';

/** Tenants whose notes may be missing between two that a log has: more is damage. */
const TENANT_GAP_MAX = 1_000_000;
/** Memory of a tenant besides its series, roughly. */
const TENANT_BYTES = 400;

/** A tenant's part of a head. */
export interface HeadTenant {
  readonly id: string;
  readonly index: number;
  /** By the pair id of the metric name. */
  readonly metrics: Map<number, RefList>;
  seriesCount: number;
  /** Newest sample kept, Unix ms. */
  newestMs: number;
  /** Its last request, Unix ms; 0: none since the start. */
  usedMs: number;
}

/** Refs of a metric's series, in no order. */
export class RefList {
  #refs = new Uint32Array(2);
  length = 0;
  /** Times that refs were taken out: until the next time others only come behind them. */
  removals = 0;

  push(ref: number): void {
    if (this.length === this.#refs.length) {
      const more = new Uint32Array(this.length < 1024 ? this.length * 2 : Math.ceil(this.length * 1.5));
      more.set(this.#refs);
      this.#refs = more;
    }
    this.#refs[this.length++] = ref;
  }

  get refs(): Uint32Array {
    return this.#refs.subarray(0, this.length);
  }

  removeWhere(gone: (ref: number) => boolean): void {
    this.removals++;
    let kept = 0;
    for (let i = 0; i < this.length; i++) {
      const ref = this.#refs[i]!;
      if (!gone(ref)) this.#refs[kept++] = ref;
    }
    this.length = kept;
  }
}

/** A series: its ref, the index of its tenant, the pair id of its metric name. */
export interface IndexedSeries {
  readonly ref: number;
  readonly tenant: number;
  readonly metric: number;
}

type SeriesLimits = Pick<FrameLimits, 'seriesPerUserMax' | 'seriesElsewhere' | 'seriesPerMetricMax'>;

/** Which tenants a head has, and which series of each metric. */
export class TenantIndex {
  /** By index. Some are missing: forgotten, or their notes in the log were lost. */
  readonly all: (HeadTenant | undefined)[] = [];
  readonly #byId = new Map<string, HeadTenant>();
  /** Those without series. */
  readonly #empty = new Set<HeadTenant>();
  /** Indexes that no log names any more. */
  #free: number[] = [];
  readonly #changes: HeadChanges;
  /** Memory of tenants besides their series, roughly. */
  bytes = 0;

  /** @param changes told of series that come and go */
  constructor(changes: HeadChanges) {
    this.#changes = changes;
  }

  get(id: string): HeadTenant | undefined {
    return this.#byId.get(id);
  }

  /** Whether an `index` that a log names may be: it and the name are nobody else's, and it is not too far from those there are. */
  isFree(index: number, id: string): boolean {
    return this.all[index] === undefined && !this.#byId.has(id) && index <= this.all.length + TENANT_GAP_MAX;
  }

  add(id: string, index: number): HeadTenant {
    const tenant: HeadTenant = {
      id,
      index,
      metrics: new Map(),
      seriesCount: 0,
      newestMs: Number.NEGATIVE_INFINITY,
      usedMs: 0,
    };
    while (this.all.length < index) this.all.push(undefined);
    this.all[index] = tenant;
    this.#byId.set(id, tenant);
    this.#empty.add(tenant);
    this.bytes += TENANT_BYTES + 2 * id.length;
    return tenant;
  }

  /** An index for a new tenant. @param again one that a forgotten tenant had may be it */
  nextIndex(again: boolean): number {
    return (again ? this.#free.pop() : undefined) ?? this.all.length;
  }

  /** Forgets a tenant that has no series. Its index is nobody's, and not yet free. */
  drop(tenant: HeadTenant): void {
    assert(tenant.seriesCount === 0, `bug: tenant ${tenant.index} is dropped with series`);
    this.all[tenant.index] = undefined;
    this.#byId.delete(tenant.id);
    this.#empty.delete(tenant);
    // another one may get its index
    this.#changes.noteTenant(tenant.index);
    this.bytes -= TENANT_BYTES + 2 * tenant.id.length;
  }

  /** Tenants without series whose last request was before `beforeMs`, at most so many. */
  *quiet(beforeMs: number, max: number): Generator<HeadTenant> {
    let count = 0;
    for (const tenant of this.#empty) {
      if (tenant.usedMs >= beforeMs) continue;
      yield tenant;
      if (++count === max) return;
    }
  }

  /** Indexes that are nobody's now. Until they are given back to `reuse` none is given to a new tenant. */
  takeUnused(): number[] {
    this.#free = [];
    const unused: number[] = [];
    for (const [index, tenant] of this.all.entries()) if (tenant === undefined) unused.push(index);
    return unused;
  }

  /** Those of `takeUnused`, once no log and no checkpoint names them. */
  reuse(unused: readonly number[]): void {
    this.#free = unused.filter((index) => this.all[index] === undefined);
  }

  /** Takes a new series, or says why not: REFUSED_NO_ROOM (no such tenant), REFUSED_PER_USER, REFUSED_PER_METRIC. */
  admit(
    { ref, tenant: index, metric }: IndexedSeries,
    { seriesPerUserMax, seriesElsewhere = 0, seriesPerMetricMax }: SeriesLimits,
  ): number {
    const tenant = this.all[index];
    if (tenant === undefined) return REFUSED_NO_ROOM;
    let list = tenant.metrics.get(metric);
    if (seriesPerUserMax > 0 && tenant.seriesCount + seriesElsewhere >= seriesPerUserMax) return REFUSED_PER_USER;
    if (seriesPerMetricMax > 0 && list !== undefined && list.length >= seriesPerMetricMax) return REFUSED_PER_METRIC;
    if (list === undefined) {
      list = new RefList();
      tenant.metrics.set(metric, list);
    }
    list.push(ref);
    this.#changes.noteSeries(index, metric);
    if (tenant.seriesCount++ === 0) this.#empty.delete(tenant);
    return 0;
  }

  remove(gone: readonly IndexedSeries[]): void {
    const byTenant = new Map<HeadTenant, Map<number, Set<number>>>();
    for (const { ref, tenant: index, metric } of gone) {
      const tenant = this.all[index]!;
      const metrics = getOrMake(byTenant, tenant, () => new Map<number, Set<number>>());
      getOrMake(metrics, metric, () => new Set<number>()).add(ref);
      if (--tenant.seriesCount === 0) this.#empty.add(tenant);
    }
    for (const [tenant, metrics] of byTenant) {
      for (const [metric, refs] of metrics) {
        const list = tenant.metrics.get(metric)!;
        list.removeWhere((ref) => refs.has(ref));
        this.#changes.noteSeries(tenant.index, metric);
        if (list.length === 0) tenant.metrics.delete(metric);
      }
    }
  }

  /** The tenant has a sample of this time. */
  sawTime(index: number, timeMs: number): void {
    const tenant = this.all[index]!;
    if (timeMs > tenant.newestMs) tenant.newestMs = timeMs;
  }
}
