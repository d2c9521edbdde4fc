import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkDecoder, type HeadChunk } from '../chunk/head-chunk.ts';
import { Kernel } from '../chunk/kernel.ts';
import { XorWriter } from '../chunk/xor.ts';
import type { HeadSelect, IngesterClient } from '../contract/ingester.ts';
import { seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import { encodeLabels } from '../model/canonical.ts';
import { Labels } from '../model/labels.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { SampleColumns } from '../storage/columns.ts';
import { ROW_ENTRY_WORDS, ROW_FROM, ROW_LAST, ROW_OTHERWISE } from '../storage/row-layout.ts';
import { StreamBroken } from '../storage/series-stream.ts';
import { SERIES_HEADER_BYTES } from '../wire/slice-layout.ts';
import { SliceSeriesWriter } from '../wire/slices.ts';
import { HeadSource } from './head-source.ts';

/** An ingester of series, one in each slice. */
function ingesterOf(series: readonly Labels[], asked: HeadSelect[] = [], chunks = 0, alone = true): IngesterClient {
  const none = async () => [];
  return {
    async *select(request) {
      asked.push(request);
      for (const [ref, labels] of series.entries()) {
        const encoded = encodeLabels(labels);
        const room = new Uint8Array(SERIES_HEADER_BYTES + encoded.length + 64 + 64 * chunks);
        room.set(encoded, SERIES_HEADER_BYTES);
        const writer = new SliceSeriesWriter(room);
        writer.begin(ref, encoded.length);
        for (let i = 0; i < chunks; i++) writer.chunk({ bytes: new Uint8Array(32), flags: 0 });
        yield { bytes: room.subarray(0, writer.end()), warnings: [], alone };
      }
    },
    labels: async () => ['a'.repeat(1000), 'b'.repeat(1000)],
    metadata: none,
    exemplars: none,
    headStats: async () => undefined,
  };
}

function limited(maxQueryMemoryBytes: number) {
  const budget = new LimitedBudget({ ...DEFAULT_LIMITS, maxQueryMemoryBytes });
  return { budget, signal: new AbortController().signal };
}

const ALL = { matchers: [], startMs: 0, endMs: 1 };

test('long labels count as what they take', async () => {
  const wide = Array.from({ length: 100 }, (_, i) =>
    Labels.of({
      __name__: 'm',
      i: String(i),
      ...Object.fromEntries(Array.from({ length: 20 }, (_, j) => [`l${j}`, 'v'.repeat(2000)])),
    }),
  );
  const source = new HeadSource(ingesterOf(wide), Kernel.create());
  for (const labelsOnly of [true, false]) {
    const context = limited(0);
    const set = await source.select('t', { ...ALL, labelsOnly }, context);
    assert.equal(set.labels.length, 100);
    assert.ok(context.budget.memoryBytes > 100 * 20 * 2000 * 2, String(context.budget.memoryBytes));
    set.close();
    assert.equal(context.budget.memoryBytes, 0);
    await assert.rejects(source.select('t', { ...ALL, labelsOnly }, limited(1_000_000)), /max_query_memory_bytes/);
  }
  await assert.rejects(source.labelValues('t', 'a', ALL, limited(1000)), /max_query_memory_bytes/);
});

test('chunks of recent samples count, in number and bytes', async () => {
  const two = ['a', 'b'].map((i) => Labels.of({ i }));
  const source = new HeadSource(ingesterOf(two, [], 3), Kernel.create());
  const context = limited(0);
  (await source.select('t', ALL, context)).close();
  assert.deepEqual([context.budget.chunks, context.budget.chunkBytes], [6, 6 * 40]);
  const refused = (limits: Partial<typeof DEFAULT_LIMITS>, text: RegExp) =>
    assert.rejects(
      source.select('t', ALL, { ...context, budget: new LimitedBudget({ ...DEFAULT_LIMITS, ...limits }) }),
      text,
    );
  await refused({ maxFetchedChunksPerQuery: 5 }, /max_fetched_chunks_per_query/);
  await refused({ maxFetchedChunkBytesPerQuery: 239 }, /max_fetched_chunk_bytes_per_query/);
});

test('a regular expression travels compiled, a long one without its text', async () => {
  const asked: HeadSelect[] = [];
  const source = new HeadSource(ingesterOf([], asked), Kernel.create());
  const many = Array.from({ length: 1000 }, (_, i) => `10\\.0\\.${i >> 8}\\.${i & 255}`).join('|');
  const matchers = [
    LabelMatcher.of('a', '=', 'b'),
    LabelMatcher.of('a', '=~', 'b.*\\d'),
    LabelMatcher.of('a', '=~', many),
  ];
  await source.select('t', { ...ALL, matchers }, limited(0));
  const [plain, small, long] = structuredClone(asked[0]!.matchers);
  assert.deepEqual(plain, { name: 'a', op: '=', value: 'b' });
  assert.ok(small!.value === 'b.*\\d' && small!.plan!.program!.ops.length > 0);
  assert.ok(long!.value === '' && long!.plan!.program === undefined && long!.plan!.exact!.starts.length === 1001);
});

test('a stream holds one slice at a time, and breaks where two shards have a series', async () => {
  const series = Array.from({ length: 5000 }, (_, i) => Labels.of({ __name__: 'm', i: String(i) }));
  for (const alone of [true, false]) {
    const context = limited(0);
    const found: Labels[] = [];
    for await (const block of new HeadSource(ingesterOf(series, [], 0, alone), Kernel.create()).stream(
      't',
      ALL,
      context,
    )) {
      found.push(...block.labels);
    }
    assert.deepEqual(
      found.map((labels) => labels.get('i')),
      series.map((labels) => labels.get('i')),
    );
    assert.equal(context.budget.memoryBytes, 0);
    // hashes of 5,000 series, and twice as many for a moment
    assert.ok(context.budget.peakMemoryBytes < (alone ? 2_000 : 200_000), String(context.budget.peakMemoryBytes));
  }
  const context = limited(0);
  const twice = new HeadSource(ingesterOf([...series, series[4321]!], [], 0, false), Kernel.create());
  await assert.rejects(async () => {
    for await (const _ of twice.stream('t', ALL, context));
  }, StreamBroken);
  assert.equal(context.budget.memoryBytes, 0);
});

/** Replicas that hold the same, a beginning, or other samples of each series. */
test('samples of replicas are each there once, as if all chunks were decoded and merged', async () => {
  const random = seededRandom(3);
  const below = (n: number) => Math.floor(random() * n);
  const kernel = Kernel.create();
  const decoder = new ChunkDecoder(kernel);
  let slices: Uint8Array[] = [];
  const client: IngesterClient = {
    ...ingesterOf([]),
    async *select() {
      for (const bytes of slices) yield { bytes, warnings: [], alone: false };
    },
  };
  const source = new HeadSource(client, kernel);
  for (let run = 0; run < 300; run++) {
    const count = 1 + below(4);
    const heads = Array.from({ length: 1 + below(3) }, () => [] as HeadChunk[][]);
    for (let i = 0; i < count; i++) {
      const samples = Array.from({ length: 1 + below(40) }, (_, at) => [at, below(3)] as const);
      for (const head of heads) {
        const kind = below(4);
        const own = kind === 0 ? samples : kind === 1 ? samples.slice(0, 1 + below(samples.length)) : [];
        const some =
          own.length > 0 ? own : samples.map(([at, value]) => [at, random() < 0.1 ? below(3) : value] as const);
        const cut = random() < 0.3 ? below(some.length) : 0;
        head.push([some.slice(cut), some.slice(0, cut)].filter((part) => part.length > 0).map(chunkOf));
      }
    }
    const bytesOf = (head: readonly HeadChunk[][]) =>
      Buffer.concat(head.map((chunks, i) => seriesBytes(Labels.of({ __name__: 'm', i: String(i) }), i, chunks)));
    slices = heads.map((head) => new Uint8Array(bytesOf(head)));
    const context = limited(0);
    const found = await source.select('t', { matchers: [], startMs: 0, endMs: 100 }, context);
    assert.equal(found.labels.length, count);
    for (const [index, labels] of found.labels.entries()) {
      const [own, merged] = [new SampleColumns(), new SampleColumns()];
      found.read(index, own);
      decoder.read(
        heads.flatMap((head) => head[Number(labels.get('i'))]!),
        0,
        100,
        merged,
      );
      const samplesOf = ({ times, values, count: n }: SampleColumns) => [
        [...times.subarray(0, n)],
        [...values.subarray(0, n)],
      ];
      assert.deepEqual(samplesOf(own), samplesOf(merged));
    }
    found.close();
    assert.equal(context.budget.memoryBytes, 0);
  }
});

test('series that a further replica has more of are made rows of, whatever the lengths of their chunks', async () => {
  const all = Array.from({ length: 60 }, (_, i) => {
    const samples = Array.from({ length: 3 + i }, (_, at) => [at, i + at * 0.1] as const);
    return { labels: Labels.of({ __name__: 'm', i: String(i) }), samples, last: samples.at(-1)![1] };
  });
  const sliceOf = (lessSamples: number) =>
    new Uint8Array(
      Buffer.concat(
        all.map(({ labels, samples }, i) =>
          seriesBytes(labels, i, [chunkOf(samples.slice(0, samples.length - lessSamples))]),
        ),
      ),
    );
  const client: IngesterClient = {
    ...ingesterOf([]),
    async *select() {
      for (const less of [1, 0]) yield { bytes: sliceOf(less), warnings: [], alone: false };
    },
  };
  const source = new HeadSource(client, Kernel.create());
  const found = await source.select('t', { ...ALL, endMs: 100 }, limited(0));
  const program = { func: ROW_LAST, steps: 1, firstEndMs: 100, stepMs: 0, backMs: 200, rangeSeconds: 1 };
  const batch = { values: new Float64Array(60), entries: new Uint32Array(60 * ROW_ENTRY_WORDS) };
  assert.equal(found.rows!(program, undefined, 0, 60, batch), 60);
  for (const [i, { last }] of all.entries()) {
    assert.notEqual(batch.entries[i * ROW_ENTRY_WORDS + ROW_FROM], ROW_OTHERWISE, `series ${i}`);
    assert.equal(batch.values[i], last);
  }
  found.close();
});

test('equal replicas cost the memory of one', async () => {
  const labels = Array.from({ length: 500 }, (_, i) => Labels.of({ __name__: 'm', i: String(i) }));
  const one = ingesterOf(labels, [], 4, false);
  const three: IngesterClient = {
    ...one,
    async *select(...asked) {
      for (let i = 0; i < 3; i++) yield* one.select(...asked);
    },
  };
  const bytesOf = async (client: IngesterClient) => {
    const context = limited(0);
    const found = await new HeadSource(client, Kernel.create()).select('t', ALL, context);
    const { memoryBytes } = context.budget;
    found.close();
    return memoryBytes;
  };
  assert.equal(await bytesOf(three), await bytesOf(one));
});

function chunkOf(samples: readonly (readonly [number, number])[]): HeadChunk {
  const writer = XorWriter.create();
  for (const [time, value] of samples) writer.append(time, value);
  return { bytes: writer.toBytes(), flags: 0 };
}

function seriesBytes(labels: Labels, ref: number, chunks: readonly HeadChunk[]): Uint8Array {
  const encoded = encodeLabels(labels);
  const room = new Uint8Array(SERIES_HEADER_BYTES + encoded.length + 4096);
  room.set(encoded, SERIES_HEADER_BYTES);
  const writer = new SliceSeriesWriter(room);
  writer.begin(ref, encoded.length);
  for (const chunk of chunks) writer.chunk(chunk);
  return room.subarray(0, writer.end());
}

test('a slice that is beyond the limit of fetched bytes is given back', async () => {
  const inner = ingesterOf([Labels.of({ __name__: 'm' })]);
  let back = 0;
  const lending: IngesterClient = {
    ...inner,
    async *select(...asked) {
      for await (const slice of inner.select(...asked)) yield { ...slice, giveBack: () => back++ };
    },
  };
  const source = new HeadSource(lending, Kernel.create());
  const context = () => ({
    budget: new LimitedBudget({ ...DEFAULT_LIMITS, maxFetchedDataBytesPerQuery: 1 }),
    signal: new AbortController().signal,
  });
  await assert.rejects(source.select('t', ALL, context()), /bytes/);
  assert.equal(back, 1);
  await assert.rejects(source.stream('t', ALL, context()).next(), /bytes/);
  assert.equal(back, 2);
});
