import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { decodeLabels } from '../../model/canonical.ts';
import { SliceView } from '../../wire/slices.ts';
import { MemoryDisk } from '../log/test-disk.ts';
import { Shard, type ShardOptions } from './shard.ts';
import { allTenants, type ShardCalls } from './shard-messages.ts';
import { shardRole } from './shard-role.ts';
import { testFrames } from './test-frames.ts';

// Tenants come and go; time is the test's.

const MINUTE_MS = 60_000;
const WINDOW_MS = 120 * MINUTE_MS;
const DAY_MS = 86_400_000;
const START_MS = 20_000 * DAY_MS;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 100 };

class TestShard {
  readonly clock: ManualClock;
  readonly shard: Shard;
  readonly #role: ReturnType<typeof shardRole>;

  constructor(disk: MemoryDisk, nowMs: number) {
    this.clock = new ManualClock(nowMs);
    const options: ShardOptions = {
      folder: 'shard',
      windowMs: WINDOW_MS,
      headBytesMax: 3e9,
      fsync: 'always',
      fsyncIntervalMs: 1000,
      keepFlushedMs: 0,
      disk,
      clock: this.clock,
      log: () => {},
      fatal: (error) => assert.fail(error),
    };
    this.shard = new Shard(options);
    this.#role = shardRole(this.shard, this.clock);
  }

  push(tenant: string, jobs: readonly string[]) {
    const samples = [[this.clock.nowMs(), 1]] as const;
    return this.shard.push(
      tenant,
      testFrames(jobs.map((job) => ({ labels: { __name__: 'm', job, tenant }, samples }))),
      LIMITS,
    );
  }

  /** Everything there is goes to a store, and leaves the head. */
  async flush(): Promise<void> {
    for (const { sealLsn } of await this.shard.seal(Number.MAX_SAFE_INTEGER)) await this.shard.confirmFlushed(sealLsn);
    await this.shard.dropFlushed();
  }

  /** Time goes by, and the shard has looked after itself. */
  async later(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.shard.maintain();
  }

