import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Progress } from '../../src/app/tools/progress.ts';
import { rulesTool } from '../../src/app/tools/rules.ts';
import { loadConfig } from '../../src/kit/config/load.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { querierConfig } from '../../src/querier/config.ts';

/** The output of a command, and what it ended with. */
export interface ToolOutcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `pallium rules …`, within this process. */
export async function runRulesTool(...args: string[]): Promise<ToolOutcome> {
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
    progress: new Progress(process.stderr, systemClock.monotonicMs),
    signal: new AbortController().signal,
  });
  output.end();
  errors.end();
  const [stdout, stderr] = await written;
  return { exit, stdout, stderr };
}
