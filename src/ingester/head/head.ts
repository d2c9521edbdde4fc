import { randomBytes } from 'node:crypto';
import { ByteReader, BytesError } from '../../chunk/group/bytes.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';
import {
  APPENDED,
  type FrameLimits,
  HELD,
  type IngestResult,
  LABELS_BYTES_MAX,
  NO_ROOM,
  REFUSED_NO_ROOM,
  REFUSED_PER_METRIC,
  REFUSED_PER_USER,
  type Refusal,
  WINDOW_DENIED,
} from '../../contract/ingest.ts';
import { getOrMake } from '../../lib/map.ts';
import { decodeLabels, labelsAreWhole } from '../../model/canonical.ts';
import { writeErrors } from '../../model/errors-write.ts';
import type { Labels } from '../../model/labels.ts';
import { type FrameExemplar, readFrameExemplar } from '../../wire/frame-exemplars.ts';
import { FRAME_EXEMPLARS, FRAME_HEADER_BYTES, FRAME_KEY, KEY_BYTES, SAMPLE_BYTES } from '../../wire/frame-layout.ts';
import { FrameView } from '../../wire/frames.ts';
import { RECORD_BYTES_AIMED, RECORD_HEADER_BYTES } from '../../wire/record-layout.ts';
import { isRichHistogram, readRichSample } from '../../wire/rich-samples.ts';
import { ASIDE_EXEMPLAR, ASIDE_NUMBERED_EXEMPLAR, ASIDE_SAMPLE, ASIDE_SERIES, AsideLog } from './aside-log.ts';
import { ExemplarStore, type StoredSeries } from './exemplars.ts';
import { MetadataBook } from './metadata.ts';
import { RichHead } from './rich-head.ts';
import { OLD_WINDOWS_PER_USER, WindowQuota } from './window-quota.ts';

const LOG_BYTES = RECORD_BYTES_AIMED;
/** Longest sample or exemplar as the log has it: a record holds it whole. */
export const ENTRY_BYTES_MAX = 1024 * 1024;
/** Tenants whose notes may be missing between two that a log has: more is damage. */
const TENANT_GAP_MAX = 1_000_000;
/** Memory of a tenant besides its series, roughly. */
const TENANT_BYTES = 400;
/** A frame with a key and one sample. */
const KEY_FRAME_BYTES_MIN = FRAME_HEADER_BYTES + KEY_BYTES + SAMPLE_BYTES;
const encoder = new TextEncoder();

/** Answers of the kernel's ingestFrames and ingestSeries. */
const INGEST_DONE = 0;
const INGEST_ASIDE = 2;
const SERIES_LOG_FULL = -2;

/** An `IngestResult` whose first refusal has its labels not yet as text. */
export interface HeadIngestResult extends Omit<IngestResult, 'first'> {
  readonly first: HeadRefusal | undefined;
}

export interface HeadRefusal extends Omit<Refusal, 'labels'> {
  readonly labels: Labels;
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
  readonly #unknown: Region;
  readonly rich: RichHead;
  readonly exemplars = new ExemplarStore();
  readonly metadata = new MetadataBook();
  readonly windows: WindowQuota;
  /** What is to be logged behind the kernel's payload. */
  readonly asideLog = new AsideLog();
  #tenantBytes = 0;
  /** Where checkpoints put their blocks together. */
  readonly checkpointRegion: Region;
  /** Where a log payload lies, RECORD_HEADER_BYTES in. */
  readonly logAt: number;
  readonly #bytesMax: number;
  #limits = NO_LIMITS;
  /** Refs that no log names any more. */
  readonly #freeRefs: number[] = [];
  /** Gone in replay, not yet out of the index. */
  readonly #forgotten: { ref: number; tenant: number; metric: number }[] = [];
  /** Someone still walks over refs: none is used again meanwhile. */
  holdRefs = false;

