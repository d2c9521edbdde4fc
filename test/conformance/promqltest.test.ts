import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { runScript } from './promqltest/runner.ts';

const folder = resolve(import.meta.dirname, '../../../shared/conformance/promqltest');

if (!existsSync(folder)) {
  test('promqltest scripts', { skip: `${folder} is missing` });
} else {
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.test'))) {
    test(`promqltest ${name}`, async () => {
      const { evals, failures } = await runScript(readFileSync(join(folder, name), 'utf8'));
      assert.deepEqual(failures, []);
      assert.ok(evals > 0, 'no evals');
    });
  }
}
