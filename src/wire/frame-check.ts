import { isUtf8 } from 'node:buffer';
import { ByteReader, BytesError } from '../lib/bytes.ts';
import { isIntegerHistogram } from '../model/histogram-integer.ts';
import { floatHistogramFault, histogramFault } from '../model/histogram-validate.ts';
import { readFrameExemplar } from './frame-exemplars.ts';
import {
  FRAME_ASIDE,
  FRAME_BYTES_AT,
  FRAME_EXEMPLARS,
  FRAME_FLAGS_AT,
  FRAME_HEADER_BYTES,
  FRAME_LABELS_BYTES_AT,
  FRAME_SAMPLES_AT,
  SAMPLE_BYTES,
  SAMPLES_PER_FRAME_MAX,
} from './frame-layout.ts';
import { isRichHistogram, RICH_TIME_MAX_MS, readRichSample } from './rich-samples.ts';

/** Times further from 1970 are no sample's, ms. */
export const TIME_MS_MAX = RICH_TIME_MAX_MS;

/** Labels that a shard's log takes whole (LABELS_BYTES_MAX of contract/ingest.ts), and somewhat more: the shard says itself that they are too long. */
const LABELS_BYTES_MAX = 1024 * 1024;

/**
 * Why frames with labels cannot be handed to a shard, which does not look again; undefined: they can.
 * @param frames, samples how many there should be
 */
export function frameFault(bytes: Uint8Array, frames: number, samples: number): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let foundFrames = 0;
  let foundSamples = 0;
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < FRAME_HEADER_BYTES) return `a frame that ends within its header at ${at}`;
    const length = view.getUint32(at + FRAME_BYTES_AT, true);
    if (length < FRAME_HEADER_BYTES || length % 8 !== 0 || length > bytes.length - at) {
      return `a frame of ${length} bytes at ${at}`;
    }
    const fault = oneFault(bytes.subarray(at, at + length), view, at, length);
    if (fault !== undefined) return `${fault}, in a frame at ${at}`;
    foundFrames++;
    foundSamples += view.getUint32(at + FRAME_SAMPLES_AT, true);
    at += length;
  }
  if (foundFrames !== frames || foundSamples !== samples) return `${foundFrames} frames where ${frames} should be`;
  return undefined;
}

function oneFault(frame: Uint8Array, view: DataView, at: number, length: number): string | undefined {
  const labelsBytes = view.getUint32(at + FRAME_LABELS_BYTES_AT, true);
  const samples = view.getUint32(at + FRAME_SAMPLES_AT, true);
  const flags = view.getUint32(at + FRAME_FLAGS_AT, true);
  if (labelsBytes > LABELS_BYTES_MAX) return `labels of ${labelsBytes} bytes`;
  const samplesAt = (FRAME_HEADER_BYTES + labelsBytes + 7) & ~7;
  if (samplesAt > length) return `labels of ${labelsBytes} bytes`;
  const labels = frame.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + labelsBytes);
  if (!areCanonical(labels)) return 'labels that are not canonical';
  if (samples < 1 || samples > SAMPLES_PER_FRAME_MAX) return `${samples} samples`;
  switch (flags) {
    case 0:
      if (length !== samplesAt + samples * SAMPLE_BYTES) return `${samples} samples in ${length} bytes`;
      for (let sample = at + samplesAt; sample < at + length; sample += SAMPLE_BYTES) {
        const timeMs = view.getInt32(sample + 4, true) * 2 ** 32 + view.getUint32(sample, true);
        if (!isTime(timeMs)) return `a sample at ${timeMs} ms`;
      }
      return undefined;
    case FRAME_ASIDE:
    case FRAME_ASIDE | FRAME_EXEMPLARS:
      return asideFault(frame.subarray(samplesAt), samples, flags !== FRAME_ASIDE);
    default:
      return `flags ${flags}`;
  }
}

function asideFault(payload: Uint8Array, count: number, areExemplars: boolean): string | undefined {
  const from = new ByteReader(payload);
  try {
    for (let i = 0; i < count; i++) {
      const fault = areExemplars ? exemplarFault(from) : richFault(from);
      if (fault !== undefined) return fault;
    }
  } catch (error) {
    if (error instanceof BytesError) return error.message;
    throw error;
  }
  return from.left < 8 ? undefined : `${from.left} bytes too many`;
}

function exemplarFault(from: ByteReader): string | undefined {
  const { timeMs, labels } = readFrameExemplar(from);
  if (!isTime(timeMs)) return `an exemplar at ${timeMs} ms`;
  return areCanonical(labels) ? undefined : "an exemplar's labels that are not canonical";
}

function richFault(from: ByteReader): string | undefined {
  const sample = readRichSample(from);
  if (!isTime(sample.timeMs) || !isTime(sample.startMs))
    return `a sample from ${sample.startMs} to ${sample.timeMs} ms`;
  if (!isRichHistogram(sample) || sample.histogram === undefined) return undefined;
  const { histogram } = sample;
  return (isIntegerHistogram(histogram) ? histogramFault(histogram) : floatHistogramFault(histogram))?.text;
}

function isTime(timeMs: number): boolean {
  return Number.isInteger(timeMs) && timeMs >= -TIME_MS_MAX && timeMs <= TIME_MS_MAX;
}

/** Whether bytes are labels as `model/canonical.ts` has them: names ascending, none twice, no text empty, UTF-8, shortest lengths. */
function areCanonical(bytes: Uint8Array): boolean {
  let at = 0;
  let nameFrom = 0;
  let nameTo = 0;
  for (let text = 0; at < bytes.length; text++) {
    const head = at;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 21) return false;
      length |= (byte & 127) << shift;
      if (byte >= 128) continue;
      // a last byte of nothing: the same length has a shorter form
      if (byte === 0) return false;
      break;
    }
    if (at - head > 1 && length < 128) return false;
    const from = at;
    at += length;
    if (at > bytes.length || !isText(bytes, from, at)) return false;
    if (text % 2 === 1) continue;
    if (nameTo > 0 && Buffer.compare(bytes.subarray(nameFrom, nameTo), bytes.subarray(from, at)) >= 0) return false;
    nameFrom = from;
    nameTo = at;
    if (at === bytes.length) return false; // a name without a value
  }
  return true;
}

function isText(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! >= 128) return isUtf8(bytes.subarray(from, to));
  return true;
}
