// Writes src/ as JavaScript to dist/: for the package, since Node strips no types below node_modules, and for a checkout, where
// each of a process' threads would strip them anew and keep the memory that this takes. Run by `npm ci`, `npm pack` and the launcher.
// Types are blanked out, not compiled: what runs from dist/ is what stands in src/, line by line.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isShipped, STATE_FILE, sourceState } from './source-state.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
/** `from './x.ts'`, `import('./x.ts')`, `import './x.ts'` */
const RELATIVE_IMPORT = /\b((?:from|import)\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g;
/** Others may be building at the same time. */
const SWAPS_MAX = 10;

process.removeAllListeners('warning'); // that stripping types is young is known

// taken first: what is changed meanwhile makes this build an old one
const state = sourceState(root);
const fresh = join(root, `dist.${process.pid}.new`);
const old = join(root, `dist.${process.pid}.old`);
try {
  for (const file of readdirSync(join(root, 'src'), { recursive: true })) {
    if (!isShipped(file)) continue;
    const code = stripTypeScriptTypes(readFileSync(join(root, 'src', file), 'utf8'));
    const target = join(fresh, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, code.replace(RELATIVE_IMPORT, '$1$2$3.js$2'));
  }
  writeFileSync(join(fresh, STATE_FILE), state);
  if (stateOf(dist) !== state) swap();
} finally {
  for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
}

/** The folder is never there in part: it is made aside and moved into place. */
function swap() {
  for (let i = 0; ; i++) {
    try {
      renameSync(fresh, dist);
      return;
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST'].includes(error.code) || i === SWAPS_MAX) throw error;
    }
    rmSync(old, { recursive: true, force: true });
    try {
      renameSync(dist, old);
    } catch (error) {
      if (error.code !== 'ENOENT') throw error; // another was faster
    }
  }
}

function stateOf(folder) {
  try {
    return readFileSync(join(folder, STATE_FILE), 'utf8');
  } catch {
    return undefined;
  }
}
