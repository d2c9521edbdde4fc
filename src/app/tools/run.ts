import { existsSync } from 'node:fs';
import { type OpenedStore, openStore } from '../../chunkstore/open.ts';
import { loadConfig } from '../../kit/config/load.ts';
import { ConfigError, nearest } from '../../kit/config/problem.ts';
import { settingsOf } from '../../kit/config/section.ts';
import { showHelp } from '../../kit/config/show.ts';
import { systemClock } from '../../lib/clock.ts';
import { sections } from '../config.ts';
import { storeSpec } from '../store-spec.ts';
import { backupTool, restoreTool } from './backup.ts';
import { exportTool } from './export.ts';
import { importTool } from './import.ts';
import { inspectTool } from './inspect.ts';
import { Progress } from './progress.ts';
import { rulesTool } from './rules.ts';
import { FAILED, MISUSED, type Tool, UsageError } from './tool.ts';
import { verifyTool } from './verify.ts';

// biome-ignore lint/suspicious/noExplicitAny: each tool has options of its own
const tools: Readonly<Record<string, Tool<any>>> = {
  verify: verifyTool,
  inspect: inspectTool,
  export: exportTool,
  import: importTool,
  backup: backupTool,
  restore: restoreTool,
  rules: rulesTool,
};

/** Sections that say which stores there are. The rest of the server's configuration may stand in the file, and is passed over. */
const { data, schema, cassandra, dynamodb, bigtable, s3, gcs, azure } = sections;
const storeSections = { data, schema, cassandra, dynamodb, bigtable, s3, gcs, azure };

/** Runs `pallium NAME …`. @returns the exit code */
export async function runTool(name: string, args: readonly string[]): Promise<number> {
  const complain = (problem: string, code: number) => {
    process.stderr.write(`pallium ${name}: ${problem}\n`);
    return code;
  };
  const found = Object.hasOwn(tools, name) ? tools[name] : undefined;
  if (found === undefined) {
    const names = Object.keys(tools);
    return complain(
      `no such command${nearest(name, names)}; there are ${names.join(', ')}, and flags alone start the server`,
      MISUSED,
    );
  }
  const ended = new AbortController();
  const onSignal = (signal: string) => ended.abort(new Error(`ended by ${signal}`));
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, onSignal);
  process.stdout.on('error', () => {}); // thrown where it is written to
  const opened: OpenedStore[] = [];
  try {
    // the server's own sections may stand in the file
    const loaded = loadConfig(
      { tool: found.options, ...sections },
      { args, env: process.env, takesWords: found.words !== undefined },
    );
    if (loaded.command.help) {
      process.stdout.write(helpOf(name, found));
      return 0;
    }
    return await found.run({
      options: loaded.values.tool,
      words: loaded.words,
      async openStore({ make = false } = {}) {
        const spec = storeSpec(loaded.values);
        const local = spec.periods.some((each) => each.store === 'embedded' || each.objectStore === 'filesystem');
        if (local && !make && !existsSync(spec.dir)) {
          throw new UsageError(`${spec.dir} is missing: -data.dir, or -config.file, must say where the store is`);
        }
        const store = await openStore(spec, systemClock);
        opened.push(store);
        return store;
      },
      windowMs: loaded.values.ingester.windowMs,
      querier: loaded.values.querier,
      clock: systemClock,
      input: process.stdin,
      output: process.stdout,
      errors: process.stderr,
      progress: new Progress(process.stderr, systemClock.monotonicMs),
      signal: ended.signal,
    });
  } catch (thrown) {
    if (thrown instanceof ConfigError) return complain(thrown.problems.join(`\npallium ${name}: `), MISUSED);
    if (thrown instanceof UsageError) return complain(thrown.message, MISUSED);
    if (ended.signal.aborted) return complain((ended.signal.reason as Error).message, FAILED);
    if ((thrown as NodeJS.ErrnoException).code === 'EPIPE') return FAILED; // whoever read has seen enough
    return complain(thrown instanceof Error ? thrown.message : String(thrown), FAILED);
  } finally {
    for (const store of opened) await store.close();
  }
}

/** The commands, for the end of the server's help. */
export function toolList(): string {
  return Object.entries(tools)
    .map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`)
    .join('\n');
}

function helpOf(name: string, { summary, description, options, words }: Tool): string {
  const own = settingsOf({ tool: options }).map(({ flag, field }) => {
    const text = String(field.print(field.default) ?? '');
    return `  -${flag} <${field.kind}>${text === '' ? '' : `  (default ${text})`}\n        ${field.help}`;
  });
  const [, ...rest] = showHelp(storeSections, `pallium ${name}`).split('\n');
  return [
    `Usage: pallium ${name} [flags]${words === undefined ? '' : ` ${words}`}`,
    '',
    summary,
    '',
    description,
    '',
    ...own,
    ...rest,
    '',
  ].join('\n');
}
