import { PromApi } from '../../api/backend.ts';
import type { ApiSources } from '../../api/sources.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';
import { bucketSlot, PLACEMENT_DEFAULT } from '../../chunkstore/placement.ts';
import { ChunkStoreReader } from '../../chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../../chunkstore/schema.ts';
import { ChunkStoreWriter } from '../../chunkstore/writer.ts';
import type { FrameLimits } from '../../contract/ingest.ts';
import type { IngesterClient } from '../../contract/ingester.ts';
import { Head } from '../../ingester/head/head.ts';
import { HeadMatching } from '../../ingester/head/head-matching.ts';
import { MatchTurns } from '../../ingester/head/match-turns.ts';
import { systemClock } from '../../lib/clock.ts';
import { DEFAULT_LIMITS } from '../../limits/limits.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { MemoryObjectClient } from '../../object/memory.ts';
import { EngineRunner, type EngineRunnerOptions } from '../../querier/engine-runner.ts';
import { HeadSource } from '../../querier/head-source.ts';
import { StoreSource } from '../../querier/store-source.ts';
import { mergedQueryable } from '../../storage/merge.ts';
import { MemoryTableStore } from '../../table/memory.ts';
import { FrameWriter } from '../../wire/frames.ts';

// A thread that has never answered a query runs it in the interpreter, several times slower than later. So that the first person to
// open a dashboard does not wait for that, a query worker asks itself what dashboards ask, of a small head and a small store of its own.

const TENANT = 'warm-up';
const START_MS = 1_700_000_000_000;
const STEP_MS = 15_000;
const STEPS = 240;
/** Those up to here are in the store, those from a little before it in the head. */
const STORED_STEPS = 130;
const HEAD_FROM_STEP = 120;
const WINDOW_MS = 2 * 3600 * 1000;
const END_S = (START_MS + STEPS * STEP_MS) / 1000;
const OUT_BYTES = 1 << 20;
const NO_LIMITS: FrameLimits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };

const QUERIES = [
  'gauge{instance="1"}',
  'sum by (mode) (rate(seconds_total[5m]))',
  '100 * (1 - avg by (instance) (rate(seconds_total{mode="1"}[5m])))',
  'max_over_time(gauge[30m])',
  'sum by (handler) (increase(latency_bucket{handler=~".*(1|3)",le!="+Inf"}[5m])) > 0',
  'histogram_quantile(0.99, sum by (le, handler) (rate(latency_bucket[5m])))',
  'topk(2, sum by (instance) (irate(seconds_total[5m])))',
  'seconds_total / on (instance) group_left () gauge',
  'quantile by (job) (0.9, gauge / gauge) or count by (job) ({__name__=~".+"})',
  'max_over_time(rate(seconds_total{mode="2"}[5m])[15m:1m])',
];

/**
 * Asks until `budgetMs` are over, or there is nothing more to learn from it; others get their turn between the queries.
 * @returns the answers' lengths by query, in the order asked; the last round may be incomplete
 */
export async function warmUp(
  sources: ApiSources,
  evaluation: Pick<EngineRunnerOptions, 'engine' | 'turns' | 'timeoutMs' | 'clock'>,
  budgetMs: number,
): Promise<readonly number[]> {
  const kernel = Kernel.create();
  const head = new HeadSource(headClient(smallHead()), kernel);
  const stored = new StoreSource(new ChunkStoreReader(await smallStore(kernel), kernel, systemClock));
  const limits = () => DEFAULT_LIMITS;
  const queryable = (tenant: string) =>
    mergedQueryable(tenant, { recent: head, stored, overlapMs: Number.POSITIVE_INFINITY, clock: systemClock });
  const queries = new EngineRunner({ ...evaluation, queryable, limits });
  const api = new PromApi({ ...sources, queries, queryable, limits });
  const { signal } = new AbortController();
  const untilMs = systemClock.monotonicMs() + budgetMs;
  const lengths: number[] = [];
  for (let round = 0; round < ROUNDS_MAX; round++) {
    for (const { path, params } of requests()) {
      if (systemClock.monotonicMs() > untilMs) return lengths;
      const { status, body } = await api.handle({ tenant: TENANT, method: 'GET', path, params }, signal);
      if (status !== 200) throw new Error(`bug: warm-up ended with ${Buffer.from(body)}`);
      lengths.push(body.length);
      await systemClock.turn();
    }
  }
  return lengths;
}

