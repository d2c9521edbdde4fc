import { globSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { Writable } from 'node:stream';
import { text as readStream } from 'node:stream/consumers';
import { choice, duration, list, secret, text, toggle } from '../../kit/config/field.ts';
import { section } from '../../kit/config/section.ts';
import { compileRegex } from '../../model/regex/regex.ts';
import { Engine } from '../../promql/engine.ts';
import type { QuerierConfig } from '../../querier/config.ts';
import { querierSyntax } from '../../querier/syntax.ts';
import { duplicateRules, type RuleGroup, readRuleFile } from '../../ruler/rule-file.ts';
import { readRuleTestFile } from '../../ruler/unit-test/rule-test-file.ts';
import { queryOf, runRuleTest } from '../../ruler/unit-test/run-test.ts';
import { print } from './output.ts';
import { type BackfilledGroup, backfill } from './rules-backfill.ts';
import { apply, changesBetween, groupsOfFile, groupsOfServer, type NamedGroup, readNamedFile } from './rules-sync.ts';
import { checkTime, timeOf } from './time-option.ts';
import { DONE, FAILED, type ToolContext, tool, UsageError } from './tool.ts';

/** Exit code where only -lint-fatal makes it a failure. */
const LINT_FAILED = 3;

const options = section('', 'rules', {
  ignoreUnknownFields: toggle({ default: false, help: 'Fields of rule files that are not known are passed over.' }),
  lint: choice({
    default: 'duplicate-rules',
    values: ['all', 'duplicate-rules', 'none'],
    help: 'check: complain about rules that write the same series.',
  }),
  lintFatal: toggle({ default: false, help: 'check: exit with 3 where -lint finds something.' }),
  run: list({ help: 'test: only tests whose name matches one of these regular expressions.' }),
  diff: toggle({ default: false, help: 'test: show what alerts differ by, line by line.' }),
  junit: text({ help: 'test: file to write the results to, as JUnit XML.' }),
  rules: list({ help: 'backfill: files with recording rules.' }),
  start: text({ help: 'backfill: first evaluation, Unix seconds or RFC 3339.', check: checkTime }),
  end: text({ help: 'backfill: last evaluation.', check: checkTime }),
  evalIntervalMs: duration({ default: '1m', min: '1s', help: 'backfill: interval of groups that say none.' }),
  queryOffsetMs: duration({ default: '0s', help: 'backfill: age of the data where a group says nothing.' }),
  restart: toggle({ default: false, help: 'backfill: begin anew where an earlier run has stopped.' }),
  url: text({ default: 'http://127.0.0.1:9009', help: 'diff, sync: the server.' }),
  tenant: text({
    help: 'diff, sync, backfill: whose rules. Empty: whom the server takes for the default; backfill: anonymous.',
  }),
  user: text({ help: 'diff, sync: name of the user, with -password.' }),
  password: secret({ help: 'diff, sync: its password; without -user a token.' }),
  namespaces: list({ help: 'diff, sync: only these namespaces. None: all, also those of which there is no file.' }),
  dryRun: toggle({ default: false, help: 'sync: only say what would be changed.' }),
});

type Context = ToolContext<typeof options.type>;

export const rulesTool = tool({
  summary: 'Check rule files, run unit tests of rules, bring rules to a server, and evaluate them over the past.',
  description: [
    'check FILES   reads rule files as the ruler does and says what is wrong with them; without files, standard input.',
    'test FILES    runs unit tests of rules in the format of promtool, on samples that they bring themselves.',
    'diff FILES    says which groups of a server differ from those of the files, and exits with 1 where some do.',
    'sync FILES    makes the groups of a server what they are in the files; others are removed.',
    'backfill      evaluates the recording rules of -rules over what is in the store, from -start to -end, and writes what they',
    '              give into the store. The same run again goes on where it stopped; done twice it changes nothing. Recent',
    '              samples are in the store after POST /ingester/flush?wait=true.',
    '',
    'The namespace of a group is what its file says in `namespace`, else the name of the file without its ending.',
    'Expressions are read with the features that the -querier.enable-… flags or -config.file switch on.',
    'Exit code: 0 all is well, 1 a file is wrong or a test fails, 3 only -lint found something and -lint-fatal is set.',
  ].join('\n'),
  words: 'check|test|diff|sync|backfill FILES',
  options,
  run(context) {
    const [command, ...files] = context.words;
    switch (command) {
      case 'check':
        return check(context, files);
      case 'test':
        if (files.length === 0) throw new UsageError('name the files with the tests');
        return test(context, files);
      case 'diff':
      case 'sync':
        if (files.length === 0) throw new UsageError('name the files with the rules');
        return sync(context, files, command === 'diff' || context.options.dryRun, command);
      case 'backfill':
        if (files.length > 0) throw new UsageError('name the files in -rules');
        return runBackfill(context);
      default: {
        const known = 'check, test, diff, sync or backfill';
        throw new UsageError(
          command === undefined ? `say what to do: ${known}` : `unknown command ${command}: ${known}`,
        );
      }
    }
  },
});

async function check(context: Context, files: readonly string[]): Promise<number> {
  const { output, errors, input, options } = context;
  const names = files.length === 0 ? ['-'] : files;
  let [failed, linted] = [false, false];
  for (const name of names) {
    const isInput = name === '-';
    await print(output, `Checking ${isInput ? 'standard input' : name}\n`);
    let content: string;
    try {
      content = isInput ? await readStream(input) : await readFile(name, 'utf8');
    } catch (thrown) {
      failed = true;
      await complain(errors, [`${name}: ${(thrown as Error).message}`]);
      continue;
    }
    const { ignoreUnknownFields } = options;
    const parser = querierSyntax(context.querier);
    const { groups, errors: wrong, warnings } = readRuleFile(content, { ignoreUnknownFields, parser });
    for (const warning of warnings) await print(errors, `warning: ${isInput ? '' : `${name}: `}${warning}\n`);
    if (wrong.length > 0) {
      failed = true;
      await complain(
        errors,
        wrong.map((error) => (isInput ? error : `${name}: ${error}`)),
      );
      continue;
    }
    const duplicates = options.lint === 'none' ? [] : duplicateRules(groups);
    if (duplicates.length > 0) {
      linted = true;
      await complain(errors, [lintText(duplicates)]);
    } else {
      const count = groups.reduce((sum, { rules }) => sum + rules.length, 0);
      await print(output, `  SUCCESS: ${count} rules found\n`);
    }
    await print(output, '\n');
  }
  if (failed) return FAILED;
  return linted && options.lintFatal ? LINT_FAILED : DONE;
}

async function runBackfill(context: Context): Promise<number> {
  const { options, openStore, output, progress, querier, windowMs, clock, signal } = context;
  const [startMs, endMs] = [timeOf(options.start), timeOf(options.end)];
  if (options.rules.length === 0) throw new UsageError('name the files in -rules');
  if (startMs === undefined || endMs === undefined) throw new UsageError('-start and -end say from when to when');
  if (endMs < startMs) throw new UsageError('-end is before -start');
  if (endMs > clock.nowMs()) throw new UsageError('-end is in the future');
  const read = { ignoreUnknownFields: options.ignoreUnknownFields, parser: querierSyntax(querier) };
  const groups: BackfilledGroup[] = [];
  let alerts = 0;
  for (const file of options.rules) {
    const { namespace, groups: found } = await readNamedFile(file, read);
    for (const group of found) {
      const rules = group.rules.filter(({ kind }) => kind === 'record');
      alerts += group.rules.length - rules.length;
      if (rules.length > 0) groups.push({ namespace, group: { ...group, rules } });
    }
  }
  if (alerts > 0) progress.say(`${alerts} alerting rules left out`);
  const { schema } = await openStore();
  const { tenant: named, restart, evalIntervalMs: evaluationIntervalMs, queryOffsetMs } = options;
  const tenant = named || 'anonymous';
  const range = { startMs, endMs, evaluationIntervalMs, queryOffsetMs };
  const done = await backfill({
    groups,
    tenant,
    ...range,
    restart,
    schema,
    windowMs,
    querier,
    clock,
    progress,
    signal,
  });
  if (done.skipped > 0) progress.say(`${done.skipped} parts were done by an earlier run`);
  if (done.failures > 0) progress.say(`${done.failures} evaluations failed, the last one: ${done.lastError}`);
  await print(output, `${done.samples} samples of ${groups.length} groups written\n`);
  return done.failures === 0 ? DONE : FAILED;
}

const MARKS = { add: '+', update: '~', remove: '-' } as const;

async function sync(context: Context, files: readonly string[], dry: boolean, command: string): Promise<number> {
  const { output, errors, options, signal } = context;
  const { tenant, user, password, url, ignoreUnknownFields } = options;
  const authorization =
    user !== '' ? `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` : password && `Bearer ${password}`;
  const headers = {
    ...(tenant === '' ? {} : { 'x-scope-orgid': tenant }),
    ...(authorization === '' ? {} : { authorization }),
  };
  try {
    const wanted: NamedGroup[] = [];
    const read = { ignoreUnknownFields, parser: querierSyntax(context.querier) };
    for (const file of files) wanted.push(...(await groupsOfFile(file, read)));
    const there = await groupsOfServer({ url, headers }, signal);
    const changes = changesBetween(wanted, there, new Set(options.namespaces));
    for (const change of changes) {
      const { kind, group } = change;
      if (!dry) await apply({ url, headers }, change, signal);
      await print(output, `${MARKS[kind]} ${group.namespace}/${group.name}\n`);
    }
    const verb = dry ? 'differ' : 'changed';
    await print(output, `${changes.length} of ${wanted.length} groups ${verb}\n`);
    return command === 'diff' && changes.length > 0 ? FAILED : DONE;
  } catch (thrown) {
    signal.throwIfAborted();
    await complain(errors, [(thrown as Error).message]);
    return FAILED;
  }
}

async function test(context: Context, files: readonly string[]): Promise<number> {
  const { output, errors, options } = context;
  const suites: JunitSuite[] = [];
  for (const name of files) {
    await print(output, `Processing test file: ${name}\n`);
    const suite: JunitSuite = { name, cases: [], error: undefined };
    suites.push(suite);
    const failures = await testFile(context, name, suite);
    if (failures.length === 0) await print(output, '  SUCCESS\n');
    else {
      await print(errors, '  FAILED:\n');
      for (const failure of failures) {
        await print(errors, `${failure}\n`);
        await print(output, '\n');
      }
    }
    await print(output, '\n');
  }
  if (options.junit !== '') await writeFile(options.junit, junitText(suites, context.clock.nowMs()));
  return suites.some(({ cases, error }) => error !== undefined || cases.some(({ failures }) => failures.length > 0))
    ? FAILED
    : DONE;
}

async function testFile(context: Context, name: string, suite: JunitSuite): Promise<readonly string[]> {
  const { options, clock, signal, querier } = context;
  const failures: string[] = [];
  try {
    const chosen = patternsOf(options.run).map((pattern) => compileRegex(`.*(?:${pattern}).*`));
    const file = readRuleTestFile(await readFile(name, 'utf8'));
    const engine = ruleTestEngine(querier, file.evaluationIntervalMs);
    const ruleFiles = await resolvedRuleFiles(context, dirname(name), file.ruleFiles);
    for (const [i, one] of file.tests.entries()) {
      if (chosen.length > 0 && !chosen.some((regex) => regex.matches(one.name))) continue;
      const loadGroups = () => readRuleFiles(context, ruleFiles);
      const nowMs = clock.monotonicMs;
      const found = await runRuleTest(one, {
        loadGroups,
        file,
        queryOver: (storage) => queryOf(engine, storage, signal),
        diff: options.diff,
        signal,
        nowMs,
      });
      suite.cases.push({ name: one.name || `unnamed#${i}`, failures: found });
      failures.push(...found);
    }
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof Error)) throw thrown;
    suite.error = thrown.message;
    failures.push(thrown.message);
  }
  return failures;
}

