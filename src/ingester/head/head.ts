import { Kernel, type KernelHooks } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';
import { type FrameLimits, REFUSED_NO_ROOM } from '../../contract/ingest.ts';
import { type RandomBytes, systemBytes } from '../../lib/random.ts';
import { decodeLabels } from '../../model/canonical.ts';
import { writeErrors } from '../../model/errors-write.ts';
import type { Labels } from '../../model/labels.ts';
import { RECORD_BYTES_AIMED, RECORD_HEADER_BYTES } from '../../wire/record-layout.ts';
import { AsideLog } from './aside-log.ts';
import { ExemplarStore } from './exemplars.ts';
import { HeadChanges } from './head-changes.ts';
import type { HeadMemory } from './head-reader.ts';
import { type HeadIngestResult, Intake } from './intake.ts';
import { MetadataBook } from './metadata.ts';
import { RichHead } from './rich-head.ts';
import { type HeadTenant, type IndexedSeries, TenantIndex } from './tenant-index.ts';
import { WindowQuota } from './window-quota.ts';

const LOG_BYTES = RECORD_BYTES_AIMED;
/** No arena has this number. */
const NO_ARENA = 0;
const encoder = new TextEncoder();

export interface HeadOptions {
  readonly windowMs: number;
  /** Size above which no new series are taken. */
  readonly bytesMax: number;
  /** The secret of series' keys: 16 bytes, shared with the edges that send keys; absent: its own. */
  readonly secret?: Uint8Array | undefined;
  readonly randomBytes?: RandomBytes;
  /** No other thread reads it: V8 counts its memory, and frees it sooner. */
  readonly isAlone?: boolean | undefined;
}

/** The recent samples of one shard, in kernel memory, with the index to find them. Knows nothing of disk, threads or time. */
export class Head {
  readonly kernel: Kernel;
  readonly windowMs: number;
  readonly bytesMax: number;
  /** For readers in other threads. */
  readonly changes = new HeadChanges();
  readonly #index = new TenantIndex(this.changes);
  readonly #intake: Intake;
  readonly #scratch: Region;
  readonly rich: RichHead;
  readonly exemplars = new ExemplarStore();
  readonly metadata = new MetadataBook();
  readonly windows: WindowQuota;
  /** Entries to be logged behind the kernel's payload. */
  readonly asideLog = new AsideLog();
  /** Where checkpoints put their blocks together. */
  readonly checkpointRegion: Region;
  /** Where a log payload lies, RECORD_HEADER_BYTES in. */
  readonly logAt: number;
  /** Refs that no log names any more. */
  readonly #freeRefs: number[] = [];
  /** Gone in replay, not yet out of the index. */
  readonly #forgotten: IndexedSeries[] = [];
  /** Someone still walks over refs: none is used again meanwhile. */
  holdRefs = false;

