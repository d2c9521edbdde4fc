import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TenantTurns } from './tenant-turns.ts';

test('one work at a time, and tenants take turns', async () => {
  const turns = new TenantTurns();
  const order: string[] = [];
  let running = 0;
  const work = (tenant: string, name: string) =>
    turns.run(tenant, async () => {
      assert.equal(++running, 1);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(name);
      running--;
    });
  await Promise.all([
    work('many', 'many 1'),
    work('many', 'many 2'),
    work('many', 'many 3'),
    work('one', 'one'),
    work('other', 'other'),
  ]);
  assert.deepEqual(order, ['many 1', 'many 2', 'one', 'other', 'many 3']);
});

test('a work that fails gives up its turn', async () => {
  const turns = new TenantTurns();
  const failed = turns.run('a', async () => {
    throw new Error('of its own');
  });
  const next = turns.run('b', async () => 'done');
  await assert.rejects(failed, /of its own/);
  assert.equal(await next, 'done');
});
