import { type GroupSeries, labelParts, metricOf } from '../src/chunk/group/series.ts';
import { type Placement, slotOf } from '../src/chunkstore/placement.ts';
import type { WriteGroup } from '../src/chunkstore/writer.ts';
import { getOrMake } from '../src/lib/map.ts';
import { seededRandom } from '../src/lib/random.ts';
import type { MetricMetadata } from '../src/model/metric-metadata.ts';
import { readWorkload } from './read-workload.ts';
import { workloadSet } from './sets.ts';

/** As many series of a metric as the flusher puts in order of labels at a time. */
const RUN_SERIES_MAX = 4096;

/** The series of one instance of the workload, to be multiplied: pairs of latin-1 text, sorted. */
export interface Instance {
  readonly parts: readonly string[];
  readonly metric: string;
}

export async function oneInstance(): Promise<Instance[]> {
  const set = await workloadSet('1x4');
  return readWorkload(set.file).map(({ labels }) => {
    const parts = labelParts(labels);
    return { parts, metric: metricOf(parts) };
  });
}

/** Many instances of the same series, grouped as a flush of a tenant groups them. */
export class Fleet {
  readonly seriesCount: number;
  /** Labels over all series, the metric's name not counted. */
  readonly labelCount: number;
  readonly tenant: string;
  /** One entry for each metric, as a Prometheus server sends them. */
  readonly metadata: readonly MetricMetadata[];
  readonly #placement: Placement;
  readonly #slots: { readonly slot: Uint8Array; readonly runs: Member[][] }[] = [];

  constructor(tenant: string, base: readonly Instance[], instances: number, placement: Placement, seriesMax: number) {
    this.tenant = tenant;
    this.metadata = [...new Set(base.map(({ metric }) => metric))].map((metric) => ({
      metric,
      type: 'gauge',
      help: `What ${metric} says about the instance, in a sentence as they are.`,
      unit: '',
    }));
    this.#placement = placement;
    let labelCount = 0;
    let left = seriesMax;
    const bySlot = new Map<string, { slot: Uint8Array; base: Instance[] }>();
    for (const one of base) {
      const slot = slotOf(placement, encode(one.parts));
      const key = Buffer.from(slot).toString('hex');
      const known = bySlot.get(key);
      if (known === undefined) bySlot.set(key, { slot, base: [one] });
      else known.base.push(one);
    }
    for (const { slot, base } of bySlot.values()) {
      const runs: Member[][] = [];
      // as the head hands them over: metric by metric, in the order in which series came
      const metrics = Map.groupBy(base, ({ metric }) => metric);
      for (const [, ofMetric] of [...metrics].sort(([a], [b]) => (a < b ? -1 : 1))) {
        let run: Member[] = [];
        for (let instance = 0; instance < instances; instance++) {
          for (const { parts } of ofMetric) {
            if (left === 0) break;
            left--;
            if (run.length === RUN_SERIES_MAX) {
              runs.push(run);
              run = [];
            }
            const own = partsOf(parts, instance);
            run.push({ labels: encode(own), instance });
            labelCount += own.length / 2 - 1;
          }
        }
        if (run.length > 0) runs.push(run);
      }
      for (const run of runs) run.sort((a, b) => Buffer.compare(a.labels, b.labels));
      if (runs.length > 0) this.#slots.push({ slot, runs });
    }
    this.labelCount = labelCount;
    this.seriesCount = seriesMax - left;
  }

  /** Everything of one window: a scrape of each instance every `stepMs`. */
  *window(windowStartMs: number, windowMs: number, stepMs: number): Generator<WriteGroup> {
    const random = seededRandom(windowStartMs % 2 ** 31);
    const times = new Map<number, Float64Array>();
    const count = Math.floor(windowMs / stepMs);
    const seriesOf = ({ labels, instance }: Member): GroupSeries => {
      const offsetMs = (instance * 7919) % stepMs;
      const own = getOrMake(times, instance, () =>
        Float64Array.from({ length: count }, (_, i) => windowStartMs + i * stepMs + offsetMs),
      );
      let value = Math.floor(random() * 1e6);
      const values = new Float64Array(count);
      for (let i = 0; i < count; i++) {
        value += Math.floor(random() * 100);
        values[i] = value;
      }
      return { labels, times: own, values };
    };
    async function* runsOf(runs: readonly Member[][]) {
      for (const run of runs) yield run.values().map(seriesOf);
    }
    for (const { slot, runs } of this.#slots) {
      const series = runsOf(runs);
      yield { tenant: this.tenant, placement: this.#placement, slot, windowStartMs, windowMs, series };
    }
  }
}

interface Member {
  readonly labels: Uint8Array;
  readonly instance: number;
}

/** The labels that tell instances apart, as the workload makes them. */
function partsOf(parts: readonly string[], i: number): string[] {
  const own = [...parts];
  for (let at = 0; at < own.length; at += 2) {
    const make = OF_INSTANCE[own[at]!];
    if (make !== undefined) own[at + 1] = make(i);
  }
  return own;
}

const OF_INSTANCE: Readonly<Record<string, (i: number) => string>> = {
  cluster: (i) => `prod-eu-west-${i % 3}`,
  instance: (i) => `10.${(i >> 8) & 255}.${i & 255}.17:9100`,
  namespace: (i) => `team-${i % 20}`,
  pod: (i) => `node-exporter-${(Math.imul(i + 1, 2654435761) >>> 0).toString(36).slice(0, 5)}`,
};

/** Canonical label bytes of short ASCII. */
function encode(parts: readonly string[]): Uint8Array {
  const out = Buffer.allocUnsafe(parts.reduce((sum, part) => sum + part.length + 1, 0));
  let at = 0;
  for (const part of parts) {
    if (part.length > 127) throw new Error('a long label in the workload');
    out[at++] = part.length;
    at += out.write(part, at, 'latin1');
  }
  return out;
}
