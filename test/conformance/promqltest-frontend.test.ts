import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import type { RangeRequest } from '../../src/contract/query.ts';
import { Engine } from '../../src/promql/engine.ts';
import { LoadedStorage } from './promqltest/loaded-storage.ts';
import { loadRecordedData } from './promqltest/recorded-data.ts';
import { PROMQLTEST_PARSER, runScript, type Watch } from './promqltest/runner.ts';
import { SPLIT_MS, ThroughFrontend } from './through-frontend.ts';

// Every query of the scripts, and of the compliance tests, through a front end that splits it: the plain engine's answer, notes included.

const shared = new URL('../../../shared/conformance/', import.meta.url);
const folder = resolve(import.meta.dirname, '../../../shared/conformance/promqltest-3.16');

/**
 * Range queries as they are; instants with what lies around them, for most scripts have only few of the others, and no instant is cut where
 * names are removed late.
 */
function rangeOf(request: Parameters<Watch>[2]): RangeRequest | undefined {
  if ('stepMs' in request) return request.endMs - request.startMs < SPLIT_MS ? undefined : request;
  const { expr, timeMs } = request;
  return { expr, startMs: timeMs - 8 * 60_000, endMs: timeMs + 8 * 60_000, stepMs: 160_000 };
}

if (!existsSync(folder)) {
  test('promqltest scripts through a front end', { skip: `${folder} is missing` });
} else {
  const scripts = new ThroughFrontend({ parser: PROMQLTEST_PARSER, delayedNameRemoval: true });
  const watch: Watch = async (engine, storage, query) => {
    const request = rangeOf(query);
    if (request !== undefined) await scripts.check(engine, storage, request);
  };
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.test'))) {
    test(`promqltest ${name} through a front end`, async () => {
      const make = () => new LoadedStorage();
      const { evals, failures } = await runScript(readFileSync(join(folder, name), 'utf8'), make, watch);
      assert.deepEqual(failures, []);
      assert.ok(evals > 0, 'no evals');
    });
  }
  after(() => {
    const { parts, partials, hits, asked } = scripts.counts;
    console.log(`${parts} parts and ${partials} partial ones, ${hits} cached, of ${asked} queries`);
    assert.ok(parts > 1000 && partials > 500 && hits > 1000);
  });

  test('queries of the compliance tests through a front end', async () => {
    const engine = new Engine();
    const storage = loadRecordedData(shared);
    const compliance = new ThroughFrontend({ parser: {}, delayedNameRemoval: false });
    const startMs = 1767230280_000;
    const times = { startMs, endMs: startMs + 600_000, stepMs: 10_000 };
    const text = readFileSync(new URL('vectors/promqlcompliance.jsonl', shared), 'utf8');
    for (const line of text.trimEnd().split('\n')) {
      const { query: expr } = JSON.parse(line) as { readonly query: string };
      await compliance.check(engine, storage, { expr, ...times });
      await compliance.check(engine, storage, { expr, timeMs: times.endMs });
    }
    const { parts, partials, hits, asked } = compliance.counts;
    console.log(`${parts} parts and ${partials} partial ones, ${hits} cached, of ${asked} compliance queries`);
    assert.ok(parts > 500 && partials > 100 && hits > 500);
  });
}
