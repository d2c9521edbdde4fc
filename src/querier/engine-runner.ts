import type {
  InstantRequest,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  QueryValue,
  RangeRequest,
} from '../contract/query.ts';
import { after, type Clock } from '../lib/clock.ts';
import { type BudgetLimits, LimitedBudget, type SharedMemory } from '../limits/query-budget.ts';
import { queryErrors } from '../model/errors-query.ts';
import { memoryError } from '../model/memory-error.ts';
import type { Engine } from '../promql/engine.ts';
import { ParseError } from '../promql/parser/parser.ts';
import type { QueryResult as EngineResult, QueryValue as EngineValue } from '../promql/result.ts';
import type { Queryable, QueryContext } from '../storage/queryable.ts';
import type { QueryTurns } from './turns.ts';

export interface EngineRunnerOptions {
  readonly engine: Pick<Engine, 'query' | 'queryRange'>;
  readonly queryable: (tenant: string) => Queryable;
  readonly limits: (tenant: string) => BudgetLimits;
  /** Shared by all queries of a thread, as `turns` are. */
  readonly memory?: SharedMemory | undefined;
  readonly turns: QueryTurns;
  /** A query that takes longer is ended; a request may ask for less. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** Evaluates queries in this thread, each within the limits of its tenant and its time. */
export class EngineRunner implements QueryRunner {
  readonly #options: EngineRunnerOptions;

  constructor(options: EngineRunnerOptions) {
    this.#options = options;
  }

  instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult> {
    const { engine, queryable } = this.#options;
    return this.#run(tenant, request, context, (own) =>
      engine.query(queryable(tenant), { ...optionsOf(request), timeMs: request.timeMs }, own),
    );
  }

  range(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    const { engine, queryable } = this.#options;
    const { startMs, endMs, stepMs } = request;
    return this.#run(tenant, request, context, (own) =>
      engine.queryRange(queryable(tenant), { ...optionsOf(request), startMs, endMs, stepMs }, own),
    );
  }

  /** Runs `query` until its time is up or nobody waits for it any more. */
  async #run(
    tenant: string,
    request: InstantRequest | RangeRequest,
    context: QueryRunContext,
    query: (context: QueryContext) => Promise<EngineResult>,
  ): Promise<QueryResult> {
    const { clock } = this.#options;
    const timeoutMs = Math.min(this.#options.timeoutMs, request.timeoutMs ?? Number.POSITIVE_INFINITY);
    const budget = new LimitedBudget(this.#options.limits(tenant), this.#options.memory);
    if (timeoutMs <= 0) throw queryErrors.queryTimedOut({ limitMs: Math.max(0, timeoutMs) });
    const startedMs = clock.monotonicMs();
    const timeUp = new AbortController();
    const timer = after(clock, timeoutMs, () => timeUp.abort(queryErrors.queryTimedOut({ limitMs: timeoutMs })));
    const signal = AbortSignal.any([context.signal, timeUp.signal]);
    const { turn, end } = this.#options.turns.begin();
    try {
      const result = await query({ budget, signal, turn });
      const value = columnsOf(result.value, 'timeMs' in request ? request.timeMs : request.endMs);
      return resultOf(result, value, budget, clock.monotonicMs() - startedMs);
    } catch (thrown) {
      if (timeUp.signal.aborted) throw timeUp.signal.reason;
      if (thrown instanceof ParseError) throw queryErrors.queryInvalid({ text: thrown.message });
      throw memoryError(thrown) ?? thrown;
    } finally {
      end();
      budget.close();
      timer.cancel();
    }
  }
}

function optionsOf({ expr, lookbackMs, perStepStatistics = false, explain = false }: InstantRequest | RangeRequest) {
  return { expr, ...(lookbackMs === undefined ? {} : { lookbackMs }), perStepStats: perStepStatistics, explain };
}

function resultOf(
  { warnings, infos, stats, explain }: EngineResult,
  value: QueryValue,
  { fetchedBytes, fetchedRows, fetchedObjects, cachedBlocks }: LimitedBudget,
  evaluatedMs: number,
): QueryResult {
  return {
    value,
    warnings,
    infos,
    statistics: { evaluatedMs, ...stats, fetchedBytes, fetchedRows, fetchedObjects, cachedBlocks },
    explanation: explain,
  };
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
