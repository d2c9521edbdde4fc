import { ChunkDecoder, type HeadChunk, parseSlice } from '../chunk/head-chunk.ts';
import type { Kernel } from '../chunk/kernel.ts';
import { getOrMake } from '../lib/map.ts';
import { decodeLabels } from '../model/canonical.ts';
import type { Labels } from '../model/labels.ts';
import type { HeadMatcher, IngesterClient } from '../storage/ingester-client.ts';
import type { LabelRequest, QueryContext } from '../storage/queryable.ts';
import type { SampleSource, SourceSeries } from '../storage/source.ts';

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
    for (const { labelsFrom, labelsTo, chunks } of parseSlice(bytes)) {
      const labels = this.#labelsOf(bytes, labelsFrom, labelsTo);
      const one = getOrMake(byLabels, labels, () => {
        const made: HeadSeries = { labels, chunks: [] };
        series.push(made);
        return made;
      });
      one.chunks.push(...chunks);
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
