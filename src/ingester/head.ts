import { randomBytes } from 'node:crypto';
import { Kernel } from '../chunk/kernel.ts';
import { Region } from '../chunk/region.ts';
import { getOrMake } from '../lib/map.ts';
import { decodeLabels } from '../model/canonical.ts';
import type { Labels } from '../model/labels.ts';
import { RECORD_HEAD } from './wal.ts';

const LOG_BYTES = 1024 * 1024;

/** What the kernel answers for a sample (kernel/chunks.ts). */
export const APPENDED = 0;
export const HELD = 1;
export const OUT_OF_ORDER = 2;
export const DUPLICATE_TIME = 3;
export const TOO_OLD = 4;
export const NO_ROOM = 5;

/** Why a new series is refused (after what `admitSeries` answered). */
export const REFUSED_NO_ROOM = 1;
export const REFUSED_PER_USER = 2;
export const REFUSED_PER_METRIC = 3;

export interface IngestLimits {
  /** 0: no limit. */
  readonly seriesPerUserMax: number;
  readonly seriesPerMetricMax: number;
  /** How far behind a series' newest sample one may be that comes late; 0: samples out of order are refused. */
  readonly outOfOrderMs: number;
}

export interface IngestResult {
  /** Samples by answer: APPENDED … NO_ROOM. */
  readonly counts: readonly number[];
  /** Samples of new series that were refused. */
  readonly refused: number;
  /** The first sample or series that was not kept. */
  readonly first: IngestRefusal | undefined;
}

export interface IngestRefusal {
  /** OUT_OF_ORDER … NO_ROOM, or undefined where the series was refused. */
  readonly answer: number | undefined;
  /** REFUSED_…, where the series was. */
  readonly series: number | undefined;
  readonly labels: Labels;
  readonly timeMs: number;
  /** The newest sample of the series. */
  readonly newestMs: number;
}

/** A tenant's part of a head. */
export interface HeadTenant {
  readonly id: string;
  readonly index: number;
  /** By the pair id of the metric name. */
  readonly metrics: Map<number, RefList>;
  seriesCount: number;
  /** Newest sample kept, Unix ms. */
  newestMs: number;
}

/** Refs of a metric's series, in no order. */
export class RefList {
  #refs = new Uint32Array(2);
  length = 0;

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
    let kept = 0;
    for (let i = 0; i < this.length; i++) {
      const ref = this.#refs[i]!;
      if (!gone(ref)) this.#refs[kept++] = ref;
    }
    this.length = kept;
  }
}

/** The recent samples of one shard, in kernel memory, with the index to find them. Knows nothing of disk, threads or time. */
export class Head {
  readonly kernel: Kernel;
  readonly windowMs: number;
  /** By index. */
  readonly tenants: HeadTenant[] = [];
  readonly #byId = new Map<string, HeadTenant>();
  readonly #frames: Region;
  /** Where checkpoints put their blocks together. */
  readonly checkpointRegion: Region;
  /** Where a log payload lies, RECORD_HEAD bytes in. */
  readonly logAt: number;
  readonly #bytesMax: number;
  #limits: IngestLimits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0 };
  /** Refs that no log names any more. */
  readonly #freeRefs: number[] = [];
  /** Gone in replay, not yet out of the index. */
  readonly #forgotten: { ref: number; tenant: number; metric: number }[] = [];
  /** Someone still walks over refs: none is used again meanwhile. */
  holdRefs = false;

