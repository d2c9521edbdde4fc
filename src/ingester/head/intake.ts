import type { Kernel } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';
import {
  APPENDED,
  type FrameLimits,
  HELD,
  type IngestResult,
  LABELS_BYTES_MAX,
  NO_ROOM,
  type Refusal,
  WINDOW_DENIED,
} from '../../contract/ingest.ts';
import { ByteReader } from '../../lib/bytes.ts';
import { decodeLabels } from '../../model/canonical.ts';
import { writeErrors } from '../../model/errors-write.ts';
import type { Labels } from '../../model/labels.ts';
import { readFrameExemplar } from '../../wire/frame-exemplars.ts';
import {
  FRAME_EXEMPLARS,
  FRAME_HEADER_BYTES,
  FRAME_KEY,
  KEY_BYTES,
  REFUSAL_BYTES,
  REFUSAL_SERIES,
  SAMPLE_BYTES,
} from '../../wire/frame-layout.ts';
import { encodeRefusals, type FrameRefusal } from '../../wire/frame-refusals.ts';
import { FrameView } from '../../wire/frames.ts';
import { isRichHistogram, readRichSample } from '../../wire/rich-samples.ts';
import type { AsideLog } from './aside-log.ts';
import { checkEntry } from './entry.ts';
import type { ExemplarStore } from './exemplars.ts';
import type { RichHead } from './rich-head.ts';
import type { HeadTenant } from './tenant-index.ts';
import { OLD_WINDOWS_PER_USER, type WindowQuota } from './window-quota.ts';

/** A frame with a key and one sample. */
const KEY_FRAME_BYTES_MIN = FRAME_HEADER_BYTES + KEY_BYTES + SAMPLE_BYTES;

/** Answers of the kernel's ingestFrames and ingestSeries. */
const INGEST_DONE = 0;
const INGEST_ASIDE = 2;
const SERIES_LOG_FULL = -2;

/** An `IngestResult` whose first refusal has its labels not yet as text. */
export interface HeadIngestResult extends Omit<IngestResult, 'first'> {
  readonly first: HeadRefusal | undefined;
  /** Oldest time of a sample, kept or not; far in the future where there was none. Absent: not known. */
  readonly oldestMs?: number;
}

export interface HeadRefusal extends Omit<Refusal, 'labels'> {
  readonly labels: Labels;
}

/** The parts of a head that take something in. */
export interface IntakeParts {
  readonly kernel: Kernel;
  readonly rich: RichHead;
  readonly exemplars: ExemplarStore;
  readonly asideLog: AsideLog;
  readonly windows: WindowQuota;
  readonly isFull: boolean;
  labelsOf(ref: number, scratch: Region): Labels;
}

/** Appends requests to a head: what the kernel takes, and what it leaves to JavaScript. */
export class Intake {
  readonly #head: IntakeParts;
  readonly #frames: Region;
  readonly #unknown: Region;
  readonly #refusals: Region;
  #limits: FrameLimits = NO_LIMITS;

  constructor(head: IntakeParts) {
    this.#head = head;
    this.#frames = new Region(head.kernel, 512 * 1024);
    this.#unknown = new Region(head.kernel);
    this.#refusals = new Region(head.kernel);
  }

  /** Limits that new series are held to. */
  get limits(): FrameLimits {
    return this.#limits;
  }

