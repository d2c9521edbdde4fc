import { Pacer } from '../lib/pacer.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import { isAway } from '../model/away.ts';
import { compareUtf8, Labels } from '../model/labels.ts';
import { type MissingPart, missingText } from '../storage/missing.ts';
import type {
  LabelAnswer,
  LabelRequest,
  Queryable,
  QueryContext,
  SelectRequest,
  SeriesSet,
} from '../storage/queryable.ts';
import { LookupBudget } from './lookup-budget.ts';
import { lookupParts, type TimeRange } from './lookup-parts.ts';
import { type Retries, withRetries } from './retry.ts';
import { runParts } from './run-parts.ts';

export interface LookupOptions extends Retries {
  /** Length of a part by the clock; 0: look-ups are not split. */
  readonly intervalMs: number;
  /** Parts of a look-up that are under way at once. */
  readonly parallelMax: number;
}

/** The thread is held up for so long at a time. */
const SLICE_MS = 10;

/**
 * Looks series, names of labels and their values up in parts by time: the union of what the parts have. Samples are read as they are.
 *
 * A series has something in a range exactly where it has something in a part of it, so that the union is the plain answer; the first of
 * all in their order are among the first of each part.
 */
export class SplitQueryable implements Queryable {
  readonly #from: Queryable;
  readonly #options: LookupOptions;
  readonly stream: Queryable['stream'];

  constructor(from: Queryable, options: LookupOptions) {
    this.#from = from;
    this.#options = options;
    this.stream = from.stream?.bind(from);
  }

  async select(request: SelectRequest, context: QueryContext): Promise<SeriesSet> {
    if (request.labelsOnly !== true) return this.#from.select(request, context);
    const { intervalMs } = this.#options;
    const parts = lookupParts(request, intervalMs);
    const budget = new LookupBudget(context.budget);
    if (parts.length === 1) {
      return withRetries(this.#options, context.signal, () =>
        this.#from.select(request, { ...context, budget: budget.part() }),
      );
    }
    const pacer = this.#pacer(context);
    const found = new Map<string, Labels>();
    const warnings = new Set<string>();
    let heldBytes = 0;
    const close = () => {
      context.budget.addMemory(-heldBytes);
      heldBytes = 0;
    };
    try {
      await this.#eachPart(parts, budget, context, warnings, async (part, own) => {
        const set = await this.#from.select({ ...request, ...part }, own);
        try {
          for (const labels of set.series) {
            if (pacer.due) await pacer.pause();
            if (found.has(labels.key)) continue;
            const bytes = 2 * labels.chars;
            heldBytes += bytes;
            context.budget.addMemory(bytes);
            found.set(labels.key, labels);
          }
          return set.warnings;
        } finally {
          set.close();
        }
      });
      const sorted = await sortInTurns(pacer, [...found.values()], Labels.compare);
      const series = first(sorted, request.limit);
      budget.seriesAtLeast(series.length);
      return { series, warnings: [...warnings], read: (_, out) => out.clear(), close };
    } catch (thrown) {
      close();
      throw thrown;
    }
  }

  labelNames(request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    return this.#labels(request, context, (part, own) => this.#from.labelNames(part, own));
  }

  labelValues(name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    return this.#labels(request, context, (part, own) => this.#from.labelValues(name, part, own));
  }

  async #labels(
    request: LabelRequest,
    context: QueryContext,
    ask: (part: LabelRequest, context: QueryContext) => Promise<LabelAnswer>,
  ): Promise<LabelAnswer> {
    const parts = lookupParts(request, this.#options.intervalMs);
    if (parts.length === 1) {
      return withRetries(this.#options, context.signal, () => ask(request, context));
    }
    const pacer = this.#pacer(context);
    const found = new Set<string>();
    const warnings = new Set<string>();
    let heldBytes = 0;
    try {
      await this.#eachPart(parts, new LookupBudget(context.budget), context, warnings, async (part, own) => {
        const answer = await ask({ ...request, ...part }, own);
        for (const value of answer.values) {
          if (pacer.due) await pacer.pause();
          if (found.has(value)) continue;
          const bytes = 2 * value.length;
          heldBytes += bytes;
          context.budget.addMemory(bytes);
          found.add(value);
        }
        return answer.warnings;
      });
      const values = await sortInTurns(pacer, [...found], compareUtf8);
      return { values: first(values, request.limit), warnings: [...warnings] };
    } finally {
      context.budget.addMemory(-heldBytes);
    }
  }

  /** @param ask resolves with the part's warnings; what it has found before it fails is found again */
  async #eachPart(
    parts: readonly TimeRange[],
    budget: LookupBudget,
    context: QueryContext,
    warnings: Set<string>,
    ask: (part: TimeRange, context: QueryContext) => Promise<readonly string[]>,
  ): Promise<void> {
    const { parallelMax } = this.#options;
    const told = await runParts(parts, parallelMax, context.signal, async (part, signal) => {
      const asked = withRetries(this.#options, signal, () => ask(part, { ...context, signal, budget: budget.part() }));
      return context.missing === undefined ? asked : asked.catch(missingPart(part, context, signal));
    });
    for (const warning of told.flat()) warnings.add(warning);
  }

  #pacer({ signal }: QueryContext): Pacer {
    return new Pacer(this.#options.clock, { sliceMs: SLICE_MS, signal });
  }
}

/** The warning of a part that could not be had, where the answer may be incomplete. */
function missingPart(part: TimeRange, { missing }: QueryContext, signal: AbortSignal): (thrown: unknown) => string[] {
  return (thrown) => {
    if (signal.aborted || !isAway(thrown)) throw thrown;
    const away: MissingPart = { what: 'part of the query', ...part, reason: thrown.message };
    missing!.add(away);
    return [missingText(away)];
  };
}

function first<T>(list: readonly T[], limit = 0): readonly T[] {
  return limit === 0 || list.length <= limit ? list : list.slice(0, limit);
}
