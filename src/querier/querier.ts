import { Kernel } from '../chunk/kernel.ts';
import type { BlockCache } from '../chunkstore/block-fetcher.ts';
import { removeTenantRows } from '../chunkstore/documents/tables.ts';
import { Generations } from '../chunkstore/generations.ts';
import type { RowCache } from '../chunkstore/kept-rows.ts';
import { ChunkStoreReader, type StoreSelect } from '../chunkstore/reader.ts';
import type { Schema } from '../chunkstore/schema.ts';
import type { StoreSize } from '../chunkstore/store-size.ts';
import type { Tombstone } from '../chunkstore/tombstone-row.ts';
import { type listTombstones, QueryTombstones, Tombstones } from '../chunkstore/tombstones.ts';
import type { TenantDeletion, TenantHider } from '../contract/control.ts';
import type { HeadSizeRequest, IngesterClient } from '../contract/ingester.ts';
import type { InstantOutcome, InstantRequest, QueryRunContext } from '../contract/query.ts';
import type { Priority } from '../kit/thread/thread-priority.ts';
import type { Clock } from '../lib/clock.ts';
import { ANY_TIME_MS } from '../lib/day.ts';
import type { Random } from '../lib/random.ts';
import { within } from '../lib/within.ts';
import { oldestOfRequest } from '../limits/allowed-past.ts';
import { SharedMemory } from '../limits/query-budget.ts';
import type { JoinedLimits } from '../limits/query-limits.ts';
import { AppError } from '../model/errors.ts';
import { tenantsOf } from '../model/tenants.ts';
import { Engine, type QueryPlan } from '../promql/engine.ts';
import { selectsOf } from '../promql/plan/node.ts';
import type { RowKernel } from '../promql/row/row-memory.ts';
import { mergedQueryable } from '../storage/merge.ts';
import { MissingParts } from '../storage/missing.ts';
import type { Queryable, QueryContext, SelectRequest } from '../storage/queryable.ts';
import { unlimited } from '../storage/unlimited.ts';
import type { PurgerConfig, QuerierConfig } from './config.ts';
import { EngineRunner, type PreparedRequest, type PreparedRequests } from './engine-runner.ts';
import { recentExemplars } from './exemplars.ts';
import { federatedExemplars } from './federation/exemplars.ts';
import { federatedMetadata } from './federation/metadata.ts';
import { FederatedQueryable } from './federation/queryable.ts';
import { headMatcher } from './head-matcher.ts';
import { headSource } from './head-source.ts';
import { type BatchQueries, instantsBy } from './instants.ts';
import { KeptOrders } from './kept-orders.ts';
import { KeptTexts } from './kept-texts.ts';
import { recentMetadata } from './metadata.ts';
import { RangedQueryable, type Ranging } from './ranged-queryable.ts';
import { Retentions } from './retentions.ts';
import { SharedSelects } from './shared-selects.ts';
import { StoreSource } from './store-source.ts';
import { querierSyntax } from './syntax.ts';
import { QueryTurns } from './turns.ts';
import { UndeletedSource } from './undeleted-source.ts';
import { YoungSource } from './young-source.ts';

export interface QuerierOptions {
  readonly config: QuerierConfig;
  readonly purger: PurgerConfig;
  readonly engine: Engine;
  readonly ingester: IngesterClient;
  readonly schema: Schema;
  readonly blockCache: BlockCache | undefined;
  readonly rowCacheBytesMax: number;
  /** Rows that queries share. Absent: each makes its own. */
  readonly rowsCache?: RowCache;
  readonly windowMs: number;
  /** How long a window stays in the head when the store has it: lists of rows that are cached must expire sooner. */
  readonly keepFlushedMs: number;
  readonly clock: Clock;
  readonly random: Random;
  /** The priority of the thread that it runs in. */
  readonly priority?: Priority | undefined;
  /** The turns of its queries. Absent: its own. */
  readonly evaluation?: Pick<QueryTurns, 'begin'>;
  /** Reads a tenant's requests to delete series. Absent: all of them. */
  readonly listTombstones?: typeof listTombstones;
}

type SizesSelection = StoreSelect & { readonly bound: 'most' | 'least' };

