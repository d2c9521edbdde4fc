import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkDecoder } from '../../chunk/head-chunk.ts';
import { PACKED_FLAGS } from '../../chunk/head-chunk-flags.ts';
import { HeadSeriesDecoder } from '../../chunk/head-series.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';
import { type Random, seededRandom } from '../../lib/random.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { FrameWriter } from '../../wire/frames.ts';
import { SliceView } from '../../wire/slices.ts';
import { Head } from './head.ts';
import type { HeadTenant } from './tenant-index.ts';

// A head that packs its chunks beside one that does not: every answer and every sample is the same.

const RUNS = Number(process.env.FUZZ_RUNS ?? 20);
const SEED = Number(process.env.FUZZ_SEED ?? 1);
const WINDOW_MS = 600_000;
const START_MS = 1_790_000_400_000;
const SERIES = 6;
const EVER = 1e15;

const kernel = Kernel.create();
const frames = new FrameWriter(kernel);
const chunks = new ChunkDecoder(kernel);
const whole = new HeadSeriesDecoder(kernel);
const doubles = new Float64Array(1);
const words = new Int32Array(doubles.buffer);

class TestHead {
  readonly head = new Head({ windowMs: WINDOW_MS, bytesMax: 1e9 });
  readonly tenant: HeadTenant = this.head.addTenant('t');
  readonly #out = new Region(this.head.kernel, 4 * 2 ** 20);

  constructor(packsFrom: number) {
    this.head.kernel.exports.headPacks(packsFrom);
  }

