import type { WireType } from '@bufbuild/protobuf/wire';
import type { AppError } from '../model/errors.ts';
import { writeErrors } from '../model/errors-write.ts';
import { METRIC_TYPES, type MetricMetadata } from '../model/metric-metadata.ts';
import { passed } from './message-parts.ts';
import { MessageReader } from './message-reader.ts';
import { readHistogram } from './write-histogram.ts';
import {
  BYTES_PER_STEP,
  FAULT_TEXT_MAX,
  FIELDS_PER_STEP,
  LABELS_PER_SERIES_MAX,
  METADATA_PER_REQUEST_MAX,
  type ReadSeries,
  readAll,
  readSample,
  WEIGHT,
  type WriteExemplar,
  type WriteHistogram,
  type WriteParts,
  type WriteReader,
  type WriteRequest,
  WriteSamples,
} from './write-request.ts';

/** Series, samples, labels and so on that a request may hold: each is at least two bytes of a body, but ten times more as objects. */
export const WRITE_ITEMS_MAX = 5_000_000;

/**
 * A `prometheus.WriteRequest`, which is remote write 1.0.
 * @param body inflated
 * @throws AppError write-request-invalid, write-items-too-many
 */
export function decodeRemoteWrite1(body: Uint8Array, itemsMax = WRITE_ITEMS_MAX): WriteRequest {
  return readAll(new RemoteWrite1Reader(body, itemsMax));
}

function fault(reason: string): AppError {
  return writeErrors.writeRequestInvalid({ version: '1.0', reason });
}

/** Reads a `prometheus.WriteRequest` series by series. */
export class RemoteWrite1Reader implements WriteReader {
  readonly #reader: MessageReader;
  readonly #end: number;
  readonly metadata: MetricMetadata[] = [];

  /** @param body inflated */
  constructor(body: Uint8Array, itemsMax = WRITE_ITEMS_MAX) {
    this.#reader = new MessageReader(body, itemsMax, fault);
    this.#end = body.length;
  }

  *series(): Generator<ReadSeries | undefined, void> {
    const reader = this.#reader;
    for (let one = reader.named(() => this.#next()); one !== undefined; one = reader.named(() => this.#next()))
      yield one;
  }

  /** The series that lies there, without what is around it. */
  seriesAt(at: number, bytes: number): ReadSeries {
    const reader = this.#reader;
    reader.moveTo(at);
    return reader.named(() => readSeries(reader, at + bytes));
  }

  /** Only the labels of the series that lies there: name, value, … */
  labelsAt(at: number, bytes: number): readonly string[] {
    const reader = this.#reader;
    const end = at + bytes;
    const pairs: string[] = [];
    reader.moveTo(at);
    reader.named(() =>
      reader.fields(end, (field, wireType) => {
        if (field !== 1) return false;
        readLabel(reader, wireType, end, pairs);
        return true;
      }),
    );
    return pairs;
  }

  /** Reads the metadata alone, from the beginning, with moments to pause. */
  *metadataSteps(): Generator<undefined, void> {
    const reader = this.#reader;
    reader.moveTo(0);
    for (let more = true; more; ) {
      more = reader.named(() => this.#passSeries(FIELDS_PER_STEP));
      yield;
    }
  }

  /** Passes over some fields, and keeps the metadata among them. @returns whether there are more */
  #passSeries(fields: number): boolean {
    const reader = this.#reader;
    const end = this.#end;
    const stop = reader.position + BYTES_PER_STEP;
    for (let i = 0; i < fields && reader.position < stop; i++) {
      const field = reader.next(end);
      const { wireType } = reader;
      if (field === 0) return false;
      if (field === 3) this.#addMetadata(readMetadata(reader, reader.message(wireType, end, WEIGHT.metadata)));
      else reader.skip(field, wireType);
    }
    return true;
  }

  #next(): ReadSeries | undefined {
    const reader = this.#reader;
    const end = this.#end;
    for (let field = reader.next(end); field !== 0; field = reader.next(end)) {
      const { wireType } = reader;
      if (field === 1) return readSeries(reader, reader.message(wireType, end, WEIGHT.series));
      if (field === 3) this.#addMetadata(readMetadata(reader, reader.message(wireType, end, WEIGHT.metadata)));
      else reader.skip(field, wireType);
    }
    return undefined;
  }

  #addMetadata(entry: MetricMetadata): void {
    if (this.metadata.push(entry) > METADATA_PER_REQUEST_MAX)
      throw writeErrors.writeTooMany({ limit: METADATA_PER_REQUEST_MAX, what: 'metadata entries' });
  }
}

function readSeries(reader: MessageReader, end: number): ReadSeries {
  const pairs: string[] = [];
  let labelsFault: string | undefined;
  let samples = WriteSamples.none;
  let histograms: WriteParts<WriteHistogram> = [];
  let exemplars: WriteParts<WriteExemplar> = [];
  reader.fields(end, (field, wireType) => {
    switch (field) {
      case 1:
        labelsFault = readLabel(reader, wireType, end, pairs) ?? labelsFault;
        return true;
      case 2:
        if (samples === WriteSamples.none) samples = new WriteSamples();
        readSample(reader, reader.message(wireType, end, WEIGHT.sample), samples, false);
        return true;
      case 3:
        exemplars = passed(exemplars, reader, readExemplar, reader.message(wireType, end, WEIGHT.exemplar));
        return true;
      case 4:
        histograms = passed(histograms, reader, readHistogram, reader.message(wireType, end, WEIGHT.histogram));
        return true;
      default:
        return false;
    }
  });
  return { pairs, labelsFault, samples, histograms, exemplars };
}

/** Appends name and value. @returns what is wrong with them, if anything */
function readLabel(reader: MessageReader, wireType: WireType, end: number, pairs: string[]): string | undefined {
  let name = '';
  let value = '';
  let fault: string | undefined;
  const inner = reader.message(wireType, end, WEIGHT.label);
  reader.fields(inner, (field, fieldType) => {
    if (field !== 1 && field !== 2) return false;
    let text = reader.strictText(fieldType, inner);
    if (text === undefined) {
      text = reader.readText;
      const told = text.slice(0, FAULT_TEXT_MAX);
      fault = field === 1 ? `the name ${told} is not UTF-8` : `the value ${told} is not UTF-8`;
    }
    if (field === 1) name = text;
    else value = text;
    return true;
  });
  if (pairs.length >= 2 * LABELS_PER_SERIES_MAX)
    throw writeErrors.writeTooMany({ limit: LABELS_PER_SERIES_MAX, what: 'labels of a series' });
  pairs.push(name, value);
  return fault;
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
