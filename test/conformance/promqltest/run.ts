import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type Failure, runScript } from './runner.ts';

/** `node run.ts [-v] [FOLDER|FILE…]`: runs the scripts there, by default the ones beside the repository. */
const args = process.argv.slice(2);
const verbose = args.includes('-v');
const given = args.filter((arg) => arg !== '-v');
const paths = given.length > 0 ? given : [resolve(import.meta.dirname, '../../../../shared/conformance/promqltest')];

let evals = 0;
let queries = 0;
let failed = 0;
for (const file of paths.flatMap(scriptsIn)) {
  let failures: readonly Failure[];
  let count = 0;
  try {
    const outcome = await runScript(readFileSync(file, 'utf8'));
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
