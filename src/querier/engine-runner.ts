import type {
  InstantRequest,
  PartialRequest,
  PartialResult,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  QueryStatistics,
  QueryValue,
  RangeRequest,
} from '../contract/query.ts';
import { after, type Clock } from '../lib/clock.ts';
import { checkLength, oldestOf, type PastLimits } from '../limits/allowed-past.ts';
import { type BudgetLimits, LimitedBudget, type SharedMemory } from '../limits/query-budget.ts';
import { queryErrors } from '../model/errors-query.ts';
import { memoryError } from '../model/memory-error.ts';
import { isSeriesShard, SERIES_SHARDS_MAX } from '../model/series-shard.ts';
import type { Engine, PartialAnswer, QueryPlan } from '../promql/engine.ts';
import { ParseError } from '../promql/parser/parser.ts';
import type { QueryResult as EngineResult, QueryValue as EngineValue } from '../promql/result.ts';
import type { QueryStats } from '../promql/stats.ts';
import { AskedMembers } from '../storage/asked-members.ts';
import { MissingParts } from '../storage/missing.ts';
import type { Queryable, QueryContext } from '../storage/queryable.ts';
import { explainReads } from './explain-reads.ts';
import { RangedQueryable } from './ranged-queryable.ts';
import type { QueryTurns } from './turns.ts';

export interface EngineRunnerOptions {
  readonly engine: Pick<Engine, 'query' | 'queryRange' | 'partial'>;
  readonly queryable: (tenant: string) => Queryable;
  readonly limits: (tenant: string) => BudgetLimits & Partial<PastLimits>;
  /** Shared by all queries of a thread, as `turns` are. */
  readonly memory?: SharedMemory | undefined;
  readonly turns: Pick<QueryTurns, 'begin'>;
  /** A query that takes longer is ended; a request may ask for less. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Requests that were worked on before; absent: none. */
  readonly prepared?: PreparedRequests | undefined;
}

/** Work on requests before they are evaluated. */
export type PreparedRequests = ReadonlyMap<InstantRequest, PreparedRequest>;

export interface PreparedRequest {
  /** Absent: none could be made yet. */
  readonly plan: QueryPlan | undefined;
  /** Time that it took, of what the request has. */
  readonly spentMs: number;
}

/** Evaluates queries in this thread, each within the limits of its tenant and its time. */
export class EngineRunner implements QueryRunner {
  readonly #options: EngineRunnerOptions;

  constructor(options: EngineRunnerOptions) {
    this.#options = options;
  }

  instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult> {
    const { engine, prepared } = this.#options;
    const { plan, spentMs } = prepared?.get(request) ?? NOTHING;
    const evaluate = async (own: QueryContext, statistics: (stats: QueryStats) => QueryStatistics) => {
      const query = { ...optionsOf(request), timeMs: request.timeMs, plan };
      const result = await engine.query(this.#queryable(tenant, request), query, own);
      return resultOf(result, columnsOf(result.value, request.timeMs), statistics, own);
    };
    return this.#run(tenant, request, context, evaluate, spentMs);
  }

  range(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    const { engine } = this.#options;
    const { endMs } = request;
    return this.#run(tenant, request, context, async (own, statistics) => {
      const query = { ...optionsOf(request), ...rangeOf(request) };
      const result = await engine.queryRange(this.#queryable(tenant, request), query, own);
      return resultOf(result, columnsOf(result.value, endMs), statistics, own);
    });
  }

