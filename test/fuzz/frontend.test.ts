import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cache } from '../../src/cache/client.ts';
import { MemoryCache } from '../../src/cache/memory.ts';
import type {
  InstantRequest,
  PartialRequest,
  QueryRunContext,
  QueryRunner,
  RangeRequest,
  ResultSeries,
} from '../../src/contract/query.ts';
import { Frontend } from '../../src/frontend/frontend.ts';
import { refuseHopeless, type SizesOf } from '../../src/frontend/need.ts';
import { NO_LIMITS } from '../../src/frontend/parts-budget.ts';
import { ResultsCache } from '../../src/frontend/results-cache.ts';
import { answersOf, comparableAnswer } from '../../src/frontend/test-answers.ts';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { DEFAULT_LIMITS } from '../../src/limits/limits.ts';
import { LimitedBudget } from '../../src/limits/query-budget.ts';
import { ParsedExprs } from '../../src/promql/parser/parsed.ts';
import { parseExpr } from '../../src/promql/parser/parser.ts';
import { querierConfig } from '../../src/querier/config.ts';
import { querierSyntax } from '../../src/querier/syntax.ts';
import type { Queryable } from '../../src/storage/queryable.ts';
import { forgetful } from '../conformance/through-frontend.ts';
import { Expressions } from './expressions.ts';
import { BORDER_MS, METRICS, RICH_METRICS, START_MS, STEP_MS, STEPS, startRig } from './rig.ts';

// Random range queries through a front end, against the same from the engine: bit for bit, notes and errors included.

const COUNT = Number(process.env.FUZZ_EXPRESSIONS ?? 1000);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const INTERVAL_MS = BORDER_MS;

/** Questions that are asked again, over other times. */
const ASKED_MAX = 40;

function randomRequest(random: Random, expressions: Expressions, asked: RangeRequest[]): RangeRequest {
  const isAgain = asked.length > 0 && random() < 0.6;
  const old = asked[Math.floor(random() * asked.length)];
  const expr = isAgain ? old!.expr : someExpression(random, expressions);
  const stepMs = isAgain ? old!.stepMs : [7000, 15_000, 60_000, 170_000][Math.floor(random() * 4)]!;
  const spanMs = STEPS * STEP_MS;
  const moveMs = Math.floor(((random() - 0.5) * spanMs) / 2 / stepMs) * stepMs;
  const startMs = isAgain ? old!.startMs + moveMs : START_MS + Math.floor((random() * spanMs) / 2);
  const request = { expr, startMs, endMs: startMs + Math.floor(random() * spanMs), stepMs };
  if (asked.length < ASKED_MAX) asked.push(request);
  else asked[Math.floor(random() * ASKED_MAX)] = request;
  return request;
}

/** Any expression, and now and then one around aggregations. */
function someExpression(random: Random, expressions: Expressions): string {
  return random() < 0.75 ? expressions.vector(1 + Math.floor(random() * 3)) : aroundAggregations(random);
}

function someGrouping(random: Random): string {
  return ['', ' by (job)', ' by (instance, code)', ' without (instance)'][Math.floor(random() * 4)]!;
}

/** One that may be asked for in shards. */
function anAggregation(random: Random, by = someGrouping(random)): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
  const op = pick(['sum', 'min', 'max', 'count', 'group']);
  const of = pick(['tenths', 'requests_total', 'rate(requests_total[2m])', 'temperature', 'odd', 'abs(seconds)']);
  return `${op}${by} (${of})`;
}

