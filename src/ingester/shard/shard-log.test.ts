import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { scratchFolder } from '../../../test/harness/scratch-folder.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';
import { ByteWriter } from '../../lib/bytes.ts';
import { systemClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { AppError } from '../../model/errors.ts';
import { floatHistogram } from '../../model/histogram.ts';
import { Labels } from '../../model/labels.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';
import { writeFrameExemplar } from '../../wire/frame-exemplars.ts';
import { FRAME_ASIDE, FRAME_EXEMPLARS } from '../../wire/frame-layout.ts';
import { FrameWriter } from '../../wire/frames.ts';
import { FILE_HEADER_BYTES, RECORD_HEADER_BYTES } from '../../wire/record-layout.ts';
import type { RichSample } from '../../wire/rich-samples.ts';
import { richPayload } from '../head/test-rich.ts';
import { realDisk } from '../log/disk.ts';
import { useLogKey } from '../log/log-key.ts';
import { oldFile, oldRecord } from '../log/test-log.ts';
import { sealRecord, WAL_NOTE, WAL_OPS, WAL_STAGED, WalReader } from '../log/wal.ts';
import { Shard, type ShardOptions } from './shard.ts';
import { shardRole } from './shard-role.ts';
import { testFrames } from './test-frames.ts';

const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 100_000 };
const T = 1_700_000_000_000;
const kernel = Kernel.create();
const buffer = new Region(kernel);

function folder(): string {
  return scratchFolder('log');
}

interface Line {
  readonly level: string;
  readonly text: string;
  readonly fields: Record<string, unknown> | undefined;
}

function open(at: string, more: Partial<ShardOptions> = {}): Shard & { lines: Line[] } {
  const lines: Line[] = [];
  const shard = new Shard({
    folder: at,
    windowMs: 60_000,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: 1000,
    keepFlushedMs: 900_000,
    disk: realDisk,
    clock: systemClock,
    log: (level, text, fields) => void lines.push({ level, text, fields }),
    fatal: (error) => assert.fail(error),
    ...more,
  });
  return Object.assign(shard, { lines });
}

/** One sample of each of these series. */
function push(shard: Shard, tenant: string, series: readonly Record<string, string>[], timeMs = T) {
  return shard.push(tenant, testFrames(series.map((labels) => ({ labels, samples: [[timeMs, 1]] }))), LIMITS);
}

/** The metrics that a tenant has. */
async function metrics(shard: Shard, tenant: string): Promise<readonly string[]> {
  await shard.ready;
  return [
    ...(await shardRole(shard, systemClock).labels({
      tenant,
      matchers: [],
      name: '__name__',
      startMs: 0,
      endMs: 1e15,
    })),
  ].sort();
}

function files(at: string, end: string): string[] {
  return fs
    .readdirSync(at)
    .filter((name) => name.endsWith(end))
    .sort()
    .map((name) => path.join(at, name));
}

interface RawRecord {
  readonly type: number;
  readonly lsn: number;
  readonly payload: Buffer;
}

function recordsOf(at: string, file: string): RawRecord[] {
  useLogKey(kernel, realDisk, at, false);
  const reader = new WalReader(kernel, realDisk, file, buffer);
  const records: RawRecord[] = [];
  for (let one = reader.next(); one !== undefined; one = reader.next()) {
    records.push({ type: one.type, lsn: one.lsn, payload: Buffer.from(kernel.u8.slice(one.at, one.at + one.bytes)) });
  }
  reader.close();
  return records;
}

/** Writes records with sums that hold, as only the holder of the key can. */
function writeRecords(at: string, file: string, records: readonly RawRecord[]): void {
  useLogKey(kernel, realDisk, at, false);
  const header = fs.readFileSync(file).subarray(0, FILE_HEADER_BYTES);
  const parts = records.map(({ type, lsn, payload }) => {
    const place = buffer.ensure(RECORD_HEADER_BYTES + payload.length);
    kernel.u8.set(payload, place + RECORD_HEADER_BYTES);
    sealRecord(kernel, place, payload.length, type, lsn);
    return kernel.u8.slice(place, place + RECORD_HEADER_BYTES + payload.length);
  });
  fs.writeFileSync(file, Buffer.concat([header, ...parts]));
}

