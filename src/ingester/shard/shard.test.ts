import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { scratchFolder } from '../../../test/harness/scratch-folder.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';
import { placementFor } from '../../chunkstore/placement-size.ts';
import { DUPLICATE_TIME, OUT_OF_ORDER, REFUSED_PER_METRIC, REFUSED_PER_USER, TOO_OLD } from '../../contract/ingest.ts';
import { systemClock } from '../../lib/clock.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { decodeLabels } from '../../model/canonical.ts';
import { AppError } from '../../model/errors.ts';
import {
  FRAME_BYTES_AT,
  FRAME_FLAGS_AT,
  FRAME_HEADER_BYTES,
  FRAME_KEY,
  FRAME_LABELS_BYTES_AT,
  FRAME_SAMPLES_AT,
  KEY_BYTES,
  SAMPLE_BYTES,
} from '../../wire/frame-layout.ts';
import { SliceView } from '../../wire/slices.ts';
import { HeldRange } from '../head/held-range.ts';
import type { AppendFile, Disk } from '../log/disk.ts';
import { realDisk } from '../log/disk.ts';
import { Shard, type ShardOptions } from './shard.ts';
import { shardRole } from './shard-role.ts';
import { type TestSeries, testFrames } from './test-frames.ts';

const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 100 };
const decoder = Kernel.create();
const chunk = new Region(decoder, 65536);
const times = new Region(decoder, 65536 * 8);
const values = new Region(decoder, 65536 * 8);

function folder(): string {
  return scratchFolder('shard');
}

function open(at: string, more: Partial<ShardOptions> = {}): Shard {
  return new Shard({
    folder: at,
    windowMs: 60_000,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: 1000,
    keepFlushedMs: 900_000,
    disk: realDisk,
    clock: systemClock,
    log: () => {},
    fatal: (error) => assert.fail(error),
    ...more,
  });
}

/** All samples of a tenant: `labels → time → value`, each time with how often it is there. */
async function held(shard: Shard, tenant = 't'): Promise<Map<string, Map<number, number[]>>> {
  await shard.ready;
  const role = shardRole(shard, systemClock);
  const all = new Map<string, Map<number, number[]>>();
  let { cursor, bytes } = (await role.select({ tenant, matchers: [], startMs: -1e15, endMs: 1e15, labelsOnly: false }))
    .value;
  for (;;) {
    for (const one = new SliceView(bytes); one.next(); ) {
      const key = decodeLabels(bytes, one.labelsFrom, one.labelsTo).toString();
      assert.ok(!all.has(key), `${key} came twice`);
      const samples = new Map<number, number[]>();
      all.set(key, samples);
      for (const { bytes: data } of one.chunks) {
        const flags = decoder.exports.xorDecode(chunk.put(data), data.length, times.at, values.at, 65535);
        assert.ok(flags >= 0);
        const count = data[0]! * 256 + data[1]!;
        for (let k = 0; k < count; k++) {
          const t = decoder.view.getFloat64(times.at + 8 * k, true);
          const v = decoder.view.getFloat64(values.at + 8 * k, true);
          samples.set(t, [...(samples.get(t) ?? []), v]);
        }
      }
    }
    if (cursor === 0) return all;
    ({ cursor, bytes } = (await role.selectNext({ cursor })).value);
  }
}

function series(i: number, samples: TestSeries['samples']): TestSeries {
  return { labels: { __name__: `m_${i % 7}`, instance: `host-${i}`, job: 'x' }, samples };
}

