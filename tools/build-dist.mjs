// Writes src/ as JavaScript to dist/STATE/src/app, with what it reads beside it: for the package, since Node strips no types below
// node_modules, and for a checkout, where each of a process' threads would strip them anew and keep the memory that this takes.
// Run by `npm ci`, `npm pack` and the launcher. Modules that the same threads load are one file (docs/decisions/bundles.md), without
// comments, else as they stand in src/. Where the bundler cannot run each module is a file, with its types blanked out.
// A build is never changed: a process that runs from one finds the same code for as long as it runs.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COPIED, isShipped, sourceState } from './source-state.mjs';

/** Builds that are kept beside the new one; for a package none. */
const KEPT_MAX = process.argv.includes('--only') ? 0 : 20;
/** Other tools' builds. */
const OTHERS = ['library', 'web'];
/** `from './x.ts'`, `import('./x.ts')`, `import './x.ts'` */
const RELATIVE_IMPORT = /\b((?:from|import)\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g;

process.removeAllListeners('warning'); // that stripping types is young is known

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
// taken first: what is changed meanwhile makes this build an old one
const state = sourceState(root);
const aside = join(dist, `.${process.pid}`);
try {
  if (!existsSync(join(dist, state))) await build();
  removeOld();
} finally {
  rmSync(aside, { recursive: true, force: true });
}

async function build() {
  const bundler = await import('rolldown').catch(() => undefined);
  if (bundler === undefined) stripTypes();
  else await bundle(bundler.rolldown);
  for (const file of COPIED) {
    mkdirSync(dirname(join(aside, file)), { recursive: true });
    copyFileSync(join(root, file), join(aside, file));
  }
  try {
    renameSync(aside, join(dist, state)); // never there in part
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error; // another was faster
  }
}

/** All files in one folder, two below the build: files that modules read lie where they do in src/, and workers beside their callers. */
async function bundle(rolldown) {
  const app = join(root, 'src', 'app');
  const workers = shipped().filter((file) => file.endsWith('-worker.ts'));
  const input = Object.fromEntries(workers.map((file) => [basename(file, '.ts'), join(root, 'src', file)]));
  const bundled = await rolldown({
    cwd: root,
    input: { ...input, main: join(app, 'main.ts') },
    platform: 'node',
    treeshake: false,
    // packages stay as they are
    external: (id) => !/^[./]/.test(id) && !/^[a-z]:[\\/]/i.test(id),
  });
  await bundled.write({
    dir: join(aside, 'src', 'app'),
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    comments: false,
    keepNames: true,
    // not even what it takes for dead: a call for its error's sake is not
    minify: false,
  });
  await bundled.close();
  for (const name of readdirSync(join(aside, 'src', 'app'))) toAscii(join(aside, 'src', 'app', name));
}

/** V8 keeps a file's text for as long as its code: two bytes a character where any is beyond Latin-1, one where none is. */
function toAscii(file) {
  const code = readFileSync(file, 'utf8');
  if (/\.raw`[^`]*[^\0-\x7f]/.test(code))
    throw new Error(`${file}: escapes do not stand for characters in raw strings`);
  const ascii = code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (ascii !== code) writeFileSync(file, ascii);
}

function stripTypes() {
  for (const file of shipped()) {
    const code = stripTypeScriptTypes(readFileSync(join(root, 'src', file), 'utf8'));
    const target = join(aside, 'src', file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, code.replace(RELATIVE_IMPORT, '$1$2$3.js$2'));
  }
}

/** Files of src/ that a build has, from there on. */
function shipped() {
  return readdirSync(join(root, 'src'), { recursive: true }).filter(isShipped);
}

function removeOld() {
  const builds = readdirSync(dist)
    .filter((name) => name !== state && !OTHERS.includes(name) && !name.startsWith('.'))
    .map((name) => ({
      path: join(dist, name),
      mtimeMs: statSync(join(dist, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
    }))
    .sort((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { path } of builds.slice(KEPT_MAX)) rmSync(path, { recursive: true, force: true });
}
