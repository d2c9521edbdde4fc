import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectInThread } from '../../kit/thread/channel.ts';
import { EndedQueries } from './ended-queries.ts';
import type { EndedInFront, FrontHostRole } from './front-role.ts';

const ended = (tenant: string, query: string): EndedInFront => ({
  ended: { tenant, query, rangeSeconds: 0, endedMs: 5, durationMs: 2, count: 1 },
  asker: { user: '', source: 'api' },
  metrics: ['m'],
});

test('queries of one text are added up, and a tenant with many texts leaves out none of another one', async (t) => {
  const heard: EndedInFront[] = [];
  const role = { queriesEnded: ({ queries }: { queries: readonly EndedInFront[] }) => void heard.push(...queries) };
  const main = connectInThread<FrontHostRole>(role as unknown as FrontHostRole);
  t.after(() => main.close());
  const told = new EndedQueries(Promise.resolve(main.channel));
  for (let i = 0; i < 3; i++) told.add(ended('a', 'm'));
  await told.send();
  assert.deepEqual(
    heard.map(({ ended: { tenant, count, durationMs } }) => [tenant, count, durationMs]),
    [['a', 3, 6]],
  );
  for (let i = 0; i < 2_500; i++) told.add(ended('greedy', `m + ${i}`));
  told.add(ended('victim', 'm'));
  await told.send();
  const counts = Map.groupBy(heard, (each) => each.ended.tenant);
  assert.equal(counts.get('greedy')?.length, 2_500);
  assert.equal(counts.get('victim')?.length, 1);
});
