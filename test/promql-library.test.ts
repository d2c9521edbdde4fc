import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

const root = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'promql-library-'));
const installed = join(folder, 'node_modules/pallium');
const example = join(folder, 'example');
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, { types: string; default: string }>;
};
const library = exports['./promql']!;

/** A project beside the package, as `npm install` would leave it. */
before(() => {
  mkdirSync(installed, { recursive: true });
  cpSync(join(root, 'package.json'), join(installed, 'package.json'));
  symlinkSync(join(root, 'node_modules/re2js'), join(folder, 'node_modules/re2js'));
  execFileSync(process.execPath, [join(root, 'tools/build-library.mjs'), join(installed, 'dist/library')]);
  cpSync(join(root, 'examples/promql-library'), example, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
});

after(() => rmSync(folder, { recursive: true }));

/** Specifiers of what a module imports, whatever way. */
function importsOf(path: string): string[] {
  const code = readFileSync(path, 'utf8');
  return [...code.matchAll(/\b(?:from|import)\s*\(?\s*(['"])([^'"]+)\1/g)].map(([, , target]) => target!);
}

test('the library reaches no module of Node, nor any package but the regular expressions', () => {
  const seen = new Set([join(installed, library.default)]);
  const packages = new Set<string>();
  for (const path of seen) {
    for (const target of importsOf(path)) {
      if (target.startsWith('.')) seen.add(join(dirname(path), target));
      else packages.add(target);
    }
  }
  assert.deepEqual([...packages], ['re2js']);
  const built = readdirSync(join(installed, 'dist/library'), { recursive: true, encoding: 'utf8' });
  assert.equal(built.filter((name) => name.endsWith('.js')).length, seen.size);
  assert.ok(!readFileSync(join(root, 'node_modules/re2js/build/index.js'), 'utf8').includes('node:'));
});

const ANSWER = ['sum by (job) (rate(http_requests_total[5m]))', '{job="api"} 3 3 3 3 3 3'];

/** @param preload runs before anything of the example */
function run(preload: string, expr: string): string[] {
  writeFileSync(join(folder, 'preload.js'), preload);
  const script = `import { ask } from './example/demo.js'; globalThis.tell((await ask(${JSON.stringify(expr)})).join('\\n'));`;
  const args = ['--import', './preload.js', '--input-type=module', '--eval', script];
  return execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' }).trimEnd().split('\n');
}

test('the example answers', () => {
  const args = [join(example, 'main.js'), 'sum by(job)(rate(http_requests_total[5m]))', 'up{'];
  const lines = execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' }).trimEnd().split('\n');
  assert.deepEqual(lines, [...ANSWER, '1:4: parse error: unexpected end of input inside braces']);
});

test('it answers where there is nothing of Node, and lets others run meanwhile', () => {
  // what a browser has not; the query is asked for its turn after each 10 ms of a clock that runs fast
  const preload = `
    const { log } = console;
    const exit = process.exit.bind(process);
    void MessageEvent; // Node makes its own of it only now, and needs a Buffer for that
    globalThis.tell = (text) => { log(text); exit(0); };
    let now = 0;
    performance.now = () => (now += 11);
    for (const name of ['process', 'Buffer', 'global', 'setImmediate', 'clearImmediate']) delete globalThis[name];
  `;
  assert.deepEqual(run(preload, 'sum by(job)(rate(http_requests_total[5m]))'), ANSWER);
});

test('a browser finds by the map what the example imports', () => {
  const html = readFileSync(join(example, 'index.html'), 'utf8');
  const { imports } = JSON.parse(/<script type="importmap">(.*?)<\/script>/s.exec(html)![1]!) as {
    imports: Record<string, string>;
  };
  const base = join(root, 'examples/promql-library');
  assert.equal(resolve(base, imports['pallium/promql']!), join(root, library.default));
  assert.ok(readFileSync(resolve(base, imports.re2js!), 'utf8').includes('export'));
  const seen = new Set([join(example, 'page.js')]);
  for (const path of seen) {
    for (const target of importsOf(path)) {
      if (target.startsWith('.')) seen.add(join(dirname(path), target));
      else assert.ok(target in imports, `${path} imports ${target}`);
    }
  }
});

test('its types stand for themselves', () => {
  const source = `
    import { Engine, type Queryable, type QueryResult, unlimited } from 'pallium/promql';
    export async function ask(store: Queryable, expr: string): Promise<QueryResult> {
      const result = await new Engine({ samplesMax: 1000 }).query(store, { expr, timeMs: 0 }, unlimited());
      // @ts-expect-error a query has no such value
      result.value.type = 'nothing';
      return result;
    }
  `;
  writeFileSync(join(folder, 'user.ts'), source);
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--lib', 'es2024,dom'];
  const files = [...options, '--types', '', join(folder, 'user.ts')];
  try {
    execFileSync(join(root, 'node_modules/.bin/tsc'), files, { cwd: folder, encoding: 'utf8' });
  } catch (error) {
    assert.fail((error as { stdout: string }).stdout);
  }
});