/** @param nowMs absent: the system's monotonic clock */
export function querierEngine(config: QuerierConfig, rowKernel?: RowKernel, nowMs?: () => number): Engine {
  return new Engine({
    ...(nowMs === undefined ? {} : { nowMs }),
    samplesMax: config.maxSamples,
    labelValueCharsMax: config.maxLabelValueLength,
    timeoutMs: config.timeoutMs,
    lookbackMs: config.lookbackDeltaMs,
    delayedNameRemoval: config.enablePromqlDelayedNameRemoval,
    startTimestamps: config.enablePromqlStartTimestamps,
    typeAndUnitLabels: config.enableTypeAndUnitLabels,
    parser: querierSyntax(config),
    rowPrograms: config.fusedOperators,
    ...(rowKernel === undefined ? {} : { rowKernel }),
  });
}

/** Reads and evaluates in this thread: PromQL over recent samples and the store. */
export class Querier implements TenantHider {
  readonly turns: QueryTurns;
  readonly #options: QuerierOptions;
  readonly #memory: SharedMemory;
  readonly #recent: UndeletedSource;
  readonly #stored: StoreSource;
  readonly #reader: ChunkStoreReader;
  readonly #tombstones: Tombstones;
  readonly #queryTombstones: QueryTombstones;
  readonly #generations: Generations;
  readonly #retentions = new Retentions();
  readonly #orders = new KeptOrders();
  readonly #texts = new KeptTexts();
  readonly #storedSinceMs: (() => number) | undefined;