const ROUNDS_MAX = 50;

function* requests(): Generator<{ path: string; params: [string, string][] }> {
  const range: [string, string][] = [
    ['start', String(END_S - 3600)],
    ['end', String(END_S)],
    ['step', '30'],
  ];
  for (const query of QUERIES) {
    yield { path: '/api/v1/query_range', params: [['query', query], ...range] };
    yield {
      path: '/api/v1/query',
      params: [
        ['query', query],
        ['time', String(END_S)],
      ],
    };
  }
}

/** Counters, gauges and a classic histogram, a few series of each. */
function* series(): Generator<{ labels: Labels; valueAt: (step: number) => number }> {
  const of = (labels: Record<string, string>, valueAt: (step: number) => number) => ({
    labels: Labels.of({ ...labels, job: 'warm-up' }),
    valueAt,
  });
  for (let i = 1; i <= 4; i++) {
    yield of({ __name__: 'gauge', instance: `${i}` }, (step) => 1e9 + (step % 7) * 4096 * i);
    for (let k = 1; k <= 4; k++) {
      yield of({ __name__: 'seconds_total', instance: `${i}`, mode: `${k}` }, (step) => (step % 100) * 0.37 * k);
    }
    for (const le of ['0.1', '0.5', '1', '5', '+Inf']) {
      yield of({ __name__: 'latency_bucket', handler: `/${i}`, le }, (step) => step * i + le.length);
    }
  }
}

function timeAt(step: number): number {
  return START_MS + step * STEP_MS;
}

function smallHead(): Head {
  const head = new Head({ windowMs: WINDOW_MS, bytesMax: 1e9 });
  const frames = new FrameWriter(head.kernel);
  const bits = new DataView(new ArrayBuffer(8));
  for (const { labels, valueAt } of series()) {
    frames.series(encodeLabels(labels), Buffer.from(labels.metricName), STEPS - HEAD_FROM_STEP);
    for (let step = HEAD_FROM_STEP; step < STEPS; step++) {
      bits.setFloat64(0, valueAt(step));
      frames.sample(timeAt(step), bits.getUint32(0), bits.getUint32(4));
    }
  }
  head.ingest(head.addTenant(TENANT), frames.bytes, NO_LIMITS, false, () => head.kernel.exports.logTaken());
  return head;
}

async function smallStore(kernel: Kernel): Promise<Schema> {
  const schema = new Schema([
    {
      fromMs: Number.NEGATIVE_INFINITY,
      tables: new MemoryTableStore(),
      objects: new MemoryObjectClient(systemClock),
      tablePrefix: 'warm_up_',
      tableMs: TABLE_MS_DEFAULT,
    },
  ]);
  const times = Float64Array.from({ length: STORED_STEPS }, (_, step) => timeAt(step));
  await new ChunkStoreWriter(schema, kernel, { clock: systemClock }).write([
    {
      tenant: TENANT,
      placement: PLACEMENT_DEFAULT,
      slot: bucketSlot(1, 0),
      windowStartMs: Math.floor(START_MS / WINDOW_MS) * WINDOW_MS,
      windowMs: WINDOW_MS,
      series: [...series()].map(({ labels, valueAt }) => ({
        labels: encodeLabels(labels),
        times,
        values: Float64Array.from(times, (_, step) => valueAt(step)),
      })),
    },
  ]);
  return schema;
}

/** The head as its readers see it, without a shard around it. */
function headClient(head: Head): IngesterClient {
  const matching = new HeadMatching(head);
  const turns = new MatchTurns(systemClock);
  const out = new Region(head.kernel, OUT_BYTES);
  return {
    async *select({ tenant, matchers, startMs, endMs }) {
      const refs = await matching.select(head.tenant(tenant)!, matchers, startMs, endMs, turns.begin(tenant));
      let at = 0;
      for (const ref of refs) {
        at += head.kernel.exports.exportSeries(ref, startMs, endMs, 0, true, out.at + at, out.bytes - at);
      }
      yield { bytes: head.kernel.u8.slice(out.at, out.at + at), warnings: [], alone: true };
    },
    labels: async () => [],
    metadata: async () => [],
    headStats: async () => undefined,
    exemplars: async () => [],
  };
}
