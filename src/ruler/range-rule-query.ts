import type { QueryRunner, QueryValue, ResultSeries } from '../contract/query.ts';
import { Labels } from '../model/labels.ts';
import { parseExpr } from '../promql/parser/parser.ts';
import { printExpr } from '../promql/parser/printer.ts';
import type { QueryBudget } from '../storage/queryable.ts';
import type { RuleQuery, RuleSample } from './evaluate.ts';
import { EVERY_EXTENSION } from './group-run.ts';
import { queryErrorOf, samplesOf } from './rule-query.ts';

export interface RangeRuleQueryOptions {
  readonly runner: QueryRunner;
  readonly tenant: string;
  readonly stepMs: number;
  readonly budget: QueryBudget;
  readonly signal: AbortSignal;
}

/** Steps asked for at once. */
export const STEPS_MAX = 11_000;
/** Range queries in parts after a failure: further ones are taken to fail as the last one did. */
const FAILURES_MAX = 64;
/** Bytes that a point of a result takes. */
const POINT_BYTES = 16;

/** The results of an expression at the steps from one to another. */
type Piece = Steps | { readonly endMs: number; readonly error: unknown };

interface Steps {
  readonly endMs: number;
  readonly series: readonly { readonly labels: Labels; readonly columns: ResultSeries; at: number }[];
  readonly bytes: number;
}

/**
 * Answers what a rule asks step by step from range queries over many steps; what else is asked for, as by a template, is asked for
 * as it is.
 */
export class RangeRuleQuery implements RuleQuery {
  readonly #options: RangeRuleQueryOptions;
  #expr: string | undefined;
  #stepMs: number | undefined;
  /** Ascending by time. */
  #pieces: Piece[] = [];
  #failures = 0;

  constructor(options: RangeRuleQueryOptions) {
    this.#options = options;
  }

  /** Asks for all steps of an expression, both ends inclusive, at most STEPS_MAX of them. */
  async prepare(expr: string, startMs: number, endMs: number): Promise<void> {
    this.end();
    this.#pieces = await this.#fetched(expr, startMs, endMs);
    this.#expr = expr;
  }

  /** Gives back what was prepared. */
  end(): void {
    for (const piece of this.#pieces) this.#drop(piece);
    this.#pieces = [];
    this.#expr = undefined;
  }

  /** The step that comes next of what was prepared: steps ascend. */
  step(timeMs: number): void {
    this.#stepMs = timeMs;
    while (this.#pieces[0] !== undefined && this.#pieces[0].endMs < timeMs) this.#drop(this.#pieces.shift()!);
  }

  async instant(expr: string, timeMs: number): Promise<readonly RuleSample[]> {
    const { runner, tenant, signal } = this.#options;
    if (expr !== this.#expr || timeMs !== this.#stepMs) {
      try {
        return samplesOf((await runner.instant(tenant, { expr, timeMs }, { signal })).value);
      } catch (thrown) {
        signal.throwIfAborted();
        throw queryErrorOf(thrown);
      }
    }
    const [piece] = this.#pieces;
    if (piece === undefined) throw new Error(`bug: ${timeMs} was not prepared`);
    if ('error' in piece) throw piece.error;
    return stepOf(piece, timeMs);
  }

  #drop(piece: Piece): void {
    if ('bytes' in piece) this.#options.budget.addMemory(-piece.bytes);
  }

  /** In halves where it fails, so that a step that fails leaves the others as they are. */
  async #fetched(expr: string, startMs: number, endMs: number): Promise<Piece[]> {
    const { runner, tenant, stepMs, budget, signal } = this.#options;
    let value: QueryValue;
    try {
      ({ value } = await runner.range(tenant, { expr, startMs, endMs, stepMs }, { signal }));
    } catch (thrown) {
      signal.throwIfAborted();
      const error = queryErrorOf(thrown);
      if (++this.#failures > FAILURES_MAX || !error.isUsers) return [{ endMs, error }];
      if (startMs === endMs) return [await this.#single(expr, startMs)];
      const middleMs = startMs + Math.floor((endMs - startMs) / stepMs / 2) * stepMs;
      const before = await this.#fetched(expr, startMs, middleMs);
      return [...before, ...(await this.#fetched(expr, middleMs + stepMs, endMs))];
    }
    if (value.type !== 'matrix') throw new Error(`bug: a range query gave a ${value.type}`);
    const bytes = value.series.reduce((sum, { times }) => sum + times.length * POINT_BYTES, 0);
    budget.addMemory(bytes);
    const series = value.series.map((columns) => ({ labels: Labels.fromSortedPairs(columns.pairs), columns, at: 0 }));
    return [{ endMs, series, bytes }];
  }

  /** A single step, with the error that an instant query gives. */
  async #single(expr: string, timeMs: number): Promise<Piece> {
    const { runner, tenant, signal } = this.#options;
    try {
      const { value } = await runner.instant(tenant, { expr, timeMs }, { signal });
      const series = samplesOf(value).map(({ labels, value, histogram }) => ({
        labels,
        columns: {
          pairs: labels.pairs,
          times: Float64Array.of(timeMs),
          values: Float64Array.of(value),
          histograms: histogram === undefined ? undefined : [histogram],
        },
        at: 0,
      }));
      return { endMs: timeMs, series, bytes: 0 };
    } catch (thrown) {
      signal.throwIfAborted();
      return { endMs: timeMs, error: queryErrorOf(thrown) };
    }
  }
}

function stepOf({ series }: Steps, timeMs: number): RuleSample[] {
  const samples: RuleSample[] = [];
  for (const each of series) {
    const { times, values, histograms } = each.columns;
    while (each.at < times.length && times[each.at]! < timeMs) each.at++;
    if (times[each.at] !== timeMs) continue;
    samples.push({ labels: each.labels, value: values[each.at]!, histogram: histograms?.[each.at] });
  }
  return samples;
}

/** Whether an expression gives something else where it is evaluated for a range than step by step. */
export function dependsOnRange(expr: string): boolean {
  return /\b(start|end|range|step)\(\)/.test(printExpr(parseExpr(expr, EVERY_EXTENSION)));
}
