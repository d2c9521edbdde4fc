import { Labels, METRIC_NAME } from '../model/labels.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import type { SampleColumns } from '../storage/columns.ts';
import type {
  LabelAnswer,
  LabelRequest,
  Queryable,
  QueryContext,
  SelectRequest,
  SeriesSet,
} from '../storage/queryable.ts';
import type { RuleSample } from './evaluate.ts';
import { MemoryStorage } from './unit-test/memory-storage.ts';
import type { Item } from './unit-test/series-line.ts';

/** Stored series, and over them those that rules record while they are tried: from `fromMs` on these stand in the place of stored ones. */
export class RecordedSource implements Queryable {
  readonly #stored: Queryable;
  readonly #recorded = new MemoryStorage();
  readonly #names: ReadonlySet<string>;
  readonly #fromMs: number;

  /** @param names metrics that are recorded */
  constructor(stored: Queryable, names: readonly string[], fromMs: number) {
    this.#stored = stored;
    this.#names = new Set(names);
    this.#fromMs = fromMs;
  }

  /** Other metrics are left out. @returns samples that it holds more */
  append(timeMs: number, samples: readonly RuleSample[], stale: readonly Labels[]): number {
    let count = 0;
    const append = (labels: Labels, item: Item) => {
      if (!this.#names.has(labels.get(METRIC_NAME))) return;
      this.#recorded.append(labels, timeMs, item);
      count++;
    };
    for (const { labels, value, histogram } of samples)
      append(labels, histogram === undefined ? { value } : { histogram });
    for (const labels of stale) append(labels, 'stale');
    return count;
  }

  #mayFind(matchers: readonly LabelMatcher[]): boolean {
    return [...this.#names].some((name) => matchers.every((each) => each.name !== METRIC_NAME || each.matches(name)));
  }

  async select(request: SelectRequest, context: QueryContext): Promise<SeriesSet> {
    const stored = await this.#stored.select(request, context);
    if (!this.#mayFind(request.matchers)) return stored;
    const recorded = await this.#recorded.select(request);
    const places = new Map<string, { labels: Labels; stored?: number; recorded?: number }>();
    for (const [i, labels] of stored.series.entries()) places.set(labels.key, { labels, stored: i });
    for (const [i, labels] of recorded.series.entries()) {
      places.set(labels.key, { ...(places.get(labels.key) ?? { labels }), recorded: i });
    }
    const all = [...places.values()].sort((a, b) => Labels.compare(a.labels, b.labels));
    return {
      series: all.map(({ labels }) => labels),
      warnings: stored.warnings,
      read: (index: number, out: SampleColumns) => {
        const place = all[index]!;
        if (place.stored === undefined) {
          recorded.read(place.recorded!, out);
          return;
        }
        stored.read(place.stored, out);
        if (!this.#names.has(place.labels.get(METRIC_NAME))) return;
        out.truncate(countBefore(out, this.#fromMs));
        if (place.recorded !== undefined) this.#recorded.readBehind(place.labels, request.startMs, request.endMs, out);
      },
      close: () => {
        stored.close();
      },
    };
  }

  labelNames(request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    return this.#stored.labelNames(request, context);
  }

  labelValues(name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    return this.#stored.labelValues(name, request, context);
  }
}

function countBefore({ times, count }: SampleColumns, timeMs: number): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
