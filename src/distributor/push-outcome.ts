import {
  APPENDED,
  DELETED,
  DUPLICATE_TIME,
  HELD,
  type IngestResult,
  LABELS_BYTES_MAX,
  OUT_OF_ORDER,
  REFUSED_LABELS_TOO_LONG,
  REFUSED_PER_METRIC,
  TOO_OLD,
  WINDOW_DENIED,
} from '../contract/ingest.ts';
import type { PushResponse } from '../contract/push.ts';
import { failureOf } from '../kit/http/failure.ts';
import type { AppError } from '../model/errors.ts';
import { writeErrors } from '../model/errors-write.ts';
import { type Fault, faultOf, shortened } from '../model/validate.ts';
import { REFUSAL_SERIES } from '../wire/frame-layout.ts';
import type { FrameRefusal } from '../wire/frame-refusals.ts';
import type { EdgeAnswer, EdgeLimits } from './edge-push.ts';
import type { Judged } from './judged.ts';
import { type Refusals, refuse } from './refusals.ts';

/** Headers of remote write 2.0. */
export function written({ samples, histograms, exemplars }: Judged, lost: Lost): Record<string, string> {
  return {
    'X-Prometheus-Remote-Write-Samples-Written': String(samples - lost.samples),
    'X-Prometheus-Remote-Write-Histograms-Written': String(histograms - lost.histograms),
    'X-Prometheus-Remote-Write-Exemplars-Written': String(exemplars - lost.exemplars),
  };
}

export const OK: PushResponse = { status: 204, headers: {}, text: '' };

/** Samples that were sent to shards and not kept there, and histograms and exemplars. */
export interface Lost {
  samples: number;
  histograms: number;
  exemplars: number;
  /** Oldest time of a sample that is late (`IngestResult.lateMs`); Infinity: there is none. */
  lateMs: number;
}

export function addLost(
  lost: Lost,
  { counts, refused, windowsDenied = 0, deleted = 0, histogramsLost, exemplarsLost, lateMs }: IngestResult,
): void {
  const whole = refused + windowsDenied + deleted;
  const notKept = counts.reduce((sum, n, answer) => (answer === APPENDED || answer === HELD ? sum : sum + n), whole);
  lost.samples += notKept - histogramsLost;
  lost.histograms += histogramsLost;
  lost.exemplars += exemplarsLost;
  if (lateMs !== undefined && lateMs < lost.lateMs) lost.lateMs = lateMs;
}

interface NamedLimit {
  readonly name: string;
  readonly limit: number;
}

/** A process has all ingesters that there are: what holds for one holds for all together. */
export function seriesPerUser({ maxSeriesPerUser, maxGlobalSeriesPerUser }: EdgeLimits): NamedLimit {
  return lower(
    { name: 'max_series_per_user', limit: maxSeriesPerUser },
    { name: 'max_global_series_per_user', limit: maxGlobalSeriesPerUser },
  );
}

export function seriesPerMetric({ maxSeriesPerMetric, maxGlobalSeriesPerMetric }: EdgeLimits): NamedLimit {
  return lower(
    { name: 'max_series_per_metric', limit: maxSeriesPerMetric },
    { name: 'max_global_series_per_metric', limit: maxGlobalSeriesPerMetric },
  );
}

/** 0 is no limit. */
function lower(a: NamedLimit, b: NamedLimit): NamedLimit {
  if (a.limit === 0 || b.limit === 0) return a.limit === 0 ? b : a;
  return b.limit < a.limit ? b : a;
}

