import assert from 'node:assert/strict';
import type { Random } from '../../src/lib/random.ts';
import { Labels } from '../../src/model/labels.ts';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from '../../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../../src/wire/snappy.ts';
import { type WriteHistogram, WriteSamples, type WriteSeries } from '../../src/wire/write-request.ts';
import { push, writeSamples } from '../harness/remote-write.ts';
import type { FuzzMetric } from './expressions.ts';
import { HistogramWalk, type HistogramWalkOptions } from './histogram-walk.ts';

export const STEPS = 200;
export const STEP_MS = 15_000;
/** Off whole seconds: Prometheus 2 closes windows on the left, where subqueries have their steps. */
const PHASE_MS = 137;
const BATCH_STEPS = 10;
/** Farther back than any window of a question reaches. */
const ANNOUNCED_MS = 7_200_000;

interface DataMetric extends FuzzMetric {
  /** How a float value comes about, from one step to the next. */
  readonly next?: (last: number, random: Random) => number;
  readonly walk?: HistogramWalkOptions;
}

export const FLOAT_METRICS: readonly DataMetric[] = [
  {
    name: 'requests_total',
    kind: 'float',
    labels: ['instance', 'job', 'code'],
    values: ['0', '1', '2'],
    // a counter with resets
    next: (last, random) => (random() < 0.03 ? Math.floor(random() * 5) : last + Math.floor(random() * 20)),
  },
  {
    name: 'temperature',
    kind: 'float',
    labels: ['instance', 'job'],
    values: ['0', '1'],
    next: (last, random) => last + (random() - 0.5) * 10,
  },
  {
    name: 'queue_length',
    kind: 'float',
    labels: ['instance', 'code'],
    values: ['0', '2'],
    // ties are wanted, and values that are none
    next: (_, random) =>
      random() < 0.02 ? [NaN, Infinity, -Infinity, 1e300][Math.floor(random() * 4)]! : Math.floor(random() * 4),
  },
  {
    name: 'latency_bucket',
    kind: 'float',
    labels: ['job', 'le'],
    values: ['0.1', '1', '+Inf'],
    next: (last, random) => last + Math.floor(random() * 10),
  },
];

const counter = (last: number, random: Random) => (random() < 0.03 ? 0 : last + Math.floor(random() * 9));

/** Metrics that only Prometheus 3 takes. */
export const HISTOGRAM_METRICS: readonly DataMetric[] = [
  {
    name: 'response_seconds',
    kind: 'histogram',
    labels: ['instance', 'job'],
    values: ['0', '1'],
    walk: { buckets: 'exponential', integer: true, gauge: false },
  },
  {
    name: 'weighted_seconds',
    kind: 'histogram',
    labels: ['instance', 'job'],
    values: ['0', '1'],
    walk: { buckets: 'exponential', integer: false, gauge: false },
  },
  {
    name: 'payload_bytes',
    kind: 'histogram',
    labels: ['instance', 'code'],
    values: ['0', '1'],
    walk: { buckets: 'custom', integer: true, gauge: false },
  },
  {
    name: 'custom_weighted',
    kind: 'histogram',
    labels: ['job'],
    values: ['0', '1', '2'],
    walk: { buckets: 'custom', integer: false, gauge: false },
  },
  {
    name: 'pool_usage',
    kind: 'histogram',
    labels: ['instance', 'job'],
    values: ['0', '1'],
    walk: { buckets: 'exponential', integer: true, gauge: true },
  },
  {
    name: 'gauge_float',
    kind: 'histogram',
    labels: ['job'],
    values: ['0', '1'],
    walk: { buckets: 'custom', integer: false, gauge: true },
  },
  {
    name: 'mixed_total',
    kind: 'mixed',
    labels: ['instance', 'job'],
    values: ['0', '1'],
    next: counter,
    walk: { buckets: 'exponential', integer: true, gauge: false },
  },
  {
    name: 'started_total',
    kind: 'float',
    starts: true,
    labels: ['instance', 'job'],
    values: ['0', '1'],
    next: counter,
  },
  {
    name: 'born_seconds',
    kind: 'histogram',
    starts: true,
    labels: ['instance', 'job'],
    values: ['0', '1'],
    walk: { buckets: 'exponential', integer: true, gauge: false },
  },
];

