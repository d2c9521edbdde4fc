import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryResult, QueryRunner } from '../contract/query.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { processErrors } from '../model/errors-process.ts';
import { queryErrors } from '../model/errors-query.ts';
import { storeErrors } from '../model/errors-store.ts';
import { Frontend } from './frontend.ts';
import { withRetries } from './retry.ts';
import { afterPauses, answersOf, comparableAnswer, frontendOptions, testSteps } from './test-answers.ts';

const DAY_MS = 86_400_000;
const STEP_MS = 3_600_000;
const DAYS = 30;
const QUERIES = 200;

/** A querier that dies now and then while it has parts: all that it has then fail, and another one takes its place. */
class MortalQuerier implements QueryRunner {
  readonly #random: Random;
  #running = new Set<(reason: Error) => void>();
  /** Times that each part was evaluated to its end, or failed, by query and day. */
  readonly answered = new Map<string, number>();
  failed = 0;
  deaths = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  readonly instant = () => Promise.reject(new Error('bug: nobody asks for this'));
  readonly partial = () => Promise.reject(new Error('bug: nobody asks for this'));

  async range(...[, request]: Parameters<QueryRunner['range']>): Promise<QueryResult> {
    const { promise: dead, reject } = Promise.withResolvers<never>();
    dead.catch(() => {});
    this.#running.add(reject);
    try {
      const turns = 1 + Math.floor(this.#random() * 4);
      for (let turn = 0; turn < turns; turn++) await Promise.race([dead, new Promise(setImmediate)]);
    } catch (thrown) {
      this.failed++;
      throw thrown;
    } finally {
      this.#running.delete(reject);
    }
    const { startMs, endMs, expr } = request;
    const key = `${expr} ${startMs}`;
    this.answered.set(key, (this.answered.get(key) ?? 0) + 1);
    const result = testSteps(1, (endMs - startMs) / STEP_MS + 1);
    if (result.value.type !== 'matrix') throw new Error('bug: no matrix');
    const series = result.value.series.map(({ times, ...each }) => {
      const own = times.map((_, i) => startMs + i * STEP_MS);
      return { ...each, times: own, values: own };
    });
    return { ...result, value: { type: 'matrix', series } };
  }

  die(): void {
    this.deaths++;
    const dying = this.#running;
    this.#running = new Set();
    for (const end of dying) end(processErrors.workerGone({ worker: 'query-0', reason: 'killed' }));
  }
}

const usual = {
  ...frontendOptions(),
  timeoutMs: 120_000,
};

test('200 queries of thirty days are right while who evaluates is killed at random, and only parts that failed run again', async () => {
  const random = seededRandom(7);
  const querier = new MortalQuerier(random);
  const frontend = new Frontend({
    ...usual,
    querier,
    retriesMax: 20,
    random,
    clock: new ManualClock(),
  });
  const whole = { startMs: 0, endMs: DAYS * DAY_MS - STEP_MS, stepMs: STEP_MS };
  const plain = comparableAnswer(await answersOf(new MortalQuerier(random), { expr: 'x', ...whole }));
  let isThrough = false;
  const killer = async () => {
    while (!isThrough) {
      for (let turn = Math.floor(random() * 30); turn >= 0; turn--) await new Promise(setImmediate);
      querier.die();
    }
  };
  const killing = killer();
  let next = 0;
  const lane = async () => {
    while (next < QUERIES) {
      const answer = await answersOf(frontend, { expr: `x + ${next++}`, ...whole });
      assert.deepEqual(comparableAnswer(answer), plain);
    }
  };
  await Promise.all(Array.from({ length: 20 }, lane));
  isThrough = true;
  await killing;
  assert.ok(querier.deaths > 20 && querier.failed > 100, `${querier.deaths} deaths, ${querier.failed} failures`);
  assert.equal(querier.answered.size, QUERIES * DAYS);
  assert.ok(
    [...querier.answered.values()].every((times) => times === 1),
    'no part that was answered ran again',
  );
});

const away = storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 1 });
const { signal } = new AbortController();

test('failures of stores, quorums and rings are tried again after a pause that grows, those of a query never', async () => {
  const tries = async (errors: readonly Error[], retriesMax: number) => {
    const clock = new ManualClock();
    let count = 0;
    const asked = withRetries({ retriesMax, clock, random: seededRandom(1) }, signal, async () => {
      const error = errors[count++];
      if (error !== undefined) throw error;
      return 'answer';
    });
    const answer = await afterPauses(clock, asked).catch((error: Error) => error.message);
    return { said: `${count}: ${answer}`, ms: clock.monotonicMs() };
  };
  const quorum = { answered: 1, needed: 2, owners: 3, arc: 1, version: 1, members: 'a', others: 0 };
  for (const error of [
    away,
    storeErrors.storeThrottled({ backend: 's3', operation: 'get', tries: 1 }),
    queryErrors.noReadQuorum(quorum),
    queryErrors.ringUnknown({}),
    queryErrors.ringBehind({ known: 1, needed: 2 }),
  ]) {
    const { said, ms } = await tries([error, error], 2);
    assert.equal(said, '3: answer');
    // half of 100 and of 200 ms at least, and all of both at most
    assert.ok(ms >= 150 && ms <= 310, `${error.message}: ${ms} ms`);
  }
  const long = await tries(Array(6).fill(away), 5);
  assert.match(long.said, /^6: .*away/);
  assert.ok(long.ms <= 100 + 200 + 400 + 800 + 1000 + 10, `${long.ms} ms`);
  // another one takes its place at once
  const gone = processErrors.workerGone({ worker: 'query-0', reason: 'killed' });
  const { said, ms } = await tries([gone, gone], 2);
  assert.ok(said === '3: answer' && ms < 100, `${said}, ${ms} ms`);
  assert.equal((await tries([queryErrors.queryInvalid({ text: 'wrong' })], 2)).said, '1: wrong');
  assert.match((await tries([queryErrors.queryTimedOut({ limitMs: 5 })], 2)).said, /^1: /);
});

