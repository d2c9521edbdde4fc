import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ChunkDecoder } from '../../chunk/head-chunk.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { systemClock } from '../../lib/clock.ts';
import { type Random, seededRandom } from '../../lib/random.ts';
import { decodeLabels, encodeLabels } from '../../model/canonical.ts';
import type { FloatHistogram } from '../../model/histogram.ts';
import { Labels } from '../../model/labels.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { FRAME_ASIDE } from '../../wire/frame-layout.ts';
import { FrameWriter } from '../../wire/frames.ts';
import { isRichHistogram, type RichSample } from '../../wire/rich-samples.ts';
import { SliceView } from '../../wire/slices.ts';
import { realDisk } from '../log/disk.ts';
import { Shard } from '../shard/shard.ts';
import { shardRole } from '../shard/shard-role.ts';
import { PlainHead, type PlainSample } from './test-plain-head.ts';
import { columnTexts, floatOf, histogramOrder, histogramText, randomHistogram, richPayload } from './test-rich.ts';

// Random requests of floats, histograms and start timestamps, restarts, checkpoints, seals and drops: the head beside the plain one,
// which must agree on every answer and on every sample. FUZZ_RUNS and FUZZ_SEED change how much and what.

const RUNS = Number(process.env.FUZZ_RUNS ?? 12);
const SEED = Number(process.env.FUZZ_SEED ?? 1);
const WINDOW_MS = 60_000;

const kernel = Kernel.create();
const frames = new FrameWriter(kernel);
const decoder = new ChunkDecoder(kernel);
const columns = new SampleColumns();
const doubles = new Float64Array(1);
const bits = new BigUint64Array(doubles.buffer);
const words = new Int32Array(doubles.buffer);

function labelsOf(i: number): Labels {
  return Labels.of({ __name__: `metric_${i % 5}`, instance: `host-${i}`, ...(i % 3 === 0 ? { zone: 'a b "c"' } : {}) });
}

function randomValue(random: Random): number {
  const kind = random();
  if (kind < 0.4) return Math.floor(random() * 1000);
  if (kind < 0.6) return random() * 1e-3;
  if (kind < 0.7) return 0;
  if (kind < 0.75) return -0;
  if (kind < 0.8) return Number.POSITIVE_INFINITY;
  if (kind < 0.85) return Math.fround(random());
  if (kind < 0.9) return -Math.floor(random() * 2 ** 50);
  return random() * 10 ** Math.floor(random() * 600 - 300);
}

const STALE_BITS = 0x7ff0000000000002n;

function plainFloat(timeMs: number, valueBits: bigint, startMs: number, rich: boolean): PlainSample {
  return { timeMs, bits: valueBits, rich, startMs, rank: [0, valueBits, startMs] };
}

/** A sample of which the kernel keeps only the time; `last` holds the newest histogram of each series. */
function randomRich(random: Random, timeMs: number, series: string, last: Map<string, FloatHistogram>): RichSample {
  const startMs = random() < 0.3 ? 0 : 1_600_000_000_000 + Math.floor(random() * 3) * 1000;
  if (random() < 0.3) {
    doubles[0] = random() < 0.1 ? Number.NaN : randomValue(random);
    if (random() < 0.05) bits[0] = STALE_BITS;
    return { timeMs, startMs, high: words[1]!, low: words[0]! };
  }
  if (random() < 0.05) return { timeMs, startMs, histogram: undefined };
  const histogram = randomHistogram(random, last.get(series));
  last.set(series, floatOf(histogram));
  return { timeMs, startMs, histogram };
}

function plainRich(sample: RichSample): PlainSample {
  const { timeMs, startMs } = sample;
  if (!isRichHistogram(sample)) {
    words[1] = sample.high;
    words[0] = sample.low;
    return plainFloat(timeMs, bits[0]!, startMs, true);
  }
  if (sample.histogram === undefined) {
    return { timeMs, bits: STALE_BITS, histogram: 'stale histogram', rich: true, startMs, rank: [1, '', startMs] };
  }
  const float = floatOf(sample.histogram);
  const rank = [2, histogramOrder(float), startMs] as const;
  return { timeMs, bits: undefined, histogram: histogramText(float), rich: true, startMs, rank };
}

function plainText({ bits: valueBits, histogram, startMs }: PlainSample): string {
  return `${histogram ?? (valueBits === STALE_BITS ? 'stale' : valueBits!.toString(16))} ${startMs}`;
}

function plainHeld(plain: PlainHead, tenant: string): Map<string, Map<number, string>> {
  const all = new Map<string, Map<number, string>>();
  for (const [series, samples] of plain.held(tenant)) {
    all.set(series, new Map([...samples].map(([timeMs, sample]) => [timeMs, plainText(sample)])));
  }
  return all;
}

async function held(shard: Shard, tenant: string): Promise<Map<string, Map<number, string>>> {
  await shard.ready;
  const role = shardRole(shard, systemClock);
  const all = new Map<string, Map<number, string>>();
  const request = { tenant, matchers: [], startMs: -1e15, endMs: 1e15, labelsOnly: false, packed: true };
  for (let slice = (await role.select(request)).value; ; ) {
    for (const series = new SliceView(slice.bytes); series.next(); ) {
      const { labels, chunks } = series;
      decoder.read(chunks, -1e15, 1e15, columns);
      all.set(decodeLabels(labels, 0, labels.length).key, columnTexts(columns));
    }
    if (slice.cursor === 0) return all;
    slice = (await role.selectNext({ cursor: slice.cursor })).value;
  }
}

