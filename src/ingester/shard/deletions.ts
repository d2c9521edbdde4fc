import { DELETED, DELETIONS_MAX, type KnownDeletion } from '../../contract/ingest.ts';
import { ByteReader } from '../../lib/bytes.ts';
import { decodeLabels } from '../../model/canonical.ts';
import { writeErrors } from '../../model/errors-write.ts';
import type { Labels } from '../../model/labels.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import {
  FRAME_ASIDE,
  FRAME_EXEMPLARS,
  FRAME_KEY,
  FRAME_SAMPLES_AT,
  SAMPLE_BYTES,
  SAMPLE_TIME_AT,
} from '../../wire/frame-layout.ts';
import type { FrameRefusal } from '../../wire/frame-refusals.ts';
import { FrameView } from '../../wire/frames.ts';
import { isRichHistogram, readRichSample } from '../../wire/rich-samples.ts';
import { compiledMatcher } from '../head/head-matching.ts';
import type { HeadRefusal } from '../head/intake.ts';

/** Samples that were refused since a delete request covers them. */
export interface DeletedSamples {
  readonly samples: number;
  readonly histograms: number;
  /** One a frame. */
  readonly refusals: readonly FrameRefusal[];
  readonly first: HeadRefusal | undefined;
  /** Where frames begin that are to come with labels: nobody can tell by a key whether a request covers them. */
  readonly unknown: readonly number[];
}

interface Deletion extends Omit<KnownDeletion, 'matchers'> {
  readonly matchers: readonly LabelMatcher[];
}

/** Delete requests that are kept, by tenant, and what of a write they cover. */
export class Deletions {
  readonly #tenants = new Map<string, readonly Deletion[]>();

  /**
   * Takes the place of those known of a tenant.
   * @throws tooManyDeletions, RegexSyntaxError
   */
  set(tenant: string, deletions: readonly KnownDeletion[]): void {
    if (deletions.length > DELETIONS_MAX) {
      throw writeErrors.tooManyDeletions({ count: deletions.length, limit: DELETIONS_MAX });
    }
    if (deletions.length === 0) this.#tenants.delete(tenant);
    else {
      const compiled = deletions.map((each) => ({
        ...each,
        matchers: each.matchers.map(compiledMatcher),
      }));
      this.#tenants.set(tenant, compiled);
    }
  }

  /** Lets go of tenants of which everything may come again: nobody else may ask for them. */
  forgetOld(nowMs: number): void {
    for (const [tenant, all] of this.#tenants) {
      if (all.every(({ untilMs }) => untilMs <= nowMs)) this.#tenants.delete(tenant);
    }
  }

  /**
   * Takes out of frames the samples that a request covers; the frames stay where they are.
   * @returns undefined: nothing was
   */
  takeOut(tenant: string, frames: Uint8Array, nowMs: number): DeletedSamples | undefined {
    const all = this.#tenants.get(tenant);
    const kept = all?.filter(({ untilMs }) => untilMs > nowMs) ?? [];
    if (kept.length === 0) return undefined;
    const isTouched = framesTouch(frames, kept);
    if (isTouched === undefined) return undefined;
    return takeOut(frames, kept, isTouched);
  }
}

/** Whether a frame has samples in the range of a request; and if so, whether one of them names its series by a key. */
function framesTouch(frames: Uint8Array, deletions: readonly Deletion[]): { readonly byKey: boolean } | undefined {
  const startMs = Math.min(...deletions.map((each) => each.startMs));
  const endMs = Math.max(...deletions.map((each) => each.endMs));
  let touched = false;
  let byKey = false;
  for (const frame = new FrameView(frames); frame.next(); ) {
    for (const { timeMs } of samplesOf(frame)) {
      if (timeMs < startMs || timeMs > endMs) continue;
      touched = true;
      byKey ||= frame.has(FRAME_KEY);
      break;
    }
  }
  return touched ? { byKey } : undefined;
}

function takeOut(
  frames: Uint8Array,
  deletions: readonly Deletion[],
  { byKey }: { readonly byKey: boolean },
): DeletedSamples {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.length);
  const unknown: number[] = [];
  const refusals: FrameRefusal[] = [];
  let first: HeadRefusal | undefined;
  let number = -1;
  for (const frame = new FrameView(frames); frame.next(); ) {
    number++;
    if (frame.has(FRAME_KEY)) {
      if (!byKey) continue;
      // all of them: what comes again must not come behind newer samples of its series
      unknown.push(frame.at);
      view.setUint32(frame.at + FRAME_SAMPLES_AT, 0, true);
      continue;
    }
    let labels: Labels | undefined;
    let refused: FrameRefusal | undefined;
    let count = 0;
    let to = frame.samplesAt;
    for (const { timeMs, at, bytes, isHistogram } of samplesOf(frame)) {
      const inRange = deletions.filter(({ startMs, endMs }) => timeMs >= startMs && timeMs <= endMs);
      labels ??= inRange.length > 0 ? decodeLabels(frame.labels, 0, frame.labelsBytes) : undefined;
      const covering = inRange.filter(({ matchers }) => matchers.every((each) => each.matches(labels!.get(each.name))));
      if (covering.length === 0) {
        if (to < at) frames.copyWithin(to, at, at + bytes);
        to += bytes;
        count++;
        continue;
      }
      const newestMs = Math.max(...covering.map(({ untilMs }) => untilMs));
      first ??= { answer: DELETED, series: undefined, labels: labels!, timeMs, newestMs };
      refused = {
        ...(refused ?? { frame: number, reason: DELETED, timeMs, newestMs }),
        samples: (refused?.samples ?? 0) + 1,
        histograms: (refused?.histograms ?? 0) + (isHistogram ? 1 : 0),
      };
    }
    if (refused === undefined) continue;
    refusals.push(refused);
    view.setUint32(frame.at + FRAME_SAMPLES_AT, count, true);
  }
  const sum = (of: (refusal: FrameRefusal) => number) => refusals.reduce((total, each) => total + of(each), 0);
  return { samples: sum((each) => each.samples), histograms: sum((each) => each.histograms), refusals, first, unknown };
}

interface FrameSample {
  readonly timeMs: number;
  readonly at: number;
  readonly bytes: number;
  readonly isHistogram: boolean;
}

/** Samples of a frame; of exemplars none. */
function* samplesOf(frame: FrameView): Generator<FrameSample> {
  if (frame.has(FRAME_EXEMPLARS)) return;
  const { samples, samplesAt, all } = frame;
  if (frame.has(FRAME_ASIDE)) {
    // a copy of the bytes that are read: what is taken out moves the others forward
    const reader = new ByteReader(all.slice(samplesAt, frame.end));
    for (let i = 0; i < samples; i++) {
      const from = reader.at;
      const sample = readRichSample(reader);
      const bytes = reader.at - from;
      yield { timeMs: sample.timeMs, at: samplesAt + from, bytes, isHistogram: isRichHistogram(sample) };
    }
    return;
  }
  const view = new DataView(all.buffer, all.byteOffset, all.length);
  for (let i = 0, at = samplesAt; i < samples; i++, at += SAMPLE_BYTES) {
    const timeMs = view.getInt32(at + SAMPLE_TIME_AT + 4, true) * 2 ** 32 + view.getUint32(at + SAMPLE_TIME_AT, true);
    yield { timeMs, at, bytes: SAMPLE_BYTES, isHistogram: false };
  }
}