function aroundAggregations(random: Random): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
  const by = someGrouping(random);
  const inner = () => anAggregation(random, by);
  switch (Math.floor(random() * 8)) {
    case 0:
      return `${inner()} ${pick(['/', '-', '> bool', '>', 'and', 'or', 'unless', '*'])}\n ${inner()}`;
    case 1:
      return `temperature > bool on (job) group_left sum by (job) (${pick(['tenths', 'odd', 'temperature'])})`;
    case 2:
      return `histogram_quantile(0.9, label_replace(${inner()}, "le", "$1", "${pick(['code', 'instance'])}", "(.*)"))`;
    case 3:
      return `count${by} (${inner()} > ${pick(['3', '0', '-1'])})`;
    case 4:
      return `-(${inner()}) + ${pick(['1', 'time()', 'scalar(sum(tenths))', `clamp_min(${inner()}, 2)`])}`;
    case 5:
      return `timestamp(${pick(['temperature{instance="0"}', '(tenths)', 'odd offset 20s'])}) - on () group_left sum(tenths) * 0`;
    case 6:
      return `sum by (instance) (tenths) ${pick(['*', '>bool '])}on(instance)group_right{__name__="${pick(['temperature', 'odd'])}"}`;
    default:
      return `requests_total * on (job) group_left () (${pick(['sum', 'count', 'max'])} by (job) (seconds))`;
  }
}

const CUT =
  'avg_over_time sum_over_time count_over_time first_over_time last_over_time max_over_time min_over_time present_over_time ts_of_first_over_time ts_of_last_over_time'.split(
    ' ',
  );
const LEFT_WHOLE = 'absent_over_time stddev_over_time increase ts_of_max_over_time'.split(' ');

/** Over windows of several intervals, some with nothing in them. */
function randomInstant(random: Random): InstantRequest {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
  const metrics = [...METRICS, ...RICH_METRICS].map(({ name }) => name);
  const window = (): string => {
    const func = pick(random() < 0.9 ? CUT : LEFT_WHOLE);
    // sums of whole numbers are exact
    const isSum = /^(?:sum|avg)_/.test(func) && random() < 0.7;
    const selector = isSum
      ? 'requests_total'
      : random() < 0.1
        ? '{__name__=~"turned_total|odd|tenths"}'
        : pick(metrics);
    const labels = pick(['', '', '', '{instance=~"[01]"}', '{job!="0"}', '{instance="none"}']);
    const matchers = selector.startsWith('{') ? '' : labels;
    const range = pick(['21m', '21m1ms', '25m', '28m', '31m30s', '2h']);
    const offset = pick(['', '', '', ' offset 3m', ' offset -2m30s']);
    return `${func}(${selector}${matchers}[${range}]${offset})`;
  };
  const by = someGrouping(random);
  const around = [
    () => `${pick(['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev'])}${by} (${window()})`,
    () => `${pick(['topk', 'bottomk'])}${by} (2, ${window()})`,
    () => `(${window()}) ${pick(['-', '/', '>', '== bool', 'and', 'or', 'unless'])} ${window()}`,
    () => `${window()} ${pick(['>', '<='])} ${pick(['3', '40', 'time() - 600'])}`,
    () => `sort_desc(${window()})`,
    () => `-${window()} + vector(1)`,
    () => `label_replace(${window()}, "x", "$1", "instance", "(.*)")`,
    () => `count_values("v", ${window()})`,
    () => `histogram_quantile(0.5, ${window()})`,
    () => `timestamp(${window()})`,
    () => `absent(${window()})`,
    () => `${window()} / on (instance) group_left () sum by (instance) (${pick(['tenths', window()])})`,
  ];
  const expr = random() < 0.6 ? pick([window(), `(${window()})`]) : around[Math.floor(random() * around.length)]!();
  const isOnBorder = random() < 0.2;
  const someMs = START_MS + Math.floor(random() * 1.3 * STEPS * STEP_MS);
  return { expr, timeMs: isOnBorder ? Math.floor(someMs / INTERVAL_MS) * INTERVAL_MS : someMs };
}

/** A querier, and how often it was asked for pieces of windows. */
function countedPieces(querier: QueryRunner) {
  const counts = { pieces: 0, whole: 0 };
  const counted: QueryRunner = {
    instant(tenant, request, context) {
      counts.whole++;
      return querier.instant(tenant, request, context);
    },
    partial: querier.partial.bind(querier),
    range(tenant, request, context) {
      if (request.whole?.windows === true) counts.pieces++;
      return querier.range(tenant, request, context);
    },
  };
  return { counts, counted };
}

