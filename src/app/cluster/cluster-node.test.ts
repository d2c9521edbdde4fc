import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../kit/config/load.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import { Loops } from '../../kit/service/loops.ts';
import { MemoryKv } from '../../kv/memory.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { sections } from '../config.ts';
import { ClusterNode } from './cluster-node.ts';
import { LateKv } from './late-kv.ts';

test('time since the store of the ring answered goes on where it never did', async () => {
  const clock = new ManualClock();
  const { values: config } = loadConfig(sections, { args: [], env: {} });
  let isAway = true;
  const kv = new LateKv(async () => {
    if (isAway) throw new Error('away');
    return { kv: new MemoryKv(), close: async () => {} };
  }, clock);
  const registry = new Registry();
  const node = new ClusterNode({
    config,
    kv,
    isClosed: () => false,
    loops: new Loops(clock),
    log: silentLogger,
    registry,
    clock,
  });
  const ageSeconds = async () => {
    await node.metrics();
    const found = await registry.getSingleMetric('pallium_ring_store_answer_age_seconds')!.get();
    return found.values[0]?.value;
  };
  await assert.rejects(kv.get('a'), /away/);
  await clock.advance(3_700_000);
  assert.equal(await ageSeconds(), 3_700);
  isAway = false;
  await kv.get('a');
  await clock.advance(5_000);
  assert.equal(await ageSeconds(), 5);
});
