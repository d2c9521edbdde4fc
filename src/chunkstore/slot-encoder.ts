import { COLUMN_VALUES_MAX } from '../chunk/group/column-set.ts';
import { type EncodedGroup, GroupEncoder, type GroupFrame } from '../chunk/group/encode.ts';
import { HISTOGRAM_VALUES_MAX, histogramSize } from '../chunk/group/histogram-block.ts';
import { type GroupSeries, metricOf } from '../chunk/group/series.ts';
import type { Kernel } from '../chunk/kernel.ts';
import { assert } from '../lib/assert.ts';

export interface SlotLimits {
  /** Bytes of a row's value: the header, and where there are no objects the body too. */
  readonly rowBytesMax: number;
  /** Whether bodies always lie in rows. */
  readonly inline: boolean;
  /** A group is closed when its body has so many bytes. */
  readonly groupBytesAimed: number;
}

/** Pieces of one series that are under way at once, each in a group of its own. */
const PIECES_MAX = 4;
// Bytes of a series at most: in a header beside its metric, in a body beside labels and samples, for each sample, for each histogram cell.
const HEADER_BYTES = 160;
const BODY_BYTES = 128;
const SAMPLE_BYTES = 20;
const CELL_BYTES = 10;

/** Encodes the series of a slot as one group, or as more where they do not fit into one. */
export class SlotEncoder {
  readonly #kernel: Kernel;
  /** The first, and one more for each piece of the longest series: two pieces cannot be in one group. */
  readonly #encoders: GroupEncoder[] = [];
  #frame: GroupFrame = { windowStartMs: 0, windowMs: 0, seriesDigests: false };
  #limits: SlotLimits = { rowBytesMax: 0, inline: false, groupBytesAimed: 0 };

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  begin(frame: GroupFrame, limits: SlotLimits): void {
    this.#frame = frame;
    this.#limits = limits;
    for (const encoder of this.#encoders) encoder.begin(frame);
  }

  /** Adds a series, in the order that `GroupEncoder.add` wants. @returns the groups that are full */
  add(series: GroupSeries, parts: string[]): EncodedGroup[] {
    const full: EncodedGroup[] = [];
    const length = pieceOf(series);
    const count = series.times.length;
    if (count <= length) {
      this.#addTo(this.#encoder(0), series, parts, full);
      return full;
    }
    for (let from = 0, piece = 0; from < count; from += length, piece++) {
      const encoder = this.#encoder(Math.min(piece, PIECES_MAX - 1));
      if (piece >= PIECES_MAX && encoder.seriesCount > 0) full.push(this.#finish(encoder));
      this.#addTo(encoder, sliceOf(series, from, Math.min(count, from + length)), parts, full);
    }
    return full;
  }

  /** Groups that are still open, when all series were added. */
  finish(): EncodedGroup[] {
    return this.#encoders.filter(({ seriesCount }) => seriesCount > 0).map((encoder) => this.#finish(encoder));
  }

  #encoder(piece: number): GroupEncoder {
    let encoder = this.#encoders[piece];
    if (encoder === undefined) {
      encoder = new GroupEncoder(this.#kernel);
      encoder.begin(this.#frame);
      this.#encoders.push(encoder);
    }
    return encoder;
  }

  #finish(encoder: GroupEncoder): EncodedGroup {
    const group = encoder.finish();
    encoder.begin(this.#frame);
    return group;
  }

  #addTo(encoder: GroupEncoder, series: GroupSeries, parts: string[], full: EncodedGroup[]): void {
    const { rowBytesMax, groupBytesAimed } = this.#limits;
    const bytes = this.#bytesMost(series, parts);
    if (encoder.seriesCount > 0 && (this.#room(encoder) < bytes || encoder.storedBytes >= groupBytesAimed)) {
      // Open blocks count as they are before compression, so they are compressed before the group is given up on.
      encoder.settle();
      const room = this.#room(encoder);
      if (room < bytes || room < rowBytesMax / 8 || encoder.storedBytes >= groupBytesAimed) {
        full.push(this.#finish(encoder));
      }
    }
    if (encoder.seriesCount === 0 && bytes > this.#room(encoder)) this.#addAlone(encoder, series, parts, full);
    else encoder.add(series, parts);
  }

  /** A series that may be too large for a row even alone: halved until it fits. */
  #addAlone(encoder: GroupEncoder, series: GroupSeries, parts: string[], full: EncodedGroup[]): void {
    encoder.add(series, parts);
    const group = this.#finish(encoder);
    const bytes = group.header.length + (this.#limits.inline ? group.body.length : 0);
    if (bytes <= this.#limits.rowBytesMax) {
      full.push(group);
      return;
    }
    const count = series.times.length;
    assert(count > 1, 'a sample that does not fit into a row');
    this.#addAlone(encoder, sliceOf(series, 0, count >> 1), parts, full);
    this.#addAlone(encoder, sliceOf(series, count >> 1, count), parts, full);
  }

  #room(encoder: GroupEncoder): number {
    const { rowBytesMax, inline } = this.#limits;
    return rowBytesMax - encoder.headerBytesMost - (inline ? encoder.bodyBytesMost : 0);
  }

  /** Bytes that a series adds to its row at most. */
  #bytesMost(series: GroupSeries, parts: readonly string[]): number {
    const header = metricOf(parts).length + HEADER_BYTES;
    if (!this.#limits.inline) return header;
    const cells = series.kinds === undefined ? 0 : histogramSize(series).values;
    return header + BODY_BYTES + series.labels.length + SAMPLE_BYTES * series.times.length + CELL_BYTES * cells;
  }
}

/** Samples of a series that one group takes. */
function pieceOf(series: GroupSeries): number {
  if (series.kinds === undefined) return COLUMN_VALUES_MAX;
  const { values } = histogramSize(series);
  // half of what a block may hold, since a block begun by others may come to have it too
  const parts = Math.ceil(values / (HISTOGRAM_VALUES_MAX / 2));
  return parts < 2 ? COLUMN_VALUES_MAX : Math.min(COLUMN_VALUES_MAX, Math.ceil(series.times.length / (2 * parts)));
}

function sliceOf(series: GroupSeries, from: number, to: number): GroupSeries {
  return {
    labels: series.labels,
    times: series.times.subarray(from, to),
    values: series.values.subarray(from, to),
    kinds: series.kinds?.subarray(from, to),
    starts: series.starts?.subarray(from, to),
    histograms: series.histograms?.slice(from, to),
  };
}
