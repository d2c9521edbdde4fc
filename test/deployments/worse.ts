import { type BeforeAfter, compareBeforeAfter } from '../../src/deployments/before-after.ts';
import type { Finding } from '../../src/deployments/finding.ts';
import type { Measure } from '../../src/deployments/measure.ts';
import { spansOf } from '../../src/deployments/spans.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { Labels } from '../../src/model/labels.ts';
import type { Queryable } from '../../src/storage/queryable.ts';
import { runnerOn } from './score.ts';

/** A case: a service of 30 handlers with a daily cycle, and a deployment that makes something worse, or nothing. */
export interface WorseCase {
  readonly queryable: Queryable;
  readonly beginMs: number;
  readonly endMs: number;
  /** The kind that got worse, and the handler where it is only one; undefined: nothing did. */
  readonly worse:
    | { readonly kind: 'latency' | 'errors' | 'saturation'; readonly handler: string | undefined }
    | undefined;
}

const HANDLERS = 30;
const DAY_M = 1440;
const DAYS = 8;
const START_MS = 1_767_225_600_000;
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, Number.POSITIVE_INFINITY];
const COLD_MINUTES = 3;
/** Minutes around a roll-out that are looked at; others are not made. */
const AROUND_M = 120;

/** Counters of a handler, by minute from the start: what has come so far since the last reset. */
interface Handler {
  readonly ok: Float64Array;
  readonly failed: Float64Array;
  readonly seconds: Float64Array;
  readonly buckets: readonly Float64Array[];
}

export function worseCase(seed: number, isWorse: boolean): WorseCase {
  const random = seededRandom(seed * 104_729 + (isWorse ? 1 : 0));
  const beginM = (DAYS - 1) * DAY_M + 300 + Math.floor(random() * 900);
  const endM = beginM + 1 + Math.floor(random() * 30);
  const factor = 1.2 + random() * 0.8;
  const kind = (['latency', 'errors', 'saturation', 'latency'] as const)[seed % 4]!;
  const only = seed % 2 === 0 && kind !== 'saturation' ? Math.floor(random() * HANDLERS) : undefined;
  const resets = new Set([beginM]);
  for (let day = 0; day < DAYS; day++) resets.add(day * DAY_M + Math.floor(random() * DAY_M));
  const handlers = Array.from({ length: HANDLERS }, (_, i) => {
    const hit = isWorse && (only === undefined || only === i);
    return handlerOf(random, {
      beginM,
      endM,
      slower: hit && kind === 'latency' ? factor : 1,
      failing: hit && kind === 'errors' ? factor - 1 : 0,
      resets,
    });
  });
  const saturation = saturationOf(random, endM, isWorse && kind === 'saturation' ? factor : 1);
  return {
    queryable: queryableOf(handlers, saturation),
    beginMs: START_MS + beginM * 60_000,
    endMs: START_MS + endM * 60_000,
    worse: isWorse ? { kind, handler: only === undefined ? undefined : `/h${only}` } : undefined,
  };
}

function cycle(minute: number): number {
  return 1 + 0.6 * Math.sin((2 * Math.PI * minute) / DAY_M);
}

function handlerOf(
  random: Random,
  change: { beginM: number; endM: number; slower: number; failing: number; resets: ReadonlySet<number> },
): Handler {
  const count = DAYS * DAY_M;
  const column = () => new Float64Array(count);
  const handler = { ok: column(), failed: column(), seconds: column(), buckets: BOUNDS.map(column) };
  const perMinute = 120 + random() * 900;
  const scale = 0.01 + random() * 0.1;
  const errorShare = random() < 0.5 ? 0.001 : 0.02;
  const sums = { ok: 0, failed: 0, seconds: 0, buckets: BOUNDS.map(() => 0) };
  for (let minute = 0; minute < count; minute++) {
    if (change.resets.has(minute)) {
      sums.ok = sums.failed = sums.seconds = 0;
      sums.buckets.fill(0);
    }
    const ofDay = (minute - change.beginM + count) % DAY_M;
    if (ofDay <= AROUND_M || ofDay >= DAY_M - AROUND_M) {
      const isAfter = minute >= change.endM;
      const cold = minute >= change.beginM && minute < change.endM + COLD_MINUTES ? 5 : 1;
      const slow = scale * (isAfter ? change.slower : 1) * cold * (1 + 0.2 * (cycle(minute) - 1));
      const requests = poisson(random, perMinute * cycle(minute));
      const share = errorShare + (isAfter ? change.failing * (1 - errorShare) : 0);
      const failed = Math.min(requests, poisson(random, requests * Math.min(1, share)));
      sums.ok += requests - failed;
      sums.failed += failed;
      sums.seconds += requests * slow * (1 + gaussian(random) / Math.sqrt(Math.max(1, requests)));
      // durations are exponential
      let left = requests;
      let below = 0;
      for (const [i, bound] of BOUNDS.entries()) {
        const lower = i === 0 ? 0 : BOUNDS[i - 1]!;
        const share = 1 - Math.exp(-(bound - lower) / slow);
        const own = i === BOUNDS.length - 1 ? left : Math.min(left, poisson(random, left * share));
        left -= own;
        below += own;
        sums.buckets[i]! += below;
      }
    }
    handler.ok[minute] = sums.ok;
    handler.failed[minute] = sums.failed;
    handler.seconds[minute] = sums.seconds;
    for (const [i, bucket] of handler.buckets.entries()) bucket[minute] = sums.buckets[i]!;
  }
  return handler;
}

function saturationOf(random: Random, endM: number, factor: number): Float64Array {
  const values = new Float64Array(DAYS * DAY_M);
  for (let minute = 0; minute < values.length; minute++) {
    const level = 0.4 * (1 + 0.3 * (cycle(minute) - 1)) * (minute >= endM ? factor : 1);
    values[minute] = Math.min(1, Math.max(0, level + 0.01 * gaussian(random)));
  }
  return values;
}

