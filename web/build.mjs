// Builds web/ to dist/web/STATE, with each file compressed beside it: what a process serves is read and sent, nothing more. Run by
// `npm ci` and `npm pack`, never at start. A build is never changed: a process finds the files that it began with.
// Where vite cannot run, or is not installed, that is said, and the process serves its page of links.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** Builds that are kept beside the new one; for a package none. */
const KEPT_MAX = process.argv.includes('--only') ? 0 : 3;
/** Smaller files are not worth a header. */
const COMPRESSED_BYTES_MIN = 1024;

const root = fileURLToPath(new URL('..', import.meta.url));
const web = join(root, 'web');
const builds = join(root, 'dist', 'web');

await main();

async function main() {
  const state = webState();
  const folder = join(builds, state);
  if (existsSync(folder)) {
    // the newest is the one that is served
    utimesSync(folder, new Date(), new Date());
    return removeOld(state);
  }
  let build;
  try {
    ({ build } = await import('vite'));
  } catch (error) {
    console.log(`web/ is not built: vite cannot run here (${String(error.message).split('\n')[0]})`);
    return;
  }
  const aside = join(builds, `.${process.pid}`);
  mkdirSync(aside, { recursive: true });
  try {
    await build({ configFile: join(web, 'vite.config.ts'), logLevel: 'warn', build: { outDir: aside } });
    compress(aside);
    try {
      renameSync(aside, folder); // never there in part
    } catch (error) {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error; // another was faster
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  removeOld(state);
}

/** Equal as long as no file of web/ and no package was changed. */
function webState() {
  const hash = createHash('sha256');
  const names = readdirSync(web, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/[/\\](node_modules|test)[/\\]/.test(file) && !file.endsWith('.test.ts'));
  for (const file of [...names.sort(), join(root, 'package-lock.json')]) {
    hash.update(`${file.slice(root.length)}\n`).update(readFileSync(file));
  }
  return hash.digest('hex').slice(0, 16);
}

/** Writes FILE.br and FILE.gz beside each file that gets smaller by it. */
function compress(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (!entry.isFile() || entry.name === 'index.html' || statSync(file).size < COMPRESSED_BYTES_MIN) continue;
    const plain = readFileSync(file);
    writeFileSync(`${file}.br`, brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } }));
    writeFileSync(`${file}.gz`, gzipSync(plain, { level: 9 }));
  }
}

function removeOld(state) {
  const old = readdirSync(builds)
    .filter((name) => name !== state && !name.startsWith('.'))
    .map((name) => ({ path: join(builds, name), mtimeMs: statSync(join(builds, name)).mtimeMs }))
    .sort((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { path } of old.slice(KEPT_MAX)) rmSync(path, { recursive: true, force: true });
}
