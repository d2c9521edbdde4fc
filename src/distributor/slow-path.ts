import type { Kernel } from '../chunk/kernel.ts';
import { ByteWriter } from '../lib/bytes.ts';
import { encodeUtf8 } from '../lib/utf8.ts';
import { encodeLabels, LabelEncoder } from '../model/canonical.ts';
import { writeErrors } from '../model/errors-write.ts';
import { Labels, METRIC_NAME } from '../model/labels.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { type Fault, faultOf, findLabelsFault, seriesText, sortPairs } from '../model/validate.ts';
import { writeFrameExemplar } from '../wire/frame-exemplars.ts';
import { FRAME_ASIDE, FRAME_EXEMPLARS, SAMPLES_PER_FRAME_MAX } from '../wire/frame-layout.ts';
import { FrameWriter } from '../wire/frames.ts';
import { RICH_TIME_MAX_MS, writeRichSample } from '../wire/rich-samples.ts';
import type { ReadSeries, WriteExemplar, WriteSamples } from '../wire/write-request.ts';
import type { EdgeLimits } from './edge-push.ts';
import { countRefused, type Refusals, refuse } from './refusals.ts';

/** Makes frames of series that the kernel's scan does not take: checks them, names what is wrong, puts their labels in order. */
export class SlowPathWriter {
  readonly #frames: FrameWriter;
  readonly #payload = new ByteWriter();
  readonly #labels = new LabelEncoder();
  /** Floats, histograms and exemplars written since `clear`. */
  samples = 0;
  histograms = 0;
  exemplars = 0;

  constructor(kernel: Kernel) {
    this.#frames = new FrameWriter(kernel);
  }

  /** Whether frames carry the hash of their labels. */
  set hashLabels(hashLabels: boolean) {
    this.#frames.hashLabels = hashLabels;
  }

  clear(): void {
    this.#frames.clear();
    this.#payload.clear();
    this.samples = 0;
    this.histograms = 0;
    this.exemplars = 0;
  }

  /** Bytes of the frames. */
  get length(): number {
    return this.#frames.length;
  }

  /** The frames; only until the next `add`. */
  get bytes(): Uint8Array {
    return this.#frames.bytes;
  }

  /** Takes what of the series is valid and counts the rest. Stops now and then, for the caller to pause. */
  *add(series: ReadSeries, limits: EdgeLimits, bounds: TimeBounds, refusals: Refusals): Generator<undefined, void> {
    const { samples, histograms } = series;
    const pairs = sortPairs(series.pairs);
    const fault =
      series.labelsFault === undefined ? findLabelsFault(pairs, limits) : unreadable(pairs, series.labelsFault);
    if (fault !== undefined) {
      refuse(refusals, fault, samples.count + histograms.length);
      return;
    }
    const own: SeriesLabels = {
      pairs,
      labels: this.#labels.encode(pairs),
      metric: encodeUtf8(Labels.fromSortedPairs(pairs).get(METRIC_NAME)),
    };
    const floats = this.#floats(samples, own, limits, bounds, refusals);
    if (samples.count > SAMPLES_PER_FRAME_MAX) yield;
    yield* this.#rich(floats, series, own, limits, bounds, refusals);
    if (limits.maxExemplars !== 0) yield* this.#exemplars(series.exemplars, own, bounds, refusals);
  }

