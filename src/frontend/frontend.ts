import type {
  InstantRequest,
  PartialRequest,
  PartialResult,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  RangeRequest,
} from '../contract/query.ts';
import { after, type Clock } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import type { Random } from '../lib/random.ts';
import { queryErrors } from '../model/errors-query.ts';
import { tenantsOf } from '../model/tenants.ts';
import type { Expr } from '../promql/parser/ast.ts';
import { ParseError } from '../promql/parser/error.ts';
import type { ParsedExprs } from '../promql/parser/parsed.ts';
import { printExpr } from '../promql/parser/printer.ts';
import type { Queryable } from '../storage/queryable.ts';
import { alignToStep } from './align.ts';
import { explainParts, explainStages } from './explain-stages.ts';
import { cutOut, hasInnerAggregate, rangeOverInner } from './inner-shards.ts';
import { instantOverWindows, type WindowRunners } from './instant-windows.ts';
import { cutWindows, mayHaveWindows } from './long-windows.ts';
import { addedStatistics, joinSteps, resultOfSteps, stepsOf } from './merge-steps.ts';
import { mayNeedMuch, type NeedLimits, needsMuch, refuseHopeless, type SizesOf } from './need.ts';
import { type OwnSlots, shardsOf } from './own-slots.ts';
import { partMissing } from './part-missing.ts';
import { isReadTooMuch, NO_LIMITS, PartsBudget, type PartsMemory, PartsUse } from './parts-budget.ts';
import { reachOf } from './reach.ts';
import type { CachedParts, CacheLimits, DaysView, ResultsCache } from './results-cache.ts';
import { RetryingRunner } from './retry.ts';
import { drawnOrder, runParts } from './run-parts.ts';
import { isShardable, rangeInShards } from './shard.ts';
import { eachStep, joined, type StepRange, splitByInterval } from './split.ts';
import { type SplitRules, splitRefusal } from './split-rules.ts';
import { throwUnlessAway } from './store-away.ts';

export interface FrontendOptions {
  /** Whoever evaluates queries and their parts. */
  readonly querier: QueryRunner;
  /** Parsed expressions, in the syntax that the querier takes; kept from query to query. */
  readonly parsed: ParsedExprs;
  readonly rules: SplitRules;
  /** Length of a part by the clock; 0: queries are not split. */
  readonly splitIntervalMs: number;
  /** Shards of the series in which aggregations are evaluated; 0: none. A power of two, as counts of slots are, where those bound it. */
  readonly shards: number;
  /** Bounds shards, so that none reads what another one reads. Absent: all that are configured are asked for, whatever they read. */
  readonly ownSlots?: OwnSlots | undefined;
  /** Absent: answers are not cached. Only what is split is. */
  readonly cache?: ResultsCache | undefined;
  readonly cacheLimits: CacheLimits;
  /** Samples that an answer takes at least to be cached. Default 0. */
  readonly cacheSamplesMin?: number;
  /** Age up to which the newest sample of a series is its value, where a request does not say. */
  readonly lookbackMs: number;
  /** Steps are moved to multiples of the step. */
  readonly alignToStep: boolean;
  /** Parts of a query that are under way at once. */
  readonly parallelMax: number;
  /** Times that a query, or a part or a shard of one, is asked for again. */
  readonly retriesMax: number;
  /** Counts memory that a query's answers take until they are put together; `close` gives it back. */
  readonly memory: () => PartsMemory;
  /** Windows that are longer are not cut: whoever evaluates refuses them. Absent: any are. */
  readonly windowMsMax?: number;
  /** Points of all parts together. */
  readonly samplesMax: number;
  /** Sizes and limits of queries of several parts; absent: they are not known before. */
  readonly need?: {
    /** Sizes in the store. */
    readonly sizesOf: SizesOf;
    /** Sizes in heads. Absent: nobody here knows. */
    readonly headSizesOf?: SizesOf | undefined;
    readonly limits: NeedLimits;
  };
  /** Evaluates over something else, in this thread: what is around parts of an expression that are asked for by themselves. */
  readonly over: (queryable: Queryable) => QueryRunner;
  /** A query that takes longer is ended; a request may ask for less. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Draws the order in which parts are asked for: queries that come at once and read the same do not all make the same rows then, but have most
   * of them from each other. Absent: by time.
   */
  readonly orderOfParts?: Random;
}

