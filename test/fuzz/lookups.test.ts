import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SplitQueryable } from '../../src/frontend/split-queryable.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { ANY_TIME_MS } from '../../src/lib/day.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { DEFAULT_LIMITS } from '../../src/limits/limits.ts';
import { LimitedBudget } from '../../src/limits/query-budget.ts';
import { LabelMatcher } from '../../src/model/matcher.ts';
import { JobQueryable, runLookup } from '../../src/peer/job-lookups.ts';
import { decodeRequest } from '../../src/peer/job-shapes.ts';
import type { Queryable } from '../../src/storage/queryable.ts';
import { unlimited } from '../../src/storage/unlimited.ts';
import { METRICS, START_MS, STEP_MS, STEPS, startRig } from './rig.ts';

// Random look-ups of series and labels in parts of seven minutes, in a process and by jobs, against the same whole: over heads and store.

const COUNT = Number(process.env.FUZZ_LOOKUPS ?? 120);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const OPERATORS = ['=', '!=', '=~', '!~'] as const;

test(`${COUNT} random look-ups have the answers in parts that they have whole`, async (t) => {
  console.log(`SEED=${SEED}`);
  const random = seededRandom(SEED);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const rig = await startRig(random);
  t.after(() => rig.close());
  const context = unlimited();
  let found = 0;
  for (const place of ['head', 'store']) {
    if (place === 'store') await rig.flush();
    const plain = rig.queryable('a');
    let maxFetchedSeriesPerQuery = 0;
    const byJobs = new JobQueryable(
      'a',
      async (_, payload, signal) => {
        const request = decodeRequest(payload);
        assert.ok(request.kind === 'lookup');
        const limits = { ...DEFAULT_LIMITS, maxFetchedSeriesPerQuery };
        const sources = {
          queryable: plain,
          budget: new LimitedBudget(limits, undefined, request.used),
          clock: systemClock,
        };
        return { head: { workedMs: 0 }, bytes: await runLookup(sources, request, signal) };
      },
      systemClock,
      ANY_TIME_MS,
    );
    const someMatchers = () => {
      const { name, labels, values } = pick(METRICS);
      const label = pick(labels);
      const one = random() < 0.7 ? LabelMatcher.of('__name__', '=', name) : LabelMatcher.of(label, '!=', '');
      const op = pick(OPERATORS);
      return random() < 0.5 ? [one] : [one, LabelMatcher.of(label, op, op.length === 1 ? pick(values) : '[0-1]')];
    };
    for (let i = 0; i < COUNT / 2; i++) {
      const spanMs = STEPS * STEP_MS;
      const startMs = START_MS + Math.floor((random() - 0.2) * spanMs);
      const range = { startMs, endMs: startMs + Math.floor(random() * spanMs) };
      const limit = random() < 0.3 ? 1 + Math.floor(random() * 10) : 0;
      const matchers = someMatchers();
      const lists = Array.from({ length: Math.floor(random() * 3) }, someMatchers);
      const name = pick(['instance', 'job', 'code', '__name__', 'none']);
      const answers = async (from: Queryable) => {
        const set = await from.select({ matchers, ...range, limit, labelsOnly: true }, context);
        const series = set.series.map(({ pairs }) => [...pairs]);
        set.close();
        const names = await from.labelNames({ matchers: lists, ...range, limit }, context);
        const values = await from.labelValues(name, { matchers: lists, ...range, limit }, context);
        return { series, names, values };
      };
      const whole = await answers(plain);
      const options = {
        intervalMs: 7 * 60_000,
        parallelMax: 1 + Math.floor(random() * 3),
        retriesMax: 0,
        clock: systemClock,
        random,
      };
      for (const from of [plain, byJobs]) {
        const where = `look-up ${i} in the ${place}, SEED=${SEED}`;
        assert.deepEqual(await answers(new SplitQueryable(from, options)), whole, where);
      }
      found += whole.series.length;
    }
    maxFetchedSeriesPerQuery = 3;
    const all = { matchers: [LabelMatcher.of('job', '!=', '')], startMs: START_MS, endMs: START_MS + STEPS * STEP_MS };
    await assert.rejects(byJobs.select({ ...all, labelsOnly: true }, context), /max_fetched_series_per_query/);
  }
  assert.ok(found > COUNT);
});