  /** The series that a tenant has, as `job of tenant`. */
  async series(tenant: string): Promise<string[]> {
    const request = { tenant, matchers: [], startMs: -1e15, endMs: 1e15, labelsOnly: false };
    const found: string[] = [];
    for (const slice = new SliceView((await this.#role.select(request)).value.bytes); slice.next(); ) {
      const labels = decodeLabels(slice.labels, 0, slice.labels.length);
      found.push(`${labels.get('job')} of ${labels.get('tenant')}`);
    }
    return found.sort();
  }

  async tenants(): Promise<string[]> {
    const calls = { call: async (_: string, request: { from: number }) => this.#role.tenants(request) };
    const found: string[] = [];
    for await (const { tenant } of allTenants(calls as unknown as ShardCalls)) found.push(tenant);
    return found.sort();
  }

  get indexes(): number {
    return this.shard.head.tenants.length;
  }
}

async function open(disk: MemoryDisk, nowMs = START_MS): Promise<TestShard> {
  const opened = new TestShard(disk, nowMs);
  await opened.shard.ready;
  return opened;
}

const metadata = [{ metric: 'm', type: 'gauge' as const, help: 'Help.', unit: '' }];

test('a tenant whose windows are in the store and that sends nothing is forgotten, with all that was kept of it', async () => {
  const on = await open(new MemoryDisk());
  const { head } = on.shard;
  const before = head.bytes;
  await on.push('quiet', ['a', 'b']);
  await on.shard.setMetadata('quiet', metadata);
  await on.push('busy', ['a']);
  head.exemplars.add(0, Uint8Array.of(0), { timeMs: START_MS, value: 1, labels: new Uint8Array(0) }, 10);
  await on.later(WINDOW_MS);
  await on.push('busy', ['a']);
  await on.flush();
  await on.later(MINUTE_MS);
  assert.deepEqual(await on.tenants(), ['busy', 'quiet'], 'not yet long enough');
  await on.later(WINDOW_MS);
  await on.push('busy', ['a']);
  await on.later(MINUTE_MS);
  assert.deepEqual(await on.tenants(), ['busy']);
  assert.deepEqual([head.tenant('quiet'), head.exemplars.count, head.seriesCount], [undefined, 0, 1]);
  // a sender may tell its metadata seldom
  assert.equal(on.shard.metadata.of('quiet').length, 1);
  await on.later(DAY_MS);
  assert.equal(on.shard.metadata.of('quiet').length, 0);
  assert.equal(on.shard.metadata.bytes, 0);
  // with nobody left to drop windows for
  await on.flush();
  await on.later(DAY_MS);
  assert.deepEqual([await on.tenants(), head.seriesCount], [[], 0]);
  assert.equal(head.bytes - head.kernel.exports.pagesUsed() * 65536, 0, `${before}`);
  await on.shard.close({ checkpoint: false });
});

test('a tenant that has refused requests only, or windows that others use, is kept while it must be', async () => {
  const on = await open(new MemoryDisk());
  const none = { ...LIMITS, seriesPerUserMax: 1 };
  await on.push('t', ['a']);
  await on.shard.push('t', testFrames([{ labels: { __name__: 'b' }, samples: [[START_MS, 1]] }]), none);
  // an old window of its own, that another writes to as well
  const old = (tenant: string) =>
    on.shard.push(
      tenant,
      testFrames([{ labels: { __name__: 'old' }, samples: [[START_MS - 30 * DAY_MS, 1]] }]),
      LIMITS,
    );
  await old('first');
  await old('second');
  await on.shard.deleteTenant('first');
  await on.later(DAY_MS);
  assert.ok((await on.tenants()).includes('first'), 'the window that it began is counted as its own');
  await on.flush();
  await on.later(MINUTE_MS);
  assert.deepEqual(await on.tenants(), []);
  await on.shard.close({ checkpoint: false });
});

test('an index is another tenant’s only when no log and no checkpoint names it any more', async () => {
  const disk = new MemoryDisk();
  let on = await open(disk);
  for (const tenant of ['a', 'b', 'c']) await on.push(tenant, ['x']);
  await on.flush();
  await on.later(2 * WINDOW_MS + MINUTE_MS);
  await on.later(WINDOW_MS / 2);
  assert.deepEqual(await on.tenants(), []);
  // the log has them all: new ones come behind
  await on.push('d', ['x']);
  await on.push('b', ['y']);
  assert.equal(on.indexes, 5);
  const check = async (when: string) => {
    assert.deepEqual(await on.series('d'), ['x of d'], when);
    assert.deepEqual(await on.series('b'), ['y of b'], when);
    assert.deepEqual(await on.tenants(), ['b', 'd'], when);
    assert.equal(on.shard.stats().walLosses, 0, when);
  };
  on = await open(disk, on.clock.nowMs()); // killed
  await check('after the log');
  await on.shard.checkpoint();
  await on.push('e', ['x']);
  await on.push('f', ['x']);
  await on.push('g', ['x']);
  assert.equal(on.indexes, 5, 'those of before the checkpoint are used again');
  await on.push('h', ['x']);
  assert.equal(on.indexes, 6);
  on = await open(disk, on.clock.nowMs());
  for (const tenant of ['d', 'e', 'f', 'g', 'h']) assert.deepEqual(await on.series(tenant), [`x of ${tenant}`]);
  assert.deepEqual(await on.series('b'), ['y of b']);
  assert.deepEqual(await on.series('a'), []);
  assert.equal(on.shard.stats().walLosses, 0);
  await on.shard.close({ checkpoint: true });
});

test('whatever tenants come, go and come back, crash or checkpoint between: each has its own series and no other', async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const random = seededRandom(seed);
    const below = (n: number) => Math.floor(random() * n);
    const disk = new MemoryDisk();
    let on = await open(disk);
    /** Series that the head must have, by tenant. */
    let held = new Map<string, Set<string>>();
    let indexesMax = 0;
    for (let step = 0; step < 120; step++) {
      const what = below(10);
      if (what < 6) {
        const tenant = `t${below(4) + 4 * Math.floor(step / 20)}`;
        const jobs = Array.from({ length: 1 + below(3) }, () => `job${below(6)}`);
        const pushed = on.push(tenant, jobs);
        // pushed while a checkpoint is being written
        if (below(4) === 0) await on.shard.checkpoint();
        await pushed;
        const own = held.get(tenant) ?? new Set();
        for (const job of jobs) own.add(`${job} of ${tenant}`);
        held.set(tenant, own);
        await on.later(1000);
      } else if (what < 8) {
        await on.flush();
        held = new Map();
        await on.later(below(2) === 0 ? MINUTE_MS : 3 * WINDOW_MS);
      } else if (what < 9) await on.shard.checkpoint();
      else {
        if (below(3) === 0) await on.shard.close({ checkpoint: below(2) === 0 });
        on = await open(disk, on.clock.nowMs());
        assert.equal(on.shard.stats().walLosses, 0, `seed ${seed}, step ${step}`);
        // the log says what the store has, not that it left the head
        await on.shard.dropFlushed();
      }
      const newest = 4 * Math.floor(step / 20);
      for (let i = step % 20 === 0 ? 0 : newest; i < newest + 4; i++) {
        const want = [...(held.get(`t${i}`) ?? [])].sort();
        assert.deepEqual(await on.series(`t${i}`), want, `seed ${seed}, step ${step}, t${i}`);
      }
      indexesMax = Math.max(indexesMax, on.indexes);
    }
    assert.ok(indexesMax < 80, `${indexesMax} indexes`);
  }
});

test('where the note that a tenant was forgotten is lost, it comes back all the same', async () => {
  const disk = new MemoryDisk();
  let on = await open(disk);
  await on.push('a', ['x']);
  await on.flush();
  await on.later(3 * WINDOW_MS);
  await on.push('a', ['y']);
  const nowMs = on.clock.nowMs();
  const [name] = disk.list('shard').filter((file) => file.endsWith('.wal'));
  const file = disk.open(`shard/${name}`);
  const bytes = Buffer.alloc(file.bytes);
  file.read(bytes, 0);
  const at = bytes.indexOf('{"forgotten"');
  assert.ok(at > 0);
  bytes[at] = 0;
  const changed = disk.append(`shard/${name}`);
  changed.truncate(0);
  changed.write(bytes);
  on = await open(disk, nowMs);
  assert.equal(on.shard.stats().walLosses, 1);
  assert.deepEqual(await on.series('a'), ['y of a']);
  await on.shard.close({ checkpoint: false });
});

test('100,000 tenants cost nothing while they are quiet, are forgotten, and make room for others', async () => {
  const TENANTS = 100_000;
  const on = await open(new MemoryDisk());
  const fill = async (prefix: string) => {
    for (let i = 0; i < TENANTS; i += 1000) {
      const some = Array.from({ length: 1000 }, (_, k) => on.push(`${prefix}${i + k}`, ['x']));
      await Promise.all(some);
    }
  };
  await fill('a');
  const { head } = on.shard;
  assert.equal(head.seriesCount, TENANTS);
  const pages = head.kernel.exports.pagesUsed();
  const bytesOfTenants = head.bytes - head.kernel.exports.pagesUsed() * 65536;
  assert.ok(bytesOfTenants < 600 * TENANTS, `${bytesOfTenants} bytes`);
  assert.ok(JSON.stringify(on.shard.stats()).length < 2000, 'what is asked each second does not grow with tenants');
  // what a shard does in ten idle minutes: maintenance every five seconds, statistics each second
  const started = process.cpuUsage();
  for (let second = 0; second < 600; second++) {
    on.shard.stats();
    if (second % 5 === 0) await on.later(5000);
  }
  const { user, system } = process.cpuUsage(started);
  const share = (user + system) / 1e6 / 600;
  assert.ok(share < 0.01, `${share * 100} % of a core`);
  await on.flush();
  await on.later(3 * WINDOW_MS);
  for (let round = 0; round <= TENANTS / 4096; round++) await on.later(5000);
  assert.deepEqual([head.seriesCount, await on.tenants()], [0, []]);
  assert.equal(head.bytes - head.kernel.exports.pagesUsed() * 65536, 0);
  await on.shard.checkpoint();
  await fill('b');
  assert.equal(on.indexes, TENANTS);
  assert.ok(head.kernel.exports.pagesUsed() < pages * 1.2, `${pages} pages, then ${head.kernel.exports.pagesUsed()}`);
  await on.shard.close({ checkpoint: false });
});