test(`${COUNT} random queries have the answers through a front end that they have without`, async (t) => {
  console.log(`SEED=${SEED}`);
  const random = seededRandom(SEED);
  const rig = await startRig(random, { rich: true });
  t.after(() => rig.close());
  const parsed = new ParsedExprs(
    querierSyntax({ ...defaultsOf(querierConfig), enablePromqlExperimentalFunctions: true }),
  );
  const usual = {
    parsed,
    rules: { delayedNameRemoval: false },
    lookbackMs: 300_000,
    alignToStep: false,
    memory: () => ({ addMemory() {}, close() {} }),
    samplesMax: 50_000_000,
    retriesMax: 2,
    random,
    orderOfParts: random,
    timeoutMs: 120_000,
    clock: systemClock,
  };
  const expressions = new Expressions({ random, metrics: [...METRICS, ...RICH_METRICS], legacy: false });
  for (const place of ['head', 'store']) {
    if (place === 'store') await rig.flush();
    const memory = new MemoryCache({ bytesMax: 1 << 24, clock: systemClock });
    const cacheOver = (over: Cache) =>
      new ResultsCache({
        cache: over,
        generations: async () => ({ token: () => 'one', isSettled: () => true }),
        flags: '',
        intervalMs: INTERVAL_MS,
        clock: systemClock,
      });
    const cache = cacheOver(forgetful(memory, random, 0.15));
    const lasting = cacheOver(memory);
    const asked: RangeRequest[] = [];
    const outcomes = { parts: 0, partials: 0, split: 0, errors: 0, filled: 0, inner: 0 };
    for (let i = 0; i < COUNT / 2; i++) {
      const request = randomRequest(random, expressions, asked);
      const querier = rig.runner('a');
      const plain = await answersOf(querier, request, 'a');
      let parts = 0;
      const shards = [0, 0, 3, 4][Math.floor(random() * 4)]!;
      const asking = {
        ...usual,
        querier: {
          instant: querier.instant.bind(querier),
          partial(tenant: string, part: PartialRequest, context: QueryRunContext) {
            outcomes.partials++;
            return querier.partial(tenant, part, context);
          },
          range(tenant: string, part: RangeRequest, context: QueryRunContext) {
            if (part.whole !== undefined) parts++;
            return querier.range(tenant, part, context);
          },
        },
        splitIntervalMs: INTERVAL_MS,
        shards,
        ownSlots: random() < 0.25 ? rig.ownSlots : undefined,
        over(queryable: Queryable) {
          outcomes.inner++;
          return rig.over(queryable);
        },
        // the end of the data is too young
        cacheLimits: { ageMs: Date.now() - (START_MS + STEPS * STEP_MS * 0.8), retentionMs: 0, ttlMs: 0 },
        parallelMax: 1 + Math.floor(random() * 3),
      };
      const frontend = new Frontend({ ...asking, ...(random() < 0.9 && { cache }) });
      const answer = await answersOf(frontend, request, 'a');
      const where = `${JSON.stringify(request)} from the ${place}, SEED=${SEED}`;
      if ('error' in plain) {
        outcomes.errors++;
        // which of the series an error names is a matter of order
        assert.ok('error' in answer && stem(answer.error) === stem(plain.error), `${where}: ${plain.error}`);
        continue;
      }
      assert.deepEqual(comparableAnswer(answer), comparableAnswer(plain), where);
      outcomes.parts += parts;
      if (parts > 0) outcomes.split++;
      if (plain.result.value.type === 'matrix' && plain.result.value.series.length > 0) outcomes.filled++;
      // what is kept is kept when the answer is out
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      if (random() > 0.15) continue;
      const again = await answersOf(new Frontend({ ...asking, cache: lasting }), request, 'a');
      assert.deepEqual(comparableAnswer(again), comparableAnswer(plain), `again ${where}`);
    }
    const states = { evicting: cache.takeStats(), warm: lasting.takeStats() };
    console.log(`from the ${place}: ${JSON.stringify({ ...outcomes, ...memory.stats, ...states })}`);
    assert.ok(states.warm.whole > COUNT / 50, 'warm');
    assert.ok(states.evicting.none > COUNT / 8 && states.evicting.part + states.evicting.whole > COUNT / 8, 'evicting');
    assert.ok(outcomes.inner > COUNT / 50);
    assert.ok(outcomes.split > COUNT / 8 && outcomes.filled > COUNT / 8 && memory.stats.hits > COUNT / 8);

    const instants = { cut: 0, whole: 0, filled: 0, sums: 0 };
    for (let i = 0; i < COUNT / 4; i++) {
      const request = randomInstant(random);
      const querier = rig.runner('a');
      const plain = await answersOf(querier, request, 'a');
      const { counts, counted } = countedPieces(querier);
      const frontend = new Frontend({
        ...usual,
        querier: counted,
        splitIntervalMs: INTERVAL_MS,
        shards: 0,
        over: rig.over,
        cache: random() < 0.7 ? cache : undefined,
        cacheLimits: { ageMs: Date.now() - (START_MS + STEPS * STEP_MS * 0.8), retentionMs: 0, ttlMs: 0 },
        parallelMax: 2,
      });
      const answer = await answersOf(frontend, request, 'a');
      const where = `${JSON.stringify(request)} from the ${place}, SEED=${SEED}`;
      assert.deepEqual(comparableAnswer(answer), comparableAnswer(plain), where);
      if (counts.whole > 0) instants.whole++;
      else instants.cut++;
      const isFilled = 'result' in plain && plain.result.value.type === 'vector' && plain.result.value.pairs.length > 0;
      if (isFilled && counts.whole === 0) {
        instants.filled++;
        if (/(?:sum|avg)_over_time/.test(request.expr)) instants.sums++;
      }
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    }
    console.log(`instants from the ${place}: ${JSON.stringify(instants)}`);
    assert.ok(instants.filled > COUNT / 32 && instants.sums > 0, JSON.stringify(instants));

    let covered = 0;
    for (let i = 0; i < COUNT / 20; i++) {
      const expr = `${METRICS[Math.floor(random() * METRICS.length)]!.name}${random() < 0.5 ? '' : '{instance="1"}'}`;
      const stepMs = [7000, 15_000, 60_000, 170_000][Math.floor(random() * 4)]!;
      const startMs = START_MS + Math.floor(random() * STEPS) * STEP_MS;
      const request = { expr, startMs, endMs: startMs + Math.floor(random() * STEPS * STEP_MS), stepMs };
      const plain = await answersOf(rig.runner('a'), request, 'a');
      const points =
        'result' in plain && plain.result.value.type === 'matrix' ? pointsOf(plain.result.value.series) : 0;
      let need = 0;
      const headSizesOf: SizesOf = (tenant, selection, signal, see) =>
        rig.headSizesOf(tenant, selection, signal, (size) => {
          need += size.coveredMs! / stepMs;
          see(size);
        });
      const steps = { tenant: 'a', ranges: [request], stepMs, lookbackMs: 300_000 };
      const limits = { ...NO_LIMITS, maxQueryResponseSize: 0, samplesMax: Number.POSITIVE_INFINITY };
      await refuseHopeless(parseExpr(expr), steps, limits, [headSizesOf], new AbortController().signal);
      assert.ok(need <= points, `${need} of ${points} points: ${JSON.stringify(request)}, SEED=${SEED}`);
      covered += points === 0 ? 0 : need / points;
    }
    // what is flushed is in no head
    assert.ok(place === 'store' ? covered === 0 : covered > COUNT / 80, `${covered}`);

    const refused = { plain: 0, none: 0 };
    for (let i = 0; i < COUNT / 20; i++) {
      const limits = { ...DEFAULT_LIMITS, maxFetchedSeriesPerQuery: 20 + Math.floor(random() * 100) };
      const querier = rig.runner('a', limits);
      const frontend = new Frontend({
        ...usual,
        querier,
        splitIntervalMs: 0,
        shards: 3,
        over: rig.over,
        cacheLimits: { ageMs: 0, retentionMs: 0, ttlMs: 0 },
        parallelMax: 2,
        need: { sizesOf: rig.sizesOf, headSizesOf: rig.headSizesOf, limits },
      });
      const times = { startMs: START_MS, endMs: START_MS + STEPS * STEP_MS, stepMs: 60_000 };
      const request = { expr: someLimited(random), ...times };
      const [answer, plain] = [await answersOf(frontend, request, 'a'), await answersOf(querier, request, 'a')];
      refused['error' in plain ? 'plain' : 'none']++;
      const where = `${JSON.stringify(request)} within ${limits.maxFetchedSeriesPerQuery} series, SEED=${SEED}`;
      // selectors are read side by side: which of several is too large first is a matter of time
      if ('error' in answer && 'error' in plain)
        assert.equal(withoutCount(answer.error), withoutCount(plain.error), where);
      else assert.deepEqual(comparableAnswer(answer), comparableAnswer(plain), where);
    }
    assert.ok(refused.plain > 0 && refused.none > 0, JSON.stringify(refused));

    const limited = { answered: 0, refused: 0, cut: 0 };
    for (let i = 0; i < COUNT / 10; i++) {
      const limit = randomLimit(random);
      const limits = { ...DEFAULT_LIMITS, ...limit };
      const request = randomInstant(random);
      const querier = rig.runner('a', limits);
      const plain = await answersOf(querier, request, 'a');
      const { counts, counted } = countedPieces(querier);
      const frontend = new Frontend({
        ...usual,
        querier: counted,
        memory: () => new LimitedBudget(limits),
        splitIntervalMs: INTERVAL_MS,
        shards: 0,
        over: rig.over,
        cacheLimits: { ageMs: 0, retentionMs: 0, ttlMs: 0 },
        parallelMax: 2,
        need: { sizesOf: rig.sizesOf, headSizesOf: rig.headSizesOf, limits },
      });
      const answer = await answersOf(frontend, request, 'a');
      limited['error' in plain ? 'refused' : 'answered']++;
      if (counts.whole === 0) limited.cut++;
      // pieces may need less than all of it at once
      if ('error' in plain) continue;
      const where = `${JSON.stringify(request)} within ${JSON.stringify(limit)} from the ${place}, SEED=${SEED}`;
      assert.deepEqual(comparableAnswer(answer), comparableAnswer(plain), where);
    }
    console.log(`instants within limits from the ${place}: ${JSON.stringify(limited)}`);
    assert.ok(limited.answered > 0 && limited.cut > 0, JSON.stringify(limited));
  }
});