test('what was pushed is held, once, and again after a restart without a clean end', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  const random = seededRandom(7);
  const want = new Map<string, Map<number, number[]>>();
  for (let step = 0; step < 200; step++) {
    const some = Array.from({ length: 20 }, (_, i) =>
      series(i, [[1_700_000_000_000 + step * 15_000, i % 3 === 0 ? random() : Math.floor(random() * 100)]]),
    );
    for (const { labels, samples } of some) {
      const key = `{${Object.entries(labels)
        .map(([k, v]) => `${k}="${v}"`)
        .join(', ')}}`;
      if (!want.has(key)) want.set(key, new Map());
      want.get(key)!.set(samples[0]![0], [samples[0]![1]!]);
    }
    await shard.push('t', testFrames(some), LIMITS);
    if (step === 90) await shard.checkpoint();
  }
  assert.deepEqual(await held(shard), want);
  // as after kill -9: nothing is closed
  const again = open(at);
  assert.deepEqual(await held(again), want);
  await again.close({ checkpoint: true });
  const third = open(at);
  assert.deepEqual(await held(third), want);
  await third.close({ checkpoint: false });
});

test('a tenant that is deleted is gone from head and log, its neighbour is not, and it may begin anew', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  const T = 1_700_000_000_000;
  const SECRET = 'secretOfT';
  const label = { __name__: 'm', job: SECRET };
  for (const tenant of ['t', 'u']) {
    await shard.push(
      tenant,
      testFrames([{ labels: { ...label, job: tenant === 't' ? SECRET : 'x' }, samples: [[T, 1]] }]),
      LIMITS,
    );
    await shard.setMetadata(tenant, [{ metric: 'm', type: 'gauge', help: tenant, unit: '' }]);
  }
  // of a window that the store has, of one that waits for it, and of one that is open
  await shard.seal(T + 60_000);
  await shard.push('t', testFrames([{ labels: label, samples: [[T + 120_000, 2]] }]), LIMITS);
  await shard.deleteTenant('t');
  await shard.deleteTenant('nobody');
  const logs = () =>
    fs
      .readdirSync(at)
      .map((name) => fs.readFileSync(path.join(at, name), 'latin1'))
      .join('');
  assert.ok(!logs().includes(SECRET));
  const isGone = async (which: Shard) => {
    assert.deepEqual(await held(which, 't'), new Map());
    assert.deepEqual(await held(which, 'u'), new Map([['{__name__="m", job="x"}', new Map([[T, [1]]])]]));
    assert.deepEqual(which.metadata.of('t'), []);
    assert.equal(which.metadata.of('u').length, 1);
  };
  await isGone(shard);
  // also the time before comes anew, into series of the same names
  await shard.push('t', testFrames([{ labels: label, samples: [[T + 60_000, 3]] }]), LIMITS);
  const anew = new Map([[`{__name__="m", job="${SECRET}"}`, new Map([[T + 60_000, [3]]])]]);
  assert.deepEqual(await held(shard, 't'), anew);
  // as after kill -9
  const again = open(at);
  assert.deepEqual(await held(again, 't'), anew);
  await again.deleteTenant('t');
  await isGone(again);
  const third = open(at);
  await third.ready;
  await isGone(third);
  await third.close({ checkpoint: false });
});

test('a deletion that the log has and no checkpoint yet is replayed', async () => {
  const at = folder();
  const full = { ...realDisk, rename: () => assert.fail('no checkpoint') };
  const shard = open(at, { disk: full });
  await shard.ready;
  const T = 1_700_000_000_000;
  for (const tenant of ['t', 'u']) await shard.push(tenant, testFrames([series(1, [[T, 1]])]), LIMITS);
  await shard.setMetadata('t', [{ metric: 'm', type: 'gauge', help: '', unit: '' }]);
  await assert.rejects(shard.deleteTenant('t'), /no checkpoint/);
  const again = open(at);
  await again.ready;
  assert.deepEqual([(await held(again, 't')).size, (await held(again, 'u')).size], [0, 1]);
  assert.deepEqual(again.metadata.of('t'), []);
  assert.equal(again.head.seriesCount, 1);
  await again.close({ checkpoint: true });
});

