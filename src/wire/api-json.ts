import { type FloatHistogram, usesCustomBuckets } from '../model/histogram.ts';
import { bucketBound } from '../model/histogram-bounds.ts';
import { ReverseSideCursor, SideCursor } from '../model/histogram-side.ts';
import type { Labels } from '../model/labels.ts';
import { writePointTexts } from './point-texts.ts';
import { formatTimestamp } from './timestamp-text.ts';

/** Text gathered before it is encoded: long enough that the encoder's overhead vanishes, short enough to stay in the cache. */
const PENDING_CHARS_MAX = 32 * 1024;
/** UTF-8 needs at most so many bytes for a UTF-16 unit. */
const BYTES_PER_CHAR_MAX = 3;
/** From so many points of a series on the kernel writes them. */
const POINTS_MANY = 8;

/**
 * Writes answers of the Prometheus API: JSON with numbers as Prometheus prints them. The caller sees to the brackets.
 * Source: Prometheus `util/jsonutil/marshal.go`.
 */
export class ApiJsonWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;
  /** Bytes that were taken. */
  #taken = 0;
  #pending = '';
  readonly #encoder = new TextEncoder();
  readonly #onGrow: (bytes: number) => void;
  readonly #onHold: (bytes: number) => void;

  /**
   * @param onGrow told the bytes written so far whenever they grow by a good deal; may throw to end an answer that is too long
   * @param onHold told of memory before it is taken, and negative when it is let go; may throw
   */
  constructor(
    onGrow: (bytes: number) => void = () => {},
    capacity = 16 * 1024,
    onHold: (bytes: number) => void = () => {},
  ) {
    this.#bytes = new Uint8Array(capacity);
    this.#onGrow = onGrow;
    this.#onHold = onHold;
    onHold(capacity);
  }

  raw(text: string): void {
    this.#pending += text;
    if (this.#pending.length > PENDING_CHARS_MAX) this.#flush();
  }

  string(text: string): void {
    this.raw(quoted(text));
  }

  json(value: unknown): void {
    this.raw(JSON.stringify(value, wellFormed));
  }

  labels({ pairs }: Pick<Labels, 'pairs'>): void {
    let text = '{';
    for (let i = 0; i < pairs.length; i += 2) {
      text += `${i === 0 ? '' : ','}${quoted(pairs[i]!)}:${quoted(pairs[i + 1]!)}`;
    }
    this.raw(`${text}}`);
  }

  /** `[1767225600.123,"4"]` */
  point(timeMs: number, value: number): void {
    this.raw(`[${formatTimestamp(timeMs)},"${formatApiValue(value)}"]`);
  }

  /** The points of a series, without those that `skip` names, separated by commas. */
  points(times: Float64Array, values: Float64Array, skip?: (i: number) => boolean): void {
    if (skip === undefined && values.length >= POINTS_MANY) {
      this.#flush();
      writePointTexts(times, values, (bytes) => this.#append(bytes));
      return;
    }
    let separator = '';
    for (let i = 0; i < values.length; i++) {
      if (skip?.(i)) continue;
      this.raw(separator);
      this.point(times[i]!, values[i]!);
      separator = ',';
    }
  }

  /** `{"count":"3","sum":"4","buckets":[[0,"0.5","1","1"]]}`; empty buckets are left out. */
  histogram(histogram: FloatHistogram): void {
    this.raw(`{"count":"${formatApiValue(histogram.count)}","sum":"${formatApiValue(histogram.sum)}"`);
    const buckets = bucketTexts(histogram);
    if (buckets.length > 0) this.raw(`,"buckets":[${buckets.join(',')}]`);
    this.raw('}');
  }

  /** Bytes written and not taken, without what is about to be encoded. */
  get length(): number {
    return this.#length;
  }

  /** All that was written since it was last taken: a copy of its own. */
  take(): Uint8Array<ArrayBuffer> {
    this.#flush();
    const part = this.#bytes.slice(0, this.#length);
    this.#taken += this.#length;
    this.#length = 0;
    return part;
  }

  /** All that was written and not taken, alone in its buffer. The writer is of no further use. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#flush();
    return new Uint8Array(this.#bytes.buffer.transfer(this.#length));
  }

  #flush(): void {
    this.#reserve(this.#pending.length * BYTES_PER_CHAR_MAX);
    this.#length += this.#encoder.encodeInto(this.#pending, this.#bytes.subarray(this.#length)).written;
    this.#pending = '';
    this.#onGrow(this.#taken + this.#length);
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    this.#onGrow(this.#taken + this.#length);
  }

  #reserve(most: number): void {
    if (this.#length + most <= this.#bytes.length) return;
    const capacity = Math.max(this.#length + most, this.#bytes.length * 2);
    this.#onHold(capacity);
    const before = this.#bytes.length;
    // the memory of before is freed here: left to V8 it counts as the heap's, which is collected for it again and again
    this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(capacity));
    this.#onHold(-before);
  }
}

/** A JSON string. Bytes that are no UTF-8, which queries may write as `"\xff"`, become U+FFFD each, as Go's encoder has it. */
function quoted(text: string): string {
  return JSON.stringify(text.toWellFormed());
}

function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed() : value;
}

/** The fewest digits that read back as the same number; an exponent below 1e-06 and from 1e+21 on, of two digits at least. */
export function formatApiValue(value: number): string {
  const text = String(value);
  // JavaScript and Prometheus agree on when an exponent is due, but for its width
  if (Number.isFinite(value)) {
    if (value === 0) return Object.is(value, -0) ? '-0' : '0';
    if (Math.abs(value) >= 1e-6 && Math.abs(value) < 1e21) return text;
    return text.replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

/** Which ends belong to a bucket: 0 the upper, 1 the lower, 2 none, 3 both. */
function bucketText(
  lower: number,
  lowerIncluded: boolean,
  upper: number,
  upperIncluded: boolean,
  count: number,
): string {
  const boundaries = lowerIncluded ? (upperIncluded ? 3 : 1) : upperIncluded ? 0 : 2;
  return `[${boundaries},"${formatApiValue(lower)}","${formatApiValue(upper)}","${formatApiValue(count)}"]`;
}

/** From the most negative to the most positive; the zero bucket cuts off what lies within it. */
function bucketTexts(histogram: FloatHistogram): string[] {
  const { schema, customValues, zeroThreshold, zeroCount } = histogram;
  const custom = usesCustomBuckets(histogram);
  const bound = (index: number) => bucketBound(index, schema, customValues);
  const texts: string[] = [];
  const add = (index: number, lower: number, upper: number, count: number) => {
    if (count === 0) return;
    if (custom) texts.push(bucketText(lower, index === 0, upper, true, count));
    else texts.push(bucketText(lower, lower < 0, upper, upper > 0, count));
  };
  const negative = new ReverseSideCursor(histogram.negativeSpans, histogram.negativeBuckets);
  while (negative.next()) {
    const { index, count } = negative;
    add(index, -bound(index), Math.min(-bound(index - 1), -zeroThreshold), count);
  }
  if (zeroCount > 0) texts.push(bucketText(-zeroThreshold, true, zeroThreshold, true, zeroCount));
  const positive = new SideCursor(histogram.positiveSpans, histogram.positiveBuckets);
  while (positive.next()) {
    const { index, count } = positive;
    add(index, custom ? bound(index - 1) : Math.max(bound(index - 1), zeroThreshold), bound(index), count);
  }
  return texts;
}