interface RangePlan {
  readonly expr: Expr;
  /** By interval; none where queries are not split. */
  readonly parts: readonly StepRange[];
  /** It is not to be split: parts are asked for only as far as the cache has the others. */
  readonly isOne: boolean;
  /** The cache may have some of it, or take it. */
  readonly isCached: boolean;
  /** Its need is estimated before anything is asked for. */
  readonly isMuch: boolean;
}

type RunRange = (request: RangeRequest, context: QueryRunContext) => Promise<QueryResult>;

/** The thread is held up for so long at a time. */
const SLICE_MS = 10;

/**
 * Evaluates queries in parts, where the answer is the same to the last bit. It stands between who asks and who evaluates, and is a
 * `QueryRunner` as both sides know it: in one process a few functions, between processes a service of its own.
 *
 * The stages of a range query, each in its file: align → split by interval → cache → shard by series → run → merge.
 */
export class Frontend implements QueryRunner {
  readonly #options: FrontendOptions;

  constructor(options: FrontendOptions) {
    const { querier, retriesMax, timeoutMs } = options;
    this.#options =
      retriesMax === 0 ? options : { ...options, querier: new RetryingRunner(querier, options, timeoutMs) };
  }

  async instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult> {
    const { querier, splitIntervalMs, rules, clock, windowMsMax = Number.POSITIVE_INFINITY } = this.#options;
    const isPlain =
      request.allowPartial !== true &&
      !isCounted(request) &&
      !this.#isSeriesLimited &&
      !rules.delayedNameRemoval &&
      Number.isInteger(request.timeMs);
    const mayBeCut = splitIntervalMs > 0 && isPlain && mayHaveWindows(request.expr);
    // the usual instant: nothing is read of it here
    if (!mayBeCut && !this.#mayNeedMuch(tenant, request)) return querier.instant(tenant, request, context);
    const pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal: context.signal });
    const expr = await this.#parse(request.expr, pacer);
    // what cannot be read is told by who evaluates
    if (expr === undefined) return querier.instant(tenant, request, context);
    const found = mayBeCut ? cutWindows(expr, request.expr, splitIntervalMs) : undefined;
    const cut = found?.windows.every(({ matrix }) => matrix.rangeMs <= windowMsMax) ? found : undefined;
    const steps = { ...request, startMs: request.timeMs, endMs: request.timeMs, stepMs: 1 };
    if (cut === undefined && !needsMuch(expr, steps)) return querier.instant(tenant, request, context);
    return this.#inTime(request, context, async (inTime) => {
      if (cut !== undefined) {
        const budget = this.#budget(request, 0);
        const runners = this.#windowRunners(tenant, pacer, budget, inTime);
        const answer = await instantOverWindows(tenant, request, cut, runners, inTime);
        if (answer !== undefined) return answer;
      }
      await this.#refuseHopeless(tenant, steps, expr, [steps], inTime);
      return querier.instant(tenant, request, inTime);
    });
  }

  /** Whether the need of a query may be worth an estimate. */
  #mayNeedMuch(tenant: string, { expr, ...steps }: InstantRequest | RangeRequest): boolean {
    const { need } = this.#options;
    if (need === undefined || tenantsOf(tenant).length > 1) return false;
    return mayNeedMuch(expr, 'timeMs' in steps ? undefined : steps);
  }

  #budget({ used }: InstantRequest | RangeRequest, maxQueryResponseSize: number): PartsBudget {
    const { memory, samplesMax, need } = this.#options;
    return new PartsBudget(memory(), { ...(need?.limits ?? NO_LIMITS), samplesMax, maxQueryResponseSize }, used);
  }

  /** Parts of a query do not tell how many series they have read. */
  get #isSeriesLimited(): boolean {
    return (this.#options.need?.limits.maxFetchedSeriesPerQuery ?? 0) > 0;
  }

  #windowRunners(tenant: string, turns: Pacer, budget: PartsBudget, { signal }: QueryRunContext): WindowRunners {
    const { querier, splitIntervalMs: intervalMs, over, cache } = this.#options;
    // read once for all windows, before the first of them is asked for
    let days: Promise<DaysView | undefined> | undefined;
    const whole: RunRange = querier.range.bind(querier, tenant);
    return {
      intervalMs,
      edge: async (request, context) => {
        const result = await whole(request, context);
        budget.count(result);
        return result;
      },
      intervals: async (request, context) => {
        const expr = await this.#parse(request.expr, turns);
        if (expr === undefined) throw new Error(`bug: a piece that cannot be read: ${request.expr}`);
        // each has a key of its own in the cache, whenever the window begins
        const parts = eachStep(request);
        const { heldBytes } = budget;
        try {
          const isCached = this.#mayBeCached(tenant, request);
          if (isCached) days ??= cache!.days(tenant, signal);
          const cached = isCached ? await this.#cached(tenant, request, expr, parts, budget, context, days) : undefined;
          const tasks = cached?.tasks ?? parts;
          await this.#refuseHopeless(tenant, request, expr, joined(tasks, request.stepMs), context);
          return await this.#inParts(request, tasks, cached, whole, context, turns, budget);
        } finally {
          budget.giveBackTo(heldBytes);
        }
      },
      over,
      budget,
      turns,
    };
  }

  partial(tenant: string, request: PartialRequest, context: QueryRunContext): Promise<PartialResult> {
    return this.#options.querier.partial(tenant, request, context);
  }

  async range(tenant: string, asked: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    const stages: string[] = [];
    const result = await this.#range(tenant, asked, context, stages);
    const { explanation } = result;
    return explanation === undefined ? result : { ...result, explanation: explainStages(stages, explanation) };
  }

  /** @param stages told what is done, for who asks for an explanation */
  async #range(tenant: string, asked: RangeRequest, context: QueryRunContext, stages: string[]): Promise<QueryResult> {
    const { querier, splitIntervalMs, shards, clock } = this.#options;
    const { alignToStep: isAligned } = this.#options;
    const request = isAligned && asked.stepMs > 0 ? alignToStep(asked) : asked;
    if (isAligned) stages.push('align: steps at multiples of the step');
    const isPlain =
      request.whole === undefined && request.stepMs > 0 && request.endMs >= request.startMs + request.stepMs;
    if (!isPlain) return querier.range(tenant, request, context);
    const parts = splitIntervalMs === 0 ? [] : splitByInterval(request, splitIntervalMs);
    const isCached = parts.length > 0 && this.#mayBeCached(tenant, request);
    // both parts of a short query would be asked for nearly all of its series
    const isOne = parts.length <= 1 || request.endMs - request.startMs <= splitIntervalMs;
    if (isOne) stages.push('split: one part');
    const mayMuch = !isOne || this.#mayNeedMuch(tenant, request);
    // the usual small query: nothing is read of it here
    if (!mayMuch && shards === 0 && !isCached) return querier.range(tenant, request, context);
    const pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal: context.signal });
    const expr = await this.#parse(request.expr, pacer);
    // what cannot be read is told by who evaluates
    if (expr === undefined) return querier.range(tenant, request, context);
    const plan = { expr, parts, isOne, isCached, isMuch: !isOne || (mayMuch && needsMuch(expr, request)) };
    return this.#inTime(request, context, (inTime) => this.#planned(tenant, request, plan, inTime, pacer, stages));
  }

  async #planned(
    tenant: string,
    request: RangeRequest,
    { expr, parts, isOne, isCached, isMuch }: RangePlan,
    context: QueryRunContext,
    pacer: Pacer,
    stages: string[],
  ): Promise<QueryResult> {
    const { rules, need } = this.#options;
    const runner = this.#runnerOf(tenant, request, expr, pacer);
    const refusal = splitRefusal(expr, rules);
    if (refusal !== undefined) {
      if (!isOne) stages.push(`split: left whole (${refusal})`);
      stages.push(...this.#shardStages(request, expr));
      if (isMuch) await this.#refuseHopeless(tenant, request, expr, [request], context);
      return runner(request, context);
    }
    // an explanation is short, whatever it is of
    const maxQueryResponseSize = request.explain === true ? 0 : (need?.limits.maxQueryResponseSize ?? 0);
    const budget = this.#budget(request, maxQueryResponseSize);
    try {
      const cached = isCached ? await this.#cached(tenant, request, expr, parts, budget, context) : undefined;
      const isWhole = cached === undefined && isOne;
      const tasks = cached?.tasks ?? parts;
      const ranges = isWhole ? [request] : joined(tasks, request.stepMs);
      if (isMuch) await this.#refuseHopeless(tenant, request, expr, ranges, context);
      if (!isWhole && this.#options.cache !== undefined)
        stages.push('cache: not asked, what is explained is evaluated');
      stages.push(...this.#shardStages(request, expr));
      if (isWhole) return await runner(request, context);
      try {
        return await this.#inParts(request, tasks, cached, runner, context, pacer, budget);
      } catch (thrown) {
        if (context.signal.aborted || !isReadTooMuch(thrown)) throw thrown;
      }
      budget.giveBackTo(0);
      stages.push('split: asked for whole, for its parts read more than a limit');
      return await this.#wholeWithin(tenant, request, context);
    } finally {
      budget.close();
    }
  }

  /** The query as it is: what parts read each for itself, at their borders, it reads once. @throws as `PartsUse.add` */
  async #wholeWithin(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    const { querier, need } = this.#options;
    const result = await querier.range(tenant, request, context);
    new PartsUse(need?.limits ?? NO_LIMITS, request.used).add(result.statistics);
    return result;
  }

  /** @throws where what the store has of the query is more than a limit allows */
  async #refuseHopeless(
    tenant: string,
    { stepMs, lookbackMs = this.#options.lookbackMs, explain, whole }: RangeRequest,
    expr: Expr,
    ranges: readonly StepRange[],
    { signal }: QueryRunContext,
  ): Promise<void> {
    const { need, samplesMax } = this.#options;
    if (need === undefined || tenantsOf(tenant).length > 1) return;
    // an explanation is short, whatever it is of, and of all pieces of a window one value is answered
    const isShort = explain === true || whole?.windows === true;
    const limits = { ...need.limits, samplesMax, ...(isShort ? { maxQueryResponseSize: 0 } : {}) };
    const places = [need.sizesOf, need.headSizesOf].filter((sizesOf) => sizesOf !== undefined);
    try {
      await refuseHopeless(expr, { tenant, ranges, stepMs, lookbackMs }, limits, places, signal);
    } catch (thrown) {
      throwUnlessAway(thrown, signal);
    }
  }

  #mayBeCached(tenant: string, request: RangeRequest): boolean {
    const { cache, cacheLimits } = this.#options;
    return (
      cache !== undefined &&
      !isCounted(request) &&
      request.noStore !== true &&
      tenantsOf(tenant).length === 1 &&
      cache.isWorth(request, cacheLimits)
    );
  }

  /**
   * The parts as far as the cache has them, held by `budget`, of a query that may be cached; undefined: it is not asked.
   * @param days what holds of them, where it was read before
   */
  async #cached(
    tenant: string,
    request: RangeRequest,
    expr: Expr,
    parts: readonly StepRange[],
    budget: PartsBudget,
    { signal }: QueryRunContext,
    days?: Promise<DaysView | undefined>,
  ): Promise<CachedParts | undefined> {
    const { cache, cacheLimits: limits, lookbackMs: usualMs } = this.#options;
    const { expr: text, startMs, endMs, stepMs, lookbackMs = usualMs, whole } = request;
    const reach = reachOf(expr, lookbackMs);
    if (reach === undefined) return undefined;
    // pieces of windows have other answers than steps: series with their names
    const normal = `${whole?.windows === true ? 'windows ' : ''}${printExpr(expr)}`;
    const query = { tenant, expr: text, normal, startMs, endMs, stepMs, reach, lookbackMs, limits };
    const cached = await cache!.open(query, parts, signal, (bytes) => budget.holdBytes(bytes), days);
    if (cached !== undefined) budget.addPoints(cached.points, cached.series);
    return cached;
  }

  /** Asks for a query, or a part of it by time: in shards where that may be. */
  #runnerOf(tenant: string, request: RangeRequest, expr: Expr, turns: Pacer): RunRange {
    const { querier, shards, rules, over, memory } = this.#options;
    const whole: RunRange = querier.range.bind(querier, tenant);
    if (shards === 0 || request.allowPartial === true || this.#isSeriesLimited) return whole;
    const sharded = this.#inShards(tenant, turns);
    if (isShardable(expr) && !hasInnerAggregate(expr)) return sharded;
    if (isCounted(request) || rules.delayedNameRemoval) return whole;
    const cut = cutOut(expr, request.expr);
    if (cut === undefined) return whole;
    return async (part, context) => {
      let most = 1;
      for (const { expr: text, isSharded } of cut.inner) {
        if (isSharded) most = Math.max(most, await this.#shardsOf(tenant, { ...part, expr: text }, context, turns));
      }
      // by itself each would read what the others have read
      if (most === 1 && shards > 1) return whole(part, context);
      return rangeOverInner(tenant, part, cut, { sharded, whole, over, memory: memory(), turns }, context);
    };
  }

  /** Says whether a query, or each of its parts, is asked for in shards; nothing where it could not be. */
  #shardStages({ allowPartial }: RangeRequest, expr: Expr): string[] {
    const { shards, ownSlots } = this.#options;
    if (shards === 0 || !isShardable(expr) || hasInnerAggregate(expr)) return [];
    if (allowPartial === true) return ['shard: left whole (its answer may be incomplete)'];
    if (this.#isSeriesLimited) return ['shard: left whole (max_fetched_series_per_query)'];
    const most = ownSlots === undefined ? `${shards} shards` : `up to ${shards} shards`;
    return [`shard: ${most} of the series, where their answers can be merged`];
  }

  /** One time for all that a query, or a part of it, is made of. */
  async #inTime<Answer>(
    request: InstantRequest | RangeRequest,
    context: QueryRunContext,
    run: (context: QueryRunContext) => Promise<Answer>,
  ): Promise<Answer> {
    const timeoutMs = Math.min(this.#options.timeoutMs, request.timeoutMs ?? Number.POSITIVE_INFINITY);
    const timeUp = new AbortController();
    const timer = after(this.#options.clock, timeoutMs, () =>
      timeUp.abort(queryErrors.queryTimedOut({ limitMs: timeoutMs })),
    );
    try {
      return await run({ ...context, signal: AbortSignal.any([context.signal, timeUp.signal]) });
    } catch (thrown) {
      throw timeUp.signal.aborted ? timeUp.signal.reason : thrown;
    } finally {
      timer.cancel();
    }
  }

  #inShards(tenant: string, turns: Pacer): RunRange {
    const { querier, shards, parallelMax, need } = this.#options;
    const options = { parallelMax, limits: need?.limits ?? NO_LIMITS, turns };
    return async (request, context) => {
      const count = await this.#shardsOf(tenant, request, context, turns);
      const isWhole = count === 1 && shards > 1;
      const result = isWhole
        ? await querier.range(tenant, request, context)
        : await rangeInShards(querier, tenant, request, { count, ...options }, context);
      const { explanation } = result;
      if (explanation === undefined || count === shards) return result;
      const stage = isWhole ? 'left whole (shards would read the same)' : `${count} shards, as many as there are slots`;
      return { ...result, explanation: explainStages([`shard: ${stage}`], explanation) };
    };
  }

  /** Shards of an aggregation that is asked for by itself; 1: it is left whole, unless it is one that is configured. */
  async #shardsOf(tenant: string, request: RangeRequest, { signal }: QueryRunContext, turns: Pacer): Promise<number> {
    const { shards, ownSlots, lookbackMs } = this.#options;
    if (ownSlots === undefined) return shards;
    const expr = await this.#parse(request.expr, turns);
    if (expr === undefined) throw new Error(`bug: shards of what cannot be read: ${request.expr}`);
    return Math.min(shards, await shardsOf(expr, tenant, { lookbackMs, ...request }, ownSlots, signal));
  }

  async #parse(text: string, pacer: Pacer): Promise<Expr | undefined> {
    try {
      return await this.#options.parsed.of(text, pacer);
    } catch (thrown) {
      if (thrown instanceof ParseError) return undefined;
      throw thrown;
    }
  }

  /** @param budget of the whole query: who gave it gives back what the parts hold */
  async #inParts(
    request: RangeRequest,
    parts: readonly StepRange[],
    cached: CachedParts | undefined,
    run: RunRange,
    context: QueryRunContext,
    pacer: Pacer,
    budget: PartsBudget,
  ): Promise<QueryResult> {
    const { parallelMax, clock, orderOfParts } = this.#options;
    const { startMs, endMs } = request;
    const whole = request.whole ?? { startMs, endMs };
    const startedMs = clock.monotonicMs();
    // what is too much for all ends all
    const over = new AbortController();
    const signal = AbortSignal.any([context.signal, over.signal]);
    const ask = async (part: StepRange, ends: AbortSignal) => {
      const own = { startMs: part.startMs, endMs: part.endMs, whole, used: budget.used };
      const evaluated = run({ ...request, ...own }, { ...context, signal: ends });
      const told = evaluated.catch((thrown) => {
        // it is asked for whole then: no other part is wanted, whichever was begun first
        if (isReadTooMuch(thrown)) over.abort(thrown);
        throw thrown;
      });
      const result = await (request.allowPartial === true ? told.catch(partMissing(part, ends)) : told);
      try {
        budget.add(result);
      } catch (thrown) {
        over.abort(thrown);
        throw thrown;
      }
      return result;
    };
    const order = orderOfParts && drawnOrder(parts.length, orderOfParts);
    const results = await runParts(parts, parallelMax, signal, ask, order).catch((thrown) => {
      // parts that it ended say so in words of their own
      throw over.signal.aborted ? over.signal.reason : thrown;
    });
    const answers = results.map(stepsOf);
    const steps = await (cached === undefined ? joinSteps(request, answers, pacer) : cached.join(answers, pacer));
    const counts = { parts: parts.length, cachedSteps: cached?.cachedSteps ?? 0 };
    const statistics = {
      ...counts,
      ...addedStatistics(results.map((result) => result.statistics)),
      evaluatedMs: clock.monotonicMs() - startedMs,
    };
    const isDear = statistics.totalQueryableSamples >= (this.#options.cacheSamplesMin ?? 0);
    // whoever asks does not wait for it, and it never fails but where there is nobody to ask any more
    if (isDear || counts.cachedSteps > 0) void cached?.keep(answers, pacer).catch(() => {});
    const missing = results.flatMap((result) => result.missing ?? []);
    return {
      ...resultOfSteps(request.expr, steps),
      ...(request.whole === undefined ? {} : { notes: steps.notes }),
      statistics,
      explanation: explainParts(parts, results),
      ...(missing.length === 0 ? {} : { missing }),
    };
  }
}

/** Whether the answer tells of steps or parts of the plan, as they are when it is evaluated whole. */
function isCounted({ perStepStatistics, explain }: InstantRequest | RangeRequest): boolean {
  return perStepStatistics === true || explain === true;
}
