import { AppError } from '../../model/errors.ts';
import { histogramToTestNotation } from '../../model/histogram-text.ts';
import { floatHistogramFault } from '../../model/histogram-validate.ts';
import { Labels, quoteGo } from '../../model/labels.ts';
import type { Engine } from '../../promql/engine.ts';
import { formatDuration } from '../../promql/parser/duration.ts';
import { ParseError, parseMetricSelector } from '../../promql/parser/parser.ts';
import type { Queryable } from '../../storage/queryable.ts';
import { unlimited } from '../../storage/unlimited.ts';
import { durationText } from '../../template/duration.ts';
import { formatFloat } from '../../template/float-text.ts';
import { RuleError, type RuleQuery, type RuleSample } from '../evaluate.ts';
import { GroupRun, type Refusal, type RuleSink } from '../group-run.ts';
import type { RuleGroup } from '../rule-file.ts';
import { MemoryStorage } from './memory-storage.ts';
import type { AlertTest, ExprTest, RuleTest, RuleTestFile } from './rule-test-file.ts';
import { type Item, parseSeriesLine, type SeriesLine, SeriesLineError } from './series-line.ts';

/** Rules, file, engine and switches that a test is run with. */
export interface RuleTestOptions {
  /** Reads the rules; asked for when the input is known to be right. */
  readonly loadGroups: () => Promise<{ readonly groups: readonly RuleGroup[]; readonly errors: readonly string[] }>;
  readonly file: RuleTestFile;
  /** Evaluation of expressions over the samples of the test. */
  readonly queryOver: (storage: Queryable) => RuleQuery;
  /** Show what differs line by line. */
  readonly diff: boolean;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** Failures of the test, each worded as promtool words it; none where all is as expected. */
export async function runRuleTest(test: RuleTest, options: RuleTestOptions): Promise<readonly string[]> {
  try {
    const inputs = test.inputSeries.map((input, i) => ({ line: inputLine(input, i), loaded: 0 }));
    const { groups, errors } = await options.loadGroups();
    return errors.length > 0 ? errors : await new TestRun(test, inputs, groups, options).run();
  } catch (thrown) {
    if (thrown instanceof TestError) return [...thrown.messages];
    throw thrown;
  }
}

/** Ends a test before its end. */
class TestError extends Error {
  readonly messages: readonly string[];

  constructor(...messages: string[]) {
    super(messages.join('\n'));
    this.messages = messages;
  }
}

/** Input, of which each sample is loaded when its time has come: rules must not see those after it. */
interface Input {
  readonly line: SeriesLine;
  loaded: number;
}

class TestRun {
  readonly #test: RuleTest;
  readonly #options: RuleTestOptions;
  readonly #storage = new MemoryStorage();
  readonly #inputs: readonly Input[];
  readonly #query: RuleQuery;
  readonly #groups: readonly GroupRun[];
  readonly #failures: string[] = [];

  constructor(test: RuleTest, inputs: readonly Input[], groups: readonly RuleGroup[], options: RuleTestOptions) {
    this.#test = test;
    this.#options = options;
    this.#inputs = inputs;
    this.#query = options.queryOver(this.#storage);
    const rank = (group: RuleGroup) => Math.max(0, options.file.groupOrder.indexOf(group.name));
    const sink: RuleSink = {
      append: async (timeMs, writes) => writes.map(({ samples, stale }) => this.#append(timeMs, samples, stale)),
    };
    this.#groups = [...groups].sort((a, b) => rank(a) - rank(b)).map((group) => new GroupRun(group, sink));
  }

  #append(timeMs: number, samples: readonly RuleSample[], stale: readonly Labels[]): Refusal[] {
    const refused: Refusal[] = [];
    for (const { labels, value, histogram } of samples) {
      const fault =
        (histogram === undefined ? undefined : floatHistogramFault(histogram)?.text) ??
        this.#storage.append(labels, timeMs, histogram === undefined ? { value } : { histogram });
      if (fault !== undefined) refused.push({ labels, error: new RuleError(fault) });
    }
    for (const labels of stale) this.#storage.append(labels, timeMs, 'stale');
    return refused;
  }