function note(lsn: number, value: unknown): RawRecord {
  return { type: WAL_NOTE, lsn, payload: Buffer.from(JSON.stringify(value)) };
}

/** Exemplars of one series with labels of so many bytes. */
function exemplarFrames(count: number, labelBytes: number, name = 'x'): Uint8Array {
  const frames = new FrameWriter(kernel);
  const labels = encodeLabels(Labels.of({ __name__: name, a: 'a'.repeat(labelBytes) }));
  const payload = new ByteWriter();
  for (let i = 0; i < count; i++) writeFrameExemplar(payload, { timeMs: T + i, value: i, labels: new Uint8Array(0) });
  frames.aside(labels, new TextEncoder().encode(name), count, payload.done(), FRAME_EXEMPLARS);
  return frames.bytes.slice();
}

function histogramFrames(buckets: number): Uint8Array {
  const frames = new FrameWriter(kernel);
  const sample: RichSample = {
    timeMs: T,
    startMs: 0,
    histogram: floatHistogram({
      count: buckets,
      positiveSpans: [{ offset: 0, length: buckets }],
      positiveBuckets: Array.from({ length: buckets }, () => 1),
    }),
  };
  const labels = encodeLabels(Labels.of({ __name__: 'h' }));
  frames.aside(labels, new TextEncoder().encode('h'), 1, richPayload([sample]), FRAME_ASIDE);
  return frames.bytes.slice();
}

test('a tenant cannot put records into the log, also where the record that holds its bytes is damaged', async () => {
  for (const damage of ['header', 'payload', 'none'] as const) {
    const at = folder();
    const shard = open(at);
    await push(shard, 'victim', [{ __name__: 'before', secret: 'hunter1' }]);
    await shard.ready;
    const forged = [0, 1, 2].flatMap((i) => [
      oldRecord(kernel, WAL_NOTE, 4096 + i, Buffer.from(`{"tenant":[${i},"thief${i}"]}`)).toString('latin1'),
      `\x7fWAL{"tenant":[${i},"thief${i}"]}`,
    ]);
    await push(shard, 'attacker', [{ __name__: 'carrier', a: forged.join('') }]);
    await push(shard, 'victim', [{ __name__: 'after', secret: 'hunter2' }]);
    const segment = files(at, '.wal').at(-1)!;
    const bytes = fs.readFileSync(segment);
    const inPayload = bytes.indexOf('carrier');
    if (damage === 'payload') bytes[inPayload]! ^= 1;
    if (damage === 'header') bytes[bytes.lastIndexOf('\x7fWAL', inPayload)]! ^= 1;
    fs.writeFileSync(segment, bytes);
    const again = open(at);
    assert.deepEqual(await metrics(again, 'victim'), ['after', 'before'], damage);
    assert.deepEqual(await metrics(again, 'attacker'), damage === 'none' ? ['carrier'] : []);
    for (const i of [0, 1, 2]) assert.equal(again.head.tenant(`thief${i}`), undefined);
    assert.equal(again.stats().walLosses, damage === 'none' ? 0 : 1);
    await again.close({ checkpoint: true });
    const third = open(at);
    assert.deepEqual(await metrics(third, 'victim'), ['after', 'before']);
    await third.close({ checkpoint: false });
  }
});

