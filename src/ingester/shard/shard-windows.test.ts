import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scratchFolder } from '../../../test/harness/scratch-folder.ts';
import { WINDOW_DENIED } from '../../contract/ingest.ts';
import { systemClock } from '../../lib/clock.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { WindowQuota } from '../head/window-quota.ts';
import { realDisk } from '../log/disk.ts';
import { Shard, type ShardOptions } from './shard.ts';
import { testFrames } from './test-frames.ts';

const HOUR_MS = 3_600_000;
const WINDOW_MS = 2 * HOUR_MS;
const T = 1_700_000_000_000;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };

function open(at = scratchFolder('windows'), own: Partial<ShardOptions> = {}): Shard {
  return new Shard({
    folder: at,
    windowMs: WINDOW_MS,
    headBytesMax: 3e9,
    fsync: 'interval',
    fsyncIntervalMs: 1000,
    keepFlushedMs: 0,
    disk: realDisk,
    clock: { ...systemClock, nowMs: () => T },
    log: () => {},
    fatal: (error) => assert.fail(error),
    ...own,
  });
}

/** A sample in each of `count` windows that follow one another from `fromMs` on. */
function push(shard: Shard, tenant: string, fromMs: number, count: number, limits = LIMITS) {
  const samples = Array.from({ length: count }, (_, i) => [fromMs + i * WINDOW_MS, 1] as const);
  return shard.push(tenant, testFrames([{ labels: { __name__: 'm' }, samples }]), limits);
}

test('one write into thousands of old windows gets its share, and takes from nobody the windows of now', async () => {
  const shard = open();
  await shard.ready;
  const greedy = await push(shard, 'attacker', T - 5000 * WINDOW_MS, 4500);
  assert.deepEqual([greedy.counts[0], greedy.windowsDenied, greedy.first?.answer], [512, 3988, WINDOW_DENIED]);
  for (let i = 0; i < 30; i++) await push(shard, `attacker${i}`, T - (10_000 + 600 * i) * WINDOW_MS, 600);
  const { arenas } = shard.stats();
  assert.ok(arenas.length <= 3072, `${arenas.length} windows`);
  for (const timeMs of [T - WINDOW_MS, T, T + WINDOW_MS]) {
    assert.equal((await push(shard, 'victim', timeMs, 1)).counts[0], 1);
  }
  // what others have begun costs nothing
  assert.equal((await push(shard, 'neighbour', T - 5000 * WINDOW_MS, 512)).counts[0], 512);
  await shard.close({ checkpoint: false });
});

test('a backfill over days passes, also beside one that takes all it may, and goes on when windows are in the store', async () => {
  const at = scratchFolder('windows');
  const shard = open(at);
  await shard.ready;
  await push(shard, 'attacker', T - 5000 * WINDOW_MS, 4500);
  const days = await push(shard, 'u', T - 30 * 24 * HOUR_MS, 12 * 30);
  assert.deepEqual([days.counts[0], days.windowsDenied], [360, 0]);
  assert.equal((await push(shard, 'attacker', T - 1000 * WINDOW_MS, 10)).windowsDenied, 10);
  for (const { sealLsn } of await shard.seal(T)) await shard.confirmFlushed(sealLsn);
  await shard.dropFlushed();
  assert.equal((await push(shard, 'attacker', T - 500 * WINDOW_MS, 10)).windowsDenied, 0);
  await shard.close({ checkpoint: true });
  // and the windows that a log has are there whatever was begun by whom
  const again = open(at);
  await again.ready;
  assert.equal(again.stats().arenas.length, shard.stats().arenas.length);
  await again.close({ checkpoint: false });
});

test('what the store has not had for long stays where others ask for it, through a stop that leaves no log too', async () => {
  const at = scratchFolder('windows');
  const clock = new ManualClock(T);
  const own = { clock, keepFlushedMs: HOUR_MS };
  const windowsOf = (shard: Shard) => shard.stats().arenas.length;
  let shard = open(at, own);
  const restart = async (asked: boolean) => {
    await shard.close({ checkpoint: true, asked });
    shard = open(at, own);
    await shard.ready;
  };
  await shard.ready;
  await push(shard, 'u', T - 12 * HOUR_MS, 3);
  for (const { sealLsn } of await shard.seal(T)) await shard.confirmFlushed(sealLsn);
  await restart(true);
  assert.equal(windowsOf(shard), 3);
  clock.set(T + HOUR_MS - 1);
  await shard.maintain();
  assert.equal(windowsOf(shard), 3, 'for as long as others may not know that the store has it');
  clock.set(T + HOUR_MS);
  await shard.maintain();
  assert.equal(windowsOf(shard), 0);

  await push(shard, 'u', T - 12 * HOUR_MS, 3);
  for (const { sealLsn } of await shard.seal(T)) await shard.confirmFlushed(sealLsn);
  await restart(false);
  assert.equal(windowsOf(shard), 0, 'nobody else asks');
  await shard.close({ checkpoint: false });
});

