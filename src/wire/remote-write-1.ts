import type { WireType } from '@bufbuild/protobuf/wire';
import { errors } from '../model/errors.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { MessageReader } from './message-reader.ts';
import { readHistogram } from './write-histogram.ts';
import {
  METRIC_TYPES,
  type WriteExemplar,
  type WriteHistogram,
  type WriteRequest,
  WriteSamples,
  type WriteSeries,
} from './write-request.ts';

/** Series, samples, labels and so on that a request may hold: each is at least two bytes of a body, but ten times more as objects. */
export const WRITE_ITEMS_MAX = 5_000_000;

/**
 * A `prometheus.WriteRequest`, which is remote write 1.0.
 * @param body inflated
 * @throws AppError write-request-invalid
 */
export function decodeRemoteWrite1(body: Uint8Array, itemsMax = WRITE_ITEMS_MAX): WriteRequest {
  return MessageReader.read(body, itemsMax, readRequest, (reason) =>
    errors.writeRequestInvalid({ version: '1.0', reason }),
  );
}

function readRequest(reader: MessageReader, end: number): WriteRequest {
  const series: WriteSeries[] = [];
  const metadata: MetricMetadata[] = [];
  reader.fields(end, (field, wireType) => {
    if (field === 1) series.push(readSeries(reader, reader.message(wireType, end)));
    else if (field === 3) metadata.push(readMetadata(reader, reader.message(wireType, end)));
    else return false;
    return true;
  });
  return { series, metadata };
}

function readSeries(reader: MessageReader, end: number): WriteSeries {
  const pairs: string[] = [];
  let labelsFault: string | undefined;
  let samples = WriteSamples.none;
  let histograms: WriteHistogram[] = NO_HISTOGRAMS;
  let exemplars: WriteExemplar[] = NO_EXEMPLARS;
  reader.fields(end, (field, wireType) => {
    switch (field) {
      case 1:
        labelsFault = readLabel(reader, wireType, end, pairs) ?? labelsFault;
        return true;
      case 2:
        if (samples === WriteSamples.none) samples = new WriteSamples();
        readSample(reader, reader.message(wireType, end), samples);
        return true;
      case 3:
        if (exemplars === NO_EXEMPLARS) exemplars = [];
        exemplars.push(readExemplar(reader, reader.message(wireType, end)));
        return true;
      case 4:
        if (histograms === NO_HISTOGRAMS) histograms = [];
        histograms.push(readHistogram(reader, reader.message(wireType, end)));
        return true;
      default:
        return false;
    }
  });
  return { pairs, labelsFault, samples, histograms, exemplars };
}

const NO_HISTOGRAMS: WriteHistogram[] = [];
const NO_EXEMPLARS: WriteExemplar[] = [];

/** Appends name and value. @returns what is wrong with them, if anything */
function readLabel(reader: MessageReader, wireType: WireType, end: number, pairs: string[]): string | undefined {
  let name = '';
  let value = '';
  let fault: string | undefined;
  const inner = reader.message(wireType, end);
  reader.fields(inner, (field, fieldType) => {
    if (field !== 1 && field !== 2) return false;
    let text = reader.strictText(fieldType, inner);
    if (text === undefined) {
      text = reader.readText;
      fault = field === 1 ? `the name ${text} is not UTF-8` : `the value ${text} is not UTF-8`;
    }
    if (field === 1) name = text;
    else value = text;
    return true;
  });
  pairs.push(name, value);
  return fault;
}

function readSample(reader: MessageReader, end: number, out: WriteSamples): void {
  let timeMs = 0;
  let high = 0;
  let low = 0;
  reader.fields(end, (field, wireType) => {
    if (field === 1) {
      reader.doubleWords(wireType);
      ({ high, low } = reader);
    } else if (field === 2) timeMs = reader.int64(wireType);
    else return false;
    return true;
  });
  out.push(timeMs, high, low, 0);
}

function readExemplar(reader: MessageReader, end: number): WriteExemplar {
  const pairs: string[] = [];
  let labelsFault: string | undefined;
  let value = 0;
  let timeMs = 0;
  reader.fields(end, (field, wireType) => {
    if (field === 1) labelsFault = readLabel(reader, wireType, end, pairs) ?? labelsFault;
    else if (field === 2) value = reader.double(wireType);
    else if (field === 3) timeMs = reader.int64(wireType);
    else return false;
    return true;
  });
  return { pairs, labelsFault, value, timeMs };
}

function readMetadata(reader: MessageReader, end: number): MetricMetadata {
  let type = 0;
  let metric = '';
  let help = '';
  let unit = '';
  reader.fields(end, (field, wireType) => {
    if (field === 1) type = reader.uint32(wireType);
    else if (field === 2) metric = reader.text(wireType, end);
    else if (field === 4) help = reader.text(wireType, end);
    else if (field === 5) unit = reader.text(wireType, end);
    else return false;
    return true;
  });
  return { metric, type: METRIC_TYPES[type] ?? 'unknown', help, unit };
}
