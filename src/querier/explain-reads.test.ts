import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import type { IngesterClient } from '../contract/ingester.ts';
import type { QueryExplanation } from '../contract/query.ts';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { Engine } from '../promql/engine.ts';
import { NO_STATISTICS } from '../promql/no-statistics.ts';
import { memberOf, membersOf, ringOf } from '../ring/test-ring.ts';
import { AskedMembers } from '../storage/asked-members.ts';
import { mergedQueryable } from '../storage/merge.ts';
import { EngineRunner } from './engine-runner.ts';
import { explainReads } from './explain-reads.ts';
import { headSource } from './head-source.ts';
import { ReplicatedIngesters } from './replicated-ingesters.ts';
import { TestReplica, TestRing } from './test-replicas.ts';
import { QueryTurns } from './turns.ts';

const context = { signal: new AbortController().signal };
const PLAN: QueryExplanation = { what: 'selector up', steps: 1, series: 2, points: 3, ms: 4, children: [] };

function runnerOver(client: IngesterClient): EngineRunner {
  const recent = headSource(client, Kernel.create());
  return new EngineRunner({
    engine: new Engine(),
    queryable: (tenant) => mergedQueryable(tenant, { recent, overlapMs: 60_000, clock: systemClock }),
    limits: () => DEFAULT_LIMITS,
    turns: new QueryTurns(systemClock),
    timeoutMs: 10_000,
    clock: systemClock,
  });
}

test('an explanation tells the members of the ring that were asked, and which of them answered', async () => {
  const ring = new TestRing();
  ring.set([ringOf(membersOf(3, 3), 16, 3)]);
  const [a, b, c] = [0, 1, 2].map((n) => memberOf(n, 3).id);
  const members = new Map([a, b, c].map((id) => [id, new TestReplica()]));
  members.get(a)!.trouble = () => {
    throw new Error('connection refused');
  };
  const runner = runnerOver(new ReplicatedIngesters({ ring, member: (id) => members.get(id), clock: systemClock }));
  const request = { expr: 'sum(up)', startMs: 0, endMs: 60_000, stepMs: 15_000, explain: true };
  const shard = { index: 0, count: 4 };
  const told = new Set<string | undefined>();
  for (let turn = 0; turn < 3; turn++) {
    const { explanation } = await runner.range('t', { ...request, expr: 'up / up offset 1h' }, context);
    told.add(explanation?.what);
    assert.equal(explanation?.children.length, 1);
  }
  // both selectors ask at once; who failed is asked after others for a while
  const failed = `read: 3 members, 2 answered: ${a} (0 of 2 reads), ${b}, ${c}; bytes 0`;
  assert.deepEqual([...told].sort(), [`read: 2 members, 2 answered: ${b}, ${c}; bytes 0`, failed].sort());
  const partial = await runner.partial('t', { ...request, shard }, context);
  assert.ok(partial.type === 'partial');
  assert.equal(partial.explanation?.what, `read: 2 members, 2 answered: ${b}, ${c}; bytes 0`);
  const plain = await runner.range('t', { ...request, explain: false }, context);
  assert.equal(plain.explanation, undefined);
});

test('a process that asks itself says so, and a plan that reads nothing tells nothing', async () => {
  const nothing = async () => [];
  const runner = runnerOver({
    async *select() {},
    labels: nothing,
    metadata: nothing,
    exemplars: nothing,
    headStats: async () => undefined,
  });
  const read = async (expr: string) =>
    (await runner.instant('t', { expr, timeMs: 0, explain: true }, context)).explanation;
  assert.equal((await read('up'))?.what, 'read: 1 member, 1 answered: this process; bytes 0');
  assert.doesNotMatch((await read('1 + 1'))!.what, /^read/);
});

test('the store is told by what was read of it, and of many members some by name', () => {
  const statistics = {
    ...NO_STATISTICS,
    readSlots: 5,
    readGroups: 4,
    fetchedRows: 3,
    fetchedObjects: 2,
    cachedBlocks: 1,
  };
  const members = new AskedMembers();
  for (let read = 0; read < 2; read++) {
    members.add(Array.from({ length: 500 }, (_, i) => ({ id: `m-${i}`, answered: i !== 499 || read === 1 })));
  }
  const { what, series, children } = explainReads(PLAN, { ...statistics, fetchedBytes: 6 }, members);
  assert.match(what, /^read: 500 members, 500 answered: m-499 \(1 of 2 reads\), m-0, m-1, m-10, .*, 468 more; store: /);
  assert.ok(what.endsWith('store: slots 5, groups 4, rows 3, objects 2, cached blocks 1; bytes 6'));
  assert.ok(what.length < 500);
  assert.deepEqual([series, children], [2, [PLAN]]);
});