test('a log of the version before is read on, and what follows is written in this one', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  await push(shard, 't', [{ __name__: 'a' }]);
  await shard.checkpoint();
  await push(shard, 't', [{ __name__: 'b' }]);
  await shard.push('t', exemplarFrames(2, 10), LIMITS);
  // the same records, as that version had them
  const old = folder();
  for (const file of [...files(at, '.ckp'), ...files(at, '.wal')]) {
    const records = recordsOf(at, file).filter(({ type, payload }) => type !== WAL_NOTE || !payload.includes('"end"'));
    const tenants = [[0, 't', T]];
    const head = Buffer.from(JSON.stringify({ version: 1, windowMs: 60_000, tenants }));
    const end = {
      end: true,
      lsn: 2,
      tenants,
      metadata: [['t', [{ metric: 'a', type: 'gauge', help: '', unit: '' }]]],
      losses: [],
    };
    const parts = file.endsWith('.ckp')
      ? [
          oldRecord(kernel, WAL_NOTE, 1, head),
          ...records.map(({ type, lsn, payload }) => oldRecord(kernel, type, lsn, payload)),
          oldRecord(kernel, WAL_NOTE, 99, Buffer.from(JSON.stringify(end))),
        ]
      : records.map(({ type, lsn, payload }) => oldRecord(kernel, type, lsn, payload));
    fs.writeFileSync(path.join(old, path.basename(file)), oldFile(parts));
  }
  const again = open(old);
  assert.deepEqual(await metrics(again, 't'), ['a', 'b']);
  assert.equal(again.stats().walLosses, 0);
  assert.equal(again.head.exemplars.count, 2);
  assert.deepEqual(again.metadata.of('t'), [{ metric: 'a', type: 'gauge', help: '', unit: '' }]);
  await push(again, 't', [{ __name__: 'c' }]);
  const third = open(old);
  assert.deepEqual(await metrics(third, 't'), ['a', 'b', 'c']);
  await third.close({ checkpoint: true });
  const fourth = open(old);
  assert.deepEqual(await metrics(fourth, 't'), ['a', 'b', 'c']);
  await fourth.close({ checkpoint: false });
});

test('an index or a ref that is another’s is never given away: that is damage, counted and logged', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  await push(shard, 'victim', [{ __name__: 'own' }]);
  await push(shard, 'other', [{ __name__: 'others' }]);
  const segment = files(at, '.wal').at(-1)!;
  const records = recordsOf(at, segment);
  const lsn = records.at(-1)!.lsn;
  const labels = encodeLabels(Labels.of({ __name__: 'stolen' }));
  const stolen = Buffer.concat([
    Buffer.from([0, 0, 1, labels.length]),
    labels,
    Buffer.alloc(4),
    Buffer.from([0x11, 2, 2, 2]),
  ]);
  const wrong = [
    note(lsn + 1, { tenant: [0, 'thief'] }),
    note(lsn + 2, { tenant: [7, 'victim'] }),
    note(lsn + 3, { tenant: [2 ** 40, 'far'] }),
    { type: WAL_OPS, lsn: lsn + 4, payload: stolen }, // ref 0 is the victim's
    { type: WAL_NOTE, lsn: lsn + 5, payload: Buffer.from('{"tenant":') },
    note(lsn + 6, { tenant: ['0', 'x'] }),
    note(lsn + 7, { nothing: 1 }),
    { type: 77, lsn: lsn + 8, payload: Buffer.from('?') },
  ];
  writeRecords(at, segment, [...records, ...wrong]);
  const again = open(at);
  assert.deepEqual(await metrics(again, 'victim'), ['own']);
  assert.deepEqual(await metrics(again, 'other'), ['others']);
  assert.equal(again.head.tenant('thief'), undefined);
  assert.equal(again.head.tenant('far'), undefined);
  assert.equal(again.stats().walLosses, wrong.length);
  assert.equal(again.lines.filter(({ level }) => level === 'error').length, wrong.length);
  await again.close({ checkpoint: false });
});

test('exemplars stand in log and checkpoint without their labels again and again, and do not stop anybody’s writes', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  const result = await shard.push('attacker', exemplarFrames(20_000, 54_000), LIMITS);
  assert.equal(result.exemplarsLost, 0);
  assert.ok(shard.stats().walBytes < 2_000_000, `${shard.stats().walBytes} bytes`);
  await push(shard, 'victim', [{ __name__: 'up' }]);
  // two series whose exemplars take turns
  for (let i = 0; i < 50; i++) {
    for (const name of ['y', 'z']) {
      const frames = exemplarFrames(1, 54_000, name);
      new DataView(frames.buffer).setFloat64(frames.length - 24, T + i, true);
      await shard.push('attacker', frames, LIMITS);
    }
  }
  const count = shard.head.exemplars.count;
  assert.ok(count >= 20_002);
  await shard.checkpoint();
  const [checkpoint] = files(at, '.ckp');
  assert.ok(fs.statSync(checkpoint!).size < 2_000_000, `${fs.statSync(checkpoint!).size} bytes`);
  const again = open(at);
  await again.ready;
  assert.equal(again.head.exemplars.count, count);
  assert.deepEqual(
    [...again.head.exemplars.of(0)].map(({ exemplars }) => exemplars.length).sort(),
    [...shard.head.exemplars.of(0)].map(({ exemplars }) => exemplars.length).sort(),
  );
  await again.close({ checkpoint: false });
});

