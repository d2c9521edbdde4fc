import { writeErrors } from '../model/errors-write.ts';
import {
  FAULT_LABEL_INVALID,
  FAULT_NAME_TOO_LONG,
  FAULT_NO_NAME,
  FAULT_TOO_MANY_NAMES,
  FAULT_VALUE_TOO_LONG,
  FRAME_KEY,
  FRAME_SLOW,
} from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import { RemoteWrite1Reader } from '../wire/remote-write-1.ts';
import { RemoteWrite2Reader } from '../wire/remote-write-2.ts';
import type { ReadSeries } from '../wire/write-request.ts';
import type { EdgeLimits, EdgePush } from './edge-push.ts';
import { type Judged, nothingJudged } from './judged.ts';
import { countRefused, refuse } from './refusals.ts';
import type { Rewrite } from './rewrite.ts';
import type { Sending } from './route.ts';
import { keyText, type RawBody, type Scratch } from './scratch.ts';
import { checkMetadata, outOfBounds, type SlowPathWriter, type TimeBounds } from './slow-path.ts';

// The judge of a body: it finds what is right in it, and what is refused. It goes in steps, so that a large one can be judged in slices.

/** A moment to pause, with the work since the last one; undefined: about one series. */
export type Step = number | undefined;

/** A request on its way through the edge. */
export interface Work {
  readonly request: EdgePush;
  readonly limits: EdgeLimits;
  readonly bounds: TimeBounds;
  readonly rewrite: Rewrite | undefined;
  readonly scratch: Scratch;
  readonly slow: SlowPathWriter;
  readonly raw: RawBody;
  /** The most that labels of remote write 2.0 may take written out. */
  readonly rawBytesMax: number;
  readonly version: 'v1' | 'v2';
  /** Whether series that were seen before are named by their keys. */
  readonly useKnown: boolean;
  /** Whether the scratch is kept, so that it is worth remembering what rules make of series. */
  readonly remembers: boolean;
  readonly sending: Sending;
  judged: Judged;
}

/** Series of a request of which it is said exactly why their labels are refused; others are counted by what the scan found first. */
const EXACT_FAULTS_MAX = 1_000;

/** Work that one series on the slow path is; each label is one more. */
export const SERIES_WORK = 16;

/** Checks a body and makes its frames. @throws AppError */
export function* judgeBody(work: Work): Generator<Step, void> {
  yield* work.version === 'v1' ? judgeV1(work) : judgeV2(work);
  const { judged, slow } = work;
  judged.samples += slow.samples;
  judged.histograms = slow.histograms;
  judged.exemplars = slow.exemplars;
}

function* judgeV1(work: Work): Generator<Step, void> {
  const { limits, scratch, raw, slow } = work;
  const { exports } = scratch.kernel;
  const isSure = yield* judgeScanned(work, work.useKnown);
  if (!isSure) {
    // a target takes what comes with labels at once, and a sample of the same series that came before it with a key, and is sent again
    // with labels, would be late
    work.judged = nothingJudged();
    slow.clear();
    yield* judgeScanned(work, false);
  }
  const { judged } = work;
  if ((exports.scanExtras() & 1) === 0) return;
  const reader = new RemoteWrite1Reader(scratch.bytesOf(raw));
  yield* reader.metadataSteps();
  judged.metadata = checkMetadata(reader.metadata, limits, judged.metadataRefusals);
}

/**
 * Judges a body of remote write 1.0 without its metadata.
 * @returns whether no series may have come both with its key and with its labels
 */
export function* judgeScanned(work: Work, useKnown: boolean): Generator<Step, boolean> {
  const { request, limits, bounds, rewrite, scratch, raw, judged } = work;
  const { exports } = scratch.kernel;
  yield* scratch.scan(request.tenant, raw, limits, bounds, rewrite, { useKnown, hashLabels: work.sending.hashLabels });
  if (useKnown && rewrite === undefined && exports.scanSlow() > 0) return false;
  judged.series = exports.scanSeries();
  judged.samples = exports.scanSamples();
  if (exports.scanDropped() > 0) countRefused(judged.refusals, DROPPED_REASON, exports.scanDropped());
  refuseOutOfBounds(work);
  if (exports.scanSlow() === 0) return true;
  const became = yield* judgeSlow(work);
  return !useKnown || !hasKey(scratch.frames, became);
}

/** Samples that the scan has left out for their times. */
function refuseOutOfBounds({ scratch, raw, bounds, limits, judged }: Work): void {
  const { exports } = scratch.kernel;
  const [tooOld, tooNew] = [exports.scanTooOld(), exports.scanTooNew()];
  if (tooOld + tooNew === 0) return;
  const timeMs = exports.scanFirstOutTime();
  const reader = new RemoteWrite1Reader(scratch.bytesOf(raw));
  const pairs = reader.labelsAt(exports.scanFirstOutAt(), exports.scanFirstOutBytes());
  const first = outOfBounds(pairs, timeMs, bounds, limits);
  const other = outOfBounds(pairs, timeMs > bounds.toMs ? bounds.fromMs - 1 : bounds.toMs + 1, bounds, limits);
  const [ofFirst, ofOther] = timeMs > bounds.toMs ? [tooNew, tooOld] : [tooOld, tooNew];
  refuse(judged.refusals, first, ofFirst);
  if (ofOther > 0) refuse(judged.refusals, other, ofOther);
}

