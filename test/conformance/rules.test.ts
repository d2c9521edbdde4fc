import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Progress } from '../../src/app/tools/progress.ts';
import { rulesTool } from '../../src/app/tools/rules.ts';
import { loadConfig } from '../../src/kit/config/load.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { querierConfig } from '../../src/querier/config.ts';

const folder = new URL('../../../shared/conformance/rules/', import.meta.url);
const skip = existsSync(folder) ? false : `${folder.pathname} is missing`;

/** What a command wrote and ended with. */
interface Outcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Expected extends Outcome {
  readonly kind: 'check' | 'test';
}

function expectations(kind: Expected['kind']): [path: string, expected: Expected][] {
  const all: Record<string, Expected> = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8'));
  return Object.entries(all).filter(([, expected]) => expected.kind === kind);
}

async function run(...args: string[]): Promise<Outcome> {
  const sections = { tool: rulesTool.options, querier: querierConfig };
  const { values, words } = loadConfig(sections, { args, env: {}, takesWords: true });
  const [output, errors] = [new PassThrough(), new PassThrough()];
  const written = Promise.all([text(output), text(errors)]);
  const exit = await rulesTool.run({
    options: values.tool,
    words,
    openStore: () => assert.fail('rules need no store'),
    windowMs: 0,
    querier: values.querier,
    clock: systemClock,
    input: Readable.from([]),
    output,
    errors,
    progress: new Progress(process.stderr, () => performance.now()),
    signal: new AbortController().signal,
  });
  output.end();
  errors.end();
  const [stdout, stderr] = await written;
  return { exit, stdout, stderr };
}

/** Without lines of promtool's log and ours, and without the folder. */
function comparable({ exit, stdout, stderr }: Outcome, path: string): Outcome {
  const named = (from: string) => from.replaceAll(fileURLToPath(new URL('.', new URL(path, folder))), '');
  return { exit, stdout: named(stdout), stderr: named(stderr).replace(/^(?:time=|warning: ).*\n/gm, '') };
}

test('rule files get the verdicts of promtool', { skip }, async () => {
  for (const [path, expected] of expectations('check')) {
    const outcome = await run('check', fileURLToPath(new URL(path, folder)));
    const { exit, stdout, stderr } = expected;
    assert.deepEqual(comparable(outcome, path), comparable({ exit, stdout, stderr }, path), path);
  }
});