/** For `info`: of each instance and job two that follow each other; the first of them is not always marked as ended. */
const INFO_METRICS = ['target_info', 'build_info'].map(
  (name): DataMetric => ({ name, kind: 'float', labels: ['instance', 'job'], values: ['0', '1'], next: () => 1 }),
);

/** Another moment of a series: a value, a histogram, or what says that it ends. */
interface Sample {
  readonly timeMs: number;
  readonly startMs: number;
  readonly value: number | undefined;
  readonly histogram: WriteHistogram['histogram'] | undefined;
  readonly stale: boolean;
}

class FuzzSeries {
  readonly pairs: readonly string[];
  readonly metric: DataMetric;
  readonly #from: number;
  readonly #to: number;
  readonly #jitterMs: number;
  readonly #walk: HistogramWalk | undefined;
  #last: number;
  #gapUntil = 0;
  #asHistogram: boolean;
  #startMs: number;
  #lastMs = 0;

  constructor(
    metric: DataMetric,
    labels: Readonly<Record<string, string>>,
    startMs: number,
    random: Random,
    life?: readonly [from: number, to: number],
  ) {
    this.metric = metric;
    this.pairs = Object.entries(labels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flat();
    this.#last = Math.floor(random() * 50);
    this.#from = life?.[0] ?? (random() < 0.2 ? Math.floor(random() * STEPS) : 0);
    this.#to = life?.[1] ?? (random() < 0.2 ? Math.floor(random() * STEPS) : STEPS);
    this.#jitterMs = Math.floor(random() * 10) * 1000;
    this.#walk = metric.walk && new HistogramWalk(metric.walk, random);
    this.#asHistogram = metric.kind === 'histogram';
    this.#startMs = startMs - 1000;
  }

  samples(startMs: number, from: number, to: number, random: Random): Sample[] {
    const out: Sample[] = [];
    for (let step = from; step < to; step++) {
      const timeMs = startMs + step * STEP_MS + this.#jitterMs + PHASE_MS;
      if (this.metric.kind === 'mixed' && random() < 0.1) this.#asHistogram = !this.#asHistogram;
      const next = this.metric.next;
      if (next !== undefined) this.#last = next(Number.isFinite(this.#last) ? this.#last : 1, random);
      const histogram = this.#asHistogram ? this.#walk!.next(random) : undefined;
      if (step < this.#from || step > this.#to || step < this.#gapUntil) continue;
      if (random() < 0.01) this.#gapUntil = step + Math.floor(random() * 40);
      // the end of a series is marked, most times
      const stale = (step === this.#to && random() < 0.7) || random() < 0.005;
      const value = histogram === undefined ? this.#last : undefined;
      out.push({ timeMs, startMs: this.#start(timeMs, random), value, histogram, stale });
      this.#lastMs = timeMs;
    }
    return out;
  }

  /** Mostly the same; else what it may be after a restart, of a delta, or by mistake. */
  #start(timeMs: number, random: Random): number {
    if (this.metric.starts !== true) return 0;
    const dice = random();
    if (dice < 0.05) return 0;
    if (dice < 0.1) this.#startMs = this.#lastMs;
    else if (dice < 0.15) this.#startMs = timeMs - 1 - Math.floor(random() * STEP_MS);
    else if (dice < 0.17) return timeMs;
    else if (dice < 0.19) return this.#lastMs - 500;
    else if (dice < 0.2) return timeMs + 5;
    return this.#startMs;
  }
}

/** Gaps, series that begin late and end early, resets, stale markers. `startMs` is the time of the first samples, Unix ms. */
export async function load(
  metrics: readonly DataMetric[],
  startMs: number,
  random: Random,
  urls: readonly string[],
): Promise<void> {
  const series = metrics.flatMap((metric) =>
    labelSets(metric).map((labels) => new FuzzSeries(metric, labels, startMs, random)),
  );
  if (metrics.some(({ kind }) => kind === 'histogram')) series.push(...infoSeries(startMs, random));
  await announce(series, startMs, urls);
  for (let from = 0; from < STEPS; from += BATCH_STEPS) {
    const batch = series.map(
      (each) => [each, each.samples(startMs, from, from + BATCH_STEPS, random)] as [FuzzSeries, Sample[]],
    );
    // only remote write 2.0 has a place for start timestamps
    const starting = batch.filter(([{ metric }]) => metric.starts === true);
    const rest = batch.filter(([{ metric }]) => metric.starts !== true);
    await send(rest, from % (2 * BATCH_STEPS) === 0 ? 1 : 2, urls);
    if (starting.length > 0) await send(starting, 2, urls);
  }
}

/**
 * Lets all series begin in the order of their labels, with a marker that nobody sees: Prometheus adds up what it reads in the order in
 * which series came to be.
 */
async function announce(series: readonly FuzzSeries[], startMs: number, urls: readonly string[]): Promise<void> {
  const timeMs = startMs - ANNOUNCED_MS;
  const marker: Sample = { timeMs, startMs: 0, value: 0, histogram: undefined, stale: true };
  const order = series.map(({ pairs }) => Labels.fromSortedPairs(pairs)).map((labels, i) => [labels, i] as const);
  order.sort(([a], [b]) => Labels.compare(a, b));
  await send(
    order.map(([, i]) => [series[i]!, [marker]]),
    1,
    urls,
  );
}

function labelSets({ name, labels, values }: FuzzMetric): Record<string, string>[] {
  let sets: Record<string, string>[] = [{ __name__: name }];
  for (const label of labels) sets = sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value })));
  return sets;
}