  /**
   * Writes the floats within bounds, where none has a start timestamp.
   * @returns those that are left: one start timestamp makes all of them rich, so that they stay in one place and in their order
   */
  #floats(
    samples: WriteSamples,
    { pairs, labels, metric }: SeriesLabels,
    limits: EdgeLimits,
    bounds: TimeBounds,
    refusals: Refusals,
  ): readonly number[] {
    const kept: number[] = [];
    let rich = false;
    for (let i = 0; i < samples.count; i++) {
      const timeMs = samples.times[i]!;
      if (timeMs >= bounds.fromMs && timeMs <= bounds.toMs) kept.push(i);
      else refuse(refusals, outOfBounds(pairs, timeMs, bounds, limits), 1);
      if (samples.starts[i] !== 0) rich = true;
    }
    if (rich) return kept;
    for (let from = 0; from < kept.length; from += SAMPLES_PER_FRAME_MAX) {
      const some = kept.slice(from, from + SAMPLES_PER_FRAME_MAX);
      this.#frames.series(labels, metric, some.length);
      for (const i of some) this.#frames.sample(samples.times[i]!, samples.high(i), samples.low(i));
    }
    this.samples += kept.length;
    return [];
  }

  /** Writes floats with start timestamps, then histograms. */
  *#rich(
    floats: readonly number[],
    { samples, histograms }: ReadSeries,
    own: SeriesLabels,
    limits: EdgeLimits,
    bounds: TimeBounds,
    refusals: Refusals,
  ): Generator<undefined, void> {
    const { pairs } = own;
    const payload = this.#payload;
    payload.length = 0;
    let count = 0;
    for (const i of floats) {
      const timeMs = samples.times[i]!;
      if (!isRichTime(timeMs)) {
        refuse(refusals, outOfBounds(pairs, timeMs, bounds, limits), 1);
        continue;
      }
      const startMs = startOf(samples.starts[i]!);
      writeRichSample(payload, { timeMs, startMs, high: samples.high(i), low: samples.low(i) });
      this.samples++;
      count = this.#aside(own, count + 1, FRAME_ASIDE);
      if (count === 0) yield;
    }
    let read = 0;
    for (const { timeMs, startMs, stale, histogram, fault } of histograms) {
      if (++read % ASIDE_PER_FRAME_MAX === 0) yield;
      if (fault !== undefined) {
        refuse(
          refusals,
          faultOf(writeErrors.histogramInvalid, () => ({ series: seriesText(pairs), reason: fault.text })),
          1,
        );
      } else if (!(timeMs >= bounds.fromMs && timeMs <= bounds.toMs && isRichTime(timeMs))) {
        refuse(refusals, outOfBounds(pairs, timeMs, bounds, limits), 1);
      } else {
        writeRichSample(payload, { timeMs, startMs: startOf(startMs), histogram: stale ? undefined : histogram });
        this.histograms++;
        count = this.#aside(own, count + 1, FRAME_ASIDE);
      }
    }
    this.#aside(own, count, FRAME_ASIDE, true);
  }

  *#exemplars(
    exemplars: ReadSeries['exemplars'],
    own: SeriesLabels,
    bounds: TimeBounds,
    refusals: Refusals,
  ): Generator<undefined, void> {
    this.#payload.length = 0;
    let count = 0;
    let read = 0;
    for (const exemplar of exemplars) {
      if (++read % ASIDE_PER_FRAME_MAX === 0) yield;
      const pairs = exemplarPairs(exemplar, own.pairs, bounds, refusals);
      if (pairs === undefined) continue;
      const { timeMs, value } = exemplar;
      const labels = encodeLabels(Labels.fromSortedPairs(pairs));
      writeFrameExemplar(this.#payload, { timeMs, value, labels });
      this.exemplars++;
      count = this.#aside(own, count + 1, FRAME_EXEMPLARS);
    }
    this.#aside(own, count, FRAME_EXEMPLARS, true);
  }

  /** Writes a frame of the payload once it holds many, or it is the last. @returns how many it holds then */
  #aside(
    { labels, metric }: SeriesLabels,
    count: number,
    kind: typeof FRAME_ASIDE | typeof FRAME_EXEMPLARS,
    last = false,
  ): number {
    if (count < ASIDE_PER_FRAME_MAX && !last) return count;
    if (count > 0) this.#frames.aside(labels, metric, count, this.#payload.done(), kind);
    this.#payload.length = 0;
    return 0;
  }
}

/** Accepted sample times, Unix ms, both ends inclusive. */
export interface TimeBounds {
  readonly fromMs: number;
  readonly toMs: number;
  /** Exemplars beyond are refused: one would keep all later ones of its series out until then. */
  readonly exemplarsToMs: number;
  /** Parts of `fromMs`: times before the first are none, what is before the second would not be kept. */
  readonly minMs: number;
  readonly keptFromMs: number;
}

/** A series' labels as its frames need them. */
interface SeriesLabels {
  readonly pairs: readonly string[];
  /** Canonical. */
  readonly labels: Uint8Array;
  /** In UTF-8. */
  readonly metric: Uint8Array;
}

/** Rich samples or exemplars of a frame: what a shard takes in one go. */
const ASIDE_PER_FRAME_MAX = 256;

function isRichTime(timeMs: number): boolean {
  return Math.abs(timeMs) <= RICH_TIME_MAX_MS;
}

