import type { QueryResult, ResultSeries } from '../contract/query.ts';
import { AppError } from '../model/errors.ts';
import { Labels, METRIC_NAME } from '../model/labels.ts';
import type { Queryable } from '../storage/queryable.ts';

// Parts of an expression that were asked for by themselves, as series for the engine of this thread, which evaluates what is around them.

/** Answers are at the steps: a selector that looks back so far sees just these. */
export const STEPS_LOOKBACK_MS = 1;

/** Answers of queries as what selectors select, each by the name that stands for it. */
export function stepsQueryable(byName: ReadonlyMap<string, readonly ResultSeries[]>): Queryable {
  const nothing = async () => ({ values: [], warnings: [] });
  return {
    async select({ matchers, startMs, endMs }, { budget }) {
      const name = matchers.find((each) => each.name === METRIC_NAME)?.value ?? '';
      const found = byName.get(name) ?? [];
      budget.addSeries(found.length);
      return {
        series: found.map(({ pairs }) => Labels.fromSortedPairs(pairs)),
        warnings: [],
        read(index, out) {
          out.clear();
          const { times, values } = found[index]!;
          for (let i = 0; i < times.length; i++) {
            if (times[i]! >= startMs && times[i]! <= endMs) out.pushFloat(times[i]!, values[i]!);
          }
        },
        close() {},
      };
    },
    labelNames: nothing,
    labelValues: nothing,
  };
}

/**
 * Whether the query as it is may be answered where a part of it is refused: points of a part are held and sent, where the whole drops them at
 * once, and what parts read each for itself the whole reads once.
 */
export function isAskedWhole(thrown: unknown): boolean {
  if (thrown instanceof NotPlain) return true;
  if (!(thrown instanceof AppError)) return false;
  const { id, http, retry } = thrown.facts;
  return (!retry && (http === 400 || http === 422)) || id === 'query-thread-memory-exceeded';
}

/** The answer of a part has histograms, or is more than may be held: the query as it is may be evaluated. */
export class NotPlain extends Error {}

export function hasHistograms({ value }: QueryResult): boolean {
  return value.type === 'matrix' && value.series.some(({ histograms }) => histograms !== undefined);
}
