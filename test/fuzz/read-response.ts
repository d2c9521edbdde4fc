import { BinaryReader, type WireType } from '@bufbuild/protobuf/wire';
import { readXor } from '../../src/chunk/xor.ts';
import { SampleColumns } from '../../src/storage/columns.ts';

/** By the labels of a series its floats as `time value`, in order, a stale marker as NaN; of histograms the sum. */
export type ReadSeries = Map<string, string[]>;

/** Times in Unix ms, both ends included. */
export interface ReadRange {
  readonly startMs: number;
  readonly endMs: number;
}

type Visit = (field: number, reader: BinaryReader, wireType: WireType) => boolean;

function eachField(bytes: Uint8Array, visit: Visit): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!visit(field, reader, wireType)) reader.skip(wireType);
  }
}

function labelOf(bytes: Uint8Array): string {
  const parts = ['', ''];
  eachField(bytes, (field, reader) => {
    parts[field - 1] = reader.string();
    return true;
  });
  return parts.join('=');
}

/** The series of a `prometheus.ReadResponse` of one query. */
export function readSampled(message: Uint8Array): ReadSeries {
  const found: ReadSeries = new Map();
  eachField(message, (_, response) => {
    eachField(response.bytes(), (__, result) => {
      const labels: string[] = [];
      const samples: [timeMs: number, what: string][] = [];
      eachField(result.bytes(), (field, series) => {
        if (field === 1) labels.push(labelOf(series.bytes()));
        else if (field === 2) samples.push(sampleOf(series.bytes()));
        else if (field === 4) samples.push(histogramOf(series.bytes()));
        else return false;
        return true;
      });
      samples.sort(([a], [b]) => a - b);
      found.set(
        labels.join(),
        samples.map((sample) => sample.join(' ')),
      );
      return true;
    });
    return true;
  });
  return found;
}

function sampleOf(bytes: Uint8Array): [timeMs: number, value: string] {
  let [timeMs, value] = [0, 0];
  eachField(bytes, (field, reader) => {
    if (field === 1) value = reader.double();
    else timeMs = Number(reader.int64());
    return true;
  });
  return [timeMs, String(value)];
}

/** A marker that a series ended is one whatever its kind, which Prometheus changes. */
function histogramOf(bytes: Uint8Array): [timeMs: number, what: string] {
  let [timeMs, sum] = [0, 0];
  eachField(bytes, (field, reader) => {
    if (field === 3) sum = reader.double();
    else if (field === 15) timeMs = Number(reader.int64());
    else return false;
    return true;
  });
  return [timeMs, Number.isNaN(sum) ? 'NaN' : `histogram of ${sum}`];
}

const XOR = 1;

/** Series of `prometheus.ChunkedReadResponse` frames: floats of XOR chunks within the range; what other chunks hold is not looked at. */
export function readStreamed(frames: Uint8Array, { startMs, endMs }: ReadRange): ReadSeries {
  const found: ReadSeries = new Map();
  const columns = new SampleColumns();
  const reader = new BinaryReader(frames);
  while (reader.pos < reader.len) {
    const size = reader.uint32();
    reader.fixed32(); // checksum
    const message = frames.subarray(reader.pos, reader.pos + size);
    reader.pos += size;
    eachField(message, (field, response) => {
      if (field !== 1) return false;
      const labels: string[] = [];
      const chunks: Uint8Array[] = [];
      eachField(response.bytes(), (part, series) => {
        if (part === 1) labels.push(labelOf(series.bytes()));
        else chunks.push(series.bytes());
        return true;
      });
      const key = labels.join();
      const samples = found.get(key) ?? [];
      for (const chunk of chunks) {
        columns.clear();
        if (!readChunk(chunk, columns)) continue;
        for (let i = 0; i < columns.count; i++) {
          const timeMs = columns.times[i]!;
          if (timeMs >= startMs && timeMs <= endMs) samples.push(`${timeMs} ${columns.values[i]}`);
        }
      }
      found.set(key, samples);
      return true;
    });
  }
  return found;
}

/** @returns false for other encodings */
function readChunk(bytes: Uint8Array, out: SampleColumns): boolean {
  let encoding = 0;
  let data = new Uint8Array(0);
  eachField(bytes, (field, reader) => {
    if (field === 3) encoding = reader.int32();
    else if (field === 4) data = Uint8Array.from(reader.bytes());
    else return false;
    return true;
  });
  if (encoding !== XOR) return false;
  readXor(data, out);
  return true;
}