test('a sample that is held already is success, anything else at or before the newest is refused', async () => {
  const shard = open(folder());
  await shard.ready;
  await shard.push(
    't',
    testFrames([
      series(1, [
        [1000, 1],
        [2000, 2],
        [3000, 3],
      ]),
    ]),
    LIMITS,
  );
  const again = await shard.push(
    't',
    testFrames([
      series(1, [
        [1000, 1],
        [3000, 3],
        [2000, 9],
        [1500, 1],
        [3000, 4],
        [4000, 4],
      ]),
    ]),
    LIMITS,
  );
  assert.deepEqual(again.counts, [1, 2, 2, 1, 0, 0]);
  assert.equal(again.first?.answer, OUT_OF_ORDER);
  assert.equal(again.first?.timeMs, 2000);
  assert.equal(again.first?.newestMs, 3000);
  assert.equal((await shard.push('t', testFrames([series(1, [[4000, 5]])]), LIMITS)).first?.answer, DUPLICATE_TIME);
  await shard.close({ checkpoint: false });
});

test('samples out of order are kept within the tolerance', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  const limits = { ...LIMITS, outOfOrderMs: 100_000 };
  await shard.push('t', testFrames([series(1, [[500_000, 1]])]), limits);
  const late = await shard.push(
    't',
    testFrames([
      series(1, [
        [450_000, 2],
        [449_000, 3],
        [450_000, 2],
        [390_000, 4],
      ]),
    ]),
    limits,
  );
  assert.deepEqual(late.counts, [2, 1, 0, 0, 1, 0]);
  assert.equal(late.first?.answer, TOO_OLD);
  const want = [
    [449_000, [3]],
    [450_000, [2]],
    [500_000, [1]],
  ];
  const sorted = async (s: Shard) => [...[...(await held(s)).values()][0]!].sort(([a], [b]) => a - b);
  assert.deepEqual(await sorted(shard), want);
  const again = open(at);
  assert.deepEqual(await sorted(again), want);
  await again.close({ checkpoint: false });
});

test('series limits are held, tenants are apart', async () => {
  const shard = open(folder());
  await shard.ready;
  const many = Array.from({ length: 30 }, (_, i) => series(i, [[1000, i]]));
  const perUser = await shard.push('t', testFrames(many), { ...LIMITS, seriesPerUserMax: 10 });
  assert.deepEqual([perUser.counts[0], perUser.refused, perUser.first?.series], [10, 20, REFUSED_PER_USER]);
  const perMetric = await shard.push('u', testFrames(many), { ...LIMITS, seriesPerMetricMax: 1 });
  assert.deepEqual([perMetric.counts[0], perMetric.refused, perMetric.first?.series], [7, 23, REFUSED_PER_METRIC]);
  assert.equal((await held(shard, 't')).size, 10);
  assert.equal((await held(shard, 'u')).size, 7);
  assert.equal((await held(shard, 'nobody')).size, 0);
  await shard.close({ checkpoint: false });
});

test('a window is sealed, handed out, confirmed and dropped; late samples make another generation', async () => {
  const at = folder();
  const shard = open(at, { windowMs: 60_000 });
  await shard.ready;
  const role = shardRole(shard, systemClock);
  await shard.push(
    't',
    testFrames([
      series(1, [
        [10_000, 1],
        [20_000, 2],
        [70_000, 3],
      ]),
      series(2, [[5_000, 1]]),
    ]),
    LIMITS,
  );
  const sealed = await role.seal({ beforeMs: 60_000 });
  assert.deepEqual(
    sealed.map(({ window }) => window),
    [0],
  );
  const [arena] = sealed[0]!.arenas;
  assert.deepEqual(
    role
      .arenaTenants({ indexes: await role.tenantsOf({ arena: arena! }), metricSeriesMin: 0 })
      .map(({ tenant }) => tenant),
    ['t'],
  );
  const { value } = await role.export({ arena: arena!, tenant: 't', placement: placementFor(30_000), phases: [0, 1] });
  const chunks: number[] = [];
  for (const exported = new SliceView(value.bytes); exported.next(); ) chunks.push(exported.chunks.length);
  assert.deepEqual([chunks.length, chunks[0], value.cursor], [2, 1, 0]);
  await shard.push('t', testFrames([series(2, [[6_000, 2]])]), LIMITS);
  await role.confirmFlushed({ sealLsn: sealed[0]!.sealLsn });
  await shard.dropFlushed();
  const check = async (s: Shard) => {
    const all = await held(s);
    assert.deepEqual(
      [...all.values()].map((m) => [...m.keys()]),
      [[70_000], [6_000]],
    );
  };
  await check(shard);
  assert.deepEqual(
    (await role.seal({ beforeMs: 60_000 })).map(({ window }) => window),
    [0],
  );
  // replay goes through the same seals; what is flushed is dropped again
  const again = open(at);
  await again.ready;
  await again.dropFlushed();
  await check(again);
  await again.close({ checkpoint: true });
  const third = open(at);
  await third.ready;
  await check(third);
  await third.close({ checkpoint: false });
});

