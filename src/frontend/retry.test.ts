import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryResult, QueryRunner } from '../contract/query.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { processErrors } from '../model/errors-process.ts';
import { ParsedExprs } from '../promql/parser/parsed.ts';
import { Frontend } from './frontend.ts';
import { answersOf, comparableAnswer, nothingOver, testSteps } from './test-answers.ts';

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

test('200 queries of thirty days are right while who evaluates is killed at random, and only parts that failed run again', async () => {
  const random = seededRandom(7);
  const querier = new MortalQuerier(random);
  const frontend = new Frontend({
    querier,
    parsed: new ParsedExprs(),
    rules: { delayedNameRemoval: false },
    splitIntervalMs: DAY_MS,
    shards: 0,
    cacheLimits: { ageMs: 0, retentionMs: 0, ttlMs: 0 },
    lookbackMs: 300_000,
    alignToStep: false,
    parallelMax: 2,
    retriesMax: 20,
    memory: () => ({ addMemory() {}, close() {} }),
    over: nothingOver,
    samplesMax: 1e9,
    timeoutMs: 120_000,
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
