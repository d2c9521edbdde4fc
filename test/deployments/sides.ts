import { RED_VARIANTS } from '../../src/dashboards/red-family.ts';
import type { ServiceDeployment } from '../../src/deployments/deployment.ts';
import { compareSideBySide, type SideBySide } from '../../src/deployments/side-by-side.ts';
import { sidesAt } from '../../src/deployments/sides.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { Labels } from '../../src/model/labels.ts';
import { measuresOf } from '../../src/services/measures.ts';
import { oneOf } from '../../src/services/selectors.ts';
import type { Queryable } from '../../src/storage/queryable.ts';
import { runnerOn } from './score.ts';
import { columnsOf, gaussian, type MinuteSeries, poisson } from './worse.ts';

/** A case: a roll-out or a canary under way, whose new version is worse at something, or at nothing. */
export interface SidesCase {
  readonly queryable: Queryable;
  readonly deployment: ServiceDeployment;
  readonly nowMs: number;
  readonly worse:
    | { readonly kind: 'latency' | 'errors' | 'saturation'; readonly handler: string | undefined }
    | undefined;
}

const HANDLERS = 10;
const START_MS = 1_767_225_600_000;
const MINUTES = 150;
const BEGIN_M = 60;
const COLD_MINUTES = 3;
const BOUNDS = ['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '+Inf'];

export function sidesCase(seed: number, isWorse: boolean): SidesCase {
  const random = seededRandom(seed * 15_485_863 + (isWorse ? 1 : 0));
  const count = 6 + Math.floor(random() * 11);
  const newer = 1 + Math.floor((random() * count) / 2);
  const kind = (['latency', 'errors', 'saturation', 'latency'] as const)[seed % 4]!;
  const only = seed % 2 === 0 && kind !== 'saturation' ? Math.floor(random() * HANDLERS) : undefined;
  const factor = 1.2 + random() * 0.8;
  const evidence = (['build-info', 'target-info', 'start-times'] as const)[seed % 3]!;
  const series: MinuteSeries[] = [];
  const speeds = Array.from({ length: HANDLERS }, () => ({
    perMinute: 30 + random() * 200,
    seconds: 0.01 + random() * 0.1,
    errorShare: random() < 0.5 ? 0.001 : 0.02,
  }));
  for (let i = 0; i < count; i++) {
    const isNewer = i < newer;
    const startM = isNewer ? BEGIN_M + i * 2 : 0;
    addInstance(series, random, {
      instance: `10.0.0.${i}:8080`,
      version: isNewer ? '1.5' : '1.4',
      evidence,
      startM,
      // the instance that is replaced ends
      endM: MINUTES,
      speeds,
      slower: (h) => (isNewer && isWorse && kind === 'latency' && (only ?? h) === h ? factor : 1),
      failing: (h) => (isNewer && isWorse && kind === 'errors' && (only ?? h) === h ? factor - 1 : 0),
      busier: isNewer && isWorse && kind === 'saturation' ? factor : 1,
    });
  }
  const lastM = BEGIN_M + newer * 2 + 20 + Math.floor(random() * 40);
  return {
    queryable: columnsOf(series, START_MS),
    nowMs: START_MS + Math.min(lastM, MINUTES - 1) * 60_000,
    deployment: {
      id: 'one',
      kind: 'canary',
      evidence: evidence === 'start-times' ? 'generation' : evidence,
      service: { cluster: '', namespace: '', name: 'cart' },
      from: '1.4',
      to: '1.5',
      beginMs: START_MS + BEGIN_M * 60_000,
      endMs: undefined,
    },
    worse: isWorse ? { kind, handler: only === undefined ? undefined : `/h${only}` } : undefined,
  };
}

interface InstanceOptions {
  readonly instance: string;
  readonly version: string;
  readonly evidence: string;
  readonly startM: number;
  readonly endM: number;
  readonly speeds: readonly { readonly perMinute: number; readonly seconds: number; readonly errorShare: number }[];
  readonly slower: (handler: number) => number;
  readonly failing: (handler: number) => number;
  readonly busier: number;
}

function addInstance(all: MinuteSeries[], random: Random, options: InstanceOptions): void {
  const { instance, version, evidence, startM, endM, speeds } = options;
  const add = (labels: Record<string, string>, at: (minute: number) => number) => {
    const column = new Float64Array(MINUTES).fill(Number.NaN);
    for (let minute = startM; minute < endM; minute++) column[minute] = at(minute);
    all.push({ labels: Labels.of({ job: 'cart', instance, ...labels }), column });
  };
  add({ __name__: 'up' }, () => 1);
  const startS = START_MS / 1000 + (startM === 0 ? -86_400 : startM * 60);
  add({ __name__: 'process_start_time_seconds' }, () => startS);
  if (evidence === 'build-info') add({ __name__: 'cart_build_info', version }, () => 1);
  if (evidence === 'target-info') add({ __name__: 'target_info', service_version: version }, () => 1);
  // machines differ, and so does what a balancer sends them
  const speed = Math.exp(0.04 * gaussian(random));
  const share = Math.exp(0.1 * gaussian(random));
  let seconds = 0;
  add({ __name__: 'process_cpu_seconds_total' }, () => {
    seconds += 60 * 0.5 * speed * options.busier * (1 + 0.02 * gaussian(random));
    return seconds;
  });
  for (const [h, of] of speeds.entries()) {
    const columns = {
      ok: [] as number[],
      failed: [] as number[],
      sum: [] as number[],
      buckets: BOUNDS.map(() => [] as number[]),
    };
    const sums = { ok: 0, failed: 0, sum: 0, buckets: BOUNDS.map(() => 0) };
    for (let minute = startM; minute < endM; minute++) {
      const slow = of.seconds * speed * options.slower(h) * (startM > 0 && minute < startM + COLD_MINUTES ? 5 : 1);
      const requests = poisson(random, of.perMinute * share);
      const failed = Math.min(
        requests,
        poisson(random, requests * Math.min(1, of.errorShare + options.failing(h) * (1 - of.errorShare))),
      );
      sums.ok += requests - failed;
      sums.failed += failed;
      sums.sum += requests * slow * (1 + gaussian(random) / Math.sqrt(Math.max(1, requests)));
      let [left, below, lower] = [requests, 0, 0];
      for (const [i, le] of BOUNDS.entries()) {
        const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
        const own =
          i === BOUNDS.length - 1
            ? left
            : Math.min(left, poisson(random, left * (1 - Math.exp(-(bound - lower) / slow))));
        left -= own;
        below += own;
        lower = bound;
        sums.buckets[i]! += below;
        columns.buckets[i]!.push(sums.buckets[i]!);
      }
      columns.ok.push(sums.ok);
      columns.failed.push(sums.failed);
      columns.sum.push(sums.sum);
    }
    const handler = `/h${h}`;
    const column = (values: readonly number[]) => (minute: number) => values[minute - startM]!;
    add({ __name__: 'http_requests_total', handler, code: '200' }, column(columns.ok));
    add({ __name__: 'http_requests_total', handler, code: '500' }, column(columns.failed));
    add({ __name__: 'http_request_duration_seconds_sum', handler }, column(columns.sum));
    add({ __name__: 'http_request_duration_seconds_count', handler }, column(columns.buckets.at(-1)!));
    for (const [i, le] of BOUNDS.entries())
      add({ __name__: 'http_request_duration_seconds_bucket', handler, le }, column(columns.buckets[i]!));
  }
}

const METRICS = new Set([
  'http_requests_total',
  'http_request_duration_seconds_bucket',
  'http_request_duration_seconds_sum',
  'process_cpu_seconds_total',
]);

export function compareSides({ queryable, deployment, nowMs }: SidesCase): Promise<SideBySide | undefined> {
  const runner = runnerOn(queryable);
  const { signal } = new AbortController();
  const selectors = { own: 'job="cart"', pods: 'pod=~"cart-.*"' };
  return compareSideBySide(
    {
      runner,
      tenant: 't',
      measuresOf: (instances) =>
        measuresOf(RED_VARIANTS, `${selectors.own},${oneOf('instance', instances)}`, (metric) => METRICS.has(metric)),
      sidesAt: (timeMs) => sidesAt({ runner, tenant: 't', selectors, deployment }, timeMs, signal),
      beginMs: deployment.beginMs,
      endMs: nowMs,
    },
    signal,
  );
}