test('writes during replay are acknowledged, kept whatever their order, and there afterwards', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  for (let i = 0; i < 50; i++) await shard.push('t', testFrames([series(1, [[1_000_000 + i * 1000, i]])]), LIMITS);
  const again = open(at);
  assert.equal(again.state, 'replaying');
  await again.push('t', testFrames([series(1, [[900_000, 7]]), series(9, [[5_000, 1]])]), LIMITS);
  const check = async (s: Shard) => {
    const all = [...(await held(s)).values()];
    assert.deepEqual(all.map((m) => m.size).sort(), [1, 51]);
  };
  await check(again);
  const third = open(at);
  await check(third);
  await third.close({ checkpoint: true });
  const fourth = open(at);
  await check(fourth);
  await fourth.close({ checkpoint: false });
});

test('a corrupt record loses what it held and nothing else, a torn tail nothing', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  for (let i = 0; i < 30; i++) await shard.push('t', testFrames([series(1, [[1000 + i * 1000, i]])]), LIMITS);
  const file = path.join(at, fs.readdirSync(at).find((name) => name.endsWith('.wal'))!);
  const bytes = fs.readFileSync(file);
  const offsets: number[] = [];
  for (let p = bytes.indexOf('\x7fWAL'); p >= 0; p = bytes.indexOf('\x7fWAL', p + 1)) offsets.push(p);
  bytes[offsets[12]! + 26]! ^= 0x55;
  const said: string[] = [];
  fs.writeFileSync(file, bytes.subarray(0, bytes.length - 3));
  const again = open(at, { log: (level, text) => void said.push(`${level} ${text}`) });
  const [samples] = [...(await held(again)).values()];
  // record 0 names the tenant, record 12 a sample; the last one is torn
  assert.equal(samples!.size, 28);
  assert.equal(again.stats().walLosses, 1);
  assert.ok(said.some((line) => line.startsWith('error a part of the log is corrupt')));
  assert.equal(again.lossWarnings(0, 60_000).length, 1);
  await again.close({ checkpoint: false });
});

test('when the record that names a tenant is corrupt its series are lost, and another tenant is not', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  for (const tenant of ['lost', 't']) await shard.push(tenant, testFrames([series(1, [[1000, 1]])]), LIMITS);
  const file = path.join(at, fs.readdirSync(at).find((name) => name.endsWith('.wal'))!);
  const bytes = fs.readFileSync(file);
  bytes[bytes.indexOf('lost')]! ^= 0x55;
  fs.writeFileSync(file, bytes);
  const again = open(at);
  assert.equal((await held(again, 'lost')).size, 0);
  assert.equal((await held(again)).size, 1);
  assert.equal(again.stats().walLosses, 1);
  await again.push('lost', testFrames([series(2, [[1000, 1]])]), LIMITS);
  await again.close({ checkpoint: false });
  const third = open(at);
  assert.equal((await held(third, 'lost')).size, 1);
  assert.equal((await held(third)).size, 1);
  await third.close({ checkpoint: false });
});

