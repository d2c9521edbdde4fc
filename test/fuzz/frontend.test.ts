import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RangeRequest } from '../../src/contract/query.ts';
import { Frontend } from '../../src/frontend/frontend.ts';
import { answersOf, comparableAnswer } from '../../src/frontend/test-answers.ts';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { ParsedExprs } from '../../src/promql/parser/parsed.ts';
import { querierConfig } from '../../src/querier/config.ts';
import { querierSyntax } from '../../src/querier/querier.ts';
import { Expressions } from './expressions.ts';
import { METRICS, START_MS, STEP_MS, STEPS, startRig } from './rig.ts';

// Random range queries through a front end, against the same from the engine: bit for bit, notes and errors included.

const COUNT = Number(process.env.FUZZ_EXPRESSIONS ?? 1000);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const INTERVAL_MS = 7 * 60_000;

function randomRequest(random: Random, expressions: Expressions): RangeRequest {
  const expr = expressions.vector(1 + Math.floor(random() * 3));
  const stepMs = [7000, 15_000, 60_000, 170_000][Math.floor(random() * 4)]!;
  const startMs = START_MS + Math.floor((random() * STEPS * STEP_MS) / 2);
  return { expr, startMs, endMs: startMs + Math.floor(random() * STEPS * STEP_MS), stepMs };
}

test(`${COUNT} random queries have the answers through a front end that they have without`, async (t) => {
  console.log(`SEED=${SEED}`);
  const random = seededRandom(SEED);
  const rig = await startRig(random);
  t.after(() => rig.close());
  const parsed = new ParsedExprs(
    querierSyntax({ ...defaultsOf(querierConfig), enablePromqlExperimentalFunctions: true }),
  );
  const expressions = new Expressions({ random, metrics: METRICS, legacy: true });
  for (const place of ['head', 'store']) {
    if (place === 'store') await rig.flush();
    const outcomes = { parts: 0, partials: 0, split: 0, errors: 0, filled: 0 };
    for (let i = 0; i < COUNT / 2; i++) {
      const request = randomRequest(random, expressions);
      const querier = rig.runner('a');
      const plain = await answersOf(querier, request, 'a');
      let parts = 0;
      let partials = 0;
      const frontend = new Frontend({
        querier: {
          instant: querier.instant.bind(querier),
          partial(tenant, part, context) {
            partials++;
            return querier.partial(tenant, part, context);
          },
          range(tenant, part, context) {
            if (part.whole !== undefined) parts++;
            return querier.range(tenant, part, context);
          },
        },
        parsed,
        rules: { delayedNameRemoval: false },
        splitIntervalMs: INTERVAL_MS,
        shards: 4,
        alignToStep: false,
        parallelMax: 1 + Math.floor(random() * 3),
        timeoutMs: 120_000,
        clock: systemClock,
      });
      const answer = await answersOf(frontend, request, 'a');
      const where = `${JSON.stringify(request)} from the ${place}, SEED=${SEED}`;
      if ('error' in plain) {
        outcomes.errors++;
        // which of the series an error names is a matter of order
        assert.ok('error' in answer && stem(answer.error) === stem(plain.error), `${where}: ${plain.error}`);
      } else assert.deepEqual(comparableAnswer(answer), comparableAnswer(plain), where);
      outcomes.parts += parts;
      outcomes.partials += partials;
      if (parts > 0) outcomes.split++;
      if (!('error' in plain) && plain.result.value.type === 'matrix' && plain.result.value.series.length > 0)
        outcomes.filled++;
    }
    console.log(`from the ${place}: ${JSON.stringify(outcomes)}`);
    assert.ok(outcomes.split > COUNT / 8 && outcomes.filled > COUNT / 8);
  }
});

function stem(text: string): string {
  return text.replace(/\{.*$/, '');
}
