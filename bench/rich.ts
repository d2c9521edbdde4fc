// CPU of the write path, edge and shard in one thread, for what the kernel leaves to JavaScript: samples with start timestamps and
// native histograms, a sample of each series in a request, as a scrape makes them.
//   node bench/rich.ts [--series 500] [--steps 120] [--only starts,histograms] [--profile]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Edge } from '../src/distributor/edge.ts';
import { realDisk } from '../src/ingester/log/disk.ts';
import { Shard } from '../src/ingester/shard/shard.ts';
import { systemClock } from '../src/lib/clock.ts';
import { type Random, seededRandom } from '../src/lib/random.ts';
import { DEFAULT_LIMITS } from '../src/limits/limits.ts';
import { type FloatHistogram, floatHistogram } from '../src/model/histogram.ts';
import { toIntegerHistogram } from '../src/model/histogram-integer.ts';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from '../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../src/wire/snappy.ts';
import { WriteSamples, type WriteSeries } from '../src/wire/write-request.ts';
import { benchOptions, list } from './options.ts';

const options = benchOptions({ series: '500', steps: '120', only: '' });
const SERIES = Number(options.series);
const STEPS = Number(options.steps);
const STEP_MS = 15_000;
const START_MS = 1_767_225_600_000;

/** Observations of a latency: around 1, most of the buckets from the start, a new one now and then. */
class Latency {
  readonly #counts = new Map<number, number>();
  readonly #scale: number;
  #sum = 0;

  constructor(random: Random) {
    this.#scale = Math.floor(random() * 8);
  }

  next(random: Random, float: boolean): FloatHistogram {
    for (let i = 0; i < 20; i++) {
      const index = this.#scale + Math.round((random() + random() + random() - 1.5) * 14);
      const weight = float ? random() : 1;
      this.#counts.set(index, (this.#counts.get(index) ?? 0) + weight);
      this.#sum += weight * 2 ** (index / 8);
    }
    const indexes = [...this.#counts.keys()].sort((a, b) => a - b);
    const first = indexes[0]!;
    const length = indexes.at(-1)! - first + 1;
    const positiveBuckets = Array.from({ length }, (_, i) => this.#counts.get(first + i) ?? 0);
    return floatHistogram({
      schema: 3,
      zeroThreshold: 2 ** -128,
      count: positiveBuckets.reduce((sum, count) => sum + count, 0),
      sum: this.#sum,
      positiveSpans: [{ offset: first, length }],
      positiveBuckets,
    });
  }
}

const KINDS = ['plain', 'starts', 'histograms', 'histograms-2', 'float-histograms'] as const;
type Kind = (typeof KINDS)[number];

function bodies(kind: Kind): Uint8Array<ArrayBuffer>[] {
  const random = seededRandom(1);
  const walks = Array.from({ length: SERIES }, () => new Latency(random));
  const encode = kind === 'histograms' || kind === 'float-histograms' ? encodeRemoteWrite1 : encodeRemoteWrite2;
  return Array.from({ length: STEPS }, (_, step) => {
    const timeMs = START_MS + step * STEP_MS;
    const series = walks.map((walk, i): WriteSeries => {
      const pairs = [
        '__name__',
        'rpc_durations_seconds',
        'instance',
        `host-${i % 50}:9100`,
        'job',
        'api',
        'path',
        `/${i}`,
      ];
      const none = { pairs, labelsFault: undefined, samples: WriteSamples.none, histograms: [], exemplars: [] };
      if (kind === 'plain' || kind === 'starts') {
        const startMs = kind === 'starts' ? START_MS - 60_000 : 0;
        return { ...none, samples: WriteSamples.of([{ timeMs, value: step * 7 + Math.floor(random() * 7), startMs }]) };
      }
      const float = kind === 'float-histograms';
      const next = walk.next(random, float);
      const histogram = float ? next : toIntegerHistogram(next);
      return { ...none, histograms: [{ timeMs, startMs: 0, stale: false, histogram, fault: undefined }] };
    });
    return deflateSnappy(encode({ series, metadata: [] })) as Uint8Array<ArrayBuffer>;
  });
}

async function run(kind: Kind): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-rich-'));
  const shard = new Shard({
    folder,
    windowMs: 7_200_000,
    headBytesMax: 2e9,
    fsync: 'interval',
    fsyncIntervalMs: 3_600_000,
    keepFlushedMs: 0,
    disk: realDisk,
    clock: systemClock,
    log: () => {},
    fatal: (error) => {
      throw error;
    },
  });
  await shard.ready;
  let shardMs = 0;
  const cpuMs = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const edge = new Edge({
    clock: systemClock,
    rawBytesMax: 1e8,
    targets: [
      {
        async push({ tenant, frames, bytes, limits }) {
          const from = cpuMs();
          const result = await shard.push(tenant, new Uint8Array(frames, 0, bytes), limits);
          shardMs += cpuMs() - from;
          return { result: { ...result, first: undefined }, keysTaken: false, frames };
        },
        setMetadata: async () => ({}),
      },
    ],
  });
  const all = bodies(kind);
  const proto =
    kind === 'histograms' || kind === 'float-histograms' ? 'prometheus.WriteRequest' : 'io.prometheus.write.v2.Request';
  const headers = { 'content-type': `application/x-protobuf;proto=${proto}`, 'content-encoding': 'snappy' };
  const limits = { ...DEFAULT_LIMITS, ingestionRate: 0, rejectOldSamples: false };
  const from = cpuMs();
  for (const body of all) {
    const { response } = await edge.push({ tenant: 't', headers, body, limits });
    if (response.status >= 300) throw new Error(`${response.status} ${response.text}`);
  }
  const totalMs = cpuMs() - from;
  const samples = SERIES * STEPS;
  const us = (ms: number) => ((ms * 1000) / samples).toFixed(2).padStart(8);
  const bytes = all.reduce((sum, body) => sum + body.length, 0) / samples;
  console.log(
    `${kind.padEnd(18)} ${us(totalMs)} ${us(totalMs - shardMs)} ${us(shardMs)} ${bytes.toFixed(0).padStart(8)}`,
  );
  await shard.close({ checkpoint: false });
  rmSync(folder, { recursive: true });
}

console.log(
  `${'µs CPU a sample'.padEnd(18)} ${'all'.padStart(8)} ${'edge'.padStart(8)} ${'shard'.padStart(8)} ${'bytes'.padStart(8)}`,
);
for (const kind of KINDS) if (options.only === '' || list(options.only).includes(kind)) await run(kind);