test('a key without labels is refused while the log is replayed: the next process could not read it', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  await shard.push('t', testFrames([series(1, [[1000, 1]])]), LIMITS);
  const again = open(at);
  const keyed = new Uint8Array(FRAME_HEADER_BYTES + KEY_BYTES + SAMPLE_BYTES);
  const view = new DataView(keyed.buffer);
  view.setUint32(FRAME_BYTES_AT, keyed.length, true);
  view.setUint32(FRAME_LABELS_BYTES_AT, KEY_BYTES, true);
  view.setUint32(FRAME_SAMPLES_AT, 1, true);
  view.setUint32(FRAME_FLAGS_AT, FRAME_KEY, true);
  const plain = testFrames([series(8, [[2000, 2]])]);
  const frames = Buffer.concat([plain, keyed, plain, keyed]);
  const { unknown } = await again.push('t', frames, LIMITS);
  assert.deepEqual(unknown, [plain.length, 2 * plain.length + keyed.length]);
  assert.equal((await held(again)).size, 2);
  await again.close({ checkpoint: false });
});

/** A disk that is full when told to, and one that keeps only what was synced. */
class TestDisk {
  full = false;
  readonly unsynced = new Map<string, number>();

  readonly disk: Disk = {
    ...realDisk,
    append: (file): AppendFile => {
      const real = realDisk.append(file);
      if (!this.unsynced.has(file)) this.unsynced.set(file, real.bytes);
      return {
        get bytes() {
          return real.bytes;
        },
        write: (part) => {
          if (this.full) {
            real.write(part.subarray(0, Math.floor(part.length / 2)));
            throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
          }
          real.write(part);
        },
        truncate: (bytes) => real.truncate(bytes),
        sync: async () => {
          const { bytes } = real;
          await real.sync();
          this.unsynced.set(file, bytes);
        },
        close: () => real.close(),
      };
    },
  };

  /** As after a power cut. */
  cut(): void {
    for (const [file, bytes] of this.unsynced) if (fs.existsSync(file)) fs.truncateSync(file, bytes);
  }
}

test('a full head refuses new series, a third beyond all samples, and takes them when windows have gone', async () => {
  const headBytesMax = 2 ** 20;
  const clock = new ManualClock(1_700_000_000_000);
  const shard = open(folder(), { headBytesMax, keepFlushedMs: 0, clock });
  await shard.ready;
  const isFull = (error: unknown) => error instanceof AppError && error.facts.id === 'head-full';
  const push = (timeMs: number, more = 0) =>
    shard.push('t', testFrames(Array.from({ length: 100 + more }, (_, i) => series(i, [[timeMs, i]]))), LIMITS);
  let timeMs = clock.nowMs();
  for (; shard.head.bytes <= headBytesMax; timeMs += 60_000) await push(timeMs);
  await assert.rejects(push(timeMs, 1), isFull);
  // what was known goes on
  let acknowledged = 0;
  for (; acknowledged < 1000; acknowledged++, timeMs += 60_000) {
    if (await push(timeMs).then(() => false, isFull)) break;
  }
  assert.ok(acknowledged > 3 && acknowledged < 1000, `${acknowledged} windows more`);
  assert.ok(shard.head.bytes < headBytesMax * 1.5, `${shard.head.bytes} bytes`);
  const before = shard.head.bytes;
  await assert.rejects(push(timeMs), isFull);
  assert.equal(shard.head.bytes, before);
  for (const { sealLsn } of await shard.seal(Number.POSITIVE_INFINITY, [])) await shard.confirmFlushed(sealLsn);
  await shard.dropFlushed();
  await push(timeMs, 1);
  await shard.close({ checkpoint: false });
});