export function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export function poisson(random: Random, mean: number): number {
  if (mean > 20) return Math.max(0, Math.round(mean + Math.sqrt(mean) * gaussian(random)));
  const limit = Math.exp(-mean);
  let product = random();
  let count = 0;
  for (; product > limit; count++) product *= random();
  return count;
}

/** A series with a value for each minute from a start; NaN: it was not there. */
export interface MinuteSeries {
  readonly labels: Labels;
  readonly column: Float64Array;
}

/** Series to be asked. */
export function columnsOf(series: readonly MinuteSeries[], startMs: number): Queryable {
  const all = series.toSorted((a, b) => Labels.compare(a.labels, b.labels));
  return {
    async select({ matchers, startMs: fromMs, endMs }) {
      const found = all.filter(({ labels }) => matchers.every((matcher) => matcher.matches(labels.get(matcher.name))));
      return {
        series: found.map(({ labels }) => labels),
        warnings: [],
        read(index, out) {
          out.clear();
          const { column } = found[index]!;
          const first = Math.max(0, Math.ceil((fromMs - startMs) / 60_000));
          const last = Math.min(column.length - 1, Math.floor((endMs - startMs) / 60_000));
          for (let i = first; i <= last; i++) {
            if (!Number.isNaN(column[i]!)) out.pushFloat(startMs + i * 60_000, column[i]!);
          }
        },
        close() {},
      };
    },
    labelNames: async () => ({ values: [], warnings: [] }),
    labelValues: async () => ({ values: [], warnings: [] }),
  };
}

function queryableOf(handlers: readonly Handler[], saturation: Float64Array): Queryable {
  const all: MinuteSeries[] = [];
  const add = (labels: Record<string, string>, column: Float64Array) =>
    all.push({ labels: Labels.of({ job: 'cart', instance: 'a', ...labels }), column });
  for (const [i, { ok, failed, seconds, buckets }] of handlers.entries()) {
    const handler = `/h${i}`;
    add({ __name__: 'http_requests_total', handler, code: '200' }, ok);
    add({ __name__: 'http_requests_total', handler, code: '500' }, failed);
    add({ __name__: 'http_request_duration_seconds_sum', handler }, seconds);
    add({ __name__: 'http_request_duration_seconds_count', handler }, buckets.at(-1)!);
    for (const [j, bound] of BOUNDS.entries()) {
      const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound);
      add({ __name__: 'http_request_duration_seconds_bucket', handler, le }, buckets[j]!);
    }
  }
  add({ __name__: 'cpu_saturation_ratio' }, saturation);
  return columnsOf(all, START_MS);
}

const by = (labels: readonly string[]) => (labels.length === 0 ? '' : ` by (${labels.join(', ')})`);
const REQUESTS = 'http_requests_total';
const DURATION = 'http_request_duration_seconds';
const events: Measure['events'] = (labels, span) => `sum${by(labels)} (increase(${REQUESTS}[${span}]))`;
const quantile =
  (q: number): Measure['value'] =>
  (labels, span) =>
    `histogram_quantile(${q}, sum${by(['le', ...labels])} (rate(${DURATION}_bucket[${span}])))`;

const MEASURES: readonly Measure[] = [
  {
    name: 'Requests',
    kind: 'traffic',
    statistic: 'rate',
    value: (labels, span) => `sum${by(labels)} (rate(${REQUESTS}[${span}]))`,
    events,
    labels: ['handler'],
  },
  {
    name: 'Errors',
    kind: 'errors',
    statistic: 'ratio',
    value: (labels, span) =>
      `sum${by(labels)} (rate(${REQUESTS}{code=~"5.."}[${span}])) / sum${by(labels)} (rate(${REQUESTS}[${span}]))`,
    events,
    labels: ['handler'],
  },
  { name: 'p50', kind: 'latency', statistic: 'p50', value: quantile(0.5), events, labels: ['handler'] },
  { name: 'p99', kind: 'latency', statistic: 'p99', value: quantile(0.99), events, labels: ['handler'] },
  {
    name: 'mean',
    kind: 'latency',
    statistic: 'mean',
    value: (labels, span) =>
      `sum${by(labels)} (rate(${DURATION}_sum[${span}])) / sum${by(labels)} (rate(${DURATION}_count[${span}]))`,
    events,
    labels: ['handler'],
  },
  {
    name: 'CPU',
    kind: 'saturation',
    statistic: 'value',
    value: (_, span) => `avg_over_time(cpu_saturation_ratio{}[${span}])`,
    events: undefined,
    labels: [],
  },
];

export async function compareCase({ queryable, beginMs, endMs }: WorseCase): Promise<BeforeAfter> {
  const spans = spansOf({ beginMs, endMs, nowMs: endMs + 45 * 60_000 });
  if (!Array.isArray(spans)) throw new Error('no span has passed');
  const options = { runner: runnerOn(queryable), tenant: 't', measures: MEASURES, spans: spans.at(-1)! };
  return compareBeforeAfter(options, new AbortController().signal);
}

/** Whether what got worse comes first. */
export function isFoundFirst({ worse }: WorseCase, { findings }: BeforeAfter): boolean {
  return isWorseFirst(worse, findings);
}

export function isWorseFirst(worse: WorseCase['worse'], [first]: readonly Finding[]): boolean {
  if (worse === undefined || first?.verdict !== 'worse' || first.kind !== worse.kind) return false;
  return worse.handler === undefined
    ? first.part.length === 0 || first.part[0] !== 'handler'
    : first.part[1] === worse.handler;
}
