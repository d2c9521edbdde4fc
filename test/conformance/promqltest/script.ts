import { parseDuration } from '../../../src/promql/parser/duration.ts';
import { type ParserOptions, parseExpr } from '../../../src/promql/parser/parser.ts';
import { unquote } from '../../../src/promql/parser/string.ts';
import { parseSeriesLine, type SeriesLine } from '../../../src/ruler/unit-test/series-line.ts';

/** A script of the promqltest language; `docs` of the reference: Prometheus `promql/promqltest/README.md`. */
export type Command = ClearCommand | LoadCommand | EvalCommand;

export interface ClearCommand {
  readonly kind: 'clear';
}

export interface LoadCommand {
  readonly kind: 'load';
  readonly stepMs: number;
  readonly series: readonly SeriesLine[];
  /** Make native histograms with custom buckets of the classic ones. */
  readonly withCustomBuckets: boolean;
}

export interface EvalCommand {
  readonly kind: 'eval';
  /** The line in the file, from 1. */
  readonly line: number;
  readonly expr: string;
  readonly startMs: number;
  readonly endMs: number;
  /** 0: an instant query. */
  readonly stepMs: number;
  readonly expectations: readonly Expectation[];
  readonly result: ExpectedResult;
}

/** The text that a failure, warning or info has to have; without `matches`, any. */
export interface Expectation {
  readonly kind: 'fail' | 'warn' | 'info' | 'no_warn' | 'no_info' | 'ordered';
  readonly text: string;
  readonly matches: ((message: string) => boolean) | undefined;
}

export type ExpectedResult =
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'scalar'; readonly value: number }
  /** An instant query whose result is the samples of a range. */
  | {
      readonly kind: 'matrix';
      readonly startMs: number;
      readonly stepMs: number;
      readonly series: readonly SeriesLine[];
    }
  | { readonly kind: 'series'; readonly series: readonly SeriesLine[] };

export class ScriptError extends Error {
  constructor(line: number, text: string) {
    super(`line ${line}: ${text}`);
  }
}

/** @throws ScriptError where anything in it is wrong: nothing runs then */
export function parseScript(text: string, parser: ParserOptions): Command[] {
  const lines = text.split('\n').map((line) => {
    const trimmed = line.trim();
    return trimmed.startsWith('#') ? '' : trimmed;
  });
  const commands: Command[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    if (line === '') {
      at++;
      continue;
    }
    const word = line.split(/[ \t]/, 1)[0]!.toLowerCase();
    try {
      if (word === 'clear') {
        commands.push({ kind: 'clear' });
        at++;
      } else if (word.startsWith('load')) {
        const block = blockFrom(lines, at + 1);
        commands.push(parseLoad(line, block));
        at += 1 + block.length;
      } else if (word.startsWith('eval')) {
        const { command, used } = parseEval(line, lines, at, parser);
        commands.push(command);
        at = used;
      } else {
        throw new Error(`unknown command ${word}`);
      }
    } catch (thrown) {
      throw new ScriptError(at + 1, thrown instanceof Error ? thrown.message : String(thrown));
    }
  }
  return commands;
}

function blockFrom(lines: readonly string[], from: number): string[] {
  const block: string[] = [];
  for (let at = from; at < lines.length && lines[at] !== ''; at++) block.push(lines[at]!);
  return block;
}

function parseLoad(line: string, block: readonly string[]): LoadCommand {
  const match = /^load(_with_nhcb)?\s+(\S+)$/.exec(line);
  if (match === null) throw new Error(`invalid load: ${line}`);
  const series: SeriesLine[] = [];
  let starts: SeriesLine | undefined;
  for (const each of block) {
    const parsed = parseSeriesLine(each);
    if (parsed.isStarts) {
      starts = parsed;
      continue;
    }
    series.push(starts === undefined ? parsed : { ...parsed, starts: starts.starts });
    starts = undefined;
  }
  return { kind: 'load', stepMs: parseDuration(match[2]!), series, withCustomBuckets: match[1] !== undefined };
}

