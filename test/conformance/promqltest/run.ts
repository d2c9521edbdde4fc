import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { HeadStorage } from './head-storage.ts';
import { type Failure, runScript, type TestStorage } from './runner.ts';

/**
 * `node run.ts [-v] [--head|--store] [FOLDER|FILE…]`: runs the scripts there, by default the ones beside the repository; on series in
 * memory, in a real head, or in a head that has been flushed.
 */
const args = process.argv.slice(2);
const verbose = args.includes('-v');
const given = args.filter((arg) => !arg.startsWith('-'));
const storages: Readonly<Record<string, () => TestStorage>> = {
  '--head': () => new HeadStorage(false),
  '--store': () => new HeadStorage(true),
};
const newStorage = args.map((arg) => storages[arg]).find((found) => found !== undefined);
const paths =
  given.length > 0 ? given : [resolve(import.meta.dirname, '../../../../shared/conformance/promqltest-3.16')];

let evals = 0;
let queries = 0;
let failed = 0;
for (const file of paths.flatMap(scriptsIn)) {
  let failures: readonly Failure[];
  let count = 0;
  try {
    const outcome = await runScript(readFileSync(file, 'utf8'), newStorage);
    ({ failures, evals: count } = outcome);
    queries += outcome.queries;
  } catch (thrown) {
    failures = [{ line: 0, text: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) }];
  }
  evals += count;
  failed += failures.length;
  console.log(`${basename(file)}: ${count - failures.length} of ${count}`);
  if (verbose) for (const { line, text } of failures) console.log(`  ${line}: ${text}`);
}
console.log(`${evals - failed} of ${evals} evals pass (${queries} queries)`);
process.exitCode = failed === 0 && evals > 0 ? 0 : 1;

function scriptsIn(path: string): string[] {
  if (!existsSync(path)) throw new Error(`${path} does not exist`);
  if (path.endsWith('.test')) return [path];
  return readdirSync(path)
    .filter((name) => name.endsWith('.test'))
    .sort()
    .map((name) => join(path, name));
}
