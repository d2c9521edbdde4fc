// Writes the query engine as a library (`pallium/promql`) to dist/library, or to the folder given: the modules that src/promql/index.ts
// reaches, as JavaScript that a browser can read, with their types. Run by `npm pack`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, normalize, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ENTRY = 'promql/index.ts';
/** `from './x.ts'`, `import './x.ts'` */
const RELATIVE_IMPORT = /\b((?:from|import)\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g;

process.removeAllListeners('warning'); // that stripping types is young is known

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');
const target = resolve(process.argv[2] ?? join(root, 'dist/library'));

rmSync(target, { recursive: true, force: true });
const modules = writeModules();
writeTypes();
console.log(`${modules} modules in ${relative(process.cwd(), target) || target}`);

function writeModules() {
  const seen = new Set([ENTRY]);
  for (const file of seen) {
    const source = readFileSync(join(src, file), 'utf8');
    const code = stripTypeScriptTypes(source);
    // what only types name is gone
    for (const [, , , path] of code.matchAll(RELATIVE_IMPORT)) seen.add(normalize(join(dirname(file), `${path}.ts`)));
    write(file.replace(/\.ts$/, '.js'), code);
  }
  return seen.size;
}

function writeTypes() {
  const tsc = join(root, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['--project', join(root, 'tools/library.tsconfig.json'), '--outDir', target], { stdio: 'inherit' });
  const seen = new Set(['promql/index.d.ts']);
  for (const file of seen) {
    const types = readFileSync(join(target, file), 'utf8');
    for (const [, , , path] of types.matchAll(RELATIVE_IMPORT))
      seen.add(normalize(join(dirname(file), `${path}.d.ts`)));
    write(file, types);
  }
}

function write(file, code) {
  const path = join(target, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, code.replace(RELATIVE_IMPORT, '$1$2$3.js$2'));
}
