import type { BatchRunner, InstantOutcome, InstantRequest, PackedValue, QueryValue } from '../contract/query.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { Labels } from '../model/labels.ts';
import { RuleError, type RuleQuery, type RuleSample, unpackedLabels } from './evaluate.ts';
import type { PackedFloats } from './recorded-series.ts';

/** An expression that could not be evaluated. */
export class RuleQueryError extends RuleError {
  /** Whether the rule is at fault, and not whoever runs the server. */
  readonly isUsers: boolean;

  constructor(text: string, isUsers: boolean) {
    super(text);
    this.isUsers = isUsers;
  }
}

/** Asks for the rules of one group. */
export interface GroupQuery extends RuleQuery {
  instant(expr: string, timeMs: number, lookbackMs?: number): Promise<readonly RuleSample[]>;
  packed(expr: string, timeMs: number): Promise<PackedFloats | readonly RuleSample[]>;
}

interface Waiting {
  readonly request: InstantRequest;
  resolve(value: PackedValue): void;
  reject(reason: unknown): void;
}

/** Requests in one call. */
const BATCH_MAX = 256;

/** Evaluates what rules of a tenant's groups ask at the same moment in one call: messages between threads cost more than a small query. */
export class BatchedRuleQuery {
  readonly #runner: BatchRunner;
  /** One tenant, or several by a joined name. */
  readonly #tenant: string;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #waiting: Waiting[] = [];

  constructor(runner: BatchRunner, tenant: string, clock: Clock, signal: AbortSignal) {
    this.#runner = runner;
    this.#tenant = tenant;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** For the rules of a group, each of whose queries may take so long. */
  of(timeoutMs: number): GroupQuery {
    const kept = new Map<string, KeptSeries>();
    const ask = (request: InstantRequest) =>
      new Promise<PackedValue>((resolve, reject) => {
        this.#waiting.push({ request, resolve, reject });
        // groups that are due together ask in the same turn
        if (this.#waiting.length === 1) void this.#clock.turn().then(() => this.#flush());
        if (this.#waiting.length >= BATCH_MAX) void this.#flush();
      });
    return {
      async instant(expr, timeMs, lookbackMs) {
        const value = await ask({ expr, timeMs, timeoutMs, ...(lookbackMs === undefined ? {} : { lookbackMs }) });
        return unpacked(value, expr, kept);
      },
      async packed(expr, timeMs) {
        const value = await ask({ expr, timeMs, timeoutMs });
        return value.type === 'vector' && value.histograms === undefined ? value : unpacked(value, expr, kept);
      },
    };
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    let outcomes: readonly InstantOutcome[];
    try {
      const requests = batch.map(({ request }) => request);
      outcomes = await this.#runner.instants(this.#tenant, requests, { signal: this.#signal });
    } catch (thrown) {
      const text = thrown instanceof Error ? thrown.message : String(thrown);
      for (const { reject } of batch) reject(new RuleQueryError(text, false));
      return;
    }
    for (const [i, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[i]!;
      if ('result' in outcome) resolve(outcome.result);
      else reject(new RuleQueryError(outcome.failure.text, outcome.failure.http < 500));
    }
  }
}

/** Series of an expression's last answer, as they came and as labels: mostly the next one has the same. */
interface KeptSeries {
  readonly pairs: string;
  readonly labels: readonly Labels[];
}

/** Expressions of a group beyond so many have nothing kept: its rules, and queries of its templates. */
const KEPT_MAX = 1000;

/** @throws RuleError where it is neither a vector nor a scalar */
function unpacked(value: PackedValue, expr: string, kept: Map<string, KeptSeries>): readonly RuleSample[] {
  if (value.type !== 'vector') return samplesOf(value.type === 'matrix' ? { type: 'matrix', series: [] } : value);
  const { pairs, values, histograms } = value;
  let series = kept.get(expr);
  if (series?.pairs !== pairs) {
    series = { pairs, labels: unpackedLabels(pairs) };
    if (kept.size < KEPT_MAX || kept.has(expr)) kept.set(expr, series);
  }
  return series.labels.map((labels, i) => ({ labels, value: values[i]!, histogram: histograms?.[i] }));
}

/** A query that was refused or failed, told apart by whose fault it is. */
export function queryErrorOf(thrown: unknown): RuleQueryError {
  const { facts, message } = AppError.from(thrown);
  return new RuleQueryError(message, facts.http < 500);
}

/** @throws RuleError where it is neither a vector nor a scalar */
export function samplesOf(value: QueryValue): readonly RuleSample[] {
  if (value.type === 'scalar') return [{ labels: Labels.empty, value: value.value, histogram: undefined }];
  if (value.type !== 'vector') throw new RuleError('rule result is not a vector or scalar');
  const { pairs, values, histograms } = value;
  return pairs.map((each, i) => ({
    labels: Labels.fromSortedPairs(each),
    value: values[i]!,
    histogram: histograms?.[i],
  }));
}
