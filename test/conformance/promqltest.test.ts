import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { HeadStorage } from './promqltest/head-storage.ts';
import { LoadedStorage } from './promqltest/loaded-storage.ts';
import { RowsOnly } from './promqltest/rows-only.ts';
import { runScript, type TestStorage } from './promqltest/runner.ts';

const folder = resolve(import.meta.dirname, '../../../shared/conformance/promqltest-3.16');

/** `run.ts --store` runs all of them over the store, which takes minutes. */
const STORED = new Set(['native_histograms.test', 'start_timestamps.test', 'staleness.test']);

const storages: Readonly<Record<string, { make: () => TestStorage; runs: (name: string) => boolean }>> = {
  'in memory': { make: () => new LoadedStorage(), runs: () => true },
  'for rows only': { make: () => new RowsOnly(), runs: () => true },
  'in a head': { make: () => new HeadStorage(false), runs: () => true },
  'in the store': { make: () => new HeadStorage(true), runs: (name) => STORED.has(name) },
};

if (!existsSync(folder)) {
  test('promqltest scripts', { skip: `${folder} is missing` });
} else {
  after(() => assert.ok(RowsOnly.asked > 1000, `${RowsOnly.asked} series`));
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.test'))) {
    for (const [where, { make, runs }] of Object.entries(storages)) {
      if (!runs(name)) continue;
      test(`promqltest ${name}, ${where}`, async () => {
        const { evals, failures } = await runScript(readFileSync(join(folder, name), 'utf8'), make);
        assert.deepEqual(failures, []);
        assert.ok(evals > 0, 'no evals');
      });
    }
  }
}
