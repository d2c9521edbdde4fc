import { Engine } from '../../../src/promql/engine.ts';
import type { Expr } from '../../../src/promql/parser/ast.ts';
import { parseExpr } from '../../../src/promql/parser/parser.ts';
import { printExpr } from '../../../src/promql/parser/printer.ts';
import { childrenOf } from '../../../src/promql/parser/walk.ts';
import type { QueryResult, QueryValue } from '../../../src/promql/result.ts';
import { KernelRows } from '../../../src/querier/row-kernel.ts';
import type { Queryable } from '../../../src/storage/queryable.ts';
import { unlimited } from '../../../src/storage/unlimited.ts';
import { difference } from './compare.ts';
import { LoadedStorage } from './loaded-storage.ts';
import { type EvalCommand, type Expectation, type LoadCommand, parseScript } from './script.ts';

export const PROMQLTEST_PARSER = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  unquotedUtf8Names: true,
};

const MINUTE_MS = 60_000;

/** Functions that see the time at which they are evaluated: with `@` on their arguments they answer differently. */
const TIME_DEPENDENT = new Set([
  'days_in_month',
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'end',
  'hour',
  'minute',
  'month',
  'predict_linear',
  'range',
  'start',
  'step',
  'time',
  'timestamp',
  'year',
]);

export interface Failure {
  readonly line: number;
  readonly text: string;
}

/** The storage that scripts load series into and query them from. */
export interface TestStorage extends Queryable {
  load(command: LoadCommand): void | Promise<void>;
  /** The scripts only query from here on, until they load again. */
  settle?(): Promise<void>;
  close?(): Promise<void>;
}

export interface Outcome {
  readonly evals: number;
  readonly queries: number;
  readonly failures: readonly Failure[];
}

/** Sees each query that was answered, of a range where it has a step. */
export type Watch = (
  engine: Engine,
  storage: Queryable,
  query: { readonly expr: string } & (
    | { readonly timeMs: number }
    | { readonly startMs: number; readonly endMs: number; readonly stepMs: number }
  ),
) => Promise<void>;

/** As a server has it. */
const rowKernel = new KernelRows();

/** Runs a script; each instant query also with `@` at other times and in the middle of a range, as the reference does. */
export async function runScript(
  text: string,
  newStorage: () => TestStorage = () => new LoadedStorage(),
  watch: Watch = async () => {},
): Promise<Outcome> {
  const engine = new Engine({
    delayedNameRemoval: true,
    startTimestamps: true,
    samplesMax: 10_000,
    timeoutMs: 100_000,
    parser: PROMQLTEST_PARSER,
    rowKernel,
  });
  let storage = newStorage();
  let evals = 0;
  let queries = 0;
  const failures: Failure[] = [];
  for (const command of parseScript(text, PROMQLTEST_PARSER)) {
    switch (command.kind) {
      case 'clear':
        await storage.close?.();
        storage = newStorage();
        break;
      case 'load':
        await storage.load(command);
        break;
      case 'eval': {
        evals++;
        await storage.settle?.();
        const evaluation = new Evaluation(engine, storage, command, watch);
        const failure = await evaluation.run();
        queries += evaluation.queries;
        if (failure !== undefined) failures.push({ line: command.line, text: `${command.expr}: ${failure}` });
      }
    }
  }
  await storage.close?.();
  return { evals, queries, failures };
}

type Answer = { readonly result: QueryResult } | { readonly error: Error };

class Evaluation {
  queries = 0;
  readonly #engine: Engine;
  readonly #storage: Queryable;
  readonly #command: EvalCommand;
  readonly #watch: Watch;

  constructor(engine: Engine, storage: Queryable, command: EvalCommand, watch: Watch) {
    this.#engine = engine;
    this.#storage = storage;
    this.#command = command;
    this.#watch = watch;
  }

