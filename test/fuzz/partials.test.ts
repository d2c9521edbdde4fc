import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstantRequest, PartialAggregation, QueryResult, RangeRequest } from '../../src/contract/query.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { mergePartials } from '../../src/promql/merge-partials.ts';
import { comparable, partialsOf, plain } from '../../src/querier/test-partials.ts';
import { Expressions } from './expressions.ts';
import { METRICS, START_MS, STEP_MS, STEPS, startRig } from './rig.ts';

// Aggregations in shards, from two ingester shards and the store, against the same asked whole. Needs no other program.

const COUNT = Number(process.env.FUZZ_EXPRESSIONS ?? 1500);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);

const OPS = 'sum sum avg min max count group'.split(' ');
const PER_SERIES = 'rate increase delta avg_over_time sum_over_time max_over_time last_over_time deriv'.split(' ');

function randomExpr(random: Random, expressions: Expressions): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
  const label = () => pick(['instance', 'job', 'code', '__name__', 'instance, job', 'job, code']);
  const grouping = pick(['', '', ` by (${label()})`, ` without (${label()})`]);
  const selector = expressions.selector();
  const inner = [
    () => selector,
    () => `${pick(PER_SERIES)}(${selector}[${pick(['1m', '2m30s', '5m'])}])`,
    () => `-${selector}`,
    () => `${selector} ${pick(['* 3', '/ 7', '> 10', '== bool 1', '+ time()', '% 10'])}`,
    () => `${pick(['abs', 'sqrt', 'ceil', 'timestamp'])}(${selector})`,
    () => `max_over_time(rate(${selector}[1m])[3m:30s])`,
    () => expressions.vector(1 + Math.floor(random() * 2)),
  ][Math.floor(random() * 7)]!();
  return `${pick(OPS)}${grouping}(${inner})`;
}

function randomRequest(random: Random, expressions: Expressions): InstantRequest | RangeRequest {
  const expr = randomExpr(random, expressions);
  const startMs = START_MS + Math.floor(random() * STEPS) * STEP_MS;
  if (random() < 0.4) return { expr, timeMs: startMs };
  const stepMs = [7000, 15_000, 60_000][Math.floor(random() * 3)]!;
  return { expr, startMs, endMs: startMs + stepMs * Math.floor(random() * 30), stepMs };
}

type Answered<T> = { readonly answer: T; readonly error?: undefined } | { readonly error: Error };

function settled<T>(promise: Promise<T>): Promise<Answered<T>> {
  return promise.then(
    (answer) => ({ answer }),
    (error: Error) => ({ error }),
  );
}

/** Cells of sums and means: all, and those where just adding the shards' sums and compensations differs from the plain answer. */
interface Counted {
  cells: number;
  otherwise: number;
}

/** The plain answers, by group and step, against what simple merging would make of the parts. */
function countSimple(parts: readonly PartialAggregation[], { value }: QueryResult, counted: Counted): void {
  const { steps, op } = parts[0]!;
  const cells = new Map<string, { sum: number; lost: number; count: number }>();
  for (const part of parts) {
    for (const [g, { pairs }] of part.groups.entries()) {
      for (let step = 0; step < steps.count; step++) {
        const at = g * steps.count + step;
        if (part.counts[at] === 0) continue;
        const key = JSON.stringify([pairs, steps.startMs + step * steps.stepMs]);
        const cell = cells.get(key) ?? { sum: 0, lost: 0, count: 0 };
        cells.set(key, cell);
        const addend = part.values[at]!;
        const next = cell.sum + addend;
        const taken = next - cell.sum;
        cell.lost += cell.sum - (next - taken) + (addend - taken) + part.lost[at]!;
        cell.sum = next;
        cell.count += part.counts[at]!;
      }
    }
  }
  const want = new Map<string, number>();
  if (value.type === 'vector')
    for (const [i, pairs] of value.pairs.entries()) want.set(JSON.stringify([pairs, value.timeMs]), value.values[i]!);
  else if (value.type === 'matrix') {
    for (const { pairs, times, values } of value.series) {
      for (const [i, timeMs] of times.entries()) want.set(JSON.stringify([pairs, timeMs]), values[i]!);
    }
  }
  for (const [key, { sum, lost, count }] of cells) {
    const expected = want.get(key)!;
    if (!Number.isFinite(expected)) continue;
    counted.cells++;
    if (!Object.is(op === 'avg' ? sum / count + lost / count : sum + lost, expected)) counted.otherwise++;
  }
}

test(`${COUNT} random aggregations in shards have the answers that they have whole`, async (t) => {
  console.log(`SEED=${SEED}`);
  const random = seededRandom(SEED);
  const rig = await startRig(random);
  t.after(() => rig.close());
  const expressions = new Expressions({ random, metrics: METRICS, legacy: true });
  const simple: Record<string, Counted> = { sum: { cells: 0, otherwise: 0 }, avg: { cells: 0, otherwise: 0 } };
  for (const place of ['head', 'store']) {
    if (place === 'store') await rig.flush();
    const outcomes = new Map<string, number>();
    for (let i = 0; i < COUNT / 2; i++) {
      const request = randomRequest(random, expressions);
      const tenant = random() < 0.5 ? 'a' : 'b';
      const count = [2, 3, 4, 16][Math.floor(random() * 4)]!;
      const where = `${JSON.stringify(request)} of ${tenant} in ${count} from the ${place}, SEED=${SEED}`;
      const runner = rig.runner(tenant);
      const whole = await settled(plain(runner, tenant, request));
      const parts = await settled(partialsOf(runner, tenant, request, count));
      if (parts.error !== undefined) {
        assert.equal(parts.error.message, whole.error?.message, where);
        continue;
      }
      const answer = await mergePartials(parts.answer);
      const op = request.expr.slice(0, request.expr.search(/\W/));
      const outcome = `${op} ${'type' in answer ? answer.reason : 'same'}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (whole.error !== undefined) assert.ok('type' in answer, `${where}: ${whole.error.message}`);
      else if (!('type' in answer)) assert.deepEqual(comparable(answer), comparable(whole.answer), where);
      const answered = parts.answer.filter((part) => part.type === 'partial');
      if (op in simple && answered.length === count && whole.error === undefined)
        countSimple(answered, whole.answer, simple[op]!);
    }
    console.log(
      `from the ${place}: ${[...outcomes]
        .sort()
        .map((each) => each.join(': '))
        .join(', ')}`,
    );
    const of = (outcome: string) => outcomes.get(outcome) ?? 0;
    // of sums of one metric nearly all can be merged
    assert.ok(of('sum same') > 10 * of('sum rounding') && of('sum same') > COUNT / 20);
    for (const op of ['avg', 'min', 'max', 'count', 'group']) assert.ok(of(`${op} same`) > COUNT / 100, op);
  }
  for (const [op, { cells, otherwise }] of Object.entries(simple)) {
    console.log(`simply added, ${otherwise} of ${cells} cells of ${op} would be others`);
  }
});