test('what comes during replay is split into records, also within a series, and is there afterwards', async () => {
  const at = folder();
  const first = open(at);
  await push(first, 'u', [{ __name__: 'a' }]);
  await first.ready;
  const shard = open(at);
  assert.equal(shard.state, 'replaying');
  const samples = Array.from({ length: 200_000 }, (_, i) => [T + i, i] as const);
  await shard.push('t', testFrames([{ labels: { __name__: 'long' }, samples }]), LIMITS);
  await shard.push('t', exemplarFrames(100_000, 1000), LIMITS);
  const sizes = recordsOf(at, files(at, '.wal').at(-1)!).filter(({ type }) => type === WAL_STAGED);
  assert.ok(sizes.length >= 5 && sizes.every(({ payload }) => payload.length < 1.1 * 1024 * 1024));
  await assert.rejects(shard.push('t', exemplarFrames(1, 300_000), LIMITS), isTooLarge);
  await assert.rejects(shard.push('t', histogramFrames(200_000), LIMITS), isTooLarge);
  await shard.ready;
  for (const one of [shard, open(at)]) {
    await one.ready;
    assert.equal(one.head.kernel.exports.seriesLastTime(1), T + 199_999);
    assert.equal(one.head.exemplars.count, 100_000);
    assert.equal(one.stats().walLosses, 0);
    await one.close({ checkpoint: false });
  }
});

const isTooLarge = (error: unknown) => error instanceof AppError && error.facts.http === 413;

test('what no record can hold is refused alone, with the limit’s name, and nothing waits for it', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  await assert.rejects(shard.push('t', histogramFrames(200_000), LIMITS), /sample_bytes_max/);
  await push(shard, 'victim', [{ __name__: 'up' }]);
  await assert.rejects(shard.push('t', exemplarFrames(1, 300_000), LIMITS), /labels_bytes_max/);
  await push(shard, 'victim', [{ __name__: 'up' }], T + 1);
  const long = await push(shard, 't', [{ __name__: 'm', a: 'a'.repeat(300_000) }, { __name__: 'short' }]);
  assert.deepEqual([long.counts[0], long.refused], [1, 1]);
  await push(shard, 'victim', [{ __name__: 'up' }], T + 2);
  assert.equal(shard.stats().commitFailures, 0);
  const again = open(at);
  assert.deepEqual(await metrics(again, 't'), ['short']);
  assert.deepEqual(await metrics(again, 'victim'), ['up']);
  await again.close({ checkpoint: false });
});

function entry(i: number, bytes: number): MetricMetadata {
  return { metric: `m${i}`, type: 'gauge', help: 'h'.repeat(bytes), unit: '' };
}

test('checkpoints hold any number of tenants and metadata, in records of bounded size', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  const id = (i: number) => `t${String(i).padStart(149, '0')}`;
  for (let i = 0; i < 20_000; i++) shard.head.addTenant(id(i));
  await push(shard, id(19_999), [{ __name__: 'last' }]);
  await shard.setMetadata(
    id(5),
    Array.from({ length: 5000 }, (_, i) => entry(i, 3000)),
  );
  assert.ok(shard.head.metadata.bytes > 15_000_000 && shard.head.bytes > shard.head.metadata.bytes);
  await shard.checkpoint();
  const [checkpoint] = files(at, '.ckp');
  const records = recordsOf(at, checkpoint!);
  assert.ok(records.length > 50 && records.every(({ payload }) => payload.length < 1024 * 1024));
  const again = open(at);
  assert.deepEqual(await metrics(again, id(19_999)), ['last']);
  assert.equal(again.head.tenants.length, 20_000);
  assert.deepEqual(again.metadata.of(id(5)), shard.metadata.of(id(5)));
  assert.equal(again.head.metadata.bytes, shard.head.metadata.bytes);
  await again.close({ checkpoint: false });
});