  async run(): Promise<readonly string[]> {
    const { startMs, alertTests, exprTests, name } = this.#test;
    const { signal, file } = this.#options;
    const intervalMs = file.evaluationIntervalMs;
    const nameless = alertTests.find(({ alertname }) => alertname === '');
    if (nameless !== undefined) {
      const where = name === '' ? '' : ` (in TestGroup ${name})`;
      const at = formatDuration(nameless.evalTimeMs);
      throw new TestError(
        `an item under alert_rule_test misses required attribute alertname at eval_time ${at}${where}`,
      );
    }
    const lastMs = Math.max(0, ...[...alertTests, ...exprTests].map(({ evalTimeMs }) => evalTimeMs));
    const waiting = [...alertTests].sort((a, b) => a.evalTimeMs - b.evalTimeMs);
    for (let atMs = 0; atMs <= lastMs; atMs += intervalMs) {
      signal.throwIfAborted();
      await this.#evaluate(startMs + atMs);
      while (waiting[0] !== undefined && waiting[0].evalTimeMs < atMs + intervalMs)
        this.#compareAlerts(waiting.shift()!);
    }
    for (const exprTest of exprTests) await this.#compareSamples(exprTest);
    return this.#failures;
  }

  async #evaluate(slotMs: number): Promise<void> {
    this.#load(slotMs);
    const errors: string[] = [];
    const { externalLabels, externalUrl } = this.#test;
    for (const group of this.#groups) {
      await group.evaluate({ query: this.#query, slotMs, externalLabels, externalUrl, nowMs: this.#options.nowMs });
      for (const { rule, lastError } of group.rules) {
        if (lastError === undefined) continue;
        const at = durationText(BigInt(slotMs) * 1_000_000n);
        errors.push(`    rule: ${rule.name}, time: ${at}, err: ${lastError.message}`);
      }
    }
    if (errors.length > 0) throw new TestError(...this.#failures, ...errors);
  }

  #load(untilMs: number): void {
    const { startMs, intervalMs } = this.#test;
    for (const input of this.#inputs) {
      const { labels, items } = input.line;
      while (input.loaded < items.length && startMs + input.loaded * intervalMs <= untilMs) {
        this.#storage.append(labels, startMs + input.loaded * intervalMs, items[input.loaded]);
        input.loaded++;
      }
    }
  }

  #compareAlerts({ alertname, evalTimeMs, alerts }: AlertTest): void {
    const want = alerts.map(({ labels, annotations }) => ({
      labels: Labels.fromEntries(new Map(labels).set('alertname', alertname)),
      annotations: sortedPairs(annotations),
    }));
    const got = this.#groups
      .flatMap((group) => group.rules)
      .filter(({ rule }) => rule.kind === 'alert' && rule.name === alertname)
      .flatMap((run) => [...run.alerts.values()].filter(({ state }) => state === 'firing'));
    want.sort(compareAlerts);
    got.sort(compareAlerts);
    const same = want.length === got.length && want.every((alert, i) => compareAlerts(alert, got[i]!) === 0);
    if (same) return;
    const test = this.#test.name === '' ? '' : `    name: ${this.#test.name},\n`;
    const [wantText, gotText] = [alertsText(want), alertsText(got)];
    const shown = this.#options.diff
      ? `diff: ${indented(lineDifference(wantText, gotText), '            ')}`
      : `exp:${indented(wantText, '            ')}, \n        got:${indented(gotText, '            ')}`;
    const at = formatDuration(evalTimeMs);
    this.#failures.push(`${test}    alertname: ${alertname}, time: ${at}, \n        ${shown}`);
  }

