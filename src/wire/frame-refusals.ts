import {
  REFUSAL_BYTES,
  REFUSAL_FRAME_AT,
  REFUSAL_HISTOGRAMS_AT,
  REFUSAL_NEWEST_AT,
  REFUSAL_REASON_AT,
  REFUSAL_SAMPLES_AT,
  REFUSAL_TIME_AT,
} from './frame-layout.ts';

/** A frame of which something was refused. */
export interface FrameRefusal {
  /** Number of the frame in its request, from 0 on. */
  readonly frame: number;
  /** Why its first refused sample was: an answer, or REFUSAL_SERIES + why the series was. */
  readonly reason: number;
  /** Samples refused, histograms among them. */
  readonly samples: number;
  readonly histograms: number;
  /** Time of the first, Unix ms. */
  readonly timeMs: number;
  /** The newest sample of the series, Unix ms; for what a delete request covers, when it may come again. */
  readonly newestMs: number;
}

/** Refusals as they travel (docs/formats/slices.md); the kernel writes the same. In no particular order, a frame at most once. */
export function encodeRefusals(refusals: readonly FrameRefusal[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(refusals.length * REFUSAL_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, each] of refusals.entries()) {
    const at = i * REFUSAL_BYTES;
    view.setUint32(at + REFUSAL_FRAME_AT, each.frame, true);
    view.setUint32(at + REFUSAL_REASON_AT, each.reason, true);
    view.setUint32(at + REFUSAL_SAMPLES_AT, each.samples, true);
    view.setUint32(at + REFUSAL_HISTOGRAMS_AT, each.histograms, true);
    view.setFloat64(at + REFUSAL_TIME_AT, each.timeMs, true);
    view.setFloat64(at + REFUSAL_NEWEST_AT, each.newestMs, true);
  }
  return bytes;
}

export function decodeRefusals(bytes: Uint8Array): FrameRefusal[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: Math.floor(bytes.length / REFUSAL_BYTES) }, (_, i) => {
    const at = i * REFUSAL_BYTES;
    return {
      frame: view.getUint32(at + REFUSAL_FRAME_AT, true),
      reason: view.getUint32(at + REFUSAL_REASON_AT, true),
      samples: view.getUint32(at + REFUSAL_SAMPLES_AT, true),
      histograms: view.getUint32(at + REFUSAL_HISTOGRAMS_AT, true),
      timeMs: view.getFloat64(at + REFUSAL_TIME_AT, true),
      newestMs: view.getFloat64(at + REFUSAL_NEWEST_AT, true),
    };
  });
}