test('what failed for seconds has been tried by the client of its store, and is not tried again', async () => {
  const gone = processErrors.workerGone({ worker: 'query-0', reason: 'killed' });
  for (const [error, wanted] of [
    [away, 1],
    [gone, 3],
  ] as const) {
    const clock = new ManualClock();
    let count = 0;
    const asked = withRetries({ retriesMax: 5, clock, random: seededRandom(1) }, signal, async () => {
      await clock.sleep(5_010);
      if (++count < 3) throw error;
      return 'answer';
    });
    await afterPauses(
      clock,
      asked.catch(() => {}),
      2_000,
    );
    assert.equal(count, wanted, error.message);
  }
});

test('a pause ends with its query', async () => {
  const clock = new ManualClock();
  const leaves = new AbortController();
  const asked = withRetries({ retriesMax: 2, clock, random: seededRandom(1) }, leaves.signal, () =>
    Promise.reject(away),
  );
  await new Promise(setImmediate);
  leaves.abort(new Error('gone'));
  await assert.rejects(asked, /gone/);
  assert.equal(clock.timers, 0);
});

test('queries that are not split, instants and each shard of an aggregation are tried again by themselves', async () => {
  const clock = new ManualClock();
  const asked: string[] = [];
  const timeouts: (number | undefined)[] = [];
  let failures: Record<string, number> = {};
  const answer = async (what: string, timeoutMs?: number): Promise<QueryResult> => {
    asked.push(what);
    timeouts.push(timeoutMs);
    const left = failures[what] ?? 0;
    failures[what] = left - 1;
    if (left > 0) throw away;
    return testSteps(1, 2);
  };
  const querier: QueryRunner = {
    instant: (_, { timeoutMs }) => answer('instant', timeoutMs),
    range: (_, { timeoutMs }) => answer('range', timeoutMs),
    async partial(_, { shard, timeoutMs }) {
      const { statistics } = await answer(`shard ${shard.index}`, timeoutMs);
      const nothing = new Float64Array(0);
      return {
        type: 'partial',
        op: 'sum',
        shard,
        steps: { instant: false, startMs: 0, stepMs: STEP_MS, count: 3 },
        groups: [],
        counts: nothing,
        values: nothing,
        lost: nothing,
        magnitudes: nothing,
        dropped: undefined,
        warnings: [],
        infos: [],
        statistics,
        explanation: undefined,
      };
    },
  };
  const frontend = (shards: number) =>
    new Frontend({ ...usual, shards, querier, retriesMax: 2, clock, random: seededRandom(1) });
  const range = { startMs: 0, endMs: 2 * STEP_MS, stepMs: STEP_MS };
  const told = async (run: Promise<QueryResult>, fails: Record<string, number>) => {
    const outcome = await afterPauses(clock, run).then(
      () => 'answered',
      () => 'failed',
    );
    assert.deepEqual(failures, fails);
    return [outcome, ...asked.splice(0)];
  };
  failures = { instant: 2 };
  const instant = await told(frontend(0).instant('t', { expr: 'x', timeMs: 0 }, { signal }), { instant: -1 });
  assert.deepEqual(instant, ['answered', 'instant', 'instant', 'instant']);
  // all tries have the time of one
  assert.equal(timeouts[0], undefined);
  assert.ok(timeouts[1]! <= 119_950 && timeouts[2]! <= timeouts[1]! - 100, `${timeouts}`);
  failures = { instant: 3 };
  const failed = await told(frontend(0).instant('t', { expr: 'x', timeMs: 0, timeoutMs: 5_000 }, { signal }), {
    instant: 0,
  });
  assert.deepEqual(failed, ['failed', 'instant', 'instant', 'instant']);
  assert.ok(timeouts.at(-1)! < 5_000);
  // one part, and one that is left whole
  for (const request of [
    { expr: 'x', ...range },
    { expr: '1', ...range, endMs: 3 * DAY_MS },
  ]) {
    failures = { range: 1 };
    const answered = await told(frontend(0).range('t', request, { signal }), { range: -1 });
    assert.deepEqual(answered, ['answered', 'range', 'range']);
  }
  failures = { 'shard 1': 1 };
  const shards = await told(frontend(2).range('t', { expr: 'sum(x)', ...range }, { signal }), {
    'shard 0': -1,
    'shard 1': -1,
  });
  assert.deepEqual(shards, ['answered', 'shard 0', 'shard 1', 'shard 1']);
});