async function run(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pallium-fuzz-'));
  const open = () => {
    const shard = new Shard({
      folder,
      windowMs: WINDOW_MS,
      headBytesMax: 1e9,
      fsync: 'interval',
      fsyncIntervalMs: 1000,
      keepFlushedMs: 900_000,
      disk: realDisk,
      clock: systemClock,
      log: () => {},
      fatal: (error) => assert.fail(error),
    });
    // chunks here are short; a process packs those of another length than the one before, or none
    shard.head.kernel.exports.headPacks([3, 10, 160, 0][Math.floor(random() * 4)]!);
    return shard;
  };
  let shard = open();
  await shard.ready;
  const plain = new PlainHead(WINDOW_MS);
  const tenants = ['a', 'b'];
  const check = async (what: string) => {
    for (const tenant of tenants) {
      assert.deepEqual(await held(shard, tenant), plainHeld(plain, tenant), `seed ${seed}: ${what}, tenant ${tenant}`);
    }
  };
  let nowMs = 1_700_000_000_000 - (1_700_000_000_000 % WINDOW_MS);
  const lastHistogram = new Map<string, FloatHistogram>();
  let again: { bytes: Uint8Array; samples: { series: string; sample: PlainSample }[] } | undefined;
  const sealedUpTo = { window: Number.NEGATIVE_INFINITY };
  for (let step = 0; step < 60; step++) {
    nowMs += Math.floor(random() * 20_000);
    const action = random();
    if (action < 0.8) {
      const tenant = tenants[Math.floor(random() * tenants.length)]!;
      const outOfOrderMs = random() < 0.3 ? 90_000 : 0;
      frames.clear();
      const samples: { series: string; sample: PlainSample }[] = [];
      for (let s = 0; s < 1 + random() * 8; s++) {
        const labels = labelsOf(Math.floor(random() * 40));
        const count = 1 + Math.floor(random() * 12);
        // within the windows that no drop has touched: what is dropped is only in the store, and the head does not know it
        const low = Math.max(nowMs - 150_000, (sealedUpTo.window + 1) * WINDOW_MS);
        const timeOf = (i: number) =>
          random() < 0.7 ? nowMs + i * 500 : Math.max(low, nowMs - Math.floor(random() * 150_000));
        const name = new TextEncoder().encode(labels.metricName);
        if (random() < 0.35) {
          const rich = Array.from({ length: count }, (_, i) =>
            randomRich(random, timeOf(i), labels.key, lastHistogram),
          );
          frames.aside(encodeLabels(labels), name, count, richPayload(rich), FRAME_ASIDE);
          for (const sample of rich) samples.push({ series: labels.key, sample: plainRich(sample) });
          continue;
        }
        frames.series(encodeLabels(labels), name, count);
        for (let i = 0; i < count; i++) {
          const timeMs = timeOf(i);
          doubles[0] = random() < 0.2 ? Number.NaN : randomValue(random);
          if (random() < 0.05) bits[0] = STALE_BITS;
          frames.sample(timeMs, words[1]!, words[0]!);
          samples.push({ series: labels.key, sample: plainFloat(timeMs, bits[0]!, 0, false) });
        }
      }
      // a sender that did not hear the answer sends the same again, maybe to another tenant
      const request = again !== undefined && random() < 0.1 ? again : { bytes: frames.bytes.slice(), samples };
      again = request;
      const limits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs, exemplarsMax: 100 };
      const got = await shard.push(tenant, request.bytes, limits);
      const want = plain.ingest(tenant, request.samples, outOfOrderMs);
      assert.deepEqual(got.counts, want, `seed ${seed}: answers of step ${step}`);
    } else if (action < 0.85) await shard.checkpoint();
    else if (action < 0.92) {
      if (random() < 0.5) await shard.close({ checkpoint: random() < 0.5 });
      shard = open();
      await shard.ready;
      // replay brings back what was dropped, since the store has it only for a moment
      await shard.dropFlushed();
      await check(`restart at step ${step}`);
    } else {
      const beforeMs = nowMs - 120_000;
      const sealed = await shard.seal(beforeMs);
      for (const { sealLsn, window } of sealed) {
        await shard.confirmFlushed(sealLsn);
        sealedUpTo.window = Math.max(sealedUpTo.window, window);
      }
      if (sealed.length > 0) {
        again = undefined; // may be of a window that only the store has by now
        await shard.dropFlushed();
        for (const { window } of sealed) plain.drop(window);
      }
    }
  }
  await check('the end');
  await shard.close({ checkpoint: true });
  shard = open();
  await shard.ready;
  await shard.dropFlushed();
  await check('the last restart');
  await shard.close({ checkpoint: false });
  fs.rmSync(folder, { recursive: true });
}

test(`the head agrees with the plain one (${RUNS} runs from seed ${SEED})`, async () => {
  for (let i = 0; i < RUNS; i++) await run(SEED + i);
});