  /** @param options.secret what series' keys are made with: 16 bytes, shared with the edges that send keys; absent: its own */
  constructor(options: { windowMs: number; bytesMax: number; secret?: Uint8Array | undefined }) {
    this.windowMs = options.windowMs;
    this.windows = new WindowQuota(options.windowMs);
    this.#bytesMax = options.bytesMax;
    this.kernel = Kernel.create({
      admitSeries: (ref, tenant, metric) => this.#admit(ref, tenant, metric),
      admitWindow: (window) => this.windows.admit(window),
      forgetSeries: (ref, tenant, metric) => {
        this.#sawTime(tenant, this.kernel.exports.seriesLastTime(ref));
        this.#forgotten.push({ ref, tenant, metric });
        this.rich.forgetSeries(ref);
      },
      nextRef: () => (this.holdRefs ? -1 : (this.#freeRefs.pop() ?? -1)),
    });
    this.rich = new RichHead(this.kernel);
    const secrets = this.kernel.reserve(32);
    this.kernel.u8.set(randomBytes(24), secrets);
    if (options.secret !== undefined) this.kernel.u8.set(options.secret, secrets + 8);
    if (!this.kernel.exports.headInit(options.windowMs, secrets)) throw new RangeError('no memory for a head');
    this.logAt = this.kernel.reserve(RECORD_HEADER_BYTES + LOG_BYTES + 64);
    this.kernel.exports.logInit(this.logAt + RECORD_HEADER_BYTES, LOG_BYTES);
    this.#frames = new Region(this.kernel, 512 * 1024);
    this.#unknown = new Region(this.kernel);
    this.checkpointRegion = new Region(this.kernel);
  }

  /** Bytes of samples, series and index, and of what is kept of metrics and tenants. */
  get bytes(): number {
    const own = this.rich.bytes + this.exemplars.bytes + this.metadata.bytes + this.#tenantBytes;
    return this.kernel.exports.pagesUsed() * 65536 + own;
  }

  get seriesCount(): number {
    return this.kernel.exports.seriesLive();
  }

  tenant(id: string): HeadTenant | undefined {
    return this.#byId.get(id);
  }

  /** @param index from a log; absent: the next one */
  addTenant(id: string, index = this.tenants.length): HeadTenant {
    const bytes = encoder.encode(id);
    if (!this.kernel.exports.tenantInit(index, this.#frames.put(bytes), bytes.length)) {
      throw writeErrors.headFull({ usedBytes: this.bytes, limitBytes: this.#bytesMax });
    }
    const tenant: HeadTenant = { id, index, metrics: new Map(), seriesCount: 0, newestMs: Number.NEGATIVE_INFINITY };
    this.tenants[index] = tenant;
    this.#byId.set(id, tenant);
    this.#tenantBytes += TENANT_BYTES + 2 * id.length;
    return tenant;
  }

  /** The tenant that a log gives this index; undefined where index or name is another's, or the index cannot be one. */
  bindTenant(index: number, id: string): HeadTenant | undefined {
    const known = this.tenants[index];
    if (known !== undefined) return known.id === id ? known : undefined;
    if (this.#byId.has(id) || index > this.tenants.length + TENANT_GAP_MAX) return undefined;
    return this.addTenant(id, index);
  }

  /** Takes back an `addTenant` of a tenant that has no series yet. */
  removeNewestTenant(): void {
    const tenant = this.tenants.pop();
    if (tenant === undefined) return;
    this.#byId.delete(tenant.id);
    this.#tenantBytes -= TENANT_BYTES + 2 * tenant.id.length;
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
   * Appends the frames of one request (wire/frame-layout.ts).
   * @param commit writes the log's payload; called when it is full, and left to the caller at the end
   */
  ingest(
    tenant: HeadTenant,
    frames: Uint8Array,
    limits: FrameLimits,
    anyOrder: boolean,
    commit: () => void,
  ): HeadIngestResult {
    const { exports } = this.kernel;
    this.#limits = limits;
    this.windows.begin(tenant.index, limits.oldWindowsMax ?? OLD_WINDOWS_PER_USER);
    const at = this.#frames.put(frames);
    const lateFromMs =
      limits.outOfOrderMs > 0 && tenant.newestMs > 0 ? tenant.newestMs - limits.outOfOrderMs : Number.POSITIVE_INFINITY;
    const unknownAt = this.#unknown.ensure(4 * Math.ceil(frames.length / KEY_FRAME_BYTES_MIN));
    exports.ingestStart(at, unknownAt);
    const aside = new AsideResult();
    const view = new FrameView(frames);
    const reader = new ByteReader(frames);
    for (;;) {
      const stopped = exports.ingestFrames(at + frames.length, tenant.index, lateFromMs, anyOrder);
      if (stopped === INGEST_DONE) break;
      if (stopped === INGEST_ASIDE) {
        view.moveTo(exports.ingestFrame() - at);
        reader.at = view.samplesAt;
        this.#takeAside(tenant, view, reader, anyOrder ? Number.NEGATIVE_INFINITY : lateFromMs, aside, commit);
        exports.ingestSkip();
      } else commit();
    }
    this.windows.end();
    const newestMs = Math.max(exports.ingestNewest(), aside.newestMs);
    if (newestMs > tenant.newestMs) tenant.newestMs = newestMs;
    const counts = aside.counts.map((count, answer) => count + exports.ingestCount(answer));
    const memory = this.kernel.view;
    return {
      counts,
      unknown: Array.from({ length: exports.ingestUnknown() }, (_, i) => memory.getUint32(unknownAt + 4 * i, true)),
      histogramsLost: aside.histogramsLost,
      exemplarsLost: aside.exemplarsLost,
      refused: exports.ingestRefused() + aside.refused,
      windowsDenied: exports.ingestCount(WINDOW_DENIED) + aside.windowsDenied,
      first: aside.first ?? this.#firstRefusal(),
    };
  }

  /** Takes what the kernel leaves to us: a frame of rich samples or exemplars, with `from` before the first. */
  #takeAside(
    tenant: HeadTenant,
    frame: FrameView,
    from: ByteReader,
    lateFromMs: number,
    result: AsideResult,
    commit: () => void,
  ): void {
    const count = frame.samples;
    if (frame.has(FRAME_EXEMPLARS)) {
      this.#takeExemplars(tenant, frame.labels, from, count, result, commit);
      return;
    }
    const { exports } = this.kernel;
    let ref = exports.ingestSeries(tenant.index);
    while (ref === SERIES_LOG_FULL) {
      commit();
      ref = exports.ingestSeries(tenant.index);
    }
    if (ref < 0) {
      result.refused += count;
      for (let i = 0; i < count; i++) if (isRichHistogram(readRichSample(from))) result.histogramsLost++;
      return;
    }
    const isFull = this.bytes > this.#bytesMax;
    for (let i = 0; i < count; i++) {
      const start = from.at;
      const sample = readRichSample(from);
      checkEntry(from.at - start);
      const answer = isFull ? NO_ROOM : this.rich.append(ref, sample, lateFromMs);
      if (answer === WINDOW_DENIED) result.windowsDenied++;
      else result.counts[answer]!++;
      if (answer > HELD && isRichHistogram(sample)) result.histogramsLost++;
      if (answer === APPENDED) {
        if (this.asideLog.isFull) commit();
        this.asideLog.sample(ref, from.bytes.subarray(start, from.at));
        result.newestMs = Math.max(result.newestMs, sample.timeMs);
      } else if (answer !== HELD && result.first === undefined && exports.ingestFirstReason() === 0) {
        result.first = {
          answer,
          series: undefined,
          labels: labelsOf(frame),
          timeMs: sample.timeMs,
          newestMs: exports.seriesLastTime(ref),
        };
      }
    }
  }

  #takeExemplars(
    tenant: HeadTenant,
    labels: Uint8Array,
    from: ByteReader,
    count: number,
    result: AsideResult,
    commit: () => void,
  ): void {
    if (labels.length > LABELS_BYTES_MAX) {
      throw writeErrors.seriesLabelsTooLong({ limit: LABELS_BYTES_MAX });
    }
    const series = this.exemplars.open(tenant.index, labels);
    for (let i = 0; i < count; i++) {
      const start = from.at;
      const exemplar = readFrameExemplar(from);
      checkEntry(from.at - start);
      const { kept, isNew } = this.exemplars.addTo(series, exemplar, this.#limits.exemplarsMax);
      if (!kept) result.exemplarsLost++;
      if (!isNew) continue;
      if (this.asideLog.isFull) commit();
      this.asideLog.exemplar(series, exemplar);
    }
  }

  /**
   * Puts in what was logged aside, a second time without harm. Returns the number of samples.
   * @param series those that entries told with a number, and their numbers: of this payload, or of all of a checkpoint
   * @throws BytesError
   */
  replayAside(payload: Uint8Array, lsn: number, series = new Map<number, StoredSeries>()): number {
    const { exports } = this.kernel;
    const from = new ByteReader(payload);
    let samples = 0;
    while (from.left > 0) {
      const kind = from.u8();
      if (kind === ASIDE_EXEMPLAR || kind === ASIDE_SERIES) {
        const number = kind === ASIDE_SERIES ? from.uvarint() : 0;
        const tenant = from.uvarint();
        const labels = from.take(from.count(1));
        if (!labelsAreWhole(labels)) throw new BytesError('labels that are none');
        const isKnown = this.tenants[tenant] !== undefined;
        if (kind === ASIDE_SERIES) {
          if (series.has(number)) throw new BytesError(`two series of number ${number}`);
          if (isKnown) series.set(number, this.exemplars.open(tenant, labels));
          continue;
        }
        const exemplar = readFrameExemplar(from);
        if (isKnown) this.#replayExemplar(this.exemplars.open(tenant, labels), exemplar);
        continue;
      }
      if (kind === ASIDE_NUMBERED_EXEMPLAR) {
        const told = series.get(from.uvarint());
        const exemplar = readFrameExemplar(from);
        // without its series, whose record was lost, it is nobody's
        if (told !== undefined) this.#replayExemplar(told, exemplar);
        continue;
      }
      if (kind !== ASIDE_SAMPLE) throw new BytesError(`an entry of kind ${kind}`);
      const ref = from.uvarint(0xffffff);
      const sample = readRichSample(from);
      // a ref without series: the record that named it was lost
      if (exports.replayCovered(ref, lsn) || !exports.seriesIsLive(ref)) continue;
      if (this.rich.append(ref, sample, Number.NEGATIVE_INFINITY) === NO_ROOM) {
        throw writeErrors.headFull({ usedBytes: this.bytes, limitBytes: this.#bytesMax });
      }
      samples++;
    }
    return samples;
  }

  #replayExemplar(series: StoredSeries, exemplar: FrameExemplar): void {
    if (!labelsAreWhole(exemplar.labels)) throw new BytesError('labels that are none');
    this.exemplars.addTo(series, exemplar, Number.POSITIVE_INFINITY);
  }

  #firstRefusal(): HeadRefusal | undefined {
    const { exports } = this.kernel;
    const reason = exports.ingestFirstReason();
    if (reason === 0) return undefined;
    const frame = new FrameView(this.kernel.u8);
    frame.moveTo(exports.ingestFirstFrame());
    const labels = frame.has(FRAME_KEY) ? this.labelsOf(exports.ingestFirstRef(), this.#frames) : labelsOf(frame);
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
    this.rich.forgetArena(arena);
    const gone: number[] = [];
    for (let from = 0; from < exports.seriesTop(); from += 65536) {
      const count = exports.forgetArena(arena, from, from + 65536, out);
      const { view } = this.kernel;
      for (let i = 0; i < count; i++) {
        const ref = view.getUint32(out + 4 * i, true);
        if (exports.seriesLastTime(ref) < idleBeforeMs && !this.rich.has(ref)) gone.push(ref);
      }
    }
    const window = exports.arenaWindow(arena);
    exports.arenaDrop(arena);
    this.windows.drop(window, this.#windowsHeld());
    this.#unindex(gone.map((ref) => ({ ref, tenant: exports.seriesTenant(ref), metric: exports.seriesMetric(ref) })));
    for (const ref of gone) while (!exports.dropSeries(ref)) commit();
    return gone;
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
        this.#unindex([...dropped].map((ref) => ({ ref, tenant: tenant.index, metric })));
      }
    }
    this.forgetRest(tenant);
  }

  /** What a tenant has besides series. */
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

/** @throws sampleTooLarge */
export function checkEntry(bytes: number): void {
  if (bytes > ENTRY_BYTES_MAX) throw writeErrors.sampleTooLarge({ bytes, limit: ENTRY_BYTES_MAX });
}

function labelsOf({ labels }: FrameView): Labels {
  return decodeLabels(labels, 0, labels.length);
}

const NO_LIMITS: FrameLimits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };

/** What became of the frames that the kernel left to us. */
class AsideResult {
  readonly counts = [0, 0, 0, 0, 0, 0];
  histogramsLost = 0;
  exemplarsLost = 0;
  refused = 0;
  windowsDenied = 0;
  newestMs = Number.NEGATIVE_INFINITY;
  first: HeadRefusal | undefined;
}
