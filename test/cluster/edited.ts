import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { EDITED_RULES, type Edit, type EditedRule } from './edits.ts';
import type { Rule } from './rules.ts';

// Plays a script or a seed without a rule that is taken out of the source: `node test/cluster/edited.ts RULE SCRIPT`, or RULE SCENARIO
// SEED. Its own process: modules are loaded once. Says on standard output, as JSON, what failed.

const [rule, name, seed] = process.argv.slice(2) as [EditedRule, string, string | undefined];
const src = path.join(import.meta.dirname, '../../src');
const sources = new Map<string, string>();
const edits = (EDITED_RULES as Record<string, { readonly edits: readonly Edit[] }>)[rule]?.edits ?? [];
// one that is taken out by what a process is put together from
const broken =
  edits.length === 0 && rule !== undefined && (rule as string) !== '' ? { broken: rule as string as Rule } : {};
for (const { file, find, put } of edits) {
  const url = pathToFileURL(path.join(src, file)).href;
  const before = sources.get(url) ?? readFileSync(path.join(src, file), 'utf8');
  const parts = before.split(find);
  if (parts.length !== 2) throw new Error(`${rule}: ${file} has this ${parts.length - 1} times: ${find}`);
  sources.set(url, parts.join(put));
}
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    const source = sources.get(url);
    return source === undefined ? loaded : { ...loaded, source };
  },
});

const onTrace = process.env.TRACE === undefined ? undefined : (line: string) => console.log(line);
let failure: Error | undefined;
if (seed === undefined) {
  const { play } = await import('./scripts.ts');
  failure = await play(name as Parameters<typeof play>[0], { onTrace, ...broken });
} else {
  const { simulate } = await import('./simulation.ts');
  const { storePlainly } = await import('./plain-zstd.ts');
  storePlainly();
  const scenario = name as Parameters<typeof simulate>[0]['scenario'];
  const [from, to = from] = seed.split('-').map(Number) as [number, number?];
  for (let i = from; i <= to && failure === undefined; i++) {
    ({ failure } = await simulate({ scenario, seed: i, ...broken, ...(onTrace && { onTrace }) }));
    if (failure !== undefined) failure.message += ` (seed ${i})`;
  }
}
console.log(JSON.stringify(failure === undefined ? {} : { name: failure.name, message: failure.message }));