  /** The fault of the answer; `undefined` where all is as expected. */
  async run(): Promise<string | undefined> {
    const command = this.#command;
    if (command.stepMs > 0) {
      const { expr, startMs, endMs, stepMs } = command;
      return this.#judge(await this.#range(expr, startMs, endMs, stepMs), true);
    }
    // an instant query for the samples of a range is evaluated at its end
    const timeMs = command.startMs;
    for (const { expr, atMs } of [{ expr: command.expr, atMs: timeMs }, ...shifted(command.expr, timeMs)]) {
      const answer = await this.#instant(expr, atMs);
      const wrong = this.#judge(answer, expr === command.expr) ?? (await this.#inRange(expr, atMs, answer));
      if (wrong !== undefined) return expr === command.expr ? wrong : `as ${expr} at ${atMs}: ${wrong}`;
    }
    return undefined;
  }

  #judge(answer: Answer, annotated: boolean): string | undefined {
    const { expectations } = this.#command;
    const failure = expectations.find(({ kind }) => kind === 'fail');
    if ('error' in answer) {
      const text = answer.error.message.replace(/^\d+:\d+: parse error: /, '');
      if (failure === undefined) return `failed: ${answer.error.stack}`;
      return failure.matches === undefined || failure.matches(text)
        ? undefined
        : `failed with "${text}", expected "${failure.text}"`;
    }
    if (failure !== undefined) return 'expected to fail, it did not';
    const { value, warnings, infos } = answer.result;
    return (
      difference(this.#command, value) ??
      (annotated
        ? (noteDifference(expectations, 'warn', warnings) ?? noteDifference(expectations, 'info', infos))
        : undefined)
    );
  }

  /** The same as a range query: its middle step has to answer the same. */
  async #inRange(expr: string, timeMs: number, instant: Answer): Promise<string | undefined> {
    const { result, expectations } = this.#command;
    if (result.kind === 'matrix' || result.kind === 'string' || 'error' in instant) return undefined;
    if (
      calls(parseExpr(expr, PROMQLTEST_PARSER), new Set(['start', 'end', 'range', 'step'])) ||
      /\b(?:start|end|range|step)\(\)/.test(expr)
    )
      return undefined;
    const answer = await this.#range(expr, timeMs - MINUTE_MS, timeMs + MINUTE_MS, MINUTE_MS);
    if (expectations.some(({ kind }) => kind === 'ordered')) return undefined;
    const judged =
      'error' in answer
        ? answer
        : { result: { ...answer.result, value: at(answer.result.value, timeMs, instant.result.value) } };
    const wrong = this.#judge(judged, false);
    return wrong === undefined ? undefined : `in a range: ${wrong}`;
  }

  async #instant(expr: string, timeMs: number): Promise<Answer> {
    this.queries++;
    const query = { expr, timeMs };
    const answer = await answerOf(this.#engine.query(this.#storage, query, unlimited()));
    if ('result' in answer) await this.#watch(this.#engine, this.#storage, query);
    return answer;
  }

  async #range(expr: string, startMs: number, endMs: number, stepMs: number): Promise<Answer> {
    this.queries++;
    const query = { expr, startMs, endMs, stepMs };
    const answer = await answerOf(this.#engine.queryRange(this.#storage, query, unlimited()));
    if ('result' in answer) await this.#watch(this.#engine, this.#storage, query);
    return answer;
  }
}

function answerOf(result: Promise<QueryResult>): Promise<Answer> {
  return result.then(
    (value): Answer => ({ result: value }),
    (error: unknown): Answer => ({ error: error instanceof Error ? error : new Error(String(error)) }),
  );
}

/** The points of a range answer at one time, in the form of an instant answer like `like`. */
function at(value: QueryValue, timeMs: number, like: QueryValue): QueryValue {
  if (value.type !== 'matrix') return value;
  const samples = value.series.flatMap(({ labels, times, values, histograms }) => {
    const i = times.indexOf(timeMs);
    return i < 0 ? [] : [{ labels, timeMs, value: values[i]!, histogram: histograms?.[i] }];
  });
  return like.type === 'scalar' ? { type: 'scalar', timeMs, value: samples[0]!.value } : { type: 'vector', samples };
}