function infoSeries(startMs: number, random: Random): FuzzSeries[] {
  return INFO_METRICS.flatMap((metric) =>
    labelSets(metric).flatMap((labels, i) => {
      const turn = Math.floor(random() * STEPS);
      const region = i % 2 === 0 ? 'eu' : 'us';
      return [
        new FuzzSeries(metric, { ...labels, version: '1', region }, startMs, random, [0, turn]),
        new FuzzSeries(metric, { ...labels, version: '2', region }, startMs, random, [turn + 1, STEPS]),
      ];
    }),
  );
}

const TYPES = ['application/x-protobuf', 'application/x-protobuf;proto=io.prometheus.write.v2.Request'];
const VERSIONS = ['0.1.0', '2.0.0'];

async function send(batch: readonly [FuzzSeries, Sample[]][], version: 1 | 2, urls: readonly string[]): Promise<void> {
  const series = batch.flatMap(([{ pairs }, samples]) => writeSeries(pairs, samples));
  const encode = version === 1 ? encodeRemoteWrite1 : encodeRemoteWrite2;
  const body = deflateSnappy(encode({ series, metadata: [] }));
  const headers = {
    'content-type': TYPES[version - 1]!,
    'x-prometheus-remote-write-version': VERSIONS[version - 1]!,
  };
  for (const url of urls) {
    const { status, text } = await push(url, body, headers);
    assert.ok(status < 300, `${url}: ${status} ${text}`);
  }
}

/** Floats and histograms of one series take turns in entries of their own: within one, all floats come first. */
function writeSeries(pairs: readonly string[], samples: readonly Sample[]): WriteSeries[] {
  const out: WriteSeries[] = [];
  for (let from = 0; from < samples.length; ) {
    const native = samples[from]!.histogram !== undefined;
    let to = from;
    while (to < samples.length && (samples[to]!.histogram !== undefined) === native) to++;
    const run = samples.slice(from, to);
    out.push({
      pairs,
      labelsFault: undefined,
      samples: native ? WriteSamples.none : writeSamples(run.map(floatSample)),
      histograms: native ? run.map(writeHistogram) : [],
      exemplars: [],
    });
    from = to;
  }
  return out;
}

function writeHistogram({ timeMs, startMs, stale, histogram }: Sample): WriteHistogram {
  return { timeMs, startMs, stale, histogram: histogram!, fault: undefined };
}

function floatSample({ timeMs, startMs, stale, value }: Sample): [number, number | undefined, number] {
  return [timeMs, stale ? undefined : value, startMs];
}
