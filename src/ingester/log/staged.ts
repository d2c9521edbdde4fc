import type { Kernel } from '../../chunk/kernel.ts';
import { LABELS_BYTES_MAX } from '../../contract/ingest.ts';
import { ByteReader, BytesError } from '../../lib/bytes.ts';
import { writeErrors } from '../../model/errors-write.ts';
import { readFrameExemplar } from '../../wire/frame-exemplars.ts';
import {
  FRAME_ASIDE,
  FRAME_BYTES_AT,
  FRAME_EXEMPLARS,
  FRAME_SAMPLES_AT,
  SAMPLE_BYTES,
  SAMPLE_TIME_AT,
} from '../../wire/frame-layout.ts';
import { FrameView } from '../../wire/frames.ts';
import { RECORD_BYTES_AIMED } from '../../wire/record-layout.ts';
import { readRichSample } from '../../wire/rich-samples.ts';
import { checkEntry, ENTRY_BYTES_MAX } from '../head/entry.ts';
import type { WalRecord } from './wal.ts';

// Requests that come while a log is replayed are only written down, in records of bounded size:
//   u32 bytes of the tenant · tenant · 0–3 zero · frames (wire/frame-layout.ts), each whole

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Payloads that hold the frames; each only until the next.
 * @throws seriesLabelsTooLong, sampleTooLarge before the first, where a part can be in no record
 */
export function stagedPayloads(tenantId: string, frames: Uint8Array): Iterable<Uint8Array> {
  const view = new FrameView(frames);
  while (view.next()) {
    if (view.labelsBytes > LABELS_BYTES_MAX) {
      throw writeErrors.seriesLabelsTooLong({ limit: LABELS_BYTES_MAX });
    }
    if (view.has(FRAME_ASIDE) && view.bytes.length > ENTRY_BYTES_MAX) for (const _ of asideEnds(view)) void _;
  }
  return payloads(tenantId, frames);
}

/** Times of all samples in frames, Unix ms. */
export function* sampleTimes(frames: Uint8Array): Generator<number> {
  const view = new FrameView(frames);
  const bytes = new DataView(frames.buffer, frames.byteOffset, frames.length);
  while (view.next()) {
    if (view.has(FRAME_EXEMPLARS)) continue;
    if (view.has(FRAME_ASIDE)) {
      const reader = new ByteReader(frames.subarray(view.samplesAt, view.end));
      for (let i = 0; i < view.samples; i++) yield readRichSample(reader).timeMs;
      continue;
    }
    const end = view.samplesAt + SAMPLE_BYTES * view.samples;
    for (let at = view.samplesAt + SAMPLE_TIME_AT; at < end; at += SAMPLE_BYTES) {
      yield bytes.getInt32(at + 4, true) * 2 ** 32 + bytes.getUint32(at, true);
    }
  }
}

function* payloads(tenantId: string, frames: Uint8Array): Generator<Uint8Array> {
  const id = encoder.encode(tenantId);
  const framesAt = 4 + ((id.length + 3) & ~3);
  const payload = (parts: Uint8Array[]) => {
    const head = new Uint8Array(framesAt);
    new DataView(head.buffer).setUint32(0, id.length, true);
    head.set(id, 4);
    return Buffer.concat([head, ...parts]);
  };
  const view = new FrameView(frames);
  let parts: Uint8Array[] = [];
  let bytes = 0;
  while (view.next()) {
    for (const part of frameParts(view)) {
      if (bytes > 0 && bytes + part.length > RECORD_BYTES_AIMED) {
        yield payload(parts);
        parts = [];
        bytes = 0;
      }
      parts.push(part);
      bytes += part.length;
    }
  }
  if (bytes > 0) yield payload(parts);
}

/** The frame, or where it is large, frames of the same series that hold its samples one after the other. */
function* frameParts(frame: FrameView): Generator<Uint8Array> {
  if (frame.bytes.length <= RECORD_BYTES_AIMED) {
    yield frame.bytes;
    return;
  }
  const headBytes = frame.samplesAt - frame.at;
  const head = frame.bytes.subarray(0, headBytes);
  const samples = frame.bytes.subarray(headBytes);
  let from = 0;
  let count = 0;
  let to = 0;
  for (const end of frame.has(FRAME_ASIDE) ? asideEnds(frame) : plainEnds(frame)) {
    if (count > 0 && end - from > RECORD_BYTES_AIMED) {
      yield part(head, samples.subarray(from, to), count);
      from = to;
      count = 0;
    }
    to = end;
    count++;
  }
  if (count > 0) yield part(head, samples.subarray(from, to), count);
}

function part(head: Uint8Array, samples: Uint8Array, count: number): Uint8Array {
  const bytes = new Uint8Array((head.length + samples.length + 7) & ~7);
  bytes.set(head);
  bytes.set(samples, head.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(FRAME_BYTES_AT, bytes.length, true);
  view.setUint32(FRAME_SAMPLES_AT, count, true);
  return bytes;
}

/** Where each sample of a frame ends, from the first on. */
function* plainEnds({ samples }: FrameView): Generator<number> {
  for (let i = 1; i <= samples; i++) yield SAMPLE_BYTES * i;
}

function* asideEnds(frame: FrameView): Generator<number> {
  const reader = new ByteReader(frame.bytes.subarray(frame.samplesAt - frame.at));
  const readOne = frame.has(FRAME_EXEMPLARS) ? readFrameExemplar : readRichSample;
  for (let i = 0; i < frame.samples; i++) {
    const from = reader.at;
    readOne(reader);
    checkEntry(reader.at - from);
    yield reader.at;
  }
}

export interface StagedFrames {
  readonly tenantId: string;
  /** A copy. */
  readonly frames: Uint8Array;
}

/** The staged frames that a record holds, every length in it checked. @throws BytesError */
export function readStaged(kernel: Kernel, { at, bytes }: WalRecord): StagedFrames {
  const idBytes = bytes < 4 ? bytes : kernel.view.getUint32(at, true);
  const framesAt = 4 + idBytes + 3 - ((idBytes + 3) & 3);
  if (idBytes === 0 || framesAt > bytes) throw new BytesError('a staged request without its tenant');
  if (!kernel.exports.framesAreWhole(at + framesAt, bytes - framesAt))
    throw new BytesError('staged frames that are none');
  let tenantId: string;
  try {
    tenantId = decoder.decode(kernel.u8.subarray(at + 4, at + 4 + idBytes));
  } catch {
    throw new BytesError('a staged request whose tenant is no text');
  }
  return { tenantId, frames: kernel.u8.slice(at + framesAt, at + bytes) };
}
