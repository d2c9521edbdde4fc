import type { Kernel } from '../chunk/kernel.ts';
import { Region } from '../chunk/region.ts';
import { getOrMake } from '../lib/map.ts';
import { decodeLabels } from '../model/canonical.ts';
import type { Labels } from '../model/labels.ts';
import { SampleColumns, STALE } from '../storage/columns.ts';
import type { HeadMatcher, IngesterClient } from '../storage/ingester-client.ts';
import { mergeColumns } from '../storage/merge-columns.ts';
import type { LabelRequest, QueryContext } from '../storage/queryable.ts';
import type { SampleSource, SourceSeries } from '../storage/source.ts';

const SAMPLES_MAX = 65535; // of a chunk
const LABELS_KEPT_MAX = 200_000;

/** Recent samples, from ingesters: chunks as the head has them, decoded here. */
export class HeadSource implements SampleSource {
  readonly #client: IngesterClient;
  readonly #decoder: ChunkDecoder;
  /** Labels by their bytes: the same series are asked for again and again. */
  readonly #labels = new Map<string, Labels>();

  constructor(client: IngesterClient, kernel: Kernel) {
    this.#client = client;
    this.#decoder = new ChunkDecoder(kernel);
  }

  async select(
    tenant: string,
    request: Parameters<SampleSource['select']>[1],
    context: QueryContext,
  ): Promise<SourceSeries> {
    const series: HeadSeries[] = [];
    const byLabels = new Map<Labels, HeadSeries>();
    const warnings = new Set<string>();
    let held = 0;
    const head = {
      tenant,
      matchers: request.matchers.map(({ name, op, value }) => ({ name, op, value })),
      startMs: request.startMs,
      endMs: request.endMs,
      labelsOnly: request.labelsOnly ?? false,
    };
    for await (const slice of this.#client.select(head, context.signal)) {
      context.budget.addFetchedBytes(slice.bytes.length);
      context.budget.addMemory(slice.bytes.length);
      held += slice.bytes.length;
      for (const warning of slice.warnings) warnings.add(warning);
      this.#parse(slice.bytes, byLabels, series);
    }
    return {
      labels: series.map(({ labels }) => labels),
      warnings: [...warnings],
      read: (index, out) => this.#decoder.read(series[index]!.chunks, request.startMs, request.endMs, out),
      close: () => context.budget.addMemory(-held),
    };
  }

  #parse(bytes: Uint8Array, byLabels: Map<Labels, HeadSeries>, series: HeadSeries[]): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; ) {
      const end = at + view.getUint32(at, true);
      const labelsEnd = at + 16 + view.getUint32(at + 4, true);
      const labels = this.#labelsOf(bytes, at + 16, labelsEnd);
      const one = getOrMake(byLabels, labels, () => {
        const made: HeadSeries = { labels, chunks: [] };
        series.push(made);
        return made;
      });
      for (let p = (labelsEnd + 7) & ~7; p < end; ) {
        const length = view.getUint32(p, true);
        one.chunks.push({ bytes: bytes.subarray(p + 8, p + 8 + length), flags: view.getUint32(p + 4, true) });
        p += (8 + length + 7) & ~7;
      }
      at = end;
    }
  }

  #labelsOf(bytes: Uint8Array, from: number, to: number): Labels {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
    const known = this.#labels.get(key);
    if (known !== undefined) return known;
    if (this.#labels.size >= LABELS_KEPT_MAX) this.#labels.clear();
    const labels = decodeLabels(bytes, from, to);
    this.#labels.set(key, labels);
    return labels;
  }

  async labelNames(tenant: string, request: LabelRequest, context: QueryContext) {
    const values = await this.#client.labels({ tenant, ...headRange(request) }, context.signal);
    return { values, warnings: [] };
  }

  async labelValues(tenant: string, name: string, request: LabelRequest, context: QueryContext) {
    const values = await this.#client.labels({ tenant, name, ...headRange(request) }, context.signal);
    return { values, warnings: [] };
  }
}