  async partial(tenant: string, request: PartialRequest, context: QueryRunContext): Promise<PartialResult> {
    const { engine } = this.#options;
    const { shard } = request;
    if (!isSeriesShard(shard)) {
      const text = `there is no shard ${shard.index} of ${shard.count}: shards are counted from 0, and there are at most ${SERIES_SHARDS_MAX}`;
      throw queryErrors.queryInvalid({ text });
    }
    const times = 'timeMs' in request ? { timeMs: request.timeMs } : rangeOf(request);
    return this.#run(tenant, request, context, async (own, statistics) => {
      const answer = await engine.partial(
        this.#queryable(tenant, request),
        { ...optionsOf(request), ...times, shard },
        own,
      );
      return partialOf(answer, shard, statistics, own);
    });
  }

  /** The data that a request reads from: windows that are longer than a query may be are refused. */
  #queryable(tenant: string, request: InstantRequest | RangeRequest): Queryable {
    const { queryable, limits, clock } = this.#options;
    const { maxQueryLengthMs = 0, maxQueryLookbackMs = 0 } = limits(tenant);
    if (maxQueryLengthMs === 0) return queryable(tenant);
    const oldestMs = oldestOf({ maxQueryLookbackMs }, clock.nowMs());
    const rangeMs = 'timeMs' in request ? 0 : request.endMs - request.startMs;
    return new RangedQueryable(queryable(tenant), (asked) => {
      checkLength({ maxQueryLengthMs }, asked.endMs - Math.max(asked.startMs, oldestMs) - rangeMs);
      return asked;
    });
  }

  /** Runs `query` until its time is up or nobody waits for it any more. */
  async #run<Answer>(
    tenant: string,
    request: InstantRequest | RangeRequest,
    context: QueryRunContext,
    query: (context: QueryContext, statistics: (stats: QueryStats) => QueryStatistics) => Promise<Answer>,
    spentMs = 0,
  ): Promise<Answer> {
    const { clock } = this.#options;
    const timeoutMs = Math.min(this.#options.timeoutMs, request.timeoutMs ?? Number.POSITIVE_INFINITY);
    const budget = new LimitedBudget(this.#options.limits(tenant), this.#options.memory, request.used);
    if (timeoutMs <= spentMs) throw queryErrors.queryTimedOut({ limitMs: Math.max(0, timeoutMs) });
    const startedMs = clock.monotonicMs();
    context.signal.throwIfAborted();
    // a composite signal costs more than all else here
    const ends = new AbortController();
    const { signal } = ends;
    const cancel = () => ends.abort(context.signal.reason);
    context.signal.addEventListener('abort', cancel, { once: true });
    let isTimeUp = false;
    const timer = after(clock, timeoutMs - spentMs, () => {
      isTimeUp = !signal.aborted;
      ends.abort(queryErrors.queryTimedOut({ limitMs: timeoutMs }));
    });
    const { turn, end } = this.#options.turns.begin({ heldBytes: () => budget.memoryBytes, signal });
    const missing = request.allowPartial === true ? new MissingParts() : undefined;
    const members = request.explain === true ? new AskedMembers() : undefined;
    try {
      return await query({ budget, signal, turn, missing, members }, (stats) => {
        const { fetchedRows, fetchedObjects, cachedBlocks, readSlots, readGroups } = budget;
        const read = { fetchedRows, fetchedObjects, cachedBlocks, readSlots, readGroups };
        const own = {
          fetchedBytes: budget.fetchedBytes - (request.used?.fetchedBytes ?? 0),
          fetchedChunks: budget.chunks - (request.used?.chunks ?? 0),
          fetchedChunkBytes: budget.chunkBytes - (request.used?.chunkBytes ?? 0),
        };
        return { evaluatedMs: clock.monotonicMs() - startedMs, ...stats, ...own, ...read };
      });
    } catch (thrown) {
      if (isTimeUp) throw signal.reason;
      if (thrown instanceof ParseError) throw queryErrors.queryInvalid({ text: thrown.message });
      throw memoryError(thrown) ?? thrown;
    } finally {
      end();
      budget.close();
      timer.cancel();
      context.signal.removeEventListener('abort', cancel);
    }
  }
}

const NOTHING: PreparedRequest = { plan: undefined, spentMs: 0 };

function optionsOf({ expr, lookbackMs, perStepStatistics = false, explain = false }: InstantRequest | RangeRequest) {
  return { expr, ...(lookbackMs === undefined ? {} : { lookbackMs }), perStepStats: perStepStatistics, explain };
}

function rangeOf({ startMs, endMs, stepMs, whole }: RangeRequest) {
  return { startMs, endMs, stepMs, ...(whole === undefined ? {} : { whole }) };
}

function resultOf(
  { warnings, infos, stats, explain, notes }: EngineResult,
  value: QueryValue,
  statisticsOf: (stats: QueryStats) => QueryStatistics,
  { missing, members }: QueryContext,
): QueryResult {
  const parts = missing?.list ?? [];
  const told = {
    warnings,
    infos,
    ...(notes === undefined ? {} : { notes }),
    ...(parts.length === 0 ? {} : { missing: parts }),
  };
  const statistics = statisticsOf(stats);
  return { value, ...told, statistics, explanation: explain && explainReads(explain, statistics, members) };
}

function partialOf(
  answer: PartialAnswer,
  shard: PartialRequest['shard'],
  statisticsOf: (stats: QueryStats) => QueryStatistics,
  { members }: QueryContext,
): PartialResult {
  const statistics = statisticsOf(answer.stats);
  if ('reason' in answer) return { type: 'whole', reason: answer.reason, statistics };
  const { op, steps, columns, warnings, infos, notes, explain } = answer;
  const told = { warnings, infos, ...(notes === undefined ? {} : { notes }) };
  const explanation = explain && explainReads(explain, statistics, members);
  return { type: 'partial', op, shard, steps, ...columns, ...told, statistics, explanation };
}

function columnsOf(value: EngineValue, timeMs: number): QueryValue {
  switch (value.type) {
    case 'scalar':
    case 'string':
      return value;
    case 'vector': {
      const { samples } = value;
      const isPlain = samples.every(({ histogram }) => histogram === undefined);
      return {
        type: 'vector',
        timeMs,
        pairs: samples.map(({ labels }) => labels.pairs),
        values: Float64Array.from(samples, (sample) => sample.value),
        histograms: isPlain ? undefined : samples.map(({ histogram }) => histogram),
      };
    }
    case 'matrix':
      return {
        type: 'matrix',
        series: value.series.map(({ labels, times, values, histograms }) => ({
          pairs: labels.pairs,
          times,
          values,
          histograms,
        })),
      };
  }
}