/** Each expected text has to be there and, where any is expected, each that is there has to be expected. */
function noteDifference(
  expectations: readonly Expectation[],
  kind: 'warn' | 'info',
  notes: readonly string[],
): string | undefined {
  const expected = expectations.filter((each) => each.kind === kind);
  if (expectations.some((each) => each.kind === `no_${kind}`) && notes.length > 0) {
    return `expected no ${kind}, got ${notes.join('; ')}`;
  }
  if (expected.length === 0) return undefined;
  if (notes.length === 0) return `expected a ${kind}: ${expected[0]!.text}`;
  const fits = ({ matches }: Expectation, note: string): boolean => matches === undefined || matches(note);
  const missing = expected.find((each) => !notes.some((note) => fits(each, note)));
  if (missing !== undefined) return `missing ${kind} "${missing.text}", got ${notes.join('; ')}`;
  const surplus = notes.find((note) => !expected.some((each) => fits(each, note)));
  return surplus === undefined ? undefined : `unexpected ${kind}: ${surplus}`;
}

/** The expression pinned to `timeMs` by `@`, to be evaluated at other times. */
function shifted(expr: string, timeMs: number): { expr: string; atMs: number }[] {
  let parsed: Expr;
  try {
    parsed = parseExpr(expr, PROMQLTEST_PARSER);
  } catch {
    return [];
  }
  if (calls(parsed, TIME_DEPENDENT)) return [];
  const { expr: pinned, changed } = pin(parsed, timeMs);
  if (!changed) return [];
  const times = timeMs === 0 ? [-1000, 0, 1000] : [-10 * timeMs, 0, Math.trunc(timeMs / 5), timeMs, 10 * timeMs];
  return times.map((atMs) => ({ expr: printExpr(pinned), atMs }));
}

function calls(expr: Expr, names: ReadonlySet<string>): boolean {
  return (expr.kind === 'call' && names.has(expr.func)) || childrenOf(expr).some((child) => calls(child, names));
}

/** With `@` on every selector and subquery that has none, but for those within a pinned subquery. */
function pin(expr: Expr, timeMs: number): { expr: Expr; changed: boolean } {
  const both = (parts: readonly Expr[]): { parts: Expr[]; changed: boolean } => {
    const pinned = parts.map((part) => pin(part, timeMs));
    return { parts: pinned.map((part) => part.expr), changed: pinned.some((part) => part.changed) };
  };
  switch (expr.kind) {
    case 'vector':
      return expr.at === undefined ? { expr: { ...expr, at: { timeMs } }, changed: true } : { expr, changed: false };
    case 'matrix': {
      const { expr: vector, changed } = pin(expr.vector, timeMs);
      return { expr: { ...expr, vector: vector as typeof expr.vector }, changed };
    }
    case 'subquery':
      return expr.at === undefined ? { expr: { ...expr, at: { timeMs } }, changed: true } : { expr, changed: false };
    case 'unary':
    case 'paren': {
      const { expr: inner, changed } = pin(expr.expr, timeMs);
      return { expr: { ...expr, expr: inner }, changed };
    }
    case 'call': {
      // the second argument of info() only carries matchers
      const { parts, changed } = both(expr.func === 'info' ? expr.args.slice(0, 1) : expr.args);
      return { expr: { ...expr, args: [...parts, ...expr.args.slice(parts.length)] }, changed };
    }
    case 'aggregate': {
      const { parts, changed } = both(expr.param === undefined ? [expr.expr] : [expr.expr, expr.param]);
      return { expr: { ...expr, expr: parts[0]!, param: parts[1] }, changed };
    }
    case 'binary': {
      const { parts, changed } = both([expr.lhs, expr.rhs]);
      return { expr: { ...expr, lhs: parts[0]!, rhs: parts[1]! }, changed };
    }
    default:
      return { expr, changed: false };
  }
}