  push(bytes: Uint8Array): readonly number[] {
    const limits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: WINDOW_MS, exemplarsMax: 0 };
    return this.head.ingest(this.tenant, bytes, limits, false, () => this.head.kernel.exports.logTaken()).counts;
  }

  /** A series with its chunks, as a slice. */
  slice(ref: number, packed: boolean, from = -EVER, to = EVER): Uint8Array {
    const { exports } = this.head.kernel;
    const bytes = exports.exportSeries(ref, from, to, 0, packed, this.#out.at, this.#out.bytes);
    assert.ok(bytes >= 0);
    return this.head.kernel.u8.slice(this.#out.at, this.#out.at + bytes);
  }

  /** Which series have a sample in a range that is not stale at its end. */
  newest(from: number, to: number): number[] {
    const refs = this.#out.at;
    for (let ref = 0; ref < SERIES; ref++) this.head.kernel.view.setUint32(refs + 4 * ref, ref, true);
    const { exports } = this.head.kernel;
    assert.equal(exports.newestSamples(refs, SERIES, from, to, refs + 64), SERIES);
    return [...this.head.kernel.u8.subarray(refs + 64, refs + 64 + SERIES)];
  }

  /** Where a list of this ref alone lies. */
  refs(ref: number): number {
    this.head.kernel.view.setUint32(this.#out.at, ref, true);
    return this.#out.at;
  }

  saved(ref: number): Uint8Array {
    const bytes = this.head.kernel.exports.saveSeries(ref, 0, false, this.#out.at, this.#out.bytes);
    assert.ok(bytes > 0);
    return this.head.kernel.u8.slice(this.#out.at, this.#out.at + bytes);
  }

  /** A head with the same windows, and no series. */
  empty(packsFrom: number): TestHead {
    const other = new TestHead(packsFrom);
    other.tenant.newestMs = this.tenant.newestMs;
    const { exports } = this.head.kernel;
    for (let id = 1; id < exports.arenaCount(); id++) {
      assert.ok(other.head.kernel.exports.arenaMake(id, BigInt(exports.arenaWindow(id))));
    }
    return other;
  }

  load(saved: Uint8Array): number {
    return this.head.kernel.exports.loadSeries(this.#out.put(saved), saved.length);
  }
}

function textOf({ count, times, values, kinds, plain }: SampleColumns): string[] {
  const bits = new BigUint64Array(values.buffer, values.byteOffset, count);
  return Array.from({ length: count }, (_, i) => {
    const isStale = !plain && kinds[i] !== 0;
    return `${times[i]} ${isStale ? 'stale' : bits[i]!.toString(16)}`;
  });
}

/** The samples of a slice's only series. With `asWhole` by the kernel's way for a whole series, where that does. */
function samplesOf(slice: Uint8Array, asWhole: boolean, from = -EVER, to = EVER): string[] {
  const out = new SampleColumns();
  const view = new SliceView(slice);
  if (!view.next()) return [];
  if (!asWhole || !whole.read(slice, view.chunksFrom, view.chunksTo, from, to, out)) {
    chunks.read(view.chunks, from, to, out);
  }
  return textOf(out);
}

const flagsOf = (slice: Uint8Array) => {
  const view = new SliceView(slice);
  return view.next() ? view.chunks.map(({ flags }) => flags) : [];
};

const countOf = (slice: Uint8Array) => {
  const view = new SliceView(slice);
  return view.next() ? view.chunkCount : 0;
};

/** A request of one series with `count` samples, a second apart. */
function secondsOf(count: number): Uint8Array {
  frames.clear();
  frames.series(encodeLabels(Labels.of({ __name__: 'm' })), Buffer.from('m'), count);
  for (let i = 0; i < count; i++) {
    doubles[0] = i;
    frames.sample(START_MS + 1000 * i, words[1]!, words[0]!);
  }
  return frames.bytes.slice();
}

function timeBytes(timeMs: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(timeMs));
  return bytes;
}

type Values = (random: Random, before: number) => number;
const VALUES: readonly Values[] = [
  (_, before) => before,
  (random, before) => before + Math.floor(random() * 100),
  (random, before) => before + Math.floor(random() * 1000) - 500,
  (random) => Math.floor(random() * 10_000) / 100,
  (random) => random() * 10 ** Math.floor(random() * 600 - 300),
  (random, before) => (random() < 0.9 ? before : random()),
  (random) => [0, -0, Number.NaN, Number.POSITIVE_INFINITY, -1, 5e-324, 2 ** 53, -(2 ** 60)][Math.floor(random() * 8)]!,
];

class Sender {
  readonly #random: Random;
  readonly #stepMs: number;
  readonly #jitterMs: number;
  readonly #kinds: number[];
  readonly #values = Array.from({ length: SERIES }, () => 0);
  nowMs = START_MS;

  constructor(random: Random) {
    this.#random = random;
    this.#kinds = Array.from({ length: SERIES }, () => this.#below(VALUES.length));
    this.#stepMs = [1000, 15_000, 1][this.#below(3)]!;
    this.#jitterMs = [0, 5, 700, 40_000][this.#below(4)]!;
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  /** A request; all series have one sample or more, mostly of the same times. */
  request(): Uint8Array {
    const random = this.#random;
    frames.clear();
    const count = 1 + this.#below(40);
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      this.nowMs += this.#stepMs + this.#below(this.#jitterMs + 1);
      if (random() < 0.004) this.nowMs += WINDOW_MS;
      times.push(this.nowMs);
    }
    for (let s = 0; s < SERIES; s++) {
      const labels = Labels.of({ __name__: 'm', s: String(s) });
      frames.series(encodeLabels(labels), Buffer.from('m'), times.length);
      for (const time of times) {
        if (random() < 0.01) this.#kinds[s] = this.#below(VALUES.length);
        doubles[0] = this.#values[s] = VALUES[this.#kinds[s]!]!(random, this.#values[s]!);
        const isStale = random() < 0.005;
        if (isStale) words.set([2, 0x7ff00000]);
        frames.sample(random() < 0.01 ? time - this.#below(2 * WINDOW_MS) : time, words[1]!, words[0]!);
      }
    }
    return frames.bytes.slice();
  }
}

function run(seed: number): { packed: number; shared: boolean } {
  const random = seededRandom(seed);
  const packsFrom = [160, 160, 3, 17, 40, 1][seed % 6]!;
  const packing = new TestHead(packsFrom);
  const plain = new TestHead(0);
  const sender = new Sender(random);
  const sent: Uint8Array[] = [];
  let packed = 0;
  for (let step = 0; step < 30; step++) {
    const request = random() < 0.1 && sent.length > 0 ? sent[Math.floor(random() * sent.length)]! : sender.request();
    sent.push(request);
    assert.deepEqual(packing.push(request), plain.push(request), `seed ${seed}, step ${step}: answers`);
  }
  const span = sender.nowMs - START_MS;
  for (let i = 0; i < 40; i++) {
    const to = START_MS + Math.floor(random() * 1.1 * span);
    const from = to - Math.floor(random() * span * 0.2);
    assert.deepEqual(packing.newest(from, to), plain.newest(from, to), `seed ${seed}: newest from ${from} to ${to}`);
  }
  const other = packing.empty(packsFrom);
  for (let ref = 0; ref < SERIES; ref++) {
    const slice = packing.slice(ref, true);
    packed += flagsOf(slice).filter((flags) => flags === PACKED_FLAGS).length;
    const xor = packing.slice(ref, false);
    assert.ok(!flagsOf(xor).includes(PACKED_FLAGS));
    const want = samplesOf(plain.slice(ref, true), false);
    for (const asWhole of [true, false]) {
      assert.deepEqual(samplesOf(slice, asWhole), want, `seed ${seed}, series ${ref}`);
      assert.deepEqual(samplesOf(xor, asWhole), want, `seed ${seed}, series ${ref} as XOR`);
      const from = START_MS + Math.floor(random() * span);
      const to = from + Math.floor(random() * span * 0.3);
      const part = samplesOf(packing.slice(ref, true, from, to), asWhole, from, to);
      assert.deepEqual(part, samplesOf(plain.slice(ref, true, from, to), false, from, to));
    }
    const saved = packing.saved(ref);
    assert.equal(other.load(saved), saved.length);
    assert.deepEqual(other.saved(ref), saved);
  }
  // goes on the same after it was loaded
  const more = sender.request();
  assert.deepEqual(other.push(more), packing.push(more));
  for (let ref = 0; ref < SERIES; ref++) assert.deepEqual(other.saved(ref), packing.saved(ref));
  const { exports } = packing.head.kernel;
  const pages = exports.pagesUsed();
  for (let id = 1; id < exports.arenaCount(); id++) packing.head.dropArena(id);
  // what another arena has under the same number is not taken for what was
  for (const request of sent) packing.push(request);
  for (let ref = 0; ref < SERIES; ref++) packing.slice(ref, true);
  return { packed, shared: exports.pagesUsed() <= pages + 8 };
}

test(`a head that packs answers as one that does not (${RUNS} runs from seed ${SEED})`, () => {
  let packed = 0;
  for (let i = 0; i < RUNS; i++) packed += run(SEED + i).packed;
  assert.ok(packed > 100 * (RUNS / 20), `${packed} packed chunks`);
});

test("limits count a series' chunks as if none were cut", () => {
  const [packing, plain] = [10, 0].map((packsFrom) => {
    const head = new TestHead(packsFrom);
    head.push(secondsOf(900));
    return head;
  });
  assert.ok(flagsOf(packing!.slice(0, true)).length > 80);
  for (const packed of [true, false]) assert.equal(countOf(packing!.slice(0, packed)), 2);
  assert.equal(countOf(plain!.slice(0, true)), 2);
  const to = START_MS + 300_000;
  assert.equal(countOf(packing!.slice(0, true, START_MS, to)), countOf(plain!.slice(0, true, START_MS, to)));
});

test('a checkpoint whose chunk has other times than it says is refused', () => {
  const head = new TestHead(160);
  head.push(secondsOf(200));
  const saved = head.saved(0);
  assert.ok(head.empty(160).load(saved) > 0);
  // behind the open chunk comes the packed one, whose first time is that of the first sample
  const at = Buffer.from(saved).lastIndexOf(timeBytes(START_MS));
  assert.ok(at > 0);
  for (const each of [at, at + 8]) {
    const wrong = saved.slice();
    wrong[each]!++;
    assert.ok(head.empty(160).load(wrong) < 0);
  }
});

test('damaged packed chunks are refused or read as something, from slices and from checkpoints', () => {
  const random = seededRandom(3);
  for (let seed = 0; seed < 4; seed++) {
    const head = new TestHead([160, 20, 3, 100][seed]!);
    const sender = new Sender(seededRandom(seed));
    for (let step = 0; step < 12; step++) head.push(sender.request());
    for (let i = 0; i < 60; i++) {
      const ref = i % SERIES;
      const slice = head.slice(ref, true);
      const view = new SliceView(slice);
      view.next();
      const saved = head.saved(ref);
      for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
        slice[view.chunksFrom + Math.floor(random() * (slice.length - view.chunksFrom))] = Math.floor(random() * 256);
        saved[40 + Math.floor(random() * (saved.length - 40))] = Math.floor(random() * 256);
      }
      try {
        whole.read(slice, view.chunksFrom, view.chunksTo, -EVER, EVER, new SampleColumns());
      } catch (error) {
        assert.match(String(error), /a chunk of the head does not decode/);
      }
      const other = head.empty(160);
      if (other.load(saved) < 0) continue;
      other.head.kernel.exports.newestSamples(other.refs(ref), 1, -EVER, sender.nowMs - 1e5, other.refs(ref) + 64);
      try {
        samplesOf(other.slice(ref, true), true);
      } catch (error) {
        assert.match(String(error), /a chunk of the head does not decode/);
      }
    }
  }
});
