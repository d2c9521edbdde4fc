import { getOrMake } from '../lib/map.ts';
import { Labels } from '../model/labels.ts';
import { SampleColumns } from './columns.ts';
import { mergeColumns } from './merge-columns.ts';
import type { LabelAnswer, LabelRequest, Queryable, QueryContext, SelectRequest, SeriesSet } from './queryable.ts';
import type { SampleSource, SourceSeries } from './source.ts';

/**
 * A tenant's samples from several sources as one. They are asked in the order given: what is on its way from one to the next (from
 * ingesters to the store) is then seen at least once, and merging makes it once.
 */
export function mergedQueryable(tenant: string, sources: readonly SampleSource[]): Queryable {
  return {
    async select(request, context) {
      const parts: SourceSeries[] = [];
      try {
        for (const source of sources) parts.push(await source.select(tenant, request, context));
      } catch (error) {
        for (const part of parts) part.close();
        throw error;
      }
      return new MergedSet(parts, request, context);
    },
    labelNames: (request, context) =>
      mergedLabels(sources, request, (source) => source.labelNames(tenant, request, context)),
    labelValues: (name, request, context) =>
      mergedLabels(sources, request, (source) => source.labelValues(tenant, name, request, context)),
  };
}

async function mergedLabels(
  sources: readonly SampleSource[],
  request: LabelRequest,
  ask: (source: SampleSource) => Promise<LabelAnswer>,
): Promise<LabelAnswer> {
  const values = new Set<string>();
  const warnings = new Set<string>();
  for (const source of sources) {
    const answer = await ask(source);
    for (const value of answer.values) values.add(value);
    for (const warning of answer.warnings) warnings.add(warning);
  }
  const sorted = [...values].sort(compareText);
  return {
    values: request.limit === undefined || request.limit === 0 ? sorted : sorted.slice(0, request.limit),
    warnings: [...warnings],
  };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

class MergedSet implements SeriesSet {
  readonly series: readonly Labels[];
  readonly warnings: readonly string[];
  readonly #parts: readonly SourceSeries[];
  /** Of each series, where it lies: (part, index in it) pairs. */
  readonly #places: readonly (readonly number[])[];
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #columns: SampleColumns[] = [];

  constructor(parts: readonly SourceSeries[], request: SelectRequest, context: QueryContext) {
    this.#parts = parts;
    this.#startMs = request.startMs;
    this.#endMs = request.endMs;
    this.warnings = [...new Set(parts.flatMap(({ warnings }) => warnings))];
    const byKey = new Map<string, { labels: Labels; places: number[] }>();
    for (const [p, part] of parts.entries()) {
      for (const [i, labels] of part.labels.entries()) {
        getOrMake(byKey, labels.key, () => ({ labels, places: [] as number[] })).places.push(p, i);
      }
    }
    const all = [...byKey.values()].sort((a, b) => Labels.compare(a.labels, b.labels));
    const some = request.limit === undefined || request.limit === 0 ? all : all.slice(0, request.limit);
    this.series = some.map(({ labels }) => labels);
    this.#places = some.map(({ places }) => places);
    context.budget.addSeries(this.series.length);
  }

  read(index: number, out: SampleColumns): void {
    const places = this.#places[index]!;
    if (places.length === 2) {
      this.#parts[places[0]!]!.read(places[1]!, out);
      return;
    }
    const sources: SampleColumns[] = [];
    for (let i = 0; i < places.length; i += 2) {
      let columns = this.#columns[i / 2];
      if (columns === undefined) {
        columns = new SampleColumns();
        this.#columns[i / 2] = columns;
      }
      this.#parts[places[i]!]!.read(places[i + 1]!, columns);
      sources.push(columns);
    }
    mergeColumns(sources, this.#startMs, this.#endMs, out);
  }

  close(): void {
    for (const part of this.#parts) part.close();
  }
}
