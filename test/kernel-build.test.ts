import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const { kernelSources, kernelState }: Record<string, (root: string) => string> = await import(
  join(root, 'tools/kernel-sources.mjs')
);

test('the kernel that is built is of the sources there are', () => {
  const types = readFileSync(join(root, 'kernel/build/kernel.d.ts'), 'utf8');
  const [, built] = types.match(/^\/\/ Sources: (\w+)$/m) ?? [];
  assert.equal(built, kernelState!(root), 'kernel/build is old: npm run kernel');
  assert.ok(kernelSources!(root).includes('src/wire/frame-layout.ts'));
});

test('its signatures name what the module exports', async () => {
  const types = readFileSync(join(root, 'kernel/build/kernel.d.ts'), 'utf8');
  const named = [...types.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name!);
  const module = new WebAssembly.Module(readFileSync(join(root, 'kernel/build/kernel.wasm')));
  const exported = WebAssembly.Module.exports(module).filter(({ kind }) => kind === 'function');
  assert.deepEqual(named.sort(), exported.map(({ name }) => name).sort());
});

test('the kernel is formatted, and the linter has nothing to say of it', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'tools/format-kernel.mjs'), '--check'], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});