/** A start time out of range becomes 0, which is none. */
function startOf(startMs: number): number {
  return isRichTime(startMs) ? startMs : 0;
}

/** Characters of all label names and values of an exemplar, as OpenMetrics has it. */
const EXEMPLAR_RUNES_MAX = 128;

/**
 * Labels of an exemplar, ascending; undefined where something is wrong with it. That is counted, but no error of the request: its
 * samples matter more.
 */
function exemplarPairs(
  { pairs, labelsFault: fault, timeMs }: WriteExemplar,
  series: readonly string[],
  { exemplarsToMs }: TimeBounds,
  refusals: Refusals,
): readonly string[] | undefined {
  if (fault !== undefined) {
    refuse(
      refusals,
      faultOf(writeErrors.labelInvalid, () => ({
        series: seriesText(series),
        label: 'labels of an exemplar',
        reason: fault,
      })),
      1,
    );
    return undefined;
  }
  const refused = (reason: string): undefined => {
    countRefused(refusals, reason, 1);
  };
  if (!(timeMs <= exemplarsToMs)) return refused(writeErrors.tooFarInFuture.reason);
  if (!isRichTime(timeMs)) return refused(writeErrors.sampleWithoutTime.reason);
  // that many names of one character are too long already
  if (pairs.length > 2 * EXEMPLAR_RUNES_MAX) return refused(writeErrors.labelInvalid.reason);
  if (!runesWithin(pairs, EXEMPLAR_RUNES_MAX)) return refused(writeErrors.exemplarLabelsTooLong.reason);
  const sorted = sortPairs(pairs);
  for (let i = 0; i < sorted.length; i += 2) {
    if (sorted[i] === '') return refused(writeErrors.labelInvalid.reason);
    if (i > 0 && sorted[i] === sorted[i - 2]) return refused(writeErrors.duplicateLabelNames.reason);
  }
  return sorted;
}

/** Whether all texts together have at most `max` characters; reads no further than it must. */
function runesWithin(texts: readonly string[], max: number): boolean {
  let runes = 0;
  for (const text of texts) for (const _ of text) if (++runes > max) return false;
  return true;
}

function unreadable(pairs: readonly string[], reason: string): Fault {
  return faultOf(writeErrors.labelInvalid, () => ({ series: seriesText(pairs), label: 'labels', reason }));
}

/** @param pairs of the series */
export function outOfBounds(pairs: readonly string[], timeMs: number, bounds: TimeBounds, limits: EdgeLimits): Fault {
  const { minSampleMs = 0, retentionPeriodMs = 0 } = limits;
  const of = () => ({ series: seriesText(pairs), timeMs });
  if (timeMs > bounds.toMs) {
    return faultOf(writeErrors.tooFarInFuture, () => ({ ...of(), graceMs: limits.creationGracePeriodMs }));
  }
  if (timeMs < bounds.minMs) return faultOf(writeErrors.sampleWithoutTime, () => ({ ...of(), minMs: minSampleMs }));
  if (timeMs < bounds.keptFromMs) {
    return faultOf(writeErrors.sampleOlderThanRetention, () => ({ ...of(), retentionMs: retentionPeriodMs }));
  }
  return faultOf(writeErrors.greaterThanMaxSampleAge, () => ({ ...of(), maxAgeMs: limits.rejectOldSamplesMaxAgeMs }));
}

/** Metadata with a name, and within the limit on its length. What is not is counted. */
export function checkMetadata(
  entries: readonly MetricMetadata[],
  { maxMetadataLength: max }: EdgeLimits,
  refusals: Refusals,
): MetricMetadata[] {
  return entries.filter((entry) => {
    const reason = metadataFault(entry, max);
    if (reason !== undefined) countRefused(refusals, reason, 1);
    return reason === undefined;
  });
}

/** The reason for which an entry is not kept, as Cortex has them in its metrics. */
function metadataFault({ metric, help, unit }: MetricMetadata, max: number): string | undefined {
  if (metric === '') return 'missing_metric_name';
  if (max === 0) return undefined;
  if (isLonger(metric, max)) return 'metric_name_too_long';
  if (isLonger(help, max)) return 'help_too_long';
  return isLonger(unit, max) ? 'unit_too_long' : undefined;
}

/** In bytes of UTF-8, which are at most three for each character. */
function isLonger(text: string, max: number): boolean {
  return text.length > max || (3 * text.length > max && Buffer.byteLength(text) > max);
}