function headRange(request: LabelRequest) {
  const matchers: HeadMatcher[][] = request.matchers.map((list) =>
    list.map(({ name, op, value }) => ({ name, op, value })),
  );
  return { matchers, startMs: request.startMs, endMs: request.endMs };
}

interface HeadSeries {
  readonly labels: Labels;
  readonly chunks: HeadChunk[];
}

export interface HeadChunk {
  /** As Prometheus has it, its two bytes of count included. */
  readonly bytes: Uint8Array;
  /** Bit 0: samples in any order. */
  readonly flags: number;
}

const UNORDERED = 1;

/** Decodes chunks of a head into columns. One serves a thread. */
export class ChunkDecoder {
  readonly #kernel: Kernel;
  readonly #chunk: Region;
  readonly #times: Region;
  readonly #values: Region;
  readonly #parts: SampleColumns[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#chunk = new Region(kernel, 16 * 1024);
    this.#times = new Region(kernel, 8 * SAMPLES_MAX);
    this.#values = new Region(kernel, 8 * SAMPLES_MAX);
  }

  /** All samples of the chunks within the range: ascending, each time once. */
  read(chunks: readonly HeadChunk[], startMs: number, endMs: number, out: SampleColumns): void {
    const parts: SampleColumns[] = [];
    for (const [i, chunk] of chunks.entries()) {
      let part = this.#parts[i];
      if (part === undefined) {
        part = new SampleColumns();
        this.#parts[i] = part;
      }
      this.#decode(chunk, part);
      parts.push(part);
    }
    mergeColumns(parts, startMs, endMs, out);
  }

  #decode({ bytes, flags }: HeadChunk, out: SampleColumns): void {
    const { exports } = this.#kernel;
    out.clear();
    const count = bytes[0]! * 256 + bytes[1]!;
    const found = exports.xorDecode(this.#chunk.put(bytes), bytes.length, this.#times.at, this.#values.at, SAMPLES_MAX);
    if (found < 0) throw new Error('bug: a chunk of the head does not decode');
    out.reserve(count);
    const { f64 } = this.#kernel;
    out.times.set(f64.subarray(this.#times.at / 8, this.#times.at / 8 + count));
    out.values.set(f64.subarray(this.#values.at / 8, this.#values.at / 8 + count));
    out.count = count;
    if ((found & 1) !== 0) markStale(this.#kernel, this.#values.at, count, out);
    if ((flags & UNORDERED) !== 0) sortColumns(out);
  }
}

/** Finds stale markers on the bits: as numbers all NaN are alike. */
function markStale(kernel: Kernel, at: number, count: number, out: SampleColumns): void {
  const words = new Uint32Array(kernel.u8.buffer, at, 2 * count);
  out.kinds.fill(0, 0, count);
  out.plain = false;
  for (let i = 0; i < count; i++) {
    if (words[2 * i + 1] === 0x7ff00000 && words[2 * i] === 2) out.kinds[i] = STALE;
  }
}

const ordered = new SampleColumns(16);

/** Samples that came in any order, ascending; of equal times the larger bits stay. */
function sortColumns(columns: SampleColumns): void {
  const { count, times, values, kinds, plain } = columns;
  const words = new Uint32Array(values.buffer, values.byteOffset, 2 * count);
  const order = Array.from({ length: count }, (_, i) => i).sort(
    (a, b) => times[a]! - times[b]! || words[2 * b + 1]! - words[2 * a + 1]! || words[2 * b]! - words[2 * a]!,
  );
  ordered.clear();
  ordered.reserve(count);
  let to = 0;
  for (const from of order) {
    if (to > 0 && ordered.times[to - 1] === times[from]) continue;
    ordered.times[to] = times[from]!;
    ordered.values[to] = values[from]!;
    ordered.kinds[to] = plain ? 0 : kinds[from]!;
    to++;
  }
  columns.times.set(ordered.times.subarray(0, to));
  columns.values.set(ordered.values.subarray(0, to));
  columns.kinds.set(ordered.kinds.subarray(0, to));
  columns.count = to;
}
