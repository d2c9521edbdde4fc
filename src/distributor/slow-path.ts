import { ByteWriter } from '../chunk/group/bytes.ts';
import type { Kernel } from '../chunk/kernel.ts';
import { encodeUtf8 } from '../lib/utf8.ts';
import { encodeLabels, LabelEncoder } from '../model/canonical.ts';
import { writeErrors } from '../model/errors-write.ts';
import { Labels, METRIC_NAME } from '../model/labels.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { type Fault, faultOf, findLabelsFault, seriesText, sortPairs } from '../model/validate.ts';
import { writeFrameExemplar } from '../wire/frame-exemplars.ts';
import { FRAME_ASIDE, FRAME_EXEMPLARS } from '../wire/frame-layout.ts';
import { FrameWriter } from '../wire/frames.ts';
import { RICH_TIME_MAX_MS, writeRichSample } from '../wire/rich-samples.ts';
import type { WriteExemplar, WriteSeries } from '../wire/write-request.ts';
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

  clear(): void {
    this.#frames.clear();
    this.samples = 0;
    this.histograms = 0;
    this.exemplars = 0;
  }

  /** The frames; only until the next `add`. */
  get bytes(): Uint8Array {
    return this.#frames.bytes;
  }

  /** Takes what of the series is valid and counts the rest. */
  add(series: WriteSeries, limits: EdgeLimits, fromMs: number, toMs: number, refusals: Refusals): void {
    const { samples, histograms } = series;
    const pairs = sortPairs(series.pairs);
    const fault =
      series.labelsFault === undefined ? findLabelsFault(pairs, limits) : unreadable(pairs, series.labelsFault);
    if (fault !== undefined) {
      refuse(refusals, fault, samples.count + histograms.length);
      return;
    }
    const kept: number[] = [];
    // one start timestamp makes all floats rich, so that they stay in one place and in their order
    let rich = false;
    for (let i = 0; i < samples.count; i++) {
      const timeMs = samples.times[i]!;
      if (timeMs >= fromMs && timeMs <= toMs) kept.push(i);
      else refuse(refusals, outOfBounds(pairs, timeMs, toMs, limits), 1);
      if (samples.starts[i] !== 0) rich = true;
    }
    const valid = histograms.filter(({ timeMs, fault: reason }) => {
      if (reason !== undefined) {
        refuse(
          refusals,
          faultOf(writeErrors.histogramInvalid, () => ({ series: seriesText(pairs), reason: reason.text })),
          1,
        );
      } else if (!(timeMs >= fromMs && timeMs <= toMs && isRichTime(timeMs))) {
        refuse(refusals, outOfBounds(pairs, timeMs, toMs, limits), 1);
      } else return true;
      return false;
    });
    const exemplars = limits.maxExemplars === 0 ? [] : validExemplars(series.exemplars, pairs, refusals);
    if (kept.length + valid.length + exemplars.length === 0) return;
    const own = Labels.fromSortedPairs(pairs);
    const labels = this.#labels.encode(pairs);
    const metric = encodeUtf8(own.get(METRIC_NAME));
    if (kept.length > 0 && !rich) {
      this.#frames.series(labels, metric, kept.length);
      for (const i of kept) this.#frames.sample(samples.times[i]!, samples.high(i), samples.low(i));
      this.samples += kept.length;
    }
    const payload = this.#payload;
    payload.length = 0;
    let count = valid.length;
    for (const i of rich ? kept : []) {
      const timeMs = samples.times[i]!;
      if (isRichTime(timeMs)) {
        const startMs = startOf(samples.starts[i]!);
        writeRichSample(payload, { timeMs, startMs, high: samples.high(i), low: samples.low(i) });
        this.samples++;
        count++;
      } else refuse(refusals, outOfBounds(pairs, timeMs, toMs, limits), 1);
    }
    for (const { timeMs, startMs, stale, histogram } of valid) {
      writeRichSample(payload, { timeMs, startMs: startOf(startMs), histogram: stale ? undefined : histogram });
    }
    this.histograms += valid.length;
    if (count > 0) this.#frames.aside(labels, metric, count, payload.done(), FRAME_ASIDE);
    if (exemplars.length === 0) return;
    payload.length = 0;
    for (const { pairs: exemplarPairs, timeMs, value } of exemplars) {
      const exemplarLabels = encodeLabels(Labels.fromSortedPairs(sortPairs(exemplarPairs)));
      writeFrameExemplar(payload, { timeMs, value, labels: exemplarLabels });
    }
    this.#frames.aside(labels, metric, exemplars.length, payload.done(), FRAME_EXEMPLARS);
    this.exemplars += exemplars.length;
  }
}

function isRichTime(timeMs: number): boolean {
  return Math.abs(timeMs) <= RICH_TIME_MAX_MS;
}

/** What cannot be one is as good as none. */
function startOf(startMs: number): number {
  return isRichTime(startMs) ? startMs : 0;
}

/** Characters of all label names and values of an exemplar, as OpenMetrics has it. */
const EXEMPLAR_RUNES_MAX = 128;

/** Exemplars that are not are counted, but no error of the request: its samples matter more. */
function validExemplars(
  exemplars: readonly WriteExemplar[],
  pairs: readonly string[],
  refusals: Refusals,
): readonly WriteExemplar[] {
  return exemplars.filter(({ pairs: own, labelsFault: fault, timeMs }) => {
    if (!isRichTime(timeMs)) return false;
    if (fault !== undefined) {
      refuse(
        refusals,
        faultOf(writeErrors.labelInvalid, () => ({
          series: seriesText(pairs),
          label: 'labels of an exemplar',
          reason: fault,
        })),
        1,
      );
      return false;
    }
    if (runesWithin(own, EXEMPLAR_RUNES_MAX)) return true;
    countRefused(refusals, writeErrors.exemplarLabelsTooLong.reason, 1);
    return false;
  });
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

function outOfBounds(pairs: readonly string[], timeMs: number, toMs: number, limits: EdgeLimits): Fault {
  return timeMs > toMs
    ? faultOf(writeErrors.tooFarInFuture, () => ({
        series: seriesText(pairs),
        timeMs,
        graceMs: limits.creationGracePeriodMs,
      }))
    : faultOf(writeErrors.greaterThanMaxSampleAge, () => ({
        series: seriesText(pairs),
        timeMs,
        maxAgeMs: limits.rejectOldSamplesMaxAgeMs,
      }));
}

/** Metadata that is worth keeping: with a name, and within the limit on its length. */
export function checkMetadata(entries: readonly MetricMetadata[], limits: EdgeLimits): MetricMetadata[] {
  const max = limits.maxMetadataLength;
  return entries.filter(
    ({ metric, help, unit }) =>
      metric !== '' && (max === 0 || (metric.length <= max && help.length <= max && unit.length <= max)),
  );
}
