import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstantRequest, QueryResult, QueryRunner, RangeRequest } from '../../src/contract/query.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { Expressions } from './expressions.ts';
import { METRICS, START_MS, STEP_MS, STEPS, startRig } from './rig.ts';

// Operators that read rows of many series at once, against the same series one by one: from two ingester shards, and with a store beside
// them. Values, labels, texts and statistics are the same to the bit. Needs no other program.

const COUNT = Number(process.env.FUZZ_EXPRESSIONS ?? 600);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);

const FUSED =
  'rate increase delta min_over_time max_over_time sum_over_time avg_over_time count_over_time last_over_time present_over_time changes resets'.split(
    ' ',
  );
const OPS = 'sum sum avg min max count group stddev'.split(' ');

function randomExpr(random: Random, expressions: Expressions): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
  if (random() < 0.2) return expressions.vector(2);
  const selector = expressions.selector();
  const range = pick(['20s', '31s', '1m', '2m30s', '5m', '1h']);
  const series = random() < 0.25 ? selector : `${pick(FUSED)}(${selector}[${range}])`;
  if (random() < 0.2) return series;
  if (random() < 0.1) return `topk(2, ${series})`;
  return `${pick(OPS)}${pick(['', ' by (job)', ' by (instance, code)', ' without (instance)'])}(${series})`;
}

function randomRequest(random: Random, expressions: Expressions): InstantRequest | RangeRequest {
  const expr = randomExpr(random, expressions);
  const startMs = START_MS + Math.floor(random() * STEPS) * STEP_MS;
  if (random() < 0.4) return { expr, timeMs: startMs };
  const stepMs = [1000, 7000, 15_000, 60_000][Math.floor(random() * 4)]!;
  return { expr, startMs, endMs: startMs + stepMs * Math.floor(random() * 90), stepMs };
}

async function answerOf(runner: QueryRunner, request: InstantRequest | RangeRequest): Promise<string> {
  const context = { signal: new AbortController().signal };
  try {
    const result = await ('timeMs' in request
      ? runner.instant('a', request, context)
      : runner.range('a', request, context));
    return JSON.stringify(told(result), exact);
  } catch (error) {
    return (error as Error).message;
  }
}

function told({ value, warnings, infos, statistics }: QueryResult) {
  const { totalQueryableSamples, samplesRead, peakSamples } = statistics;
  return { value, warnings, infos, totalQueryableSamples, samplesRead, peakSamples };
}

/** Numbers in full: JSON knows neither −0 nor NaN. */
function exact(_key: string, value: unknown): unknown {
  if (value instanceof Float64Array) return Array.from(value, (each) => exact('', each));
  if (typeof value !== 'number') return value;
  return Number.isFinite(value) && !Object.is(value, -0) ? value : Object.is(value, -0) ? '-0' : `${value}`;
}

test(`rows of many series at once are those of each by itself (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const rig = await startRig(random, { alike: true });
  const expressions = new Expressions({ random, metrics: METRICS, legacy: false });
  try {
    let points = 0;
    for (let i = 0; i < COUNT; i++) {
      if (i === Math.floor(COUNT / 2)) await rig.flush();
      const request = randomRequest(random, expressions);
      const [want, got] = await Promise.all([
        answerOf(rig.plainRunner('a'), request),
        answerOf(rig.runner('a'), request),
      ]);
      assert.equal(got, want, JSON.stringify(request));
      // once more, so that the store may have its rows from before
      assert.equal(await answerOf(rig.runner('a'), request), want, JSON.stringify(request));
      points += want.length;
    }
    assert.ok(points > COUNT * 100, 'most of them have an answer');
    const { asked, had } = rig.kept;
    assert.ok(had > COUNT / 50, `${had} of ${asked} were asked for twice`);
  } finally {
    await rig.close();
  }
});