const EVAL =
  /^eval(?:_(fail|warn|ordered|info))?\s+(?:instant\s+(?:at\s+(\S+))?\s+(.+)|range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+?)\s+(.+))$/;

function parseEval(
  line: string,
  lines: readonly string[],
  at: number,
  parser: ParserOptions,
): { command: EvalCommand; used: number } {
  const match = EVAL.exec(line);
  if (match === null) throw new Error(`invalid eval: ${line}`);
  const [, old, time, instantExpr, from, to, step, rangeExpr] = match;
  const instant = instantExpr !== undefined;
  const expr = instant ? instantExpr : rangeExpr!;
  const startMs = duration(instant ? (time ?? '0') : from!);
  const endMs = instant ? startMs : duration(to!);
  const stepMs = instant ? 0 : parseDuration(step!);
  const expectations: Expectation[] = [];
  if (old !== undefined) expectations.push({ kind: old as Expectation['kind'], text: '', matches: undefined });
  const fails = (): boolean => expectations.some(({ kind }) => kind === 'fail');
  if (!fails() || old !== 'fail') parseExprUnlessExpected(expr, parser, blockFrom(lines, at + 1));
  const series: SeriesLine[] = [];
  let result: ExpectedResult | undefined;
  let next = at + 1;
  for (; next < lines.length && lines[next] !== ''; next++) {
    const each = lines[next]!;
    const failure = /^expected_fail_(message|regexp)\s+(.+)$/.exec(each);
    if (failure !== null) {
      expectations.pop();
      expectations.push(expectation('fail', failure[1] === 'message' ? 'msg' : 'regex', failure[2]!));
      next++;
      break;
    }
    if (each.startsWith('expect ')) {
      const string = /^expect\s+string\s+(.+)$/.exec(each);
      const matrix = /^expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)$/.exec(each);
      if (string !== null) result = { kind: 'string', value: unquote(string[1]!) };
      else if (matrix !== null) {
        result = { kind: 'matrix', startMs: duration(matrix[1]!), stepMs: parseDuration(matrix[3]!), series };
      } else {
        const other = /^expect\s+(fail|warn|info|no_warn|no_info|ordered)(?:\s+(msg|regex):\s*(.+))?$/.exec(each);
        if (other === null) throw new Error(`invalid expectation: ${each}`);
        expectations.push(expectation(other[1] as Expectation['kind'], other[2], other[3]));
      }
      continue;
    }
    const scalar = scalarOf(each);
    if (scalar !== undefined) {
      result = { kind: 'scalar', value: scalar };
      next++;
      break;
    }
    series.push(parseSeriesLine(each));
  }
  const command: EvalCommand = {
    kind: 'eval',
    line: at + 1,
    expr,
    startMs,
    endMs,
    stepMs,
    expectations,
    result: result ?? { kind: 'series', series },
  };
  return { command, used: next };
}

/** One bad expression fails the whole file, unless its block says that it is to fail. */
function parseExprUnlessExpected(expr: string, parser: ParserOptions, block: readonly string[]): void {
  if (block.some((line) => /^(expect\s+fail|expected_fail)/.test(line))) return;
  parseExpr(expr, parser);
}

function expectation(kind: Expectation['kind'], how: string | undefined, text: string | undefined): Expectation {
  if (how === undefined || text === undefined) return { kind, text: '', matches: undefined };
  if (how === 'msg') return { kind, text, matches: (message) => message === text };
  const regex = new RegExp(text);
  return { kind, text, matches: (message) => regex.test(message) };
}

function duration(text: string): number {
  const negative = text.startsWith('-');
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDuration(negative ? text.slice(1) : text);
  return negative ? -ms : ms;
}

function scalarOf(line: string): number | undefined {
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(line)) return Number(line);
  if (/^0[xX][0-9a-fA-F]+$/.test(line)) return Number(line);
  if (/^[+-]?inf$/i.test(line)) return line.startsWith('-') ? -Infinity : Infinity;
  return /^nan$/i.test(line) ? Number.NaN : undefined;
}