test('a disk that is full while the log is replayed ends the shard, and the next start has everything', async () => {
  const at = folder();
  const first = open(at);
  await first.ready;
  await first.push('t', testFrames([series(1, [[1000, 1]])]), LIMITS);
  const disk = new TestDisk();
  const ends: Error[] = [];
  const again = open(at, { disk: disk.disk, fatal: (error) => ends.push(error) });
  const staged = again.push('t', testFrames([series(2, [[2000, 2]])]), LIMITS);
  staged.catch(() => {});
  disk.full = true;
  await assert.rejects(again.ready, /ENOSPC/);
  assert.match(String(ends), /the write-ahead log cannot be written.*ENOSPC/);
  disk.full = false;
  const third = open(at);
  await third.ready;
  assert.equal((await held(third)).size, 2);
  await third.close({ checkpoint: false });
});

test('a full disk refuses writes, loses nothing, and recovers without help', async () => {
  const at = folder();
  const disk = new TestDisk();
  const shard = open(at, { disk: disk.disk });
  await shard.ready;
  await shard.push('t', testFrames([series(1, [[1000, 1]])]), LIMITS);
  disk.full = true;
  await assert.rejects(shard.push('t', testFrames([series(1, [[2000, 2]])]), LIMITS), /ENOSPC/);
  await assert.rejects(shard.push('t', testFrames([series(1, [[2000, 2]])]), LIMITS), /ENOSPC/);
  await assert.rejects(shard.push('new', testFrames([series(1, [[2000, 2]])]), LIMITS), /ENOSPC/);
  disk.full = false;
  await shard.push(
    't',
    testFrames([
      series(1, [
        [2000, 2],
        [3000, 3],
      ]),
    ]),
    LIMITS,
  );
  await shard.push('new', testFrames([series(1, [[2000, 2]])]), LIMITS);
  const again = open(at);
  assert.deepEqual([...[...(await held(again)).values()][0]!.keys()], [1000, 2000, 3000]);
  assert.equal((await held(again, 'new')).size, 1);
  assert.equal(again.stats().walLosses, 0);
  await again.close({ checkpoint: false });
});

test('a power cut loses nothing acknowledged with fsync=always', async () => {
  const at = folder();
  const disk = new TestDisk();
  const shard = open(at, { disk: disk.disk, fsync: 'always' });
  await shard.ready;
  const acknowledged = new Set<number>();
  const pushes = Array.from({ length: 40 }, (_, i) =>
    shard.push('t', testFrames([series(i, [[1000, i]])]), LIMITS).then(() => acknowledged.add(i)),
  );
  await Promise.race(pushes);
  const count = acknowledged.size;
  disk.cut();
  const again = open(at);
  assert.ok((await held(again)).size >= count && count > 0);
  await Promise.allSettled(pushes);
  await again.close({ checkpoint: false });
});

test('the time of what a shard holds is known to others before a write is acknowledged, and everything while it replays', async () => {
  const at = folder();
  const range = HeldRange.everything();
  const shard = open(at, { held: range });
  await shard.ready;
  assert.ok(!range.touches(-1e15, 1e15));
  await shard.push('t', testFrames([series(1, [[130_000, 1]])]), LIMITS);
  assert.deepEqual(
    [range.touches(0, 119_999), range.touches(0, 120_000), range.touches(180_001, 1e15)],
    [false, true, false],
  );
  await shard.push('t', testFrames([series(2, [[70_000, 1]])]), LIMITS);
  assert.ok(range.touches(0, 60_000));
  const role = shardRole(shard, systemClock);
  const sealed = await role.seal({ beforeMs: 120_000 });
  await role.confirmFlushed({ sealLsn: sealed[0]!.sealLsn });
  assert.ok(range.touches(0, 119_999));
  await shard.dropFlushed();
  assert.ok(!range.touches(0, 119_999));
  await shard.close({ checkpoint: false });
  const again = HeldRange.everything();
  const second = open(at, { held: again });
  assert.equal(second.state, 'replaying');
  assert.ok(again.touches(-1e15, -1e14));
  await second.push('t', testFrames([series(3, [[10_000, 1]])]), LIMITS); // taken while the log is read
  assert.ok(again.touches(0, 59_999));
  await second.ready;
  assert.ok(again.touches(0, 59_999));
  assert.ok(!again.touches(180_001, 1e15));
  await second.close({ checkpoint: false });
});
