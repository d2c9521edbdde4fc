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
import { queryErrors } from '../model/errors-query.ts';
import type { Expr } from '../promql/parser/ast.ts';
import { ParseError } from '../promql/parser/error.ts';
import type { ParsedExprs } from '../promql/parser/parsed.ts';
import { alignToStep } from './align.ts';
import { mergeSteps } from './merge-steps.ts';
import { runParts } from './run-parts.ts';
import { type StepRange, splitByInterval } from './split.ts';
import { type SplitRules, splitRefusal } from './split-rules.ts';

export interface FrontendOptions {
  /** Whoever evaluates queries and their parts. */
  readonly querier: QueryRunner;
  /** Parsed expressions, in the syntax that the querier takes; kept from query to query. */
  readonly parsed: ParsedExprs;
  readonly rules: SplitRules;
  /** Length of a part by the clock; 0: queries are not split. */
  readonly splitIntervalMs: number;
  /** Steps are moved to multiples of the step. */
  readonly alignToStep: boolean;
  /** Parts of a query that are under way at once. */
  readonly parallelMax: number;
  /** A query that takes longer is ended; a request may ask for less. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** The thread is held up for so long at a time. */
const SLICE_MS = 10;

/**
 * Evaluates queries in parts, where the answer is the same to the last bit. It stands between who asks and who evaluates, and is a
 * `QueryRunner` as both sides know it: in one process a few functions, between processes a service of its own.
 *
 * The stages of a range query, each in its file: align → split by interval → run → merge.
 */
export class Frontend implements QueryRunner {
  readonly #options: FrontendOptions;

  constructor(options: FrontendOptions) {
    this.#options = options;
  }

  instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult> {
    return this.#options.querier.instant(tenant, request, context);
  }

  partial(tenant: string, request: PartialRequest, context: QueryRunContext): Promise<PartialResult> {
    return this.#options.querier.partial(tenant, request, context);
  }

  async range(tenant: string, asked: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    const { querier, splitIntervalMs } = this.#options;
    const request = this.#options.alignToStep && asked.stepMs > 0 ? alignToStep(asked) : asked;
    const isPlain = request.whole === undefined && request.stepMs > 0 && request.endMs > request.startMs;
    // the usual small query: nothing is read of it here
    if (!isPlain || splitIntervalMs === 0) return querier.range(tenant, request, context);
    const parts = splitByInterval(request, splitIntervalMs);
    if (parts.length <= 1) return querier.range(tenant, request, context);
    const pacer = new Pacer(this.#options.clock, { sliceMs: SLICE_MS, signal: context.signal });
    const expr = await this.#parse(request.expr, pacer);
    // what cannot be read is told by who evaluates
    if (expr === undefined || splitRefusal(expr, this.#options.rules) !== undefined) {
      return querier.range(tenant, request, context);
    }
    return this.#inParts(tenant, request, parts, context, pacer);
  }

  async #parse(text: string, pacer: Pacer): Promise<Expr | undefined> {
    try {
      return await this.#options.parsed.of(text, pacer);
    } catch (thrown) {
      if (thrown instanceof ParseError) return undefined;
      throw thrown;
    }
  }

  async #inParts(
    tenant: string,
    request: RangeRequest,
    parts: readonly StepRange[],
    context: QueryRunContext,
    pacer: Pacer,
  ): Promise<QueryResult> {
    const { querier, parallelMax, clock } = this.#options;
    const { startMs, endMs } = request;
    const whole = { startMs, endMs };
    const startedMs = clock.monotonicMs();
    // one time for all parts together
    const timeoutMs = Math.min(this.#options.timeoutMs, request.timeoutMs ?? Number.POSITIVE_INFINITY);
    const timeUp = new AbortController();
    const timer = after(clock, timeoutMs, () => timeUp.abort(queryErrors.queryTimedOut({ limitMs: timeoutMs })));
    const signal = AbortSignal.any([context.signal, timeUp.signal]);
    try {
      const answers = await runParts(parts, parallelMax, signal, (part, ends) =>
        querier.range(tenant, { ...request, ...part, whole }, { ...context, signal: ends }),
      );
      const merged = await mergeSteps(request, answers, pacer);
      return { ...merged, statistics: { ...merged.statistics, evaluatedMs: clock.monotonicMs() - startedMs } };
    } catch (thrown) {
      throw timeUp.signal.aborted ? timeUp.signal.reason : thrown;
    } finally {
      timer.cancel();
    }
  }
}
