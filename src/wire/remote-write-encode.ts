import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { METRIC_NAME } from '../model/labels.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { METRIC_TYPES } from '../model/metric-metadata.ts';
import { writeHistogram, writeLabels, writeText, writeTime } from './message-writer.ts';
import type { WriteExemplar, WriteRequest, WriteSamples } from './write-request.ts';

// Encoders of both versions of remote write, not compressed: for tests and tools.

/** A `prometheus.WriteRequest`. Start timestamps have no place in it. */
export function encodeRemoteWrite1({ series, metadata }: WriteRequest): Uint8Array {
  const out = new BinaryWriter();
  for (const { pairs, samples, exemplars, histograms } of series) {
    out.tag(1, WireType.LengthDelimited).fork();
    writeLabels(out, pairs);
    for (let i = 0; i < samples.count; i++) writeSample(out, samples, i, false);
    for (const exemplar of exemplars) {
      out.tag(3, WireType.LengthDelimited).fork();
      writeLabels(out, exemplar.pairs);
      writeExemplarPoint(out, exemplar);
      out.join();
    }
    for (const histogram of histograms) writeHistogram(out, 4, histogram, false);
    out.join();
  }
  for (const { metric, type, help, unit } of metadata) {
    out.tag(3, WireType.LengthDelimited).fork();
    out.tag(1, WireType.Varint).uint32(typeNumber(type));
    writeText(out, 2, metric);
    writeText(out, 4, help);
    writeText(out, 5, unit);
    out.join();
  }
  return out.finish();
}

/** An `io.prometheus.write.v2.Request`. Metadata goes with the first series of its metric; without one it is lost. */
export function encodeRemoteWrite2({ series, metadata }: WriteRequest): Uint8Array {
  const symbols = new SymbolTable();
  const byMetric = new Map(metadata.map((entry) => [entry.metric, entry]));
  const body = new BinaryWriter();
  for (const { pairs, samples, exemplars, histograms } of series) {
    body.tag(5, WireType.LengthDelimited).fork();
    writeRefs(body, pairs, symbols);
    for (let i = 0; i < samples.count; i++) writeSample(body, samples, i, true);
    for (const histogram of histograms) writeHistogram(body, 3, histogram, true);
    for (const exemplar of exemplars) {
      body.tag(4, WireType.LengthDelimited).fork();
      writeRefs(body, exemplar.pairs, symbols);
      writeExemplarPoint(body, exemplar);
      body.join();
    }
    const entry = takeMetadata(pairs, byMetric);
    if (entry !== undefined) {
      body.tag(5, WireType.LengthDelimited).fork();
      body.tag(1, WireType.Varint).uint32(typeNumber(entry.type));
      body.tag(3, WireType.Varint).uint32(symbols.ref(entry.help));
      body.tag(4, WireType.Varint).uint32(symbols.ref(entry.unit));
      body.join();
    }
    body.join();
  }
  const out = new BinaryWriter();
  for (const text of symbols.texts) out.tag(4, WireType.LengthDelimited).string(text);
  return out.raw(body.finish()).finish();
}

/** Texts by number; the first is empty, as the specification has it. */
class SymbolTable {
  readonly texts: string[] = [''];
  readonly #refs = new Map<string, number>([['', 0]]);

  ref(text: string): number {
    let ref = this.#refs.get(text);
    if (ref === undefined) {
      ref = this.texts.length;
      this.texts.push(text);
      this.#refs.set(text, ref);
    }
    return ref;
  }
}

function takeMetadata(pairs: readonly string[], byMetric: Map<string, MetricMetadata>): MetricMetadata | undefined {
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i] !== METRIC_NAME) continue;
    const entry = byMetric.get(pairs[i + 1]!);
    byMetric.delete(pairs[i + 1]!);
    return entry;
  }
  return undefined;
}

function typeNumber(type: string): number {
  return Math.max(0, (METRIC_TYPES as readonly string[]).indexOf(type));
}

function writeRefs(out: BinaryWriter, pairs: readonly string[], symbols: SymbolTable): void {
  if (pairs.length === 0) return;
  out.tag(1, WireType.LengthDelimited).fork();
  for (const text of pairs) out.uint32(symbols.ref(text));
  out.join();
}

function writeSample(out: BinaryWriter, samples: WriteSamples, i: number, withStart: boolean): void {
  out.tag(2, WireType.LengthDelimited).fork();
  out
    .tag(1, WireType.Bit64)
    .fixed32(samples.low(i) >>> 0)
    .fixed32(samples.high(i) >>> 0);
  writeTime(out, 2, samples.times[i]!);
  if (withStart) writeTime(out, 3, samples.starts[i]!);
  out.join();
}

function writeExemplarPoint(out: BinaryWriter, { value, timeMs }: WriteExemplar): void {
  out.tag(2, WireType.Bit64).double(value);
  writeTime(out, 3, timeMs);
}
