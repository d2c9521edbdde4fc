import type { AppError } from '../model/errors.ts';
import { writeErrors } from '../model/errors-write.ts';
import { METRIC_NAME } from '../model/labels.ts';
import { METRIC_TYPES, type MetricMetadata } from '../model/metric-metadata.ts';
import { passed } from './message-parts.ts';
import { MessageReader } from './message-reader.ts';
import { WRITE_ITEMS_MAX } from './remote-write-1.ts';
import { readHistogram } from './write-histogram.ts';
import {
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

/** Symbols that are kept as texts. */
const TEXTS_KEPT_MAX = 65_536;

/** Bytes of a series with nothing but the references of its name. */
const SERIES_WEIGHT = 6;

/** Bytes of a symbol that are read: one more than the longest label that there can be, so that it is found to be too long. */
const SYMBOL_BYTES_MAX = 30_001;

/** Bytes that labels may take once symbols are written out, where the caller sets no limit. */
const WRITTEN_OUT_MAX = 1024 * 1024 * 1024;

/**
 * An `io.prometheus.write.v2.Request`, which is remote write 2.0.
 * @param body inflated
 * @throws AppError write-request-invalid, write-items-too-many. References to symbols that are not there are a fault of the series
 * that has them
 */
export function decodeRemoteWrite2(body: Uint8Array, itemsMax = WRITE_ITEMS_MAX): WriteRequest {
  return readAll(new RemoteWrite2Reader(body, WRITTEN_OUT_MAX, itemsMax));
}

function fault(reason: string): AppError {
  return writeErrors.writeRequestInvalid({ version: '2.0', reason });
}

/** Texts that labels refer to by number: where they lie in the body, and those that were asked for lately. */
class Symbols {
  readonly #reader: MessageReader;
  /** Start and end of each. */
  #bounds = new Uint32Array(512);
  readonly #texts = new Map<number, string>();
  /** Numbers of those that are not UTF-8, of those that were asked for. */
  readonly #broken = new Set<number>();
  count = 0;

  constructor(reader: MessageReader) {
    this.#reader = reader;
  }

  add(from: number, to: number): void {
    if (2 * this.count === this.#bounds.length) {
      const grown = new Uint32Array(this.#bounds.length * 2);
      grown.set(this.#bounds);
      this.#bounds = grown;
    }
    this.#bounds[2 * this.count] = from;
    this.#bounds[2 * this.count + 1] = to;
    this.count++;
  }

  bytesOf(ref: number): number {
    return this.#bounds[2 * ref + 1]! - this.#bounds[2 * ref]!;
  }

  /** Empty for a reference to nothing. */
  text(ref: number): string {
    if (ref >= this.count) return '';
    const known = this.#texts.get(ref);
    if (known !== undefined) return known;
    const from = this.#bounds[2 * ref]!;
    const to = Math.min(this.#bounds[2 * ref + 1]!, from + SYMBOL_BYTES_MAX);
    const strict = this.#reader.textAt(from, to);
    if (strict === undefined && this.bytesOf(ref) <= SYMBOL_BYTES_MAX) this.#broken.add(ref);
    const text = strict ?? this.#reader.looseTextAt(from, to);
    if (this.#texts.size === TEXTS_KEPT_MAX) this.#texts.clear();
    this.#texts.set(ref, text);
    return text;
  }

  /** Whether the text, which was asked for, is not UTF-8. */
  isBroken(ref: number): boolean {
    return this.#broken.has(ref);
  }
}

/** Reads an `io.prometheus.write.v2.Request` series by series. */
export class RemoteWrite2Reader implements WriteReader {
  readonly #reader: MessageReader;
  readonly #end: number;
  readonly #symbols: Symbols;
  readonly #metadata = new Map<string, MetricMetadata>();
  readonly #writtenOutMax: number;
  #writtenOut = 0;

  /**
   * @param body inflated
   * @param writtenOutMax bytes of all labels with their symbols written out
   */
  constructor(body: Uint8Array, writtenOutMax: number, itemsMax = WRITE_ITEMS_MAX) {
    this.#reader = new MessageReader(body, itemsMax, fault);
    this.#end = body.length;
    this.#symbols = new Symbols(this.#reader);
    this.#writtenOutMax = writtenOutMax;
  }

  get metadata(): readonly MetricMetadata[] {
    return [...this.#metadata.values()];
  }

  *series(): Generator<ReadSeries | undefined, void> {
    const reader = this.#reader;
    // symbols may stand behind the series that refer to them
    while (reader.named(() => this.#findSymbols(FIELDS_PER_STEP))) yield;
    reader.moveTo(0);
    for (let one = reader.named(() => this.#next()); one !== undefined; one = reader.named(() => this.#next()))
      yield one;
  }

  /** Passes over some fields, and keeps where the symbols among them lie. @returns whether there are more */
  #findSymbols(fields: number): boolean {
    const reader = this.#reader;
    const end = this.#end;
    for (let i = 0; i < fields; i++) {
      const field = reader.next(end);
      const { wireType } = reader;
      if (field === 0) return false;
      if (field === 4) {
        const to = reader.message(wireType, end, WEIGHT.symbol);
        this.#symbols.add(reader.position, to);
        reader.moveTo(to);
        continue;
      }
      // before the first of many that say nothing is read
      if (field === 5) reader.weigh(SERIES_WEIGHT);
      reader.skip(field, wireType);
    }
    return true;
  }

  #next(): ReadSeries | undefined {
    const reader = this.#reader;
    const end = this.#end;
    for (let field = reader.next(end); field !== 0; field = reader.next(end)) {
      const { wireType } = reader;
      if (field === 5) return this.#series(reader.message(wireType, end, 0));
      reader.skip(field, wireType);
    }
    return undefined;
  }

  #series(end: number): ReadSeries {
    const reader = this.#reader;
    const refs: number[] = [];
    let samples = WriteSamples.none;
    let histograms: WriteParts<WriteHistogram> = [];
    let exemplars: WriteParts<WriteExemplar> = [];
    let metadata: MetadataRefs | undefined;
    reader.fields(end, (field, wireType) => {
      switch (field) {
        case 1:
          reader.repeat(wireType, end, 'uint32', refs, 2 * LABELS_PER_SERIES_MAX);
          return true;
        case 2:
          if (samples === WriteSamples.none) samples = new WriteSamples();
          readSample(reader, reader.message(wireType, end, WEIGHT.sample), samples, true);
          return true;
        case 3:
          histograms = passed(histograms, reader, readHistogram, reader.message(wireType, end, WEIGHT.histogram));
          return true;
        case 4:
          exemplars = passed(
            exemplars,
            reader,
            (_, exemplarEnd) => this.#exemplar(exemplarEnd),
            reader.message(wireType, end, WEIGHT.exemplar),
          );
          return true;
        case 5:
          metadata = readMetadata(reader, reader.message(wireType, end, WEIGHT.metadata));
          return true;
        default:
          return false;
      }
    });
    const { pairs, labelsFault } = this.#labels(refs);
    if (metadata !== undefined && labelsFault === undefined) this.#addMetadata(pairs, metadata);
    return { pairs, labelsFault, samples, histograms, exemplars };
  }

  #addMetadata(pairs: readonly string[], refs: MetadataRefs): void {
    const name = pairs.findIndex((text, i) => i % 2 === 0 && text === METRIC_NAME);
    const type = METRIC_TYPES[refs.type] ?? 'unknown';
    const help = this.#symbols.text(refs.helpRef);
    const unit = this.#symbols.text(refs.unitRef);
    if (name < 0 || (type === 'unknown' && help === '' && unit === '')) return;
    const metric = pairs[name + 1]!;
    this.#metadata.set(metric, { metric, type, help, unit });
    if (this.#metadata.size > METADATA_PER_REQUEST_MAX)
      throw writeErrors.writeTooMany({ limit: METADATA_PER_REQUEST_MAX, what: 'metadata entries' });
  }

  #labels(refs: readonly number[]): { pairs: readonly string[]; labelsFault: string | undefined } {
    const symbols = this.#symbols;
    let labelsFault: string | undefined;
    if (refs.length % 2 !== 0) labelsFault = `${refs.length} references are no pairs`;
    const pairs: string[] = [];
    for (const ref of refs) {
      if (ref < symbols.count) this.#writtenOut += Math.min(symbols.bytesOf(ref), SYMBOL_BYTES_MAX);
      if (this.#writtenOut > this.#writtenOutMax) throw writeErrors.writtenOutTooLarge({ limit: this.#writtenOutMax });
      const text = symbols.text(ref);
      if (ref >= symbols.count) labelsFault ??= `reference to symbol ${ref} of ${symbols.count}`;
      else if (symbols.isBroken(ref)) labelsFault ??= `${text.slice(0, FAULT_TEXT_MAX)} is not UTF-8`;
      pairs.push(text);
    }
    if (pairs.length % 2 !== 0) pairs.push('');
    return { pairs, labelsFault };
  }

  #exemplar(end: number): WriteExemplar {
    const reader = this.#reader;
    const refs: number[] = [];
    let value = 0;
    let timeMs = 0;
    reader.fields(end, (field, wireType) => {
      if (field === 1) reader.repeat(wireType, end, 'uint32', refs, 2 * LABELS_PER_SERIES_MAX);
      else if (field === 2) value = reader.double(wireType);
      else if (field === 3) timeMs = reader.int64(wireType);
      else return false;
      return true;
    });
    return { ...this.#labels(refs), value, timeMs };
  }
}

interface MetadataRefs {
  readonly type: number;
  readonly helpRef: number;
  readonly unitRef: number;
}

function readMetadata(reader: MessageReader, end: number): MetadataRefs {
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