test('a tenant that comes while a checkpoint is written has its series in it', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  await push(
    shard,
    'a',
    Array.from({ length: 9000 }, (_, i) => ({ __name__: 'm', i: String(i) })),
  );
  const pushes: Promise<unknown>[] = [];
  const disk = { ...realDisk };
  // each turn of the checkpoint lets another tenant in
  const timer = setInterval(() => {
    if (pushes.length < 30) pushes.push(push(shard, `new${pushes.length}`, [{ __name__: 'm' }]));
  }, 0);
  for (let i = 0; i < 5; i++) await shard.checkpoint();
  clearInterval(timer);
  await Promise.all(pushes);
  const again = open(at, { disk });
  await again.ready;
  for (let i = 0; i < pushes.length; i++) assert.deepEqual(await metrics(again, `new${i}`), ['m']);
  assert.equal(again.stats().walLosses, 0);
  await again.close({ checkpoint: false });
});

test('a series with more chunks than a record is checkpointed in parts', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  const random = seededRandom(5);
  for (let i = 0; i < 300_000; i += 10_000) {
    const samples = Array.from({ length: 10_000 }, (_, k) => [T + (i + k) * 100, random()] as const);
    await shard.push(
      't',
      testFrames([
        { labels: { __name__: 'long' }, samples },
        { labels: { __name__: 'short' }, samples: [[T + i, 1]] },
      ]),
      LIMITS,
    );
  }
  await shard.checkpoint();
  const series = recordsOf(at, files(at, '.ckp')[0]!);
  assert.ok(series.length > 5 && series.every(({ payload }) => payload.length <= 1024 * 1024));
  const again = open(at);
  assert.deepEqual(await metrics(again, 't'), ['long', 'short']);
  const export_ = (one: Shard) => {
    const place = buffer.ensure(16 * 1024 * 1024);
    assert.ok(place > 0);
    const { exports } = one.head.kernel;
    const region = new Region(one.head.kernel, 16 * 1024 * 1024);
    return [0, 1].map((ref) => {
      const bytes = exports.exportSeries(ref, 0, 1e15, 0, false, region.at, region.bytes);
      return Buffer.from(one.head.kernel.u8.slice(region.at, region.at + bytes));
    });
  };
  assert.deepEqual(export_(again), export_(shard));
  // and goes on where it was
  await push(again, 't', [{ __name__: 'long' }], T + 1e9);
  await again.close({ checkpoint: true });
});

test('damage at the end of a log is a warning with bytes and samples', async () => {
  for (const [kind, text] of [
    ['zeros', 'cut off what is damaged at the end of the log: what it held is lost'],
    ['cut', 'cut off an unfinished record at the end of the log'],
  ] as const) {
    const at = folder();
    const shard = open(at);
    await shard.ready;
    for (let k = 0; k < 30; k++) {
      await push(
        shard,
        't',
        Array.from({ length: 200 }, (_, i) => ({ __name__: 'w', i: String(i) })),
        T + k * 1000,
      );
    }
    const segment = files(at, '.wal').at(-1)!;
    const bytes = fs.readFileSync(segment);
    fs.writeFileSync(
      segment,
      kind === 'cut' ? bytes.subarray(0, bytes.length - 10) : bytes.fill(0, bytes.length - 4096),
    );
    const again = open(at);
    await again.ready;
    const [line] = again.lines.filter(({ level }) => level === 'warn');
    assert.equal(line?.text, text);
    const lost = again.stats();
    assert.equal(line?.fields?.bytes, lost.walLostBytes);
    const missing = 6000 - lost.replayedSamples;
    assert.ok(
      missing >= 200 && Math.abs(lost.walLostSamples - missing) < 0.6 * missing + 50,
      `${lost.walLostSamples} of ${missing}`,
    );
    assert.equal(lost.walLosses, kind === 'cut' ? 0 : 1);
    // the next start says it no more where nothing was lost
    await push(again, 't', [{ __name__: 'later' }]);
    const third = open(at);
    await third.ready;
    assert.equal(third.lines.filter(({ level }) => level === 'error').length, 0);
    await third.close({ checkpoint: false });
  }
});

