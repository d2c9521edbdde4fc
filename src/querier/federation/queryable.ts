import type { Clock } from '../../lib/clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import { forEachAtOnce } from '../../lib/semaphore.ts';
import { sortInTurns } from '../../lib/sort-in-turns.ts';
import { compareUtf8 } from '../../model/labels.ts';
import type {
  LabelAnswer,
  LabelRequest,
  Queryable,
  QueryContext,
  SelectRequest,
  SeriesSet,
} from '../../storage/queryable.ts';
import { type SeriesBlock, ShardBroken, StreamBroken } from '../../storage/series-stream.ts';
import { FoundSeries } from './series-set.ts';
import {
  askedOf,
  chosenBy,
  mayBecomeAnother,
  ORIGINAL_TENANT_LABEL,
  TENANT_LABEL,
  TENANTS_AT_ONCE,
  warningOf,
  withTenant,
} from './tenant-label.ts';

/** The thread is held up for so long at a time. */
const SLICE_MS = 10;

/**
 * The series of several tenants as one, each with its tenant in `__tenant_id__`. As in Cortex: matchers on that label choose tenants; a
 * label of that name that a series has itself becomes `original___tenant_id__`, in matchers, too.
 */
export class FederatedQueryable implements Queryable {
  readonly #tenants: readonly string[];
  readonly #queryableOf: (tenant: string) => Queryable;
  readonly #clock: Clock;

  constructor(tenants: readonly string[], queryableOf: (tenant: string) => Queryable, clock: Clock) {
    this.#tenants = tenants;
    this.#queryableOf = queryableOf;
    this.#clock = clock;
  }

  async select(request: SelectRequest, context: QueryContext): Promise<SeriesSet> {
    const { tenants, matchers } = chosenBy(request.matchers, this.#tenants);
    const found = new FoundSeries(context.budget);
    const warnings: string[] = [];
    const pacer = this.#pacer(context);
    try {
      await forEachAtOnce(tenants, TENANTS_AT_ONCE, async (tenant) => {
        const set = await this.#queryableOf(tenant).select({ ...request, matchers }, context);
        const place = found.addSet(set);
        for (const text of set.warnings) warnings.push(warningOf(tenant, text));
        for (const [i, labels] of set.series.entries()) {
          if (request.shard !== undefined && mayBecomeAnother(labels)) throw new ShardBroken();
          found.add(place, i, withTenant(labels, tenant));
          if (pacer.due) await pacer.pause();
        }
      });
      return found.finish(request, warnings);
    } catch (error) {
      found.close();
      throw error;
    }
  }

  /** Blocks of one tenant after the other. */
  async *stream(request: SelectRequest, context: QueryContext): AsyncGenerator<SeriesBlock, void> {
    const { tenants, matchers } = chosenBy(request.matchers, this.#tenants);
    /** Series that are counted, of tenants that are through. */
    let counted = 0;
    for (const tenant of tenants) {
      let own = 0;
      try {
        for await (const block of blocksOf(this.#queryableOf(tenant), { ...request, matchers }, context)) {
          own += block.labels.length;
          if (block.labels.some(mayBecomeAnother)) {
            context.budget.addSeries(-own);
            throw new StreamBroken();
          }
          yield {
            labels: block.labels.map((labels) => withTenant(labels, tenant)),
            warnings: block.warnings.map((text) => warningOf(tenant, text)),
            read: (index, out) => block.read(index, out),
          };
        }
      } catch (error) {
        // whoever asks again has them counted again
        if (error instanceof StreamBroken) context.budget.addSeries(-counted);
        throw error;
      }
      counted += own;
    }
  }

  async labelNames(request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    const { values, warnings } = await this.#labels(request, context, (queryable, asked) =>
      queryable.labelNames(asked, context),
    );
    const names = new Set(values);
    if (names.has(TENANT_LABEL)) names.add(ORIGINAL_TENANT_LABEL);
    if (names.size > 0) names.add(TENANT_LABEL);
    return this.#answer(names, warnings, request, context);
  }

  async labelValues(name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    if (name === TENANT_LABEL) return this.#tenantValues(request, context);
    const asked = name === ORIGINAL_TENANT_LABEL ? TENANT_LABEL : name;
    const { values, warnings } = await this.#labels(request, context, (queryable, own) =>
      queryable.labelValues(asked, own, context),
    );
    return this.#answer(values, warnings, request, context);
  }

  /** The tenants that are chosen; where series are asked for, those that have some. */
  async #tenantValues(request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    const values = new Set<string>();
    const warnings = new Set<string>();
    await forEachAtOnce(askedOf(request.matchers, this.#tenants), TENANTS_AT_ONCE, async ({ tenant, lists }) => {
      if (lists.length > 0) {
        const own = { ...request, matchers: lists, limit: 1 };
        const found = await this.#queryableOf(tenant).labelNames(own, context);
        for (const text of found.warnings) warnings.add(warningOf(tenant, text));
        if (found.values.length === 0) return;
      }
      values.add(tenant);
    });
    return this.#answer(values, warnings, request, context);
  }

  /** The answers of all tenants that are chosen, together. */
  async #labels(
    request: LabelRequest,
    { budget }: QueryContext,
    ask: (queryable: Queryable, request: LabelRequest) => Promise<LabelAnswer>,
  ): Promise<{ values: Set<string>; warnings: Set<string> }> {
    const values = new Set<string>();
    const warnings = new Set<string>();
    await forEachAtOnce(askedOf(request.matchers, this.#tenants), TENANTS_AT_ONCE, async ({ tenant, lists }) => {
      const found = await ask(this.#queryableOf(tenant), { ...request, matchers: lists });
      budget.addMemory(VALUE_BYTES * found.values.length);
      for (const value of found.values) values.add(value);
      for (const text of found.warnings) warnings.add(warningOf(tenant, text));
    });
    return { values, warnings };
  }

  async #answer(
    values: ReadonlySet<string>,
    warnings: ReadonlySet<string>,
    { limit = 0 }: LabelRequest,
    context: QueryContext,
  ): Promise<LabelAnswer> {
    const sorted = await sortInTurns(this.#pacer(context), [...values], compareUtf8);
    return { values: limit === 0 ? sorted : sorted.slice(0, limit), warnings: [...warnings] };
  }

  #pacer({ signal }: QueryContext): Pacer {
    return new Pacer(this.#clock, { sliceMs: SLICE_MS, signal });
  }
}

/** Memory of a value in a set of them; its characters are counted by whoever read it. */
const VALUE_BYTES = 40;

/** A tenant's blocks, or all that it has as one. */
async function* blocksOf(
  queryable: Queryable,
  request: SelectRequest,
  context: QueryContext,
): AsyncGenerator<SeriesBlock, void> {
  if (queryable.stream !== undefined) return yield* queryable.stream(request, context);
  const set = await queryable.select(request, context);
  try {
    yield { labels: set.series, warnings: set.warnings, read: (index, out) => set.read(index, out) };
  } finally {
    set.close();
  }
}
