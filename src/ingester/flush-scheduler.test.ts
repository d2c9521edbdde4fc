import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { membersOf, ringOf, viewOf } from '../ring/test-ring.ts';
import type { IngesterConfig } from './config.ts';
import type { FlushReport, FlushRequest } from './flush/flush-contract.ts';
import { FlushScheduler } from './flush-scheduler.ts';
import type { SavedArena } from './log/checkpoint.ts';
import { ingesterMetrics } from './metrics.ts';
import type { ShardCalls } from './shard/shard-messages.ts';

const HOUR_MS = 3_600_000;

test('windows that were open when some of them was lost are sealed until a flush has done so, and later ones stay open', async () => {
  const clock = new ManualClock(HOUR_MS);
  const version = ringOf(membersOf(3, 0), 16, 3);
  const source = { current: () => viewOf(version), onChange: () => () => {} };
  let arenas: SavedArena[] = [{ id: 1, window: 0, sealLsn: 0, flushedMs: 0 }];
  const shard = { call: async () => ({ arenas, headBytes: 0 }) } as unknown as ShardCalls;
  const requests: FlushRequest[] = [];
  const NOTHING = { windows: 0, groups: 0, series: 0, samples: 0, bytes: 0, failures: [], progress: [] };
  let flush = async (): Promise<FlushReport> => NOTHING;
  const scheduler = new FlushScheduler({
    config: { windowMs: 2 * HOUR_MS, flushDelayMs: 60_000, flushSpreadMs: 60_000 } as IngesterConfig,
    shards: () => [shard],
    flusher: {
      flush: (request) => {
        requests.push(request);
        return flush();
      },
      readDeletions: async () => {},
      readBack: async () => assert.fail('nothing is read back'),
    },
    metrics: ingesterMetrics(new Registry(), 1),
    log: silentLogger,
    clock,
    ring: { source, member: version.members[0]!.id },
  });
  const sealed = () => requests.map(({ sealBeforeMs }) => sealBeforeMs === Number.MAX_SAFE_INTEGER);
  flush = () => Promise.reject(new Error('the shard is busy'));
  await assert.rejects(scheduler.losses(), /busy/);
  flush = async () => ({ ...NOTHING, failures: ['deletions were not read'] });
  await assert.rejects(scheduler.losses(), /not read/);
  flush = async () => {
    arenas = [
      { id: 1, window: 0, sealLsn: 7, flushedMs: 0 },
      { id: 2, window: 0, sealLsn: 0, flushedMs: 0 },
    ];
    return { ...NOTHING, failures: ['the store is away'] };
  };
  await assert.rejects(scheduler.losses(), /away/);
  assert.deepEqual(sealed(), [true, true, true]);
  await assert.rejects(scheduler.losses(), /away/);
  assert.deepEqual(sealed(), [true, true, true, false]);
});