/** A list's parts, but commas within brackets belong to the expression. */
function patternsOf(parts: readonly string[]): readonly string[] {
  const patterns: string[] = [];
  let open = '';
  for (const part of parts) {
    const pattern = open === '' ? part : `${open},${part}`;
    const [opened, closed] = [/(?<!\\)[[{(]/g, /(?<!\\)[\]})]/g].map((bracket) => pattern.match(bracket)?.length ?? 0);
    if (opened! > closed!) open = pattern;
    else {
      patterns.push(pattern);
      open = '';
    }
  }
  return open === '' ? patterns : [...patterns, open];
}

/** Names of rule files, relative to the file that names them, with patterns replaced by what matches. */
async function resolvedRuleFiles(context: Context, folder: string, patterns: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const pattern of patterns) {
    const path = isAbsolute(pattern) ? pattern : join(folder, pattern);
    const matching = globSync(path).sort();
    if (matching.length === 0) await print(context.errors, `  WARNING: no file match pattern ${path}\n`);
    found.push(...matching);
  }
  return found;
}

async function readRuleFiles(
  { options, querier }: Context,
  names: readonly string[],
): Promise<{ groups: readonly RuleGroup[]; errors: readonly string[] }> {
  const groups: RuleGroup[] = [];
  const errors: string[] = [];
  for (const name of names) {
    const { ignoreUnknownFields } = options;
    const read = readRuleFile(await readFile(name, 'utf8'), { ignoreUnknownFields, parser: querierSyntax(querier) });
    groups.push(...read.groups);
    errors.push(...read.errors.map((error) => `${name}: ${error}`));
    if (read.errors.length > 0) break;
  }
  return { groups, errors };
}