  constructor(options: QuerierOptions) {
    const { schema, ingester, clock, random, purger, keepFlushedMs, windowMs, blockCache, rowCacheBytesMax } = options;
    const tombstones = new QueryTombstones(schema, clock, options.listTombstones);
    this.#options = options;
    this.#queryTombstones = tombstones;
    this.turns = new QueryTurns(clock, options.priority);
    this.#storedSinceMs = ingester.storedSinceMs?.bind(ingester);
    this.#memory = new SharedMemory(options.config.workerHeapMb * 1024 * 1024);
    this.#recent = new UndeletedSource(headSource(ingester, Kernel.create()), (tenant, signal) =>
      tombstones.of(tenant, signal),
    );
    this.#tombstones = new Tombstones(schema, clock, random, purger.deleteRequestCancelPeriodMs);
    this.#generations = new Generations(schema, clock, (count) =>
      Uint8Array.from({ length: count }, () => Math.floor(random() * 256)),
    );
    const reader = new ChunkStoreReader(schema, Kernel.create(), clock, {
      windowMs,
      // Windows leave the head when the store has had them for so long: what does not know of them yet must be gone by then.
      // A third is left for the head's answer, see `overlapMs` below.
      rowCacheTtlMs: (keepFlushedMs * 2) / 3,
      rowCacheBytesMax,
      rowsSinceMs: this.#storedSinceMs,
      tombstones,
      rowsCache: options.rowsCache,
      ...(blockCache === undefined ? {} : { blockCache }),
      retentionMs: (tenant) => this.#retentions.of(tenant),
    });
    this.#reader = reader;
    this.#stored = new StoreSource(reader);
  }

  /**
   * @param name of a tenant, or of several
   * @param ingestersWithinMs age up to which recent samples are asked for; 0: any
   */
  queryable(name: string, ingestersWithinMs = 0): Queryable {
    const tenants = tenantsOf(name);
    if (tenants.length === 1) return this.#queryableOf(name, ingestersWithinMs);
    const queryableOf = (tenant: string) => this.#queryableOf(tenant, ingestersWithinMs);
    return new FederatedQueryable(tenants, queryableOf, this.#options.clock);
  }

  #queryableOf(tenant: string, ingestersWithinMs: number): Queryable {
    const { keepFlushedMs, clock } = this.#options;
    const recent = ingestersWithinMs > 0 ? new YoungSource(this.#recent, ingestersWithinMs, clock) : this.#recent;
    const overlapMs = keepFlushedMs / 3;
    const storedSinceMs = this.#storedSinceMs;
    return mergedQueryable(tenant, { recent, stored: this.#stored, overlapMs, storedSinceMs, clock });
  }

  /** Reads the store's lists of groups that a selector would need, so that they are known for some minutes; no samples. */
  async lookAtStore(tenant: string, request: SelectRequest, context: QueryContext): Promise<void> {
    const found = await this.#stored.selectUpTo(tenant, request, 0, context);
    if (!('byMetric' in found)) found.close();
  }

  /** Sizes of what a query would read of the store, some days at a time; `see` ends it by throwing. */
  sizes(tenant: string, selection: SizesSelection, signal: AbortSignal, see: (size: StoreSize) => void): Promise<void> {
    return this.#reader.sizes(tenant, selection, unlimited(signal), see);
  }

  /**
   * Sizes of what heads hold; undefined: nobody here knows. Where something was deleted, or who holds it does not answer, nothing is told.
   *
   * @param past the part of a range that may be seen
   */
  #headSizes({ queryIngestersWithinMs: withinMs }: JoinedLimits, past: Ranging) {
    const { ingester, clock } = this.#options;
    const size = ingester.size?.bind(ingester);
    if (size === undefined) return undefined;
    return async (
      tenant: string,
      selection: StoreSelect & Pick<HeadSizeRequest, 'coverFromMs' | 'spacingMs'>,
      signal: AbortSignal,
      see: (size: StoreSize & { readonly coveredMs: number }) => void,
    ): Promise<void> => {
      const own = past(selection);
      const youngMs = withinMs > 0 ? clock.nowMs() - withinMs : Number.NEGATIVE_INFINITY;
      if (own === undefined || own.endMs < youngMs) return;
      const startMs = Math.max(own.startMs, youngMs);
      const { endMs } = own;
      const deleted = await this.#queryTombstones.of(tenant, signal);
      if (deleted.some((each) => each.startMs <= endMs && each.endMs >= startMs)) return;
      const { spacingMs } = selection;
      const coverFromMs = Math.max(startMs, selection.coverFromMs);
      const matchers = selection.matchers.map(headMatcher);
      const asked = { tenant, matchers, startMs, endMs, coverFromMs, spacingMs };
      const found = await size(asked, signal).catch((thrown: unknown) => {
        if (signal.aborted || !(thrown instanceof AppError)) throw thrown;
        return undefined;
      });
      if (found !== undefined) see({ ...found, chunks: 0, chunkBytes: 0, spans: [] });
    };
  }

  /** Evaluates a batch, whose queries ask once for what they have in common. */
  async instants(
    tenant: string,
    requests: readonly InstantRequest[],
    limits: JoinedLimits,
    context: QueryRunContext,
  ): Promise<readonly InstantOutcome[]> {
    const { engine, clock, config } = this.#options;
    const { queryable, over } = this.sources(tenant, limits);
    const orders = this.#orders.ofTenant(tenant);
    const { rulesPartialData: allowPartial } = limits;
    const missing = allowPartial ? new MissingParts() : undefined;
    const shared = { signal: context.signal, missing };
    const selects = new SharedSelects(queryable(tenant), orders, clock, shared);
    const own = allowPartial ? requests.map((request) => ({ ...request, allowPartial })) : requests;
    const prepared = new Map<InstantRequest, PreparedRequest>();
    const runner = over(selects, prepared);
    const batch: BatchQueries = {
      prepare: async (request) => {
        let plan: QueryPlan | undefined;
        const readAhead = async (signal: AbortSignal): Promise<boolean> => {
          plan = await engine.plan(request, { signal });
          const asked = selectsOf(plan.root);
          return asked !== undefined && (await selects.prepare(asked));
        };
        const begunMs = clock.monotonicMs();
        const timeoutMs = Math.min(config.timeoutMs, request.timeoutMs ?? Number.POSITIVE_INFINITY);
        const isReady = await within({ clock, timeoutMs, signal: context.signal }, readAhead);
        const spentMs = isReady === 'late' ? timeoutMs : clock.monotonicMs() - begunMs;
        prepared.set(request, { plan, spentMs });
        // who evaluates it hears of an error, and at once where there is no time left
        return isReady === 'late' || isReady === true;
      },
      instant: async (request) => {
        try {
          return await runner.instant(tenant, request, context);
        } finally {
          prepared.delete(request);
        }
      },
    };
    try {
      return await instantsBy(batch, own, context, clock, this.#texts);
    } finally {
      await selects.close();
    }
  }

  /**
   * All that the API answers from for one call, with the limits that its tenant has now.
   *
   * @param oldestMs the oldest time that may be read, Unix ms: whoever asks may have other limits. Default: by `limits`
   */
  sources(
    tenant: string,
    limits: JoinedLimits,
    oldestMs: number = oldestOfRequest(limits, this.#options.clock.nowMs()),
  ) {
    const { config, purger, ingester, engine, clock } = this.#options;
    for (const [i, each] of tenantsOf(tenant).entries()) this.#retentions.set(each, limits.retentionsMs[i]!);
    const past: Ranging = (request) => {
      if (request.startMs >= oldestMs) return request;
      return request.endMs < oldestMs ? undefined : { ...request, startMs: oldestMs };
    };
    const queryable = (of: string) => {
      const all = this.queryable(of, limits.queryIngestersWithinMs);
      return oldestMs > ANY_TIME_MS ? new RangedQueryable(all, past) : all;
    };
    const limitsOf = () => limits;
    const { turns } = this;
    const timing = { turns: this.#options.evaluation ?? turns, timeoutMs: config.timeoutMs, clock };
    const runnerOver = (of: (tenant: string) => Queryable, prepared?: PreparedRequests) =>
      new EngineRunner({ engine, queryable: of, limits: limitsOf, memory: this.#memory, prepared, ...timing });
    return {
      queries: runnerOver(queryable),
      /** Evaluates over something else. */
      over: (other: Queryable, prepared?: PreparedRequests) => runnerOver(() => other, prepared),
      memory: this.#memory,
      syntax: querierSyntax(config),
      queryable,
      sizes: async (of: string, selection: SizesSelection, signal: AbortSignal, see: (size: StoreSize) => void) => {
        const own = past(selection);
        if (own !== undefined) await this.sizes(of, own, signal, see);
      },
      headSizes: this.#headSizes(limits, past),
      /** As `ChunkStoreReader.ownSlots`, of the tenant that has the fewest. */
      ownSlots: async (
        of: string,
        selection: Pick<StoreSelect, 'matchers' | 'startMs' | 'endMs'>,
        signal: AbortSignal,
      ) => {
        const own = past(selection);
        if (own === undefined) return 1;
        const slots = tenantsOf(of).map((each) => this.#reader.ownSlots(each, own, unlimited(signal)));
        return Math.min(...(await Promise.all(slots)));
      },
      weights: (selection: Pick<StoreSelect, 'matchers' | 'startMs' | 'endMs'>, context: QueryContext) =>
        Promise.all(tenantsOf(tenant).map((of) => this.#reader.weights(of, selection, context))),
      limits: limitsOf,
      metadata: federatedMetadata(recentMetadata(ingester)),
      exemplars: federatedExemplars(recentExemplars(ingester)),
      deletes: purger.enableAdminApi ? deletesIn(this.#tombstones, this.#generations) : undefined,
      deleteCancelMs: purger.deleteRequestCancelPeriodMs,
      clock,
      timeoutMs: config.timeoutMs,
      lookbackMs: config.lookbackDeltaMs,
      perStepStats: config.enablePromqlPerStepStats,
      searchEnabled: config.enableSearchApi,
    };
  }

  async deleteTenant(tenant: string, signal: AbortSignal): Promise<TenantDeletion> {
    // first: rules that are left would write anew
    await removeTenantRows(this.#options.schema, tenant, signal);
    return deletionOf(await this.#tombstones.deleteTenant(tenant, signal));
  }

  async tenantDeletion(tenant: string, signal: AbortSignal): Promise<TenantDeletion | undefined> {
    const found = await this.#tombstones.tenantDeletion(tenant, signal);
    return found && deletionOf(found);
  }
}

function deletionOf({ endMs, state }: Tombstone): TenantDeletion {
  return { endMs, processed: state === 'processed' };
}

function deletesIn(tombstones: Tombstones, generations: Generations) {
  return {
    create: (
      tenant: string,
      { matchers, startMs, endMs }: Pick<Tombstone, 'matchers' | 'startMs' | 'endMs'>,
      signal: AbortSignal,
    ) => tombstones.create(tenant, matchers, startMs, endMs, signal),
    list: (tenant: string, signal: AbortSignal) => tombstones.list(tenant, signal),
    async cancel(tenant: string, id: string, signal: AbortSignal) {
      // a query that began before the request was made and saw it may have kept its answer: as if there never had been one
      await generations.moveAll(tenant, 0, signal);
      await tombstones.cancel(tenant, id, signal);
    },
  };
}
