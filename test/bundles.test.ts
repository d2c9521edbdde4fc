import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../dist', import.meta.url));

test('bundles are ASCII: V8 keeps the text of any other file in two bytes a character', (t) => {
  const builds = readdirSync(dist)
    .map((name) => join(dist, name, 'src', 'app'))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory())
    .sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
  const newest = builds.at(-1);
  if (newest === undefined) return t.skip('no build: npm ci makes one');
  const files = readdirSync(newest).filter((name) => name.endsWith('.js'));
  assert.ok(files.length > 10);
  for (const name of files) {
    const at: number = readFileSync(join(newest, name), 'latin1').search(/[^\0-\x7f]/);
    assert.equal(at, -1, `${name} at ${at}`);
  }
});