function pointsOf(series: readonly ResultSeries[]): number {
  return series.reduce((sum, { times }) => sum + times.length, 0);
}

/** Aggregations alone and within others, and selectors whose need is estimated for naming no metric. */
function someLimited(random: Random): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
  const nameless = () => pick(['{__name__=~".+"}', '{job=~".+"}', '{__name__=~"t.*",instance="1"}', '{code!="2"}']);
  switch (Math.floor(random() * 4)) {
    case 0:
      return aroundAggregations(random);
    case 1:
      return `count${someGrouping(random)} (${nameless()})`;
    case 2:
      return `${pick(['present_over_time', 'count_over_time'])}({__name__=~"${pick(['t', 'o', '.'])}.*"}[2m])`;
    default:
      return anAggregation(random);
  }
}

/** One that a query of the rig may be just within. */
function randomLimit(random: Random): Partial<typeof DEFAULT_LIMITS> {
  const some = (most: number) => 1 + Math.floor(random() * most);
  switch (Math.floor(random() * 3)) {
    case 0:
      return { maxFetchedSeriesPerQuery: some(100) };
    case 1:
      return { maxFetchedChunksPerQuery: some(400) };
    default:
      return { maxFetchedChunkBytesPerQuery: some(40_000) };
  }
}

function stem(text: string): string {
  return text.replace(/\{.*$/, '');
}

function withoutCount(text: string): string {
  return text.replace(/at least \d+ series/, 'at least some series');
}
