// Reads what `workload.mjs` wrote back into columns of samples per series.
import fs from 'node:fs';

export interface WorkloadSeries {
  /** uvarint name length, name, uvarint value length, value, … sorted by name. */
  readonly labels: Uint8Array;
  readonly times: number[];
  readonly values: number[];
}

export function readWorkload(file: string): WorkloadSeries[] {
  const bytes = fs.readFileSync(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const bySeries = new Map<string, WorkloadSeries>();
  for (let at = 0; at < bytes.length; ) {
    const size = view.getUint32(at, true);
    at += 8;
    readRequest(inflate(bytes.subarray(at, at + size)), bySeries);
    at += size;
  }
  return [...bySeries.values()];
}

/** The series' samples with from ≤ time < to. */
export function sliceWindow(series: WorkloadSeries, fromMs: number, toMs: number) {
  const picked: number[] = [];
  series.times.forEach((time, i) => {
    if (time >= fromMs && time < toMs) picked.push(i);
  });
  return {
    labels: series.labels,
    times: Float64Array.from(picked, (i) => series.times[i]!),
    values: Float64Array.from(picked, (i) => series.values[i]!),
  };
}

let at = 0;
function uvarint(b: Uint8Array): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = b[at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) return value;
  }
}

function readRequest(body: Uint8Array, bySeries: Map<string, WorkloadSeries>): void {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  for (at = 0; at < body.length; ) {
    at++; // timeseries
    const end = uvarint(body) + at;
    const parts: Uint8Array[] = [];
    let timeMs = 0;
    let value = 0;
    while (at < end) {
      const tag = body[at++]!;
      const stop = uvarint(body) + at;
      if (tag === 0x0a) {
        while (at < stop) {
          at++;
          const from = at;
          const size = uvarint(body);
          parts.push(body.subarray(from, at + size));
          at += size;
        }
      } else {
        value = view.getFloat64(at + 1, true);
        at += 10;
        timeMs = uvarint(body);
      }
    }
    // an empty value is none
    const labels = Buffer.concat(
      parts.filter((part, i) => part.length > 1 && (i % 2 === 1 || parts[i + 1]!.length > 1)),
    );
    const key = labels.toString('latin1');
    let series = bySeries.get(key);
    if (series === undefined) {
      series = { labels, times: [], values: [] };
      bySeries.set(key, series);
    }
    series.times.push(timeMs);
    series.values.push(value);
  }
}

function inflate(b: Uint8Array): Uint8Array {
  at = 0;
  const out = new Uint8Array(uvarint(b));
  let o = 0;
  while (at < b.length) {
    const tag = b[at++]!;
    if ((tag & 3) === 0) {
      let size = tag >> 2;
      if (size >= 60) {
        const extra = size - 59;
        size = 0;
        for (let i = 0; i < extra; i++) size |= b[at++]! << (8 * i);
      }
      out.set(b.subarray(at, at + size + 1), o);
      at += size + 1;
      o += size + 1;
    } else {
      let size = (tag >> 2) + 1;
      let offset = 0;
      if ((tag & 3) === 1) {
        size = ((tag >> 2) & 7) + 4;
        offset = ((tag >> 5) << 8) | b[at++]!;
      } else {
        offset = b[at]! | (b[at + 1]! << 8);
        at += 2;
      }
      for (let i = 0; i < size; i++, o++) out[o] = out[o - offset]!;
    }
  }
  return out;
}
