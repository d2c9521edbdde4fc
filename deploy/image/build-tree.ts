// Writes the file tree of the container image: Node, the libraries it is linked to, the server, and of its packages the files that it
// loads. Nothing else is in the image: no shell, no package manager. The Dockerfile runs it; so does a test that starts the server in
// the tree without a container engine.
//   node deploy/image/build-tree.ts FOLDER      after `npm ci` in this checkout
import { execFileSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeFileTrace } from '@vercel/nft';

/** Whom the server runs as. */
export const USER_ID = 10_001;
/** Where it keeps its data: a volume. */
export const DATA_DIR = '/data';

const root = fileURLToPath(new URL('../..', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: node deploy/image/build-tree.ts FOLDER');
  await buildTree(folder);
}

/** @param folder is made; one that has files is refused */
async function buildTree(folder: string): Promise<void> {
  if (existsSync(folder) && readdirSync(folder).length > 0) throw new Error(`${folder} is not empty`);
  execFileSync(process.execPath, [join(root, 'tools/build-dist.mjs')]);
  const state = execFileSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { sourceState } from './tools/source-state.mjs'; console.log(sourceState('.'))`,
    ],
    { cwd: root, encoding: 'utf8' },
  ).trim();
  copyNode(folder);
  const app = join(folder, 'app');
  copy(join(root, 'dist', state), join(app, 'dist', state));
  if (existsSync(join(root, 'dist/web'))) copy(join(root, 'dist/web'), join(app, 'dist/web'));
  for (const file of ['package.json', 'LICENSE', 'bin/pallium.js', 'deploy/image/pre-stop.mjs'])
    copy(join(root, file), join(app, file));
  for (const file of await packageFiles(join('dist', state))) copy(join(root, file), join(app, file));
  writeSystemFiles(folder);
}

/** Files below node_modules that the build loads, whatever its settings. @param build relative to the checkout */
async function packageFiles(build: string): Promise<string[]> {
  const modules = join(root, build, 'src/app');
  const entries = readdirSync(modules).filter((name) => name === 'main.js' || name.endsWith('-worker.js'));
  const { fileList } = await nodeFileTrace(
    entries.map((name) => join(modules, name)),
    { base: root, processCwd: root },
  );
  // lmdb finds the package with its binary by a name that it makes
  const binaries = namesIn(join(root, 'node_modules/@lmdb')).flatMap((name) =>
    readdirSync(join(root, 'node_modules/@lmdb', name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.includes('.musl'))
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  );
  return [...new Set([...fileList, ...binaries])].filter((file) => file.startsWith('node_modules/')).sort();
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** The Node that runs this, as /usr/bin/node, and the shared libraries that it names at the places where it looks for them. */
function copyNode(folder: string): void {
  copy(realpathSync(process.execPath), join(folder, 'usr/bin/node'));
  const libraries = execFileSync('ldd', [realpathSync(process.execPath)], { encoding: 'utf8' });
  for (const [, path] of libraries.matchAll(/(?:=> |^\t)(\/\S+) \(0x/gm))
    copy(realpathSync(path!), join(folder, path!));
}

function writeSystemFiles(folder: string): void {
  mkdirSync(join(folder, 'etc'), { recursive: true });
  writeFileSync(join(folder, 'etc/passwd'), `pallium:x:${USER_ID}:${USER_ID}:pallium:${DATA_DIR}:/sbin/nologin\n`);
  writeFileSync(join(folder, 'etc/group'), `pallium:x:${USER_ID}:\n`);
  for (const name of ['dev', 'proc', 'tmp', DATA_DIR]) mkdirSync(join(folder, name), { recursive: true });
  // a volume that is new takes its owner from here; whoever is not root cannot give anything away
  if (process.getuid?.() === 0) chownSync(join(folder, DATA_DIR), USER_ID, USER_ID);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true });
}
