import { readFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { text as readStream } from 'node:stream/consumers';
import { choice, toggle } from '../../kit/config/field.ts';
import { section } from '../../kit/config/section.ts';
import { querierSyntax } from '../../querier/querier.ts';
import { duplicateRules, readRuleFile } from '../../ruler/rule-file.ts';
import { print } from './output.ts';
import { DONE, FAILED, type ToolContext, tool, UsageError } from './tool.ts';

/** Exit code where only -lint-fatal makes it a failure. */
const LINT_FAILED = 3;

const options = section('', 'rules', {
  ignoreUnknownFields: toggle({ default: false, help: 'check: fields that are not known are passed over.' }),
  lint: choice({
    default: 'duplicate-rules',
    values: ['all', 'duplicate-rules', 'none'],
    help: 'check: complain about rules that write the same series.',
  }),
  lintFatal: toggle({ default: false, help: 'check: exit with 3 where -lint finds something.' }),
});

type Context = ToolContext<typeof options.type>;

export const rulesTool = tool({
  summary: 'Check rule files.',
  description: [
    'check FILES   reads rule files as the ruler does and says what is wrong with them; without files, standard input.',
    '',
    'Expressions are read with the features that the -querier.enable-… flags or -config.file switch on.',
    'Exit code: 0 all is well, 1 a file is wrong, 3 only -lint found something and -lint-fatal is set.',
  ].join('\n'),
  words: 'check FILES',
  options,
  run(context) {
    const [command, ...files] = context.words;
    switch (command) {
      case 'check':
        return check(context, files);
      default:
        throw new UsageError(command === undefined ? 'say what to do: check' : `unknown command ${command}: check`);
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
