import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../../chunk/kernel.ts';
import { ChunkStoreReader } from '../../chunkstore/reader.ts';
import { StoredSamples } from '../../chunkstore/stored-samples.ts';
import { testContext } from '../../chunkstore/test-series.ts';
import { highWord, lowWord } from '../../lib/float-bits.ts';
import { type Random, seededRandom, shuffled } from '../../lib/random.ts';
import { encodeLabels } from '../../model/canonical.ts';
import type { FloatHistogram } from '../../model/histogram.ts';
import { Labels } from '../../model/labels.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { FRAME_ASIDE } from '../../wire/frame-layout.ts';
import { FrameWriter } from '../../wire/frames.ts';
import type { RichSample } from '../../wire/rich-samples.ts';
import { columnTexts, floatOf, histogramText, randomHistogram, richPayload } from '../head/test-rich.ts';
import { cluster, DAY, MINUTE, type Sample, START_MS, textOf } from './test-holders.ts';

// The same samples give the same groups, whatever order they came in and however the heads that hold them cut their chunks.

const kernel = Kernel.create();

test('metrics of many series, with samples that come in any order, give the same groups', async (t) => {
  const { store, holders } = cluster(t);
  // digests would tell without encoding
  t.mock.method(StoredSamples.prototype, 'tallies', async () => []);
  const random = seededRandom(5);
  const samples: Sample[] = [];
  for (let series = 0; series < 7_000; series++) {
    const timeMs = START_MS + 1000 + Math.floor(random() * 60) * MINUTE;
    samples.push({ metric: series % 20 === 0 ? 'few' : 'many', series, timeMs, value: series });
    if (series % 7 === 0) samples.push({ metric: 'more', series, timeMs: timeMs + 1, value: 1 });
  }
  for (const holder of holders) {
    const order = shuffled(samples, random);
    for (let at = 0; at < order.length; at += 3_000) await holder.push(order.slice(at, at + 3_000));
  }
  for (const [i, holder] of holders.entries()) {
    const report = (await holder.flush(true))!;
    assert.deepEqual(report.failures, []);
    assert.equal(report.groups > 0, i === 0, `holder ${i} wrote ${report.groups} groups`);
    // one look-up of an id is enough
    if (i === 0) t.mock.method(StoredSamples.prototype, 'missing', () => assert.fail('the store has other groups'));
  }
  assert.equal(await store.samplesWritten(), samples.length);
  assert.deepEqual(await store.read(), samples.map(textOf).sort());
});

/** Samples of a series, ascending: histograms of any kind, floats, some with a start timestamp. */
function richSeries(random: Random): RichSample[] {
  const kind = random();
  const out: RichSample[] = [];
  let before: FloatHistogram | undefined;
  for (let i = 0; i < 60; i++) {
    if (random() < 0.1) continue;
    const timeMs = START_MS + 1000 + i * MINUTE;
    const startMs = kind < 0.5 && random() < 0.8 ? START_MS - 5000 : 0;
    const value = Math.floor(random() * 100);
    if (kind > 0.8 || (kind > 0.6 && random() < 0.2)) {
      out.push({ timeMs, startMs: startMs + 1, high: highWord(value), low: lowWord(value) });
    } else if (random() < 0.05) out.push({ timeMs, startMs: 0, histogram: undefined });
    else {
      const histogram = randomHistogram(random, before);
      before = floatOf(histogram);
      out.push({ timeMs, startMs, histogram });
    }
  }
  return out;
}

test('histograms and start timestamps, whose chunks end elsewhere in each head, give the same groups', async (t) => {
  const random = seededRandom(11);
  const { store, holders } = cluster(t);
  const all = Array.from({ length: 30 }, (_, i) => ({
    labels: Labels.of({ __name__: `m${i % 3}`, host: `${i}` }),
    samples: richSeries(random),
  }));
  const first: Sample = { metric: 'z', series: 0, timeMs: START_MS + 61 * MINUTE, value: 1 };
  for (const [h, holder] of holders.entries()) {
    await holder.push([first]);
    for (const { labels, samples } of all) {
      // in order at once; in order, request by request, with a restart; in any order
      const order = h === 2 ? shuffled(samples, random) : samples;
      for (let at = 0; at < order.length; ) {
        const count = h === 0 ? order.length : 1 + Math.floor(random() * 20);
        const part = order.slice(at, at + count);
        const frames = new FrameWriter(kernel);
        frames.aside(encodeLabels(labels), Buffer.from(labels.metricName), part.length, richPayload(part), FRAME_ASIDE);
        await holder.pushFrames(frames.bytes.slice(), part.length);
        at += count;
      }
    }
    if (h === 1) await holder.restart();
  }
  for (const [i, holder] of holders.entries()) {
    const report = (await holder.flush(true))!;
    assert.deepEqual(report.failures, []);
    assert.equal(report.groups, i === 0 ? 1 : 0, `holder ${i}`);
    if (i === 0) t.mock.method(StoredSamples.prototype, 'missing', () => assert.fail('the store has other groups'));
  }
  const reader = new ChunkStoreReader(store.schema, kernel, store.clock);
  const set = await reader.select('t', { matchers: [], startMs: START_MS, endMs: START_MS + DAY }, testContext());
  assert.equal(set.series.length, all.length + 1);
  const out = new SampleColumns();
  for (const [i, labels] of set.series.entries()) {
    set.read(i, out);
    if (labels.metricName === 'z') continue;
    // says also that what hints claim is so
    const texts = columnTexts(out);
    const { samples } = all.find((each) => each.labels.equals(labels))!;
    assert.equal(out.count, samples.length);
    for (const sample of samples) {
      if (!('histogram' in sample) || sample.histogram === undefined) continue;
      assert.equal(texts.get(sample.timeMs), `${histogramText(floatOf(sample.histogram))} ${sample.startMs}`);
    }
  }
  set.close();
});