  /** For replay: series are taken whatever the limits. */
  liftLimits(): void {
    this.#limits = NO_LIMITS;
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
    const { exports } = this.#head.kernel;
    this.#limits = limits;
    this.#head.windows.begin(tenant.index, limits.oldWindowsMax ?? OLD_WINDOWS_PER_USER);
    const at = this.#frames.put(frames);
    const lateFromMs =
      limits.outOfOrderMs > 0 && tenant.newestMs > 0 ? tenant.newestMs - limits.outOfOrderMs : Number.POSITIVE_INFINITY;
    const unknownAt = this.#unknown.ensure(4 * Math.ceil(frames.length / KEY_FRAME_BYTES_MIN));
    const refusalsAt = byFrame
      ? this.#refusals.ensure(REFUSAL_BYTES * Math.ceil(frames.length / FRAME_HEADER_BYTES))
      : 0;
    exports.ingestStart(at, unknownAt, refusalsAt);
    const aside = new AsideResult(byFrame);
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
    this.#head.windows.end();
    const newestMs = Math.max(exports.ingestNewest(), aside.newestMs);
    if (newestMs > tenant.newestMs) tenant.newestMs = newestMs;
    const counts = aside.counts.map((count, answer) => count + exports.ingestCount(answer));
    const memory = this.#head.kernel.view;
    return {
      counts,
      unknown: Array.from({ length: exports.ingestUnknown() }, (_, i) => memory.getUint32(unknownAt + 4 * i, true)),
      histogramsLost: aside.histogramsLost,
      exemplarsLost: aside.exemplarsLost,
      refused: exports.ingestRefused() + aside.refused,
      windowsDenied: exports.ingestCount(WINDOW_DENIED) + aside.windowsDenied,
      first: aside.first ?? this.#firstRefusal(),
      oldestMs: Math.min(exports.ingestOldest(), aside.oldestMs),
      ...(byFrame && { refusals: this.#refusalsOf(aside, refusalsAt) }),
    };
  }

  #refusalsOf(aside: AsideResult, at: number): Uint8Array<ArrayBuffer> | undefined {
    const bytes = REFUSAL_BYTES * this.#head.kernel.exports.ingestRefusals();
    const plain = this.#head.kernel.u8.slice(at, at + bytes);
    const all = aside.refusals.length === 0 ? plain : Buffer.concat([plain, encodeRefusals(aside.refusals)]);
    return all.length === 0 ? undefined : new Uint8Array(all);
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
    const { exports } = this.#head.kernel;
    let ref = exports.ingestSeries(tenant.index);
    while (ref === SERIES_LOG_FULL) {
      commit();
      ref = exports.ingestSeries(tenant.index);
    }
    if (ref < 0) {
      result.refused += count;
      for (let i = 0; i < count; i++) {
        const sample = readRichSample(from);
        const isHistogram = isRichHistogram(sample);
        if (isHistogram) result.histogramsLost++;
        result.refuse(
          exports.ingestFrameNumber(),
          REFUSAL_SERIES + exports.ingestRefusedWhy(),
          isHistogram,
          sample.timeMs,
          0,
        );
      }
      return;
    }
    const isFull = this.#head.isFull;
    for (let i = 0; i < count; i++) {
      const start = from.at;
      const sample = readRichSample(from);
      checkEntry(from.at - start);
      if (sample.timeMs < result.oldestMs) result.oldestMs = sample.timeMs;
      const answer = isFull ? NO_ROOM : this.#head.rich.append(ref, sample, lateFromMs);
      if (answer === WINDOW_DENIED) result.windowsDenied++;
      else result.counts[answer]!++;
      if (answer > HELD) {
        const isHistogram = isRichHistogram(sample);
        if (isHistogram) result.histogramsLost++;
        result.refuse(exports.ingestFrameNumber(), answer, isHistogram, sample.timeMs, exports.seriesLastTime(ref));
      }
      if (answer === APPENDED) {
        if (this.#head.asideLog.isFull) commit();
        this.#head.asideLog.sample(ref, from.bytes.subarray(start, from.at));
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
    const series = this.#head.exemplars.open(tenant.index, labels);
    for (let i = 0; i < count; i++) {
      const start = from.at;
      const exemplar = readFrameExemplar(from);
      checkEntry(from.at - start);
      const { kept, isNew } = this.#head.exemplars.addTo(series, exemplar, this.#limits.exemplarsMax);
      if (!kept) result.exemplarsLost++;
      if (!isNew) continue;
      if (this.#head.asideLog.isFull) commit();
      this.#head.asideLog.exemplar(series, exemplar);
    }
  }

  #firstRefusal(): HeadRefusal | undefined {
    const { exports } = this.#head.kernel;
    const reason = exports.ingestFirstReason();
    if (reason === 0) return undefined;
    const frame = new FrameView(this.#head.kernel.u8);
    frame.moveTo(exports.ingestFirstFrame());
    const labels = frame.has(FRAME_KEY) ? this.#head.labelsOf(exports.ingestFirstRef(), this.#frames) : labelsOf(frame);
    return {
      answer: reason < 16 ? reason - 1 : undefined,
      series: reason < 16 ? undefined : reason - 16,
      labels,
      timeMs: exports.ingestFirstTime(),
      newestMs: exports.ingestFirstLast(),
    };
  }
}

function labelsOf({ labels }: FrameView): Labels {
  return decodeLabels(labels, 0, labels.length);
}

const NO_LIMITS: FrameLimits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };

/** The outcome of the frames that the kernel left to us. */
class AsideResult {
  readonly counts = [0, 0, 0, 0, 0, 0];
  histogramsLost = 0;
  exemplarsLost = 0;
  refused = 0;
  windowsDenied = 0;
  newestMs = Number.NEGATIVE_INFINITY;
  oldestMs = Number.POSITIVE_INFINITY;
  first: HeadRefusal | undefined;
  /** One a frame, where that is asked. */
  readonly refusals: FrameRefusal[] = [];
  readonly #byFrame: boolean;

  constructor(byFrame: boolean) {
    this.#byFrame = byFrame;
  }

  refuse(frame: number, reason: number, isHistogram: boolean, timeMs: number, newestMs: number): void {
    if (!this.#byFrame) return;
    const histograms = isHistogram ? 1 : 0;
    const last = this.refusals.at(-1);
    if (last?.frame !== frame) this.refusals.push({ frame, reason, samples: 1, histograms, timeMs, newestMs });
    else {
      const both = { samples: last.samples + 1, histograms: last.histograms + histograms };
      this.refusals.splice(-1, 1, { ...last, ...both });
    }
  }
}