/** @returns keys of the series that came the slow path and are sent on, where rules have changed them */
function* judgeSlow({
  limits,
  bounds,
  rewrite,
  scratch,
  slow,
  raw,
  judged,
  remembers,
}: Work): Generator<Step, ReadonlySet<string | undefined>> {
  const reader = new RemoteWrite1Reader(scratch.bytesOf(raw));
  const became = new Set<string | undefined>();
  /** Series as the rules have changed them: where the frames of each begin; undefined: it is dropped. */
  const outcomes: { readonly bodyAt: number; readonly bodyBytes: number; readonly from: number | undefined }[] = [];
  let faults = 0;
  try {
    for (const frames = scratch.frames; frames.next(); ) {
      if (!frames.has(FRAME_SLOW)) continue;
      const { fault, bodyAt, bodyBytes } = frames;
      if (fault !== 0 && ++faults > EXACT_FAULTS_MAX) {
        countRefused(judged.refusals, FAULT_REASONS[fault]!, frames.faultSamples);
        if (faults % FAULTS_PER_STEP === 0) yield;
        continue;
      }
      const sent = reader.seriesAt(bodyAt, bodyBytes);
      const series = rewritten(sent, rewrite);
      const from = slow.length;
      if (series === undefined) countRefused(judged.refusals, DROPPED_REASON, samplesOf(sent));
      else yield* slow.add(series, limits, bounds, judged.refusals);
      if (fault === 0) judged.ends.push(slow.length);
      if (rewrite !== undefined && (series === undefined || slow.length > from)) {
        outcomes.push({ bodyAt, bodyBytes, from: series === undefined ? undefined : from });
      }
      yield workOf(sent);
    }
  } finally {
    // also where the body turns out too large to be judged in one go: the next one is then known in part
    // at the end: what remembers them may grow the memory under the frames
    for (const { bodyAt, bodyBytes, from } of outcomes) {
      const frame = from === undefined ? undefined : firstFrame(slow.bytes.subarray(from));
      if (remembers) scratch.remember(raw, bodyAt, bodyBytes, frame);
      if (frame !== undefined) became.add(scratch.keyOf(frame.labels));
    }
  }
  return became;
}

function* judgeV2({ limits, bounds, rewrite, scratch, slow, raw, rawBytesMax, judged }: Work): Generator<Step, void> {
  const reader = new RemoteWrite2Reader(scratch.bytesOf(raw), rawBytesMax);
  for (const series of reader.series()) {
    if (series === undefined) {
      yield;
      continue;
    }
    const became = rewritten(series, rewrite);
    if (became === undefined) countRefused(judged.refusals, DROPPED_REASON, samplesOf(series));
    else yield* slow.add(became, limits, bounds, judged.refusals);
    judged.series++;
    yield workOf(series);
  }
  judged.metadata = checkMetadata(reader.metadata, limits, judged.metadataRefusals);
}

/** Under this samples are counted that the tenant's own rules drop. */
const DROPPED_REASON = 'relabel_configuration';

/** The series as the rules change it; undefined: they drop it. */
function rewritten(series: ReadSeries, rewrite: Rewrite | undefined): ReadSeries | undefined {
  if (rewrite === undefined || series.labelsFault !== undefined) return series;
  const pairs = rewrite.apply(series.pairs);
  return pairs === undefined ? undefined : { ...series, pairs };
}

function samplesOf({ samples, histograms }: ReadSeries): number {
  return samples.count + histograms.length;
}

function firstFrame(bytes: Uint8Array): FrameView {
  const frame = new FrameView(bytes);
  frame.next();
  return frame;
}

/** Whether one of the frames names its series by one of these keys. */
function hasKey(frames: FrameView, keys: ReadonlySet<string | undefined>): boolean {
  if (keys.size === 0) return false;
  // labels too long to make a key of may be anybody's
  if (keys.has(undefined)) return true;
  const bytes = frames.all;
  // mostly none is: two bytes of each tell that without a text
  const starts = new Uint8Array(65_536);
  for (const key of keys) starts[key!.charCodeAt(0) | (key!.charCodeAt(1) << 8)] = 1;
  while (frames.next()) {
    if (!frames.has(FRAME_KEY)) continue;
    const at = frames.labelsAt;
    if (starts[bytes[at]! | (bytes[at + 1]! << 8)] === 1 && keys.has(keyText(bytes, at))) return true;
  }
  return false;
}

/** Many labels are also sorted and compared. */
function workOf({ pairs }: ReadSeries): number {
  const labels = pairs.length / 2;
  return SERIES_WORK + (labels > MANY_LABELS ? 5 * labels : labels);
}

const MANY_LABELS = 64;

/** Series that are only counted, between two moments to pause. */
const FAULTS_PER_STEP = 65_536;

/** Why labels are refused, by FAULT_…. */
const FAULT_REASONS: Readonly<Record<number, string>> = {
  [FAULT_LABEL_INVALID]: writeErrors.labelInvalid.reason,
  [FAULT_TOO_MANY_NAMES]: writeErrors.maxLabelNamesPerSeries.reason,
  [FAULT_NAME_TOO_LONG]: writeErrors.labelNameTooLong.reason,
  [FAULT_VALUE_TOO_LONG]: writeErrors.labelValueTooLong.reason,
  [FAULT_NO_NAME]: writeErrors.missingMetricName.reason,
};
