import type { Kernel } from '../chunk/kernel.ts';
import { encodeLabels } from '../model/canonical.ts';
import { type AppError, errors } from '../model/errors.ts';
import { Labels, METRIC_NAME } from '../model/labels.ts';
import { labelsFault, sortPairs } from '../model/validate.ts';
import type { MetricMetadata } from '../storage/ingester-client.ts';
import { FrameWriter } from '../wire/frames.ts';
import type { WriteSeries } from '../wire/write-request.ts';
import type { EdgeLimits } from './edge-contract.ts';
import { type Refusals, refuse } from './refusals.ts';

const encoder = new TextEncoder();

/** Makes frames of series that the kernel's scan does not take: checks them, names what is wrong, puts their labels in order. */
export class ColdWriter {
  readonly #frames: FrameWriter;
  /** Samples written since `clear`. */
  samples = 0;

  constructor(kernel: Kernel) {
    this.#frames = new FrameWriter(kernel);
  }

  clear(): void {
    this.#frames.clear();
    this.samples = 0;
  }

  /** The frames; only until the next `add`. */
  get bytes(): Uint8Array {
    return this.#frames.bytes;
  }

  /** Takes what of the series is valid and counts the rest. */
  add(series: WriteSeries, limits: EdgeLimits, fromMs: number, toMs: number, refusals: Refusals): void {
    const { samples, histograms } = series;
    const pairs = sortPairs(series.pairs);
    const fault = series.labelsFault === undefined ? labelsFault(pairs, limits) : unreadable(pairs, series.labelsFault);
    if (fault !== undefined) {
      refuse(refusals, fault, samples.count + histograms.length);
      return;
    }
    for (const { fault: reason } of histograms) {
      if (reason !== undefined) {
        refuse(refusals, errors.histogramInvalid({ series: textOf(pairs), reason: reason.text }), 1);
      } else {
        // not an error of the sender: its floats are kept, and sending it again would not help
        const why = errors.nativeHistogramUnsupported({}).reason;
        refusals.byReason[why] = (refusals.byReason[why] ?? 0) + 1;
      }
    }
    const kept: number[] = [];
    for (let i = 0; i < samples.count; i++) {
      const timeMs = samples.times[i]!;
      if (timeMs >= fromMs && timeMs <= toMs) kept.push(i);
      else refuse(refusals, outOfBounds(pairs, timeMs, toMs, limits), 1);
    }
    if (kept.length === 0) return;
    const labels = Labels.fromSortedPairs(pairs);
    this.#frames.series(encodeLabels(labels), encoder.encode(labels.get(METRIC_NAME)), kept.length);
    for (const i of kept) this.#frames.sample(samples.times[i]!, samples.high(i), samples.low(i));
    this.samples += kept.length;
  }
}

function unreadable(pairs: readonly string[], reason: string): AppError {
  return errors.labelInvalid({ series: textOf(pairs), label: 'labels', reason });
}

function outOfBounds(pairs: readonly string[], timeMs: number, toMs: number, limits: EdgeLimits): AppError {
  const series = textOf(pairs);
  return timeMs > toMs
    ? errors.tooFarInFuture({ series, timeMs, graceMs: limits.creationGracePeriodMs })
    : errors.greaterThanMaxSampleAge({ series, timeMs, maxAgeMs: limits.rejectOldSamplesMaxAgeMs });
}

function textOf(pairs: readonly string[]): string {
  return Labels.fromSortedPairs(pairs).toString();
}

/** Metadata that is worth keeping: with a name, and within the limit on its length. */
export function checkMetadata(entries: readonly MetricMetadata[], limits: EdgeLimits): MetricMetadata[] {
  const max = limits.maxMetadataLength;
  return entries.filter(
    ({ metric, help, unit }) =>
      metric !== '' && (max === 0 || (metric.length <= max && help.length <= max && unit.length <= max)),
  );
}
