import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { formatG } from '../../lib/go-float.ts';
import { type FloatHistogram, type Span, usesCustomBuckets } from '../../model/histogram.ts';
import { type Labels, METRIC_NAME } from '../../model/labels.ts';
import { escapeName, isLegacyName, type NameEscaping } from './escape-name.ts';

/** The newest sample of a series. */
export interface ExposedSample {
  readonly labels: Labels;
  /** Unix ms. */
  readonly timeMs: number;
  /** Where `histogram` is absent. */
  readonly value: number;
  readonly histogram: FloatHistogram | undefined;
}

export type ExpositionFormat = 'protobuf' | 'text';

/** `io.prometheus.client.MetricType` */
const TYPES = { untyped: 3, histogram: 4, gaugehistogram: 5 } as const;
type FamilyType = keyof typeof TYPES;

/**
 * Samples as families of metrics, as Prometheus federates them; pieces come between samples, so that who writes them can pause. Text
 * has no place for native histograms, but for those with bounds of their own, which are told as classic ones.
 *
 * @param samples by name; of one name floats and histograms, counters and gauges may follow each other: each is a family then
 */
export function* exposeFamilies(
  samples: Iterable<ExposedSample>,
  format: ExpositionFormat,
  escaping: NameEscaping,
): Generator<Uint8Array | undefined> {
  let family: ProtobufFamily | TextFamily | undefined;
  let key = '';
  for (const sample of samples) {
    const { labels, histogram } = sample;
    if (labels.metricName === '') continue;
    if (format === 'text' && histogram !== undefined && !usesCustomBuckets(histogram)) continue;
    const type = typeOf(histogram);
    const own = `${type} ${labels.metricName}`;
    if (family === undefined || own !== key) {
      if (family !== undefined) yield family.finish();
      key = own;
      const name = escapeName(labels.metricName, escaping);
      family = format === 'protobuf' ? new ProtobufFamily(name, type, escaping) : new TextFamily(name, type, escaping);
    }
    family.add(sample);
    yield family.piece();
  }
  if (family !== undefined) yield family.finish();
}

function typeOf(histogram: FloatHistogram | undefined): FamilyType {
  if (histogram === undefined) return 'untyped';
  return histogram.resetHint === 'gauge' ? 'gaugehistogram' : 'histogram';
}

/** All labels but the name, and an empty instance: without one of its own a series would get the scraping server's idea of it. */
function* exposedLabels(labels: Labels, escaping: NameEscaping): Generator<[name: string, value: string]> {
  for (const [name, value] of labels) if (name !== METRIC_NAME) yield [escapeName(name, escaping), value];
  if (!labels.has('instance')) yield ['instance', ''];
}

/** Bounds of a histogram of custom buckets, and what is at or below each. */
function cumulativeBuckets({
  customValues,
  positiveSpans,
  positiveBuckets,
}: FloatHistogram): [bound: number, count: number][] {
  const counts = new Float64Array(customValues.length + 1);
  let bucket = 0;
  let next = 0;
  for (const { offset, length } of positiveSpans) {
    bucket += offset;
    for (let i = 0; i < length; i++) counts[bucket++] = positiveBuckets[next++]!;
  }
  let sum = 0;
  return customValues.map((bound, i) => {
    sum += counts[i]!;
    return [bound, sum];
  });
}

/** A `MetricFamily` message behind its length. */
class ProtobufFamily {
  readonly #out = new BinaryWriter();
  readonly #escaping: NameEscaping;

  constructor(name: string, type: FamilyType, escaping: NameEscaping) {
    this.#escaping = escaping;
    this.#out.tag(1, WireType.LengthDelimited).string(name).tag(3, WireType.Varint).uint32(TYPES[type]);
  }

  add({ labels, timeMs, value, histogram }: ExposedSample): void {
    const out = this.#out;
    out.tag(4, WireType.LengthDelimited).fork();
    for (const [name, is] of exposedLabels(labels, this.#escaping)) {
      out.tag(1, WireType.LengthDelimited).fork();
      out.tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.LengthDelimited).string(is).join();
    }
    if (histogram === undefined) {
      out.tag(5, WireType.LengthDelimited).fork().tag(1, WireType.Bit64).double(value).join();
    }
    out.tag(6, WireType.Varint).int64(BigInt(timeMs));
    if (histogram !== undefined) {
      out.tag(7, WireType.LengthDelimited).fork();
      if (usesCustomBuckets(histogram)) this.#classic(histogram);
      else this.#native(histogram);
      out.join();
    }
    out.join();
  }