  constructor({ windowMs, bytesMax, secret, randomBytes = systemBytes, isAlone = false }: HeadOptions) {
    this.windowMs = windowMs;
    this.windows = new WindowQuota(windowMs);
    this.bytesMax = bytesMax;
    const hooks: KernelHooks = {
      admitSeries: (ref, tenant, metric) => this.#admit(ref, tenant, metric),
      admitWindow: (window) => this.windows.admit(window),
      forgetSeries: (ref, tenant, metric) => {
        this.#index.sawTime(tenant, this.kernel.exports.seriesLastTime(ref));
        this.#forgotten.push({ ref, tenant, metric });
        this.rich.forgetSeries(ref);
      },
      nextRef: () => (this.holdRefs ? -1 : (this.#freeRefs.pop() ?? -1)),
    };
    this.kernel = isAlone ? Kernel.create(hooks) : Kernel.createShared(hooks);
    this.rich = new RichHead(this.kernel, (ref) => {
      const { exports } = this.kernel;
      this.changes.noteSeries(exports.seriesTenant(ref), exports.seriesMetric(ref));
    });
    const secrets = this.kernel.reserve(32);
    this.kernel.u8.set(randomBytes(24), secrets);
    if (secret !== undefined) this.kernel.u8.set(secret, secrets + 8);
    if (!this.kernel.exports.headInit(windowMs, secrets)) throw new RangeError('no memory for a head');
    this.logAt = this.kernel.reserve(RECORD_HEADER_BYTES + LOG_BYTES + 64);
    this.kernel.exports.logInit(this.logAt + RECORD_HEADER_BYTES, LOG_BYTES);
    this.#scratch = new Region(this.kernel);
    this.#intake = new Intake(this);
    this.checkpointRegion = new Region(this.kernel);
  }

  /** Bytes of samples, series and index, and of what is kept of metrics and tenants. */
  get bytes(): number {
    const own = this.rich.bytes + this.exemplars.bytes + this.metadata.bytes + this.#index.bytes;
    return this.kernel.exports.pagesUsed() * 65536 + own;
  }

  /** Where readers in other threads find its series. */
  get memory(): HeadMemory {
    const { exports } = this.kernel;
    return { memory: exports.memory, changes: this.changes.buffer, directory: exports.seriesDirectory() };
  }

  /** New series are refused. */
  get isFull(): boolean {
    return this.bytes > this.bytesMax;
  }

  get seriesCount(): number {
    return this.kernel.exports.seriesLive();
  }

  /** By index. Some are missing: forgotten, or their notes in the log were lost. */
  get tenants(): readonly (HeadTenant | undefined)[] {
    return this.#index.all;
  }

  tenant(id: string): HeadTenant | undefined {
    return this.#index.get(id);
  }

  /** @param index from a log; absent: one that is free */
  addTenant(id: string, index = this.#index.nextIndex(!this.holdRefs)): HeadTenant {
    const bytes = encoder.encode(id);
    if (!this.kernel.exports.tenantInit(index, this.#scratch.put(bytes), bytes.length)) throw this.fullError();
    return this.#index.add(id, index);
  }

  /** The tenant that a log gives this index; undefined where index or name is another's, or the index cannot be one. */
  bindTenant(index: number, id: string): HeadTenant | undefined {
    const known = this.tenants[index];
    if (known !== undefined) return known.id === id ? known : undefined;
    return this.#index.isFree(index, id) ? this.addTenant(id, index) : undefined;
  }

  /**
   * Tenants that have no series, no window that they began, and no request since `beforeMs`, Unix ms. At most `max`.
   */
  quietTenants(beforeMs: number, max: number): HeadTenant[] {
    return [...this.#index.quiet(beforeMs, max)].filter(({ index }) => !this.windows.owns(index));
  }

  /** Forgets a tenant that has no series. Its metadata is kept apart and goes by itself. */
  forgetTenant(tenant: HeadTenant): void {
    this.exemplars.forget(tenant.index);
    this.windows.forget(tenant.index);
    this.#index.drop(tenant);
    this.kernel.exports.tenantDrop(tenant.index);
  }

  /** Indexes that are nobody's. New tenants get none of them until `reuseTenants`. */
  takeUnusedTenants(): readonly number[] {
    return this.#index.takeUnused();
  }

  /** Indexes of `takeUnusedTenants`, once no log and no checkpoint names them. */
  reuseTenants(unused: readonly number[]): void {
    this.#index.reuse(unused);
  }

  fullError(): Error {
    return writeErrors.headFull({ usedBytes: this.bytes, limitBytes: this.bytesMax });
  }

  #admit(ref: number, tenant: number, metric: number): number {
    if (this.tenants[tenant] === undefined || this.isFull) return REFUSED_NO_ROOM;
    return this.#index.admit({ ref, tenant, metric }, this.#intake.limits);
  }

  /** Tells the index of a series that came from a checkpoint. */
  indexLoaded(ref: number): void {
    this.#intake.liftLimits();
    this.#admit(ref, this.kernel.exports.seriesTenant(ref), this.kernel.exports.seriesMetric(ref));
  }

  /** For replay: series are taken whatever the limits. */
  liftLimits(): void {
    this.#intake.liftLimits();
  }

  /**
   * Appends the frames of one request (wire/frame-layout.ts).
   * @param commit writes the log's payload; called when it is full, and left to the caller at the end
   * @param byFrame whether the answer says of each frame what was refused
   */
  ingest(
    tenant: HeadTenant,
    frames: Uint8Array,
    limits: FrameLimits,
    anyOrder: boolean,
    commit: () => void,
    byFrame = false,
  ): HeadIngestResult {
    return this.changes.during(() => this.#intake.ingest(tenant, frames, limits, anyOrder, commit, byFrame));
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

  /** Takes the chunks of an arena out of all series and gives its memory back. Series that have none left stay until `dropIdle`. */
  dropArena(arena: number): void {
    this.changes.during(() => this.#dropArena(arena));
  }

  #dropArena(arena: number): void {
    const { exports } = this.kernel;
    const out = this.#scratch.ensure(4 * 65536);
    this.rich.forgetArena(arena);
    for (let from = 0; from < exports.seriesTop(); from += 65536) exports.forgetArena(arena, from, from + 65536, out);
    const window = exports.arenaWindow(arena);
    exports.arenaDrop(arena);
    this.windows.drop(window, this.#windowsHeld());
  }

  /**
   * Drops those series in [from, to) that have no chunk and whose newest sample is before `idleBeforeMs`, which is logged; their refs are
   * returned.
   */
  dropIdle(from: number, to: number, idleBeforeMs: number, commit: () => void): number[] {
    return this.changes.during(() => this.#dropIdle(from, to, idleBeforeMs, commit));
  }

  #dropIdle(from: number, to: number, idleBeforeMs: number, commit: () => void): number[] {
    const { exports } = this.kernel;
    const out = this.#scratch.ensure(4 * (to - from));
    const count = exports.forgetArena(NO_ARENA, from, to, out);
    const gone: number[] = [];
    for (let i = 0; i < count; i++) {
      const ref = this.kernel.view.getUint32(out + 4 * i, true);
      if (exports.seriesLastTime(ref) < idleBeforeMs && !this.rich.has(ref)) gone.push(ref);
    }
    this.#dropSeries(gone, commit);
    return gone;
  }

  #dropSeries(gone: readonly number[], commit: () => void): void {
    const { exports } = this.kernel;
    this.#index.remove(
      gone.map((ref) => ({ ref, tenant: exports.seriesTenant(ref), metric: exports.seriesMetric(ref) })),
    );
    for (const ref of gone) while (!exports.dropSeries(ref)) commit();
  }

  #windowsHeld(): number {
    const { exports } = this.kernel;
    let count = 0;
    for (let id = 1; id < exports.arenaCount(); id++) if (exports.arenaExists(id)) count++;
    return count;
  }

  /**
   * Forgets all that a tenant has, which is logged series by series. Memory of samples comes back with their windows.
   * @param gone takes the refs that went, also where `commit` throws: the rest is still there then
   */
  dropTenant(tenant: HeadTenant, gone: number[], commit: () => void): void {
    this.changes.during(() => this.#dropTenant(tenant, gone, commit));
  }

  #dropTenant(tenant: HeadTenant, gone: number[], commit: () => void): void {
    const { exports } = this.kernel;
    for (const [metric, list] of [...tenant.metrics]) {
      const dropped = new Set<number>();
      try {
        for (const ref of list.refs) {
          while (!exports.dropSeries(ref)) commit();
          this.rich.forgetSeries(ref);
          dropped.add(ref);
          gone.push(ref);
        }
      } finally {
        this.#index.remove([...dropped].map((ref) => ({ ref, tenant: tenant.index, metric })));
      }
    }
    this.forgetRest(tenant);
  }

  /** Everything that a tenant has besides series is forgotten. */
  forgetRest(tenant: HeadTenant): void {
    this.exemplars.forget(tenant.index);
    this.metadata.forget(tenant.id);
    this.windows.forget(tenant.index);
    tenant.newestMs = Number.NEGATIVE_INFINITY;
  }

  /** After replay: the newest sample of each tenant, from its series, and how many windows there are. */
  findNewest(): void {
    const { exports } = this.kernel;
    this.windows.setHeld(this.#windowsHeld());
    for (let ref = 0; ref < exports.seriesTop(); ref++) {
      if (exports.seriesIsLive(ref)) this.#index.sawTime(exports.seriesTenant(ref), exports.seriesLastTime(ref));
    }
  }

  /** Series that went in what was replayed leave the index. */
  unindexForgotten(): void {
    if (this.#forgotten.length > 0) this.#index.remove(this.#forgotten.splice(0));
  }

  /** Refs that were given back and that no log names any more. */
  reuseRefs(refs: readonly number[]): void {
    // one by one: there may be more than fit into the arguments of a call
    for (const ref of refs) this.#freeRefs.push(ref);
  }
}
