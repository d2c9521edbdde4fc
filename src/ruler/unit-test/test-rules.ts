import type { QueryRunner } from '../../contract/query.ts';
import type { RuleTestRequest, RuleTestVerdict } from '../../contract/rules.ts';
import { type Clock, timeout } from '../../lib/clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import { AppError } from '../../model/errors.ts';
import { queryErrors } from '../../model/errors-query.ts';
import { rulerErrors } from '../../model/errors-ruler.ts';
import type { ParserOptions } from '../../promql/parser/parser.ts';
import type { Queryable } from '../../storage/queryable.ts';
import { YamlError } from '../../yaml/reader.ts';
import type { RuleQuery } from '../evaluate.ts';
import { readSentGroup } from '../rule-config.ts';
import type { RuleGroup } from '../rule-file.ts';
import { queryErrorOf, samplesOf } from '../rule-query.ts';
import { type RuleTest, type RuleTestFile, readRuleTestFile } from './rule-test-file.ts';
import { runRuleTest } from './run-test.ts';

export interface TestRulesOptions {
  readonly tenant: string;
  readonly parser: ParserOptions;
  /** Evaluates over other samples than the tenant's, within its limits. */
  readonly over: (queryable: Queryable) => QueryRunner;
  /** Tests that take longer are ended. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const TESTS_MAX = 200;
const SERIES_MAX = 2_000;
const SAMPLES_MAX = 200_000;
/** Evaluations of all rules and expressions together. */
const EVALUATIONS_MAX = 10_000;
const FAILURE_CHARS_MAX = 20_000;
/** A thread is held up for at most about so long at a time. */
const SLICE_MS = 10;

/**
 * Runs unit tests in promtool's format over one group, by the code that a ruler runs. Subqueries without a step take the server's,
 * where promtool takes the test's interval.
 *
 * @throws AppError
 */
export async function testRules(
  { group: text, tests, rulesMax }: RuleTestRequest,
  { tenant, parser, over, timeoutMs, clock, signal: asked }: TestRulesOptions,
): Promise<readonly RuleTestVerdict[]> {
  const group = readSentGroup(text, parser, rulesMax);
  const file = fileFrom(tests);
  checkSize(file, group);
  const ended = timeout(clock, timeoutMs);
  const signal = AbortSignal.any([asked, ended.signal]);
  const pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal });
  const queryOver = (storage: Queryable): RuleQuery => {
    const runner = over(storage);
    return {
      async instant(expr, timeMs) {
        if (pacer.due) await pacer.pause();
        signal.throwIfAborted();
        try {
          return samplesOf((await runner.instant(tenant, { expr, timeMs }, { signal })).value);
        } catch (thrown) {
          signal.throwIfAborted();
          throw thrown instanceof AppError ? queryErrorOf(thrown) : thrown;
        }
      },
    };
  };
  const loadGroups = async () => ({ groups: [group], errors: [] });
  const verdicts: RuleTestVerdict[] = [];
  try {
    for (const test of file.tests) {
      const options = { loadGroups, file, queryOver, diff: false, signal, nowMs: clock.monotonicMs };
      const failures = await runRuleTest(test, options);
      // the end of time is an error of a rule to it
      signal.throwIfAborted();
      verdicts.push({ name: test.name, failures: failures.map((one) => one.slice(0, FAILURE_CHARS_MAX)) });
    }
    return verdicts;
  } catch (thrown) {
    asked.throwIfAborted();
    throw ended.signal.aborted ? queryErrors.queryTimedOut({ limitMs: timeoutMs }) : thrown;
  } finally {
    ended.cancel();
  }
}

/** @throws rulerErrors.ruleTestInvalid */
function fileFrom(tests: string): RuleTestFile {
  try {
    return readRuleTestFile(tests);
  } catch (thrown) {
    if (!(thrown instanceof YamlError)) throw thrown;
    throw rulerErrors.ruleTestInvalid({ reason: thrown.message });
  }
}

/** @throws rulerErrors.ruleTestTooLarge */
function checkSize({ tests, evaluationIntervalMs }: RuleTestFile, { rules }: RuleGroup): void {
  const check = (what: string, actual: number, limit: number, name: string) => {
    if (actual > limit) throw rulerErrors.ruleTestTooLarge({ what, actual, limit, name });
  };
  const sum = (of: (test: RuleTest) => number) => tests.reduce((total, test) => total + of(test), 0);
  check('tests', tests.length, TESTS_MAX, 'rule_test_tests_max');
  check(
    'series',
    sum(({ inputSeries }) => inputSeries.length),
    SERIES_MAX,
    'rule_test_series_max',
  );
  const samples = sum(({ inputSeries }) => inputSeries.reduce((all, { values }) => all + samplesIn(values), 0));
  check('samples', samples, SAMPLES_MAX, 'rule_test_samples_max');
  const evaluations = sum(({ alertTests, exprTests }) => {
    const lastMs = Math.max(0, ...[...alertTests, ...exprTests].map(({ evalTimeMs }) => evalTimeMs));
    return (Math.floor(lastMs / evaluationIntervalMs) + 1) * Math.max(1, rules.length) + exprTests.length;
  });
  check('evaluations', evaluations, EVALUATIONS_MAX, 'rule_test_evaluations_max');
}

/** Samples that a line of values stands for, or more: `0x10` is eleven. */
function samplesIn(values: string): number {
  const repeated = [...values.matchAll(/x(\d+)/g)].reduce((total, [, count]) => total + Number(count), 0);
  return repeated + (values.match(/\S+/g)?.length ?? 0);
}
