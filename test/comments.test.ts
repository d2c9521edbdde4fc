import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

/** Openings that put the noun last. */
const NOUN_LAST =
  /^\s*(?:\/\*\*|\/\/|\*) *(?:Of|What|So many|Such as) |[^:](?:\/\*\*|\/\/) (?:Of|What|So many|Such as) /;

test('comments put the noun first', () => {
  const files = execFileSync('git', ['ls-files', '*.ts', '*.mjs', '*.js'], { cwd: root, encoding: 'utf8' });
  const wrong: string[] = [];
  for (const file of files.split('\n').filter((name) => name !== '' && name !== 'test/comments.test.ts')) {
    for (const [i, line] of readFileSync(join(root, file), 'utf8').split('\n').entries()) {
      if (NOUN_LAST.test(line)) wrong.push(`${file}:${i + 1}: ${line.trim()}`);
    }
  }
  assert.deepEqual(wrong, []);
});
