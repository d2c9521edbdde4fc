import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'pallium-web-build-'));
after(() => rmSync(folder, { recursive: true }));

test('where vite cannot run, the build of the pages says so and succeeds', () => {
  mkdirSync(join(folder, 'web'));
  cpSync(join(root, 'web', 'build.mjs'), join(folder, 'web', 'build.mjs'));
  writeFileSync(join(folder, 'package-lock.json'), '{}');
  const said = execFileSync(process.execPath, [join(folder, 'web', 'build.mjs')], { encoding: 'utf8' });
  assert.match(said, /web\/ is not built: vite cannot run here/);
  assert.equal(existsSync(join(folder, 'dist')), false);
});

test('what the pages are made of is needed for their build only, and the package has the built files', () => {
  const read = (file: string) => JSON.parse(readFileSync(join(root, file), 'utf8'));
  const { scripts, files, dependencies, workspaces } = read('package.json');
  const web = read('web/package.json');
  assert.deepEqual(workspaces, ['web']);
  assert.match(scripts.prepare, /node web\/build\.mjs/);
  assert.match(scripts.prepack, /node web\/build\.mjs --only/);
  assert.ok(files.includes('dist'));
  assert.deepEqual(
    Object.keys(dependencies).filter((name) => /^(react|vite|uplot|@mantine|@codemirror|@tanstack)/.test(name)),
    [],
  );
  assert.deepEqual(Object.keys(web.dependencies ?? {}), []);
  for (const [name, version] of Object.entries<string>(web.devDependencies)) {
    assert.match(version, name.startsWith('@types/') ? /^\^?\d/ : /^\d+\.\d+\.\d+$/, `${name} has an exact version`);
  }
});

test('no page writes HTML from text', () => {
  const found = readdirSync(join(root, 'web', 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file))
    .filter((file) =>
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc/i.test(
        readFileSync(join(root, 'web', 'src', file), 'utf8'),
      ),
    );
  assert.deepEqual(found, []);
});