  #classic(histogram: FloatHistogram): void {
    const out = this.#out;
    out.tag(2, WireType.Bit64).double(histogram.sum);
    for (const [bound, count] of cumulativeBuckets(histogram)) {
      out.tag(3, WireType.LengthDelimited).fork();
      out.tag(2, WireType.Bit64).double(bound).tag(4, WireType.Bit64).double(count).join();
    }
    out.tag(4, WireType.Bit64).double(histogram.count);
  }

  #native(histogram: FloatHistogram): void {
    const out = this.#out;
    out.tag(2, WireType.Bit64).double(histogram.sum);
    out.tag(4, WireType.Bit64).double(histogram.count);
    out.tag(5, WireType.Varint).sint32(histogram.schema);
    out.tag(6, WireType.Bit64).double(histogram.zeroThreshold);
    out.tag(8, WireType.Bit64).double(histogram.zeroCount);
    this.#side(9, histogram.negativeSpans, 11, histogram.negativeBuckets);
    this.#side(12, histogram.positiveSpans, 14, histogram.positiveBuckets);
  }

  #side(spanField: number, spans: readonly Span[], countField: number, counts: readonly number[]): void {
    const out = this.#out;
    for (const { offset, length } of spans) {
      out.tag(spanField, WireType.LengthDelimited).fork();
      out.tag(1, WireType.Varint).sint32(offset).tag(2, WireType.Varint).uint32(length).join();
    }
    for (const count of counts) out.tag(countField, WireType.Bit64).double(count);
  }

  /** The length stands in front of the whole. */
  piece(): undefined {
    return undefined;
  }

  finish(): Uint8Array {
    return new BinaryWriter().bytes(this.#out.finish()).finish();
  }
}

/** Text is handed over in pieces of about this length. */
const PIECE_CHARS = 64 * 1024;

class TextFamily {
  readonly #name: string;
  readonly #escaping: NameEscaping;
  readonly #encoder = new TextEncoder();
  #text: string;

  constructor(name: string, type: FamilyType, escaping: NameEscaping) {
    this.#name = name;
    this.#escaping = escaping;
    // text knows of no histograms that are gauges
    this.#text = `# TYPE ${quotedName(name)} ${type === 'untyped' ? type : 'histogram'}\n`;
  }

  add({ labels, timeMs, value, histogram }: ExposedSample): void {
    const pairs = [...exposedLabels(labels, this.#escaping)].map(
      ([name, is]) => `${quotedName(name)}="${escapedValue(is)}"`,
    );
    if (histogram === undefined) {
      this.#line('', pairs, value, timeMs);
      return;
    }
    for (const [bound, count] of [...cumulativeBuckets(histogram), [Infinity, histogram.count] as const]) {
      this.#line('_bucket', [...pairs, `le="${formatG(bound)}"`], count, timeMs);
    }
    this.#line('_sum', pairs, histogram.sum, timeMs);
    this.#line('_count', pairs, histogram.count, timeMs);
  }

  #line(suffix: string, pairs: readonly string[], value: number, timeMs: number): void {
    const name = this.#name + suffix;
    const series = isLegacyName(name) ? `${name}{${pairs.join(',')}}` : `{${[quotedName(name), ...pairs].join(',')}}`;
    this.#text += `${series} ${formatG(value)} ${timeMs}\n`;
  }

  piece(): Uint8Array | undefined {
    return this.#text.length < PIECE_CHARS ? undefined : this.finish();
  }

  finish(): Uint8Array {
    const bytes = this.#encoder.encode(this.#text);
    this.#text = '';
    return bytes;
  }
}

function quotedName(name: string): string {
  return isLegacyName(name) ? name : `"${escapedValue(name)}"`;
}

function escapedValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
