import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { crc32c } from '../../../lib/crc32c.ts';
import { seededRandom } from '../../../lib/random.ts';
import { floatHistogram } from '../../../model/histogram.ts';
import { Labels } from '../../../model/labels.ts';
import { SampleColumns } from '../../../storage/columns.ts';
import { Block, blockFolders } from './block.ts';
import { BlockDamaged } from './block-file.ts';
import { BlockWriter } from './block-writer.ts';
import { ulidOf } from './ulid.ts';

const START_MS = Date.UTC(2026, 9, 1);
const folder = mkdtempSync(join(tmpdir(), 'pallium-blocks-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const SPECIAL = [0, -0, 1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 5e-324, 0.1, -1e308];

/** Floats, stale markers, histograms, and a series that has both kinds. */
function samplesOf(k: number): SampleColumns {
  const columns = new SampleColumns();
  for (let i = 0; i < 300 + k; i++) {
    const timeMs = START_MS + i * 15_000 + (i % 7);
    if (k % 5 === 4 || (k % 5 === 3 && i > 200)) {
      const buckets = [i, 2 * i + k, 0.5];
      columns.pushHistogram(
        timeMs,
        floatHistogram({
          schema: i > 250 ? -53 : 2,
          count: 3 * i + k + 0.5,
          sum: i / 3,
          positiveSpans: [{ offset: i > 250 ? 0 : -3, length: 3 }],
          positiveBuckets: buckets,
          customValues: i > 250 ? [1, 2.5] : [],
        }),
      );
    } else if (i % 100 === 99) columns.pushStale(timeMs);
    else columns.pushFloat(timeMs, k === 0 ? SPECIAL[i % SPECIAL.length]! : i * k);
  }
  return columns;
}

function labelsOf(k: number): Labels {
  return Labels.of({ __name__: `m${k % 3}`, Upper: `${k}`, 'utf8.näme': '\u{1f308}"\n', empty: k === 1 ? '' : 'x' });
}

/** Everything that can be seen of samples. */
function shown({ count, times, values, kinds, plain, histograms }: SampleColumns): unknown[] {
  return Array.from({ length: count }, (_, i) => {
    // where a chunk begins nobody knows of a reset
    const histogram = histograms[i] && { ...histograms[i], resetHint: 'unknown' };
    const value = Object.is(values[i], -0) ? '-0' : String(values[i]);
    return [times[i], value, plain ? 0 : kinds[i], histogram];
  });
}

function write(name: string, series = [7, 0, 3, 1, 9, 2, 4, 8, 5, 6]): string {
  const parent = join(folder, name);
  const writer = new BlockWriter(parent, ulidOf(START_MS, seededRandom(1)));
  // in no order
  for (const k of series) writer.add(labelsOf(k), samplesOf(k));
  writer.end();
  assert.deepEqual(readdirSync(parent), [writer.folder.slice(parent.length + 1)]);
  return writer.folder;
}

function readAll(path: string): Map<string, unknown[]> {
  const block = Block.open(path);
  try {
    const out = new SampleColumns();
    const found = new Map<string, unknown[]>();
    for (const series of block.series()) {
      block.read(series, out);
      found.set(Labels.fromSortedPairs(series.pairs).toString(), shown(out));
    }
    return found;
  } finally {
    block.close();
  }
}

test('what is written as a block is read the same', () => {
  const path = write('same');
  assert.deepEqual(blockFolders(join(folder, 'same')), [path]);
  assert.deepEqual(blockFolders(path), [path]);
  const found = readAll(path);
  assert.deepEqual(found.size, 10);
  for (let k = 0; k < 10; k++) assert.deepEqual(found.get(labelsOf(k).toString()), shown(samplesOf(k)));
  const { meta } = Block.open(path);
  assert.deepEqual(meta.stats, { numSamples: 3045, numSeries: 10, numChunks: meta.stats.numChunks });
  assert.deepEqual([meta.minMs, meta.maxMs], [START_MS, START_MS + 308 * 15_000 + 1]);
  const none = new BlockWriter(join(folder, 'none'), ulidOf(START_MS, Math.random));
  none.end();
  assert.throws(() => blockFolders(join(folder, 'none')), /is no block and has none in it/);
});

test('tombstones of a block are kept to', () => {
  const path = write('tombstones');
  const block = Block.open(path);
  const series = [...block.series()].find(({ pairs }) => pairs.includes('2'))!;
  block.close();
  const { times, count } = samplesOf(2);
  const varint = (value: number) => {
    const out: number[] = [];
    for (let left = BigInt(value); ; left >>= 7n) {
      if (left < 128n) return [...out, Number(left)];
      out.push(Number(left & 127n) | 128);
    }
  };
  const body = Uint8Array.from([...varint(series.id), ...varint(2 * times[10]!), ...varint(2 * times[count - 10]!)]);
  const all = Buffer.alloc(5 + body.length + 4);
  all.writeUInt32BE(0x0130ba30);
  all[4] = 1;
  all.set(body, 5);
  all.writeUInt32BE(crc32c(body), 5 + body.length);
  writeFileSync(join(path, 'tombstones'), all);
  const whole = shown(samplesOf(2));
  assert.deepEqual(readAll(path).get(labelsOf(2).toString()), [...whole.slice(0, 10), ...whole.slice(count - 9)]);
  all[all.length - 1]! ^= 1;
  writeFileSync(join(path, 'tombstones'), all);
  assert.throws(() => Block.open(path), /tombstones is damaged at 5: the checksum/);
});

test('what is wrong with a block is named by file and place', () => {
  const path = write('wrong');
  const wrong = (file: string, change: (bytes: Buffer) => Buffer | string, message: RegExp) => {
    const whole = readFileSync(join(path, file));
    writeFileSync(join(path, file), change(Buffer.from(whole)));
    assert.throws(() => readAll(path), message);
    writeFileSync(join(path, file), whole);
  };
  const flip = (at: number) => (bytes: Buffer) => {
    bytes[at < 0 ? bytes.length + at : at]! ^= 4;
    return bytes;
  };
  wrong('meta.json', () => '{"version":2}', /meta\.json is damaged at 0: version 2, known is 1/);
  wrong('meta.json', () => '{', /meta\.json is damaged at 0: /);
  wrong('index', flip(1), /index is damaged at 0: it begins with 0xbaaed700/);
  wrong('index', flip(4), /index is damaged at 4: format version 6, known is 2/);
  wrong('index', flip(-5), /index is damaged at \d+: the checksum of 48 bytes differs/);
  wrong('index', flip(20), /index is damaged at 9: the checksum/);
  wrong('index', (bytes) => bytes.subarray(0, bytes.length - 1), /index is damaged/);
  wrong('index', () => Buffer.alloc(0), /index is damaged at 0: 5 bytes are wanted, and it has 0/);
  wrong('chunks/000001', flip(40), /000001 is damaged at 10: the checksum of \d+ bytes differs/);
  wrong('chunks/000001', (bytes) => bytes.subarray(0, 60), /000001 is damaged at \d+: \d+ bytes are wanted/);
  rmSync(join(path, 'chunks/000001'));
  assert.throws(() => readAll(path), /index is damaged at \d+: a chunk in file 1 of 0 of chunks/);
});

test('bytes that were changed are read or refused as damage, also behind checksums that hold', () => {
  const path = write('fuzz', [3, 0]);
  const seed = Number(process.env.SEED ?? 7);
  const random = seededRandom(seed);
  const files = ['index', 'chunks/000001'].map((name) => ({ name, whole: readFileSync(join(path, name)) }));
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const { name, whole } = files[round % 2]!;
    const bytes = Buffer.from(whole);
    for (let i = 0; i <= round % 3; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    mendChecksums(name, bytes);
    writeFileSync(join(path, name), random() < 0.1 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes);
    try {
      readAll(path);
    } catch (error) {
      assert.ok(error instanceof BlockDamaged, `seed ${seed}, round ${round}: ${(error as Error).stack}`);
      refused++;
    }
    writeFileSync(join(path, name), whole);
  }
  assert.ok(refused > 100, `${refused} refused`);
});

/** So that what lies behind checksums is looked at: those of chunks, of symbols, of series and of the table of contents. */
function mendChecksums(name: string, bytes: Buffer): void {
  const mend = (from: number, to: number) => {
    if (to + 4 <= bytes.length) bytes.writeUInt32BE(crc32c(bytes.subarray(from, to)), to);
  };
  const lengthAt = (at: number): [length: number, size: number] => {
    let length = 0;
    for (let size = 0; size < 5; size++) {
      length += ((bytes[at + size] ?? 0) & 127) * 128 ** size;
      if ((bytes[at + size] ?? 0) < 128) return [length, size + 1];
    }
    return [0, 5];
  };
  if (name !== 'index') {
    for (let at = 8; at < bytes.length; ) {
      const [length, size] = lengthAt(at);
      mend(at + size, at + size + 1 + length);
      at += size + 1 + length + 4;
    }
    return;
  }
  mend(bytes.length - 52, bytes.length - 4);
  mend(9, 9 + bytes.readUInt32BE(5));
  const to = Number(bytes.readBigUInt64BE(bytes.length - 20) & 0xffffffffn);
  for (let at = Math.ceil((9 + bytes.readUInt32BE(5) + 4) / 16) * 16; at < Math.min(to, bytes.length); ) {
    const [length, size] = lengthAt(at);
    mend(at + size, at + size + length);
    at = Math.ceil((at + size + length + 4) / 16) * 16;
  }
}

test('a block of Prometheus with start timestamps is read, with those of histograms', () => {
  const recorded = new URL('../../../../test/conformance/data/block-starts.json', import.meta.url);
  const path = join(folder, 'starts');
  mkdirSync(join(path, 'chunks'), { recursive: true });
  for (const [name, text] of Object.entries<string>(JSON.parse(readFileSync(recorded, 'utf8')))) {
    writeFileSync(join(path, name), Buffer.from(text, 'base64'));
  }
  const block = Block.open(path);
  const out = new SampleColumns();
  const names: string[] = [];
  for (const series of block.series()) {
    const labels = Labels.fromSortedPairs(series.pairs);
    names.push(labels.metricName);
    block.read(series, out);
    assert.equal(out.count, 30);
    for (let i = 0; i < out.count; i++) {
      const value = labels.metricName === 'floats' ? out.values[i] : out.histograms[i]!.sum;
      const startMs = 1767225599000 + Math.floor(i / 10) * 150_000;
      assert.deepEqual(
        [out.times[i], value, out.starts[i]],
        [1767225600000 + i * 15_000, i, startMs],
        `${labels}, ${i}`,
      );
      if (labels.metricName === 'floats') continue;
      const { count, positiveBuckets } = out.histograms[i]!;
      assert.deepEqual([count, positiveBuckets], [2 * i, [i, i]], `${labels}, ${i}`);
    }
  }
  block.close();
  assert.deepEqual(names, ['floats', 'fractions', 'whole']);
});

test('a chunk in an encoding of a later Prometheus is named as unknown, not as damage', () => {
  const path = write('later', [0]);
  const file = join(path, 'chunks/000001');
  const bytes = readFileSync(file);
  // behind the file's header and the first chunk's length, which takes two bytes
  assert.equal(bytes[10], 1);
  bytes[10] = 9;
  mendChecksums('chunks/000001', bytes);
  writeFileSync(file, bytes);
  assert.throws(
    () => readAll(path),
    (error: Error) => {
      assert.match(error.message, /chunks\/000001 has a chunk at 8 in encoding 9, which this version does not know/);
      assert.doesNotMatch(error.message, /damage/);
      return true;
    },
  );
});