  async #compareSamples({ expr, evalTimeMs, samples }: ExprTest): Promise<void> {
    const at = `    expr: ${quoteGo(expr)}, time: ${formatDuration(evalTimeMs)},`;
    let got: readonly RuleSample[];
    try {
      got = await this.#query.instant(expr, this.#test.startMs + evalTimeMs);
    } catch (thrown) {
      if (!isQueryError(thrown)) throw thrown;
      this.#failures.push(`${at} err: ${thrown.message}`);
      return;
    }
    const want: TestSample[] = [];
    for (const sample of samples) {
      try {
        want.push(expectedSample(sample));
      } catch (thrown) {
        if (!(thrown instanceof ParseError || thrown instanceof SeriesLineError)) throw thrown;
        this.#failures.push(`${at} err: labels ${quoteGo(sample.labels)}: ${thrown.message}`);
        return;
      }
    }
    const gotSamples = got.map(({ labels, value, histogram }) => ({
      labels,
      value,
      histogram: histogram === undefined ? '' : histogramToTestNotation(histogram),
    }));
    for (const list of [want, gotSamples]) list.sort((a, b) => Labels.compare(a.labels, b.labels));
    const { fuzzyCompare } = this.#options.file;
    const same =
      want.length === gotSamples.length && want.every((sample, i) => isSame(sample, gotSamples[i]!, fuzzyCompare));
    if (!same) this.#failures.push(`${at}\n        exp: ${samplesText(want)}\n        got: ${samplesText(gotSamples)}`);
  }
}

/** @throws TestError with the place in the text that promtool makes of the series */
function inputLine(
  { series, values }: { readonly series: string; readonly values: string },
  index: number,
): SeriesLine {
  const line = `${series} ${values}`;
  try {
    return parseSeriesLine(line);
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown;
    throw new TestError(`${index + 2}:${labelsFault(series, line) ?? valuesFault(line, thrown)}`);
  }
}

/** The fault in the labels of a line, worded by the parser of PromQL, with its column; undefined: there is none. */
function labelsFault(series: string, line: string): string | undefined {
  try {
    parseSeriesLine(series);
    return undefined;
  } catch {
    // said below
  }
  try {
    parseMetricSelector(line);
    return undefined;
  } catch (thrown) {
    return thrown instanceof ParseError ? thrown.message.replace(/^1:/, '') : undefined;
  }
}

/** The fault in the values of a line, with its column, as Prometheus words most of it. */
function valuesFault(line: string, error: Error): string {
  if (!(error instanceof SeriesLineError) || error.at === undefined) return `1: parse error: ${error.message}`;
  const before = line[error.at - 1] ?? ' ';
  // behind a sign or an x within a value, it is what should be a number that is wrong
  const isBegun = /[-+]/.test(line[error.at] ?? '') || (line[error.at] === 'x' && /\S/.test(before));
  const at = isBegun ? error.at + 1 : error.at;
  const character = line[at];
  const [word] = /^[\p{L}_][\p{L}\d_]*/u.exec(line.slice(at)) ?? [];
  let what = 'unexpected end of input in series values';
  if (word !== undefined) what = `unexpected identifier ${quoteGo(word)} in series values, expected number or "stale"`;
  else if (character === undefined) {
    // said already
  } else if (/[-+*/%^=<>!]/.test(character)) what = `unexpected <op:${character}> in series values`;
  else if (character === ' ') what = 'unexpected " " in series values';
  else what = `unexpected character in series sequence: '${character}'`;
  return `${at + 1}: parse error: ${what}`;
}

/** Asks an engine that may take whatever it needs: for files of the user's own. */
export function queryOf(engine: Engine, storage: Queryable, signal: AbortSignal): RuleQuery {
  return {
    async instant(expr, timeMs) {
      const { value } = await engine.query(storage, { expr, timeMs }, unlimited(signal));
      if (value.type === 'vector') return value.samples;
      if (value.type === 'scalar') return [{ labels: Labels.empty, value: value.value, histogram: undefined }];
      throw new RuleError('rule result is not a vector or scalar');
    },
  };
}

function isQueryError(thrown: unknown): thrown is Error {
  return thrown instanceof AppError || thrown instanceof ParseError || thrown instanceof RuleError;
}

