import { assert } from '../../lib/assert.ts';
import type { FloatHistogram } from '../../model/histogram.ts';
import { METRIC_NAME } from '../../model/labels.ts';

/** Samples of one series in one window, as they go into a group. */
export interface GroupSeries {
  /** uvarint name length, name, uvarint value length, value, … ascending by name, no empty value. */
  readonly labels: Uint8Array;
  /** `labelParts` of them, where they are known. */
  readonly parts?: string[];
  /** Ascending, whole milliseconds. Series that share an array are cheaper than series whose arrays are equal. */
  readonly times: Float64Array;
  /** Taken as bits; of what is no FLOAT the value does not count. */
  readonly values: Float64Array;
  /** FLOAT, STALE, HISTOGRAM or STALE_HISTOGRAM of each; absent: all are floats, stale markers by their bits. */
  readonly kinds?: Uint8Array;
  /** Start timestamps in ms, 0 where unknown. */
  readonly starts?: Float64Array;
  readonly histograms?: readonly (FloatHistogram | undefined)[];
}

/** Flags of a series and window. */
export const FLAG_MONOTONE = 1;
/** A NaN is there: a stale marker or another. */
export const FLAG_SPECIAL = 2;
export const FLAG_HISTOGRAMS = 4;
export const FLAG_STARTS = 8;
export const FLAGS_KNOWN = 15;

/** The labels of a series as parts; each part a string of one character a byte. */
export function labelParts(labels: Uint8Array): string[] {
  const bytes = Buffer.from(labels.buffer, labels.byteOffset, labels.length);
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    let length = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      assert(byte !== undefined, 'label bytes that end early');
      length += (byte & 127) * scale;
      if (byte < 128) break;
    }
    assert(length <= bytes.length - at, 'label bytes that end early');
    parts.push(bytes.toString('latin1', at, at + length));
    at += length;
  }
  assert(parts.length % 2 === 0, 'a label without a value');
  for (let i = 0; i < parts.length; i += 2) {
    assert(i === 0 || parts[i - 2]! < parts[i]!, 'label names that do not ascend');
    assert(parts[i] !== '' && parts[i + 1] !== '', 'an empty label');
  }
  return parts;
}

/** The metric name among label parts, `''` where there is none. */
export function metricOf(parts: readonly string[]): string {
  for (let i = 0; i < parts.length; i += 2) if (parts[i] === METRIC_NAME) return parts[i + 1]!;
  return '';
}