  constructor(options: { windowMs: number; bytesMax: number }) {
    this.windowMs = options.windowMs;
    this.#bytesMax = options.bytesMax;
    this.kernel = Kernel.create({
      admitSeries: (ref, tenant, metric) => this.#admit(ref, tenant, metric),
      forgetSeries: (ref, tenant, metric) => {
        this.#sawTime(tenant, this.kernel.exports.seriesLastTime(ref));
        this.#forgotten.push({ ref, tenant, metric });
      },
      nextRef: () => (this.holdRefs ? -1 : (this.#freeRefs.pop() ?? -1)),
    });
    const secrets = this.kernel.reserve(32);
    this.kernel.u8.set(randomBytes(24), secrets);
    if (!this.kernel.exports.headInit(options.windowMs, secrets)) throw new RangeError('no memory for a head');
    this.logAt = this.kernel.reserve(RECORD_HEAD + LOG_BYTES + 64);
    this.kernel.exports.logInit(this.logAt + RECORD_HEAD, LOG_BYTES);
    this.#frames = new Region(this.kernel, 512 * 1024);
    this.checkpointRegion = new Region(this.kernel);
  }

  /** Bytes of samples, series and index in kernel memory. */
  get bytes(): number {
    return this.kernel.exports.pagesUsed() * 65536;
  }

  get seriesCount(): number {
    return this.kernel.exports.seriesLive();
  }

  tenant(id: string): HeadTenant | undefined {
    return this.#byId.get(id);
  }

  /** @param index from a log; absent: the next one */
  addTenant(id: string, index = this.tenants.length): HeadTenant {
    const tenant: HeadTenant = { id, index, metrics: new Map(), seriesCount: 0, newestMs: Number.NEGATIVE_INFINITY };
    this.tenants[index] = tenant;
    this.#byId.set(id, tenant);
    return tenant;
  }

  /** Takes back an `addTenant` of a tenant that has no series yet. */
  removeNewestTenant(): void {
    const tenant = this.tenants.pop();
    if (tenant !== undefined) this.#byId.delete(tenant.id);
  }

  #admit(ref: number, tenantIndex: number, metric: number): number {
    const tenant = this.tenants[tenantIndex];
    if (tenant === undefined) return REFUSED_NO_ROOM;
    let list = tenant.metrics.get(metric);
    const { seriesPerUserMax, seriesPerMetricMax } = this.#limits;
    if (this.bytes > this.#bytesMax) return REFUSED_NO_ROOM;
    if (seriesPerUserMax > 0 && tenant.seriesCount >= seriesPerUserMax) return REFUSED_PER_USER;
    if (seriesPerMetricMax > 0 && list !== undefined && list.length >= seriesPerMetricMax) return REFUSED_PER_METRIC;
    if (list === undefined) {
      list = new RefList();
      tenant.metrics.set(metric, list);
    }
    list.push(ref);
    tenant.seriesCount++;
    return 0;
  }

  /** Tells the index of a series that came from a checkpoint. */
  indexLoaded(ref: number): void {
    this.#limits = NO_LIMITS;
    this.#admit(ref, this.kernel.exports.seriesTenant(ref), this.kernel.exports.seriesMetric(ref));
  }

  /** For replay: series are taken whatever the limits. */
  liftLimits(): void {
    this.#limits = NO_LIMITS;
  }

  /**
   * Appends the frames of one request (kernel/write-request.ts).
   * @param commit writes the log's payload; called when it is full, and left to the caller at the end
   */
  ingest(
    tenant: HeadTenant,
    frames: Uint8Array,
    limits: IngestLimits,
    anyOrder: boolean,
    commit: () => void,
  ): IngestResult {
    const { exports } = this.kernel;
    this.#limits = limits;
    const at = this.#frames.put(frames);
    const lateFromMs =
      limits.outOfOrderMs > 0 && tenant.newestMs > 0 ? tenant.newestMs - limits.outOfOrderMs : Number.POSITIVE_INFINITY;
    exports.ingestStart(at);
    while (exports.ingestFrames(at + frames.length, tenant.index, lateFromMs, anyOrder) !== 0) commit();
    const newestMs = exports.ingestNewest();
    if (newestMs > tenant.newestMs) tenant.newestMs = newestMs;
    const counts: number[] = [];
    for (let answer = APPENDED; answer <= NO_ROOM; answer++) counts.push(exports.ingestCount(answer));
    return { counts, refused: exports.ingestRefused(), first: this.#firstRefusal() };
  }

  #firstRefusal(): IngestRefusal | undefined {
    const { exports } = this.kernel;
    const reason = exports.ingestFirstReason();
    if (reason === 0) return undefined;
    const frame = exports.ingestFirstFrame();
    const labelsAt = frame + 24;
    const labels = decodeLabels(this.kernel.u8, labelsAt, labelsAt + this.kernel.view.getUint32(frame + 4, true));
    return {
      answer: reason < 16 ? reason - 1 : undefined,
      series: reason < 16 ? undefined : reason - 16,
      labels,
      timeMs: exports.ingestFirstTime(),
      newestMs: exports.ingestFirstLast(),
    };
  }

  labelsOf(ref: number, scratch: Region): Labels {
    const at = scratch.ensure(256 * 1024);
    const bytes = this.kernel.exports.seriesLabels(ref, at, scratch.bytes);
    return decodeLabels(this.kernel.u8, at, at + bytes);
  }

  /** The text of a pair: [name, value]. */
  pairText(id: number): [name: string, value: string] {
    const { exports } = this.kernel;
    const at = exports.pairBytes(id) >>> 0;
    const [name, value] = decodeLabels(this.kernel.u8, at, at + exports.pairLen(id)).pairs;
    return [name!, value ?? ''];
  }

  /**
   * Takes the chunks of an arena out of all series and gives its memory back. Series without chunks whose newest sample is before
   * `idleBeforeMs` go too, which is logged; their refs are returned.
   */
  dropArena(arena: number, idleBeforeMs: number, commit: () => void): number[] {
    const { exports } = this.kernel;
    const out = this.#frames.ensure(4 * 65536);
    const gone: number[] = [];
    for (let from = 0; from < exports.seriesTop(); from += 65536) {
      const count = exports.forgetArena(arena, from, from + 65536, out);
      const { view } = this.kernel;
      for (let i = 0; i < count; i++) {
        const ref = view.getUint32(out + 4 * i, true);
        if (exports.seriesLastTime(ref) < idleBeforeMs) gone.push(ref);
      }
    }
    exports.arenaDrop(arena);
    this.#unindex(gone.map((ref) => ({ ref, tenant: exports.seriesTenant(ref), metric: exports.seriesMetric(ref) })));
    for (const ref of gone) while (!exports.dropSeries(ref)) commit();
    return gone;
  }

  /** After replay: the newest sample of each tenant, from its series. */
  findNewest(): void {
    const { exports } = this.kernel;
    for (let ref = 0; ref < exports.seriesTop(); ref++) {
      if (exports.seriesIsLive(ref)) this.#sawTime(exports.seriesTenant(ref), exports.seriesLastTime(ref));
    }
  }

  #sawTime(tenant: number, timeMs: number): void {
    const { newestMs } = this.tenants[tenant]!;
    if (timeMs > newestMs) this.tenants[tenant]!.newestMs = timeMs;
  }

  /** Series that went in what was replayed leave the index. */
  unindexForgotten(): void {
    if (this.#forgotten.length > 0) this.#unindex(this.#forgotten.splice(0));
  }

  #unindex(gone: readonly { ref: number; tenant: number; metric: number }[]): void {
    const byTenant = new Map<HeadTenant, Map<number, Set<number>>>();
    for (const { ref, tenant: index, metric } of gone) {
      const tenant = this.tenants[index]!;
      const metrics = getOrMake(byTenant, tenant, () => new Map<number, Set<number>>());
      getOrMake(metrics, metric, () => new Set<number>()).add(ref);
      tenant.seriesCount--;
    }
    for (const [tenant, metrics] of byTenant) {
      for (const [metric, refs] of metrics) {
        const list = tenant.metrics.get(metric)!;
        list.removeWhere((ref) => refs.has(ref));
        if (list.length === 0) tenant.metrics.delete(metric);
      }
    }
  }

  /** Refs that were given back and that no log names any more. */
  reuseRefs(refs: readonly number[]): void {
    this.#freeRefs.push(...refs);
  }
}

const NO_LIMITS: IngestLimits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0 };
