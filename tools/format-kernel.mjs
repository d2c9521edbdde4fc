// Formats and lints kernel/ with Biome and the project's settings. Biome reads AssemblyScript as TypeScript, but for decorators of
// functions: these are hidden in comments meanwhile.
//   node tools/format-kernel.mjs           writes
//   node tools/format-kernel.mjs --check   says what is not as it would be, and ends with 1
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'kernel');
const isCheck = process.argv.includes('--check');

// `==` is for numbers, NaN differs from itself, readers move on when called a second time, integers have 64 bits
const RULES_OFF = {
  suspicious: ['noDoubleEquals', 'noSelfCompare', 'noDuplicateElseIf'],
  correctness: ['noPrecisionLoss'],
};

const hidden = (source) =>
  source
    .replace(/^(?:\/\/ @ts-ignore[^\n]*\n)?@inline (?=(?:export )?function)/gm, '/*@inline*/ ')
    .replace(/^(?:\/\/ @ts-ignore[^\n]*\n)?@(external\([^\n]*\))$/gm, '/*@$1*/');
const shown = (source) =>
  source
    .replace(/^\/\*@inline\*\/ /gm, '// @ts-ignore: decorator\n@inline ')
    .replace(/^\/\*@(external\([^\n]*\))\*\/$/gm, '// @ts-ignore: decorator\n@$1');

const aside = mkdtempSync(join(tmpdir(), 'format-kernel-'));
try {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const sources = new Map(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
  for (const [name, source] of sources) writeFileSync(join(aside, name), hidden(source));
  writeFileSync(join(aside, 'biome.json'), JSON.stringify(settings()));
  const failed = biome('check', '--write', '--linter-enabled=false') || biome('lint', '--error-on-warnings');
  if (failed) process.exit(1);
  let different = 0;
  for (const [name, source] of sources) {
    const formatted = shown(readFileSync(join(aside, name), 'utf8'));
    if (formatted === source) continue;
    different++;
    if (isCheck) console.error(`kernel/${name} is not formatted: node tools/format-kernel.mjs`);
    else writeFileSync(join(folder, name), formatted);
  }
  if (isCheck && different > 0) process.exitCode = 1;
  else console.log(`${files.length} files of kernel/, ${isCheck ? 'all formatted' : `${different} written`}`);
} finally {
  rmSync(aside, { recursive: true, force: true });
}

function settings() {
  const { formatter, javascript, linter } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'));
  const rules = { ...linter.rules };
  for (const [group, names] of Object.entries(RULES_OFF)) {
    rules[group] = { ...rules[group], ...Object.fromEntries(names.map((name) => [name, 'off'])) };
  }
  return { root: true, formatter, javascript, linter: { rules } };
}

/** Returns whether it failed, which it then has told. */
function biome(...args) {
  const command = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args, '.'], {
    cwd: aside,
    encoding: 'utf8',
  });
  if (status !== 0) process.stderr.write(stdout + stderr);
  return status !== 0;
}
