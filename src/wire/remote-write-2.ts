import { errors } from '../model/errors.ts';
import { METRIC_NAME } from '../model/labels.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { MessageReader } from './message-reader.ts';
import { WRITE_ITEMS_MAX } from './remote-write-1.ts';
import { readHistogram } from './write-histogram.ts';
import {
  METRIC_TYPES,
  type WriteExemplar,
  type WriteHistogram,
  type WriteRequest,
  WriteSamples,
  type WriteSeries,
} from './write-request.ts';

/** Texts that labels refer to by number. */
interface Symbols {
  readonly texts: readonly string[];
  /** Numbers of those that are not UTF-8. */
  readonly broken: ReadonlySet<number>;
}

/**
 * An `io.prometheus.write.v2.Request`, which is remote write 2.0.
 * @param body inflated
 * @throws AppError write-request-invalid. References to symbols that are not there are a fault of the series that has them
 */
export function decodeRemoteWrite2(body: Uint8Array, itemsMax = WRITE_ITEMS_MAX): WriteRequest {
  return MessageReader.read(body, itemsMax, readRequest, (reason) =>
    errors.writeRequestInvalid({ version: '2.0', reason }),
  );
}

function readRequest(reader: MessageReader, end: number): WriteRequest {
  const texts: string[] = [];
  const broken = new Set<number>();
  const raw: RawSeries[] = [];
  reader.fields(end, (field, wireType) => {
    if (field === 4) {
      const text = reader.strictText(wireType, end);
      if (text === undefined) broken.add(texts.length);
      texts.push(text ?? reader.readText);
    } else if (field === 5) raw.push(readSeries(reader, reader.message(wireType, end)));
    else return false;
    return true;
  });
  // symbols may stand behind the series that refer to them
  const symbols: Symbols = { texts, broken };
  const metadata = new Map<string, MetricMetadata>();
  const series = raw.map((one) => resolveSeries(one, symbols, metadata));
  return { series, metadata: [...metadata.values()] };
}

interface RawExemplar {
  readonly refs: readonly number[];
  readonly value: number;
  readonly timeMs: number;
}

interface RawSeries {
  readonly refs: readonly number[];
  readonly samples: WriteSamples;
  readonly histograms: readonly WriteHistogram[];
  readonly exemplars: readonly RawExemplar[];
  readonly metadata: { readonly type: number; readonly helpRef: number; readonly unitRef: number } | undefined;
}

function resolveSeries(raw: RawSeries, symbols: Symbols, metadata: Map<string, MetricMetadata>): WriteSeries {
  const { pairs, labelsFault } = resolveLabels(raw.refs, symbols);
  const exemplars = raw.exemplars.map(
    ({ refs, value, timeMs }): WriteExemplar => ({ ...resolveLabels(refs, symbols), value, timeMs }),
  );
  if (raw.metadata !== undefined && labelsFault === undefined) {
    const name = pairs.findIndex((text, i) => i % 2 === 0 && text === METRIC_NAME);
    const type = METRIC_TYPES[raw.metadata.type] ?? 'unknown';
    const help = symbols.texts[raw.metadata.helpRef] ?? '';
    const unit = symbols.texts[raw.metadata.unitRef] ?? '';
    const known = type !== 'unknown' || help !== '' || unit !== '';
    if (name >= 0 && known) metadata.set(pairs[name + 1]!, { metric: pairs[name + 1]!, type, help, unit });
  }
  return { pairs, labelsFault, samples: raw.samples, histograms: raw.histograms, exemplars };
}

function resolveLabels(
  refs: readonly number[],
  { texts, broken }: Symbols,
): { pairs: readonly string[]; labelsFault: string | undefined } {
  let labelsFault: string | undefined;
  if (refs.length % 2 !== 0) labelsFault = `${refs.length} references are no pairs`;
  const pairs: string[] = [];
  for (const ref of refs) {
    if (ref >= texts.length) labelsFault ??= `reference to symbol ${ref} of ${texts.length}`;
    else if (broken.has(ref)) labelsFault ??= `${texts[ref]} is not UTF-8`;
    pairs.push(texts[ref] ?? '');
  }
  if (pairs.length % 2 !== 0) pairs.push('');
  return { pairs, labelsFault };
}

function readSeries(reader: MessageReader, end: number): RawSeries {
  const refs: number[] = [];
  let samples = WriteSamples.none;
  const histograms: WriteHistogram[] = [];
  const exemplars: RawExemplar[] = [];
  let metadata: RawSeries['metadata'];
  reader.fields(end, (field, wireType) => {
    switch (field) {
      case 1:
        reader.repeat(wireType, end, 'uint32', refs);
        return true;
      case 2:
        if (samples === WriteSamples.none) samples = new WriteSamples();
        readSample(reader, reader.message(wireType, end), samples);
        return true;
      case 3:
        histograms.push(readHistogram(reader, reader.message(wireType, end)));
        return true;
      case 4:
        exemplars.push(readExemplar(reader, reader.message(wireType, end)));
        return true;
      case 5:
        metadata = readMetadata(reader, reader.message(wireType, end));
        return true;
      default:
        return false;
    }
  });
  return { refs, samples, histograms, exemplars, metadata };
}

function readSample(reader: MessageReader, end: number, out: WriteSamples): void {
  let timeMs = 0;
  let startMs = 0;
  let high = 0;
  let low = 0;
  reader.fields(end, (field, wireType) => {
    if (field === 1) {
      reader.doubleWords(wireType);
      ({ high, low } = reader);
    } else if (field === 2) timeMs = reader.int64(wireType);
    else if (field === 3) startMs = reader.int64(wireType);
    else return false;
    return true;
  });
  out.push(timeMs, high, low, startMs);
}

function readExemplar(reader: MessageReader, end: number): RawExemplar {
  const refs: number[] = [];
  let value = 0;
  let timeMs = 0;
  reader.fields(end, (field, wireType) => {
    if (field === 1) reader.repeat(wireType, end, 'uint32', refs);
    else if (field === 2) value = reader.double(wireType);
    else if (field === 3) timeMs = reader.int64(wireType);
    else return false;
    return true;
  });
  return { refs, value, timeMs };
}

function readMetadata(reader: MessageReader, end: number): NonNullable<RawSeries['metadata']> {
  let type = 0;
  let helpRef = 0;
  let unitRef = 0;
  reader.fields(end, (field, wireType) => {
    if (field === 1) type = reader.uint32(wireType);
    else if (field === 3) helpRef = reader.uint32(wireType);
    else if (field === 4) unitRef = reader.uint32(wireType);
    else return false;
    return true;
  });
  return { type, helpRef, unitRef };
}
