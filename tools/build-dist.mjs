// Writes src/ as JavaScript to dist/ for the package: Node strips no types below node_modules. Run by `npm pack`.
// Types are blanked out, not compiled: what runs from the package is what runs from a checkout, line by line.
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
/** `from './x.ts'`, `import('./x.ts')`, `import './x.ts'` */
const RELATIVE_IMPORT = /\b((?:from|import)\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g;

rmSync(dist, { recursive: true, force: true });
for (const file of globSync('**/*.ts', { cwd: join(root, 'src') })) {
  if (file.endsWith('.test.ts') || file.endsWith('.d.ts') || /(^|\/)test-[^/]*$/.test(file)) continue;
  const code = stripTypeScriptTypes(readFileSync(join(root, 'src', file), 'utf8'));
  const target = join(dist, file.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, code.replace(RELATIVE_IMPORT, '$1$2$3.js$2'));
}