/** Why a frame was refused. @param labels of its series, as text */
export function refusalFault(refusal: FrameRefusal, labels: () => string, limits: EdgeLimits): Fault {
  const { reason, timeMs, newestMs: lastMs } = refusal;
  const series = () => shortened(labels());
  switch (reason) {
    case OUT_OF_ORDER:
      return faultOf(writeErrors.sampleOutOfOrder, () => ({ series: series(), timeMs, lastMs }));
    case DUPLICATE_TIME:
      return faultOf(writeErrors.newValueForTimestamp, () => ({ series: series(), timeMs }));
    case TOO_OLD:
      return faultOf(writeErrors.sampleTooOld, () => ({
        series: series(),
        timeMs,
        windowMs: limits.outOfOrderTimeWindowMs,
      }));
    case WINDOW_DENIED:
      return faultOf(writeErrors.tooManyOldWindows, () => ({
        series: series(),
        timeMs,
        limit: limits.maxOldWindowsPerUser,
      }));
    case DELETED:
      return faultOf(writeErrors.deleted, () => ({ series: series(), timeMs, untilMs: lastMs }));
    case REFUSAL_SERIES + REFUSED_PER_METRIC:
      return faultOf(writeErrors.perMetricSeriesLimit, () => ({ series: series(), ...seriesPerMetric(limits) }));
    case REFUSAL_SERIES + REFUSED_LABELS_TOO_LONG:
      return faultOf(writeErrors.seriesLabelsTooLong, () => ({ limit: LABELS_BYTES_MAX }));
    default:
      return faultOf(writeErrors.perUserSeriesLimit, () => seriesPerUser(limits));
  }
}

/** Adds what a shard did not keep. */
export function addResult(refusals: Refusals, result: IngestResult, limits: EdgeLimits): void {
  const { first, counts, refused } = result;
  if (first === undefined) return;
  const { timeMs, newestMs: lastMs } = first;
  const series = shortened(first.labels);
  const reasons: [samples: number, fault: Fault, isFirst: boolean][] = [
    [
      counts[OUT_OF_ORDER]!,
      faultOf(writeErrors.sampleOutOfOrder, () => ({ series, timeMs, lastMs })),
      first.answer === OUT_OF_ORDER,
    ],
    [
      counts[DUPLICATE_TIME]!,
      faultOf(writeErrors.newValueForTimestamp, () => ({ series, timeMs })),
      first.answer === DUPLICATE_TIME,
    ],
    [
      counts[TOO_OLD]!,
      faultOf(writeErrors.sampleTooOld, () => ({ series, timeMs, windowMs: limits.outOfOrderTimeWindowMs })),
      first.answer === TOO_OLD,
    ],
    [
      result.windowsDenied ?? 0,
      faultOf(writeErrors.tooManyOldWindows, () => ({ series, timeMs, limit: limits.maxOldWindowsPerUser })),
      first.answer === WINDOW_DENIED,
    ],
    [
      result.deleted ?? 0,
      faultOf(writeErrors.deleted, () => ({ series, timeMs, untilMs: lastMs })),
      first.answer === DELETED,
    ],
    [
      refused,
      first.series === REFUSED_PER_METRIC
        ? faultOf(writeErrors.perMetricSeriesLimit, () => ({ series, ...seriesPerMetric(limits) }))
        : first.series === REFUSED_LABELS_TOO_LONG
          ? faultOf(writeErrors.seriesLabelsTooLong, () => ({ limit: LABELS_BYTES_MAX }))
          : faultOf(writeErrors.perUserSeriesLimit, () => seriesPerUser(limits)),
      first.series !== undefined,
    ],
  ];
  // the first offender's text is its own; the others only add to the counts
  for (const [samples, fault, isFirst] of reasons) if (samples > 0 && isFirst) refuse(refusals, fault, samples);
  for (const [samples, fault, isFirst] of reasons) if (samples > 0 && !isFirst) refuse(refusals, fault, samples);
}

export function refusalResponse(first: AppError, refused: number, samples: number): PushResponse {
  const text =
    refused > 1 ? `${first.message} (and ${refused - 1} more samples refused; the others are kept)` : first.message;
  return { status: failureOf(first).status, headers: {}, text: samples > 0 || refused > 0 ? text : first.message };
}

export function responseOf(error: AppError): PushResponse {
  const { status, headers, text } = failureOf(error);
  return { status, headers, text };
}

export function answer(response: PushResponse): EdgeAnswer {
  return { response, samples: 0, series: 0, metadata: 0, discarded: {}, discardedMetadata: {}, rawBytes: 0 };
}