test('a limit of its own holds for a tenant, and 0 leaves the share', async () => {
  const shard = open();
  await shard.ready;
  const few = await push(shard, 't', T - 5000 * WINDOW_MS, 100, { ...LIMITS, oldWindowsMax: 20 } as typeof LIMITS);
  assert.deepEqual([few.counts[0], few.windowsDenied], [20, 80]);
  const all = await push(shard, 'u', T - 9000 * WINDOW_MS, 4000, { ...LIMITS, oldWindowsMax: 0 } as typeof LIMITS);
  assert.ok(all.counts[0]! > 900 && all.counts[0]! < 1536, `${all.counts[0]}`);
  await shard.close({ checkpoint: false });
});

test('in as many weeks as windows a tenant may write while the process runs: each has tables in the store', () => {
  const quota = new WindowQuota(WINDOW_MS);
  quota.setNow(T);
  const begin = (tenant: number, weeks: number) => {
    quota.begin(tenant, 100);
    let admitted = 0;
    for (let i = 1; i <= weeks; i++) {
      const window = Math.floor((T - i * 7 * 24 * HOUR_MS) / WINDOW_MS);
      if (!quota.admit(window)) continue;
      admitted++;
      quota.drop(window, 0);
    }
    quota.end();
    return admitted;
  };
  assert.equal(begin(0, 2900), 100);
  assert.equal(begin(0, 100), 100, 'weeks that it has are no others');
  assert.equal(begin(1, 50), 50);
  quota.forget(0);
  assert.equal(begin(0, 2900), 100);
});

test('also while a log is replayed nobody begins more windows than their share', async () => {
  const at = scratchFolder('windows');
  const before = open(at);
  await before.ready;
  await push(before, 'u', T, 1);
  const shard = open(at);
  assert.equal(shard.state, 'replaying');
  // all of them come before the replay has had a turn
  const asked = [
    push(shard, 'attacker', T - 5000 * WINDOW_MS, 4500),
    push(shard, 'attacker', T - 5000 * WINDOW_MS, 512),
    push(shard, 'attacker', T - 5000 * WINDOW_MS, 512),
    push(shard, 'attacker', T - 9000 * WINDOW_MS, 1),
    push(shard, 'victim', T, 1),
    push(shard, 'victim', T - 84 * WINDOW_MS, 84),
  ];
  assert.equal(shard.state, 'replaying');
  const answers = await Promise.allSettled(asked);
  assert.deepEqual(
    answers.map((one) => (one.status === 'rejected' ? (one.reason as Error).message.match(/max_\w+/)?.[0] : 'taken')),
    ['max_old_windows_per_user', 'taken', 'taken', 'max_old_windows_per_user', 'taken', 'taken'],
  );
  await shard.ready;
  assert.equal(shard.stats().arenas.length, 512 + 85);
  await shard.close({ checkpoint: false });
});

test('a window stays for as long as it must after it was stored, wherever the wall clock is set meanwhile', async () => {
  const clock = new ManualClock(T);
  const shard = open(undefined, { clock, keepFlushedMs: 900_000 });
  const now = async <Result>(asked: Promise<Result>): Promise<Result> => {
    let isDone = false;
    asked.finally(() => {
      isDone = true;
    });
    while (!isDone) await clock.advance(1);
    return asked;
  };
  await now(shard.ready);
  await now(push(shard, 't', T - 2 * WINDOW_MS, 1));
  const windows = () => shard.stats().arenas.length;
  for (const { sealLsn } of await now(shard.seal(T))) await now(shard.confirmFlushed(sealLsn));
  clock.setWall(T + 10 * HOUR_MS);
  await clock.advance(600_000);
  assert.equal(windows(), 1, 'readers may still know only rows of before');
  clock.setWall(T - 10 * HOUR_MS);
  await clock.advance(600_000);
  assert.equal(windows(), 0);
});

test('series that go in one go, more than a call has arguments, leave the thread to others and their refs to new ones', async () => {
  let nowMs = T;
  let turns = 0;
  const clock = {
    ...systemClock,
    nowMs: () => nowMs,
    // every look is a slice later
    monotonicMs: () => 1000 * turns++,
    turn: () => systemClock.turn(),
  };
  const shard = open(undefined, { clock });
  await shard.ready;
  const COUNT = 200_000;
  for (let from = 0; from < COUNT; from += 20_000) {
    const series = Array.from({ length: 20_000 }, (_, i) => ({
      labels: { __name__: 'm', i: `${from + i}` },
      samples: [[T, 1] as const],
    }));
    await shard.push('t', testFrames(series), LIMITS);
  }
  assert.equal(shard.head.seriesCount, COUNT);
  nowMs += 10 * WINDOW_MS;
  const [arena] = await shard.seal(nowMs);
  await shard.confirmFlushed(arena!.sealLsn);
  const left: number[] = [];
  let isDropping = true;
  const dropping = shard.dropFlushed().then(() => {
    isDropping = false;
  });
  while (isDropping) {
    left.push(shard.head.seriesCount);
    await systemClock.turn();
  }
  await dropping;
  assert.equal(shard.head.seriesCount, 0);
  assert.ok(new Set(left).size > 2, `${[...new Set(left)]} were left from turn to turn`);
  const top = shard.head.kernel.exports.seriesTop();
  await shard.checkpoint();
  await shard.push('t', testFrames([{ labels: { __name__: 'new' }, samples: [[nowMs, 1]] }]), LIMITS);
  assert.equal(shard.head.kernel.exports.seriesTop(), top);
  await shard.close({ checkpoint: false });
});
