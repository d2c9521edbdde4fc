import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { DEFAULT_LIMITS } from '../../src/limits/limits.ts';
import { EngineRunner } from '../../src/querier/engine-runner.ts';
import { comparable, merged, plain } from '../../src/querier/test-partials.ts';
import { QueryTurns } from '../../src/querier/turns.ts';
import { HeadStorage } from './promqltest/head-storage.ts';
import { runScript, type TestStorage, type Watch } from './promqltest/runner.ts';

// Every query of the scripts that is answered, in shards: the same answer, or one that says why not.

const folder = resolve(import.meta.dirname, '../../../shared/conformance/promqltest-3.16');
const COUNTS = [2, 3];

/** Scripts that aggregate series of one selector. */
const SCRIPTS = [
  'aggregators.test',
  'at_modifier.test',
  'name_label_dropping.test',
  'native_histograms.test',
  'range_queries.test',
  'staleness.test',
  'type_and_unit.test',
];

const storages: Readonly<Record<string, { make: () => TestStorage; runs: (name: string) => boolean }>> = {
  'a head': { make: () => new HeadStorage(false), runs: () => true },
  'the store': { make: () => new HeadStorage(true), runs: (name) => name === 'aggregators.test' },
};

if (!existsSync(folder)) {
  test('promqltest scripts in shards', { skip: `${folder} is missing` });
} else {
  const outcomes = new Map<string, number>();
  for (const name of SCRIPTS) {
    for (const [where, { make, runs }] of Object.entries(storages)) {
      if (!runs(name)) continue;
      test(`promqltest ${name} in shards, from ${where}`, async () => {
        const { evals, failures } = await runScript(readFileSync(join(folder, name), 'utf8'), make, watch);
        assert.deepEqual(failures, []);
        assert.ok(evals > 0, 'no evals');
      });
    }
  }
  const watch: Watch = async (engine, storage, request) => {
    const runner = new EngineRunner({
      engine,
      queryable: () => storage,
      limits: () => DEFAULT_LIMITS,
      turns: new QueryTurns(systemClock),
      timeoutMs: 120_000,
      clock: systemClock,
    });
    for (const count of COUNTS) {
      const answer = await merged(runner, 't', request, count);
      const outcome = 'type' in answer ? answer.reason : 'same';
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if ('type' in answer) continue;
      assert.deepEqual(
        comparable(answer),
        comparable(await plain(runner, 't', request)),
        `${request.expr} in ${count}`,
      );
    }
  };
  after(() => {
    console.log(
      `answers of shards: ${[...outcomes]
        .sort()
        .map((each) => each.join(' '))
        .join(', ')}`,
    );
    assert.ok((outcomes.get('same') ?? 0) > 500);
  });
}
