import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

// Answers of `/federate` in Prometheus' protocol buffers (io.prometheus.client), to compare them.

/** Numbers of fields: metrics of a family, the histogram of a metric. */
const [METRIC, HISTOGRAM] = [4, 7];
const SIDES = [
  { spans: 9, counts: 11 },
  { spans: 12, counts: 14 },
];

/**
 * Families in a form that is equal where their content is: each field as it stands, buckets of native histograms as those that are
 * not empty. A chunk keeps a histogram in the layout that the others of the chunk want, so that empty buckets tell where chunks
 * begin: which copy of a sample answered, head's or store's, and not what it is.
 */
export function canonicalFamilies(bytes: Uint8Array): string[] {
  const reader = new BinaryReader(bytes);
  const families: string[] = [];
  while (reader.pos < reader.len) {
    families.push(fieldsOf(reader.bytes(), METRIC, (metric) => fieldsOf(metric, HISTOGRAM, histogramOf)));
  }
  return families;
}

/** All fields in their order; `inner` says what stands for those of one number. */
function fieldsOf(bytes: Uint8Array, number: number, inner: (bytes: Uint8Array) => string): string {
  const reader = new BinaryReader(bytes);
  const parts: string[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === number && type === WireType.LengthDelimited) parts.push(`${field}(${inner(reader.bytes())})`);
    else parts.push(`${field}:${Buffer.from(reader.skip(type, field)).toString('hex')}`);
  }
  return parts.join(' ');
}

function histogramOf(bytes: Uint8Array): string {
  const sides = SIDES.map(() => ({ spans: [] as { offset: number; length: number }[], counts: [] as number[] }));
  const reader = new BinaryReader(bytes);
  const parts: string[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const spans = SIDES.findIndex((side) => side.spans === field);
    const counts = SIDES.findIndex((side) => side.counts === field);
    if (spans >= 0) sides[spans]!.spans.push(spanOf(reader.bytes()));
    else if (counts >= 0 && type === WireType.Bit64) sides[counts]!.counts.push(reader.double());
    else parts.push(`${field}:${Buffer.from(reader.skip(type, field)).toString('hex')}`);
  }
  for (const { spans, counts } of sides) parts.push(`[${filledBuckets(spans, counts).join(' ')}]`);
  return parts.join(' ');
}

function spanOf(bytes: Uint8Array): { offset: number; length: number } {
  const reader = new BinaryReader(bytes);
  let [offset, length] = [0, 0];
  while (reader.pos < reader.len) {
    const [field] = reader.tag();
    if (field === 1) offset = reader.sint32();
    else length = reader.uint32();
  }
  return { offset, length };
}

function filledBuckets(spans: readonly { offset: number; length: number }[], counts: readonly number[]): string[] {
  const filled: string[] = [];
  let [index, at] = [0, 0];
  for (const { offset, length } of spans) {
    index += offset;
    for (let i = 0; i < length; i++, index++) {
      const count = counts[at++];
      if (count !== 0) filled.push(`${index}=${count}`);
    }
  }
  if (at !== counts.length) filled.push(`${counts.length} counts for ${at} buckets`);
  return filled;
}