interface TestAlert {
  readonly labels: Labels;
  /** name, value, … ascending by name. */
  readonly annotations: readonly string[];
}

function compareAlerts(a: TestAlert, b: TestAlert): number {
  const pairs = ({ annotations }: TestAlert) => Labels.fromSortedPairs(annotations);
  return Labels.compare(a.labels, b.labels) || Labels.compare(pairs(a), pairs(b));
}

function sortedPairs(entries: ReadonlyMap<string, string>): string[] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).flat();
}

function alertsText(alerts: readonly TestAlert[]): string {
  if (alerts.length === 0) return '[]';
  const texts = alerts.map(({ labels, annotations }, i) => {
    const text = `\nLabels:${labels}\nAnnotations:${Labels.fromSortedPairs(annotations)}`;
    return `\n${i}:${indented(text, '  ')}`;
  });
  return `[${texts.join(',')}\n]`;
}

/** All lines but the first. */
function indented(lines: string, indent: string): string {
  return lines.replaceAll('\n', `\n${indent}`);
}

/** Lines that are only expected with `-`, lines that are only there with `+`. */
function lineDifference(want: string, got: string): string {
  const [wantLines, gotLines] = [want.split('\n'), got.split('\n')];
  const [inWant, inGot] = [new Set(wantLines), new Set(gotLines)];
  const removed = wantLines.filter((line) => !inGot.has(line)).map((line) => `- ${line}`);
  const added = gotLines.filter((line) => !inWant.has(line)).map((line) => `+ ${line}`);
  return ['', ...removed, ...added].join('\n');
}

interface TestSample {
  readonly labels: Labels;
  readonly value: number;
  /** In the notation of tests; empty where it is a float. */
  readonly histogram: string;
}

/** @throws ParseError, SeriesLineError */
function expectedSample({ labels, value, histogram }: ExprTest['samples'][number]): TestSample {
  let metric: Labels;
  try {
    metric = labels.trim() === '' ? Labels.empty : parseSeriesLine(labels).labels;
  } catch (thrown) {
    if (thrown instanceof SeriesLineError) parseMetricSelector(labels);
    throw thrown;
  }
  if (histogram === '') return { labels: metric, value, histogram };
  const { items } = parseSeriesLine(`{} ${histogram}`);
  const [item] = items;
  if (items.length !== 1) throw new SeriesLineError(`expected 1 value, got ${items.length}`);
  if (typeof item !== 'object' || !('histogram' in item)) {
    throw new SeriesLineError(`expected histogram, got ${itemText(item)}`);
  }
  return { labels: metric, value: Number.NaN, histogram: histogramToTestNotation(item.histogram) };
}

function itemText(item: Item): string {
  if (item === undefined) return '_';
  return typeof item === 'object' && 'value' in item ? formatFloat(item.value, 'f', 6) : 'stale';
}

function isSame(want: TestSample, got: TestSample, fuzzy: boolean): boolean {
  if (want.histogram !== got.histogram || !want.labels.equals(got.labels)) return false;
  if (want.histogram !== '') return true;
  return want.value === got.value || (fuzzy && areNeighbours(want.value, got.value));
}

const scratch = new DataView(new ArrayBuffer(16));

/** Whether no other number lies between them. */
function areNeighbours(a: number, b: number): boolean {
  scratch.setFloat64(0, a);
  scratch.setFloat64(8, b);
  const [bitsA, bitsB] = [scratch.getBigInt64(0), scratch.getBigInt64(8)];
  return Number.isFinite(a) && Number.isFinite(b) && (bitsA - bitsB === 1n || bitsB - bitsA === 1n);
}

function samplesText(samples: readonly TestSample[]): string {
  if (samples.length === 0) return 'nil';
  return samples
    .map(({ labels, value, histogram }) => `${labels} ${histogram === '' ? formatFloat(value, 'E', -1) : histogram}`)
    .join(', ');
}
