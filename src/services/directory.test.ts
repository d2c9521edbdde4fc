import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiBackend } from '../contract/api.ts';
import type { QueryResult, QueryRunner } from '../contract/query.ts';
import { EventBook } from '../deployments/event-book.ts';
import { MemoryRows } from '../deployments/test-rows.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { ServiceDirectory } from './directory.ts';

/** Answers `up` of one job for each tenant, and counts who asked. */
function fakeRunner(asked: string[], answer: () => Promise<void> = async () => {}): QueryRunner {
  return {
    async instant(tenant, { expr }) {
      asked.push(tenant);
      await answer();
      const isUp = /\(up\b/.test(expr);
      return {
        value: {
          type: 'vector',
          timeMs: 0,
          pairs: isUp ? [['job', `of-${tenant}`, 'team_service', `named-${tenant}`]] : [],
          values: Float64Array.from(isUp ? [1] : []),
          histograms: undefined,
        },
        warnings: [],
        infos: [],
      } as unknown as QueryResult;
    },
    range: () => assert.fail(),
    partial: () => assert.fail(),
  };
}

function directoryOf(runner: QueryRunner, clock: Clock, nameLabels = (): readonly string[] => []): ServiceDirectory {
  const api = { handle: () => assert.fail() };
  return new ServiceDirectory({ runner, api, events: new EventBook(new MemoryRows(), clock), nameLabels, clock });
}

test('a list is renewed once a minute for whoever asks, each tenant its own', async () => {
  const asked: string[] = [];
  let nowMs = 1_000_000;
  const directory = directoryOf(fakeRunner(asked), { ...systemClock, nowMs: () => nowMs });
  const names = async (tenant: string) => (await directory.list(tenant)).services.map(({ id }) => id.name);
  assert.deepEqual(await names('a'), ['of-a']);
  assert.deepEqual(await names('b'), ['of-b']);
  const queries = asked.filter((tenant) => tenant === 'a').length;
  nowMs += 59_000;
  await names('a');
  assert.equal(asked.filter((tenant) => tenant === 'a').length, queries);
  nowMs += 2_000;
  await Promise.all([names('a'), names('a')]);
  await new Promise((done) => setTimeout(done, 20));
  assert.equal(asked.filter((tenant) => tenant === 'a').length, 2 * queries, 'one renewal for both');
});

test('what cannot be listed is told, and tried again', async () => {
  let fails = true;
  const directory = directoryOf(
    fakeRunner([], async () => {
      if (fails) throw new Error('no workers');
    }),
    systemClock,
  );
  await assert.rejects(directory.list('a'), /no workers/);
  fails = false;
  assert.equal((await directory.list('a')).services.length, 1);
});

test('services are named by the labels that a tenant sets, from the next question on', async () => {
  let labels: readonly string[] = [];
  const directory = directoryOf(fakeRunner([]), systemClock, () => labels);
  const names = async () => (await directory.list('a')).services.map(({ id }) => id.name);
  assert.deepEqual(await names(), ['of-a']);
  labels = ['team_service'];
  assert.deepEqual(await names(), ['named-a']);
});

test('metrics without samples in the time of a dashboard make no panels', async () => {
  const runner = {
    async instant(_tenant: string, { expr }: { expr: string }) {
      const pairs = expr.startsWith('group by (__name__)') ? [['__name__', 'jobs_done_total']] : [];
      return { value: { type: 'vector', timeMs: 0, pairs, values: Float64Array.from(pairs, () => 1) } };
    },
  } as unknown as QueryRunner;
  const answers: Record<string, unknown> = {
    '/api/v1/label/__name__/values': ['jobs_done_total', 'jobs_gone_total'],
    '/api/v1/metadata': { jobs_done_total: [{ type: 'counter', unit: '', help: 'Jobs.' }] },
  };
  const api: ApiBackend = {
    async handle({ path }) {
      const body = Buffer.from(JSON.stringify({ status: 'success', data: answers[path] ?? [] }));
      return { status: 200, body } as unknown as Awaited<ReturnType<ApiBackend['handle']>>;
    },
  };
  const events = new EventBook(new MemoryRows(), systemClock);
  const directory = new ServiceDirectory({ runner, api, events, clock: systemClock });
  const id = { cluster: '', namespace: '', name: 'worker' };
  const { dashboard } = await directory.dashboard('a', id, 15_000, new AbortController().signal);
  const shown = Object.values(dashboard.spec.panels).map(({ spec }) => spec.display);
  assert.deepEqual(shown, [{ name: 'jobs_done_total', description: 'Jobs.' }]);
});