test('payloads that say impossible things, behind sums that hold, end nothing and give nobody what is another’s', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  const own = (tenant: string) => Array.from({ length: 20 }, (_, i) => ({ __name__: `${tenant}_m`, i: String(i) }));
  for (const tenant of ['a', 'b']) await push(shard, tenant, own(tenant));
  await shard.setMetadata('a', [entry(1, 10)]);
  await shard.push('b', exemplarFrames(20, 20, 'b_x'), LIMITS);
  await shard.push('a', richFrames('a_h'), LIMITS);
  await shard.checkpoint();
  for (const tenant of ['a', 'b']) await push(shard, tenant, own(tenant), T + 1);
  await shard.push('b', richFrames('b_h'), LIMITS);
  const staging = open(at);
  await push(staging, 'a', own('a'), T + 2);
  await staging.push('b', exemplarFrames(5, 20, 'b_x'), LIMITS);
  const sources = [...files(at, '.ckp'), ...files(at, '.wal')].map((file) => ({
    name: path.basename(file),
    records: recordsOf(at, file),
  }));
  await staging.close({ checkpoint: false });
  await shard.close({ checkpoint: false });
  const random = seededRandom(3);
  const int = (below: number) => Math.floor(random() * below);
  let started = 0;
  for (let round = 0; round < 60; round++) {
    const where = folder();
    fs.copyFileSync(path.join(at, 'log.key'), path.join(where, 'log.key'));
    for (const { name, records } of sources) {
      const changed = records.map((one) => {
        if (random() > 0.15) return one;
        const payload = Buffer.from(one.payload);
        for (let n = int(3); n >= 0; n--) {
          if (payload.length > 0) payload[int(payload.length)] = int(4) === 0 ? 255 : int(256);
        }
        return { ...one, payload: int(4) === 0 ? payload.subarray(0, int(payload.length + 1)) : payload };
      });
      fs.copyFileSync(files(at, name)[0]!, path.join(where, name));
      writeRecords(where, path.join(where, name), changed);
    }
    const again = open(where);
    try {
      await again.ready;
    } catch (error) {
      assert.match(
        (error as Error).message,
        /does not load|holds samples in windows|holds \d+ of \d+ bytes/,
        `round ${round}: ${(error as Error).stack}`,
      );
      continue;
    }
    started++;
    for (const tenant of ['a', 'b']) {
      const other = tenant === 'a' ? 'b_' : 'a_';
      for (const name of await metrics(again, tenant)) {
        // a byte of a name may have changed; the name of the other is 5 bytes away
        assert.ok(!name.startsWith(other) || name.length < 2, `round ${round}: ${tenant} has ${name}`);
      }
    }
    await again.close({ checkpoint: false });
  }
  assert.ok(started > 20, `${started} started`);
});

function richFrames(name: string): Uint8Array {
  const frames = new FrameWriter(kernel);
  const sample: RichSample = {
    timeMs: T + 5,
    startMs: T,
    histogram: floatHistogram({ count: 2, positiveSpans: [{ offset: 0, length: 2 }], positiveBuckets: [1, 1] }),
  };
  frames.aside(
    encodeLabels(Labels.of({ __name__: name })),
    new TextEncoder().encode(name),
    1,
    richPayload([sample]),
    FRAME_ASIDE,
  );
  return frames.bytes.slice();
}

test('without its key a log is not begun anew', async () => {
  const at = folder();
  const shard = open(at);
  await shard.ready;
  await push(shard, 't', [{ __name__: 'm' }]);
  await shard.close({ checkpoint: false });
  const key = path.join(at, 'log.key');
  const bytes = fs.readFileSync(key);
  fs.rmSync(key);
  assert.throws(() => open(at), /log\.key is missing/);
  fs.writeFileSync(key, bytes);
  const again = open(at);
  assert.deepEqual(await metrics(again, 't'), ['m']);
  await again.close({ checkpoint: false });
});

test('notes of later builds, and fields that they add to others, are passed over and lose nothing', async () => {
  const at = folder();
  const shard = open(at);
  await push(shard, 'a', [{ __name__: 'before' }]);
  await shard.checkpoint();
  await push(shard, 'a', [{ __name__: 'after' }]);
  const segment = files(at, '.wal').at(-1)!;
  const records = recordsOf(at, segment);
  const { lsn } = records.at(-1)!;
  writeRecords(at, segment, [
    ...records,
    note(lsn + 1, { later: 'origins', of: [1, 2] }),
    note(lsn + 2, { tenant: [1, 'b'], since: T }),
  ]);
  const again = open(at);
  assert.deepEqual(await metrics(again, 'a'), ['after', 'before']);
  assert.deepEqual([again.stats().walLosses, again.lines.filter(({ level }) => level === 'error')], [0, []]);
});