/** The server's engine, but for steps of subqueries, which promtool takes from the test. */
function ruleTestEngine(querier: QuerierConfig, subqueryStepMs: number): Engine {
  return new Engine({
    parser: querierSyntax(querier),
    lookbackMs: querier.lookbackDeltaMs,
    delayedNameRemoval: querier.enablePromqlDelayedNameRemoval,
    subqueryStepMs,
  });
}

interface JunitSuite {
  readonly name: string;
  readonly cases: { readonly name: string; readonly failures: readonly string[] }[];
  /** Why the file could not be run. */
  error: string | undefined;
}

function junitText(suites: readonly JunitSuite[], nowMs: number): string {
  const timestamp = new Date(nowMs).toISOString().slice(0, 19);
  const texts = suites.map(({ name, cases, error }) => {
    const all = error === undefined || cases.length > 0 ? cases : [{ name: 'unknown', failures: [] }];
    const bodies = all.map((one, i) => {
      const failures = one.failures.map((failure) => `<failure>${xml(failure)}</failure>`).join('');
      const end = error !== undefined && i === all.length - 1 ? `<error>${xml(error)}</error>` : '';
      return `<testcase name="${xml(one.name)}">${failures}${end}</testcase>`;
    });
    const failureCount = cases.reduce((sum, { failures }) => sum + failures.length, 0);
    const counts = `tests="${all.length}" failures="${failureCount}" errors="${error === undefined ? 0 : 1}" skipped="0"`;
    return `<testsuite name="${xml(name)}" ${counts} timestamp="${timestamp}">${bodies.join('')}</testsuite>`;
  });
  return `<testsuites>${texts.join('')}</testsuites>\n`;
}

const XML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  '\n': '&#xA;',
  '\t': '&#x9;',
  '\r': '&#xD;',
};

function xml(text: string): string {
  return text.replace(/[&<>"\n\t\r]/g, (character) => XML[character]!);
}

function complain(to: Writable, errors: readonly string[]): Promise<void> {
  return print(to, `  FAILED:\n${errors.join('\n')}\n`);
}

function lintText(duplicates: ReturnType<typeof duplicateRules>): string {
  const lines = [`lint error ${duplicates.length} duplicate rule(s) found.`];
  for (const { name, labels } of duplicates) {
    lines.push(`Metric: ${name}`, 'Label(s):', ...[...labels].map(([label, value]) => `\t${label}: ${value}`));
  }
  return [...lines, 'Might cause inconsistency while recording expressions'].join('\n');
}
