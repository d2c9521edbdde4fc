import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { settingsOf } from '../kit/config/section.ts';
import { showReference } from '../kit/config/show.ts';
import { sections } from './config.ts';

test('the reference page says what the code declares', () => {
  const page = readFileSync(new URL('../../docs/reference/configuration.md', import.meta.url), 'utf8');
  assert.equal(page, showReference(sections), 'run: node tools/write-reference.mjs');
});

test('no key and no flag is declared twice', () => {
  const settings = settingsOf(sections);
  for (const names of [settings.map(({ path }) => path), settings.flatMap(({ flag }) => flag ?? [])]) {
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
  }
});
