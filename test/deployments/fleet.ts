import { type Random, seededRandom } from '../../src/lib/random.ts';
import { Labels } from '../../src/model/labels.ts';
import type { Queryable } from '../../src/storage/queryable.ts';

/** A fleet of services over a day, as its metrics show it, and the deployments that there really were. */
export interface Fleet {
  readonly queryable: Queryable;
  readonly truths: readonly Truth[];
  readonly startMs: number;
  readonly endMs: number;
  readonly services: readonly string[];
}

/** A change of a service's version. Times in Unix ms. */
export interface Truth {
  readonly service: string;
  readonly kind: 'deployment' | 'canary' | 'rollback';
  /** As the evidence spells it, or the versions that all evidence spells. */
  readonly to: readonly string[];
  readonly beginMs: number;
  /** Data of this time was there: a gap at the begin moves it. */
  readonly seenMs: number;
  /** undefined: it has none within the day, or none that is certain. */
  readonly endMs: number | undefined;
}

const DAY_S = 86_400;
const TICK_S = 15;
const START_MS = 1_767_225_600_000;

/** One instance: a process with one version from its start to its end. Seconds from the fleet's start. */
interface Instance {
  readonly id: number;
  /** Index of the version. */
  readonly version: number;
  readonly startS: number;
  endS: number;
  /** How often the sidecar beside it had been upgraded when it began. */
  readonly sidecar: number;
  readonly hasRevision: boolean;
  readonly hasTargetInfo: boolean;
  /** Its place, which the next one of a machine takes over. */
  readonly slot: number;
}

type EvidenceKind = 'target-info' | 'build-info' | 'image' | 'replica-set' | 'all';
const KINDS: readonly EvidenceKind[] = ['target-info', 'build-info', 'image', 'replica-set', 'all'];

/** Makes a fleet of `count` services of all kinds of evidence. */
export function fleetOf(seed: number, count = 3): Fleet {
  const random = seededRandom(seed * 7919 + 13);
  const series: FleetSeries[] = [];
  const truths: Truth[] = [];
  const services: string[] = [];
  for (let i = 0; i < count; i++) {
    const kind = KINDS[(seed + i) % KINDS.length]!;
    const name = `svc${'abcdefgh'[i]}`;
    const simulated = new SimulatedService(name, kind, random);
    simulated.run();
    series.push(...simulated.series());
    truths.push(...simulated.truths());
    services.push(name);
  }
  return {
    queryable: queryableOf(series),
    truths,
    startMs: START_MS,
    endMs: START_MS + DAY_S * 1000,
    services,
  };
}

/** Steps of a service's life that change its version, or look like it. */
type Happening =
  | 'roll-out'
  | 'canary'
  | 'restart'
  | 'sidecar'
  | 'exporter'
  | 'revision'
  | 'target-info'
  | 'quick-return'
  | 'half-way-back';

interface Change {
  readonly kind: Truth['kind'];
  readonly version: number;
  readonly beginS: number;
  endS: number | undefined;
}

class SimulatedService {
  readonly #name: string;
  readonly #evidence: EvidenceKind;
  readonly #random: Random;
  readonly #instances: Instance[] = [];
  readonly #live = new Set<Instance>();
  readonly #changes: Change[] = [];
  readonly #gaps: { fromS: number; toS: number }[] = [];
  readonly #exporterUpgrades: number[] = [];
  /** Machines keep their names; pods have new ones. */
  readonly #isPods: boolean;
  readonly #marksStale: boolean;
  readonly #intervalS: number;
  /** Two versions that stay, each with a number of its own. */
  readonly #isDouble: boolean;
  #desired: number;
  #second = 0;
  #isSteady = false;
  #now = 0;
  #nextId = 0;
  #version = 0;
  /** The version that is coming, and the share of instances that have it. */
  #coming: { readonly version: number; share: number } | undefined;
  #versions = 1;
  #sidecar = 0;
  #hasRevision = false;
  #hasTargetInfo: boolean;
  /** Instances that are away for a while. */
  #away: { count: number; untilS: number } = { count: 0, untilS: 0 };
  #ramp: { fromS: number; lengthS: number } | undefined;

  constructor(name: string, evidence: EvidenceKind, random: Random) {
    this.#name = name;
    this.#evidence = evidence;
    this.#random = random;
    this.#isPods = evidence !== 'build-info' || random() < 0.5;
    this.#marksStale = random() < 0.6;
    this.#intervalS = [15, 30, 60][Math.floor(random() * 3)]!;
    this.#isDouble = random() < 0.15;
    this.#desired = this.#between(3, 24);
    this.#hasTargetInfo = evidence === 'target-info';
    if (this.#isDouble) {
      this.#second = this.#versions++;
    }
  }

  #between(low: number, high: number): number {
    return low + Math.floor(this.#random() * (high - low + 1));
  }

  run(): void {
    this.#planGaps();
    let nextScaleS = this.#between(120, 600);
    let nextDrainS = this.#between(1800, 10_000);
    const happenings = this.#happenings();
    let current = happenings.next();
    for (this.#now = 0; this.#now < DAY_S; this.#now += TICK_S) {
      if (this.#now >= nextScaleS && !this.#isSteady) {
        const change = Math.max(1, Math.round(this.#desired * (0.05 + this.#random() * 0.3)));
        this.#desired = Math.min(
          40,
          Math.max(this.#coming === undefined ? 2 : 6, this.#desired + (this.#random() < 0.5 ? change : -change)),
        );
        nextScaleS = this.#now + this.#between(120, 600);
      }
      if (this.#now >= nextDrainS) {
        const count = Math.max(1, Math.floor(this.#desired * this.#random() * 0.4));
        this.#away = { count, untilS: this.#now + this.#between(30, 240) };
        nextDrainS = this.#now + this.#between(1800, 10_000);
        this.#kill(count);
      }
      if (!current.done) current = happenings.next();
      this.#reconcile();
    }
    for (const instance of this.#live) instance.endS = DAY_S;
  }

  #planGaps(): void {
    const count = this.#between(0, 4);
    for (let i = 0; i < count; i++) {
      const fromS = this.#between(3600, DAY_S - 3600);
      this.#gaps.push({ fromS, toS: fromS + this.#between(60, 1800) });
    }
  }

  /** A step each tick. */
  *#happenings(): Generator<undefined, void> {
    yield* this.#wait(this.#between(5400, 9000));
    while (this.#now < DAY_S - 3 * 3600) {
      yield* this.#happen(this.#choose());
      yield* this.#wait(this.#between(900, 7200));
    }
  }

  #choose(): Happening {
    if (this.#isDouble) return (['restart', 'exporter', 'restart'] as const)[this.#between(0, 2)]!;
    const all: Happening[] = [
      'roll-out',
      'roll-out',
      'roll-out',
      'canary',
      'restart',
      'exporter',
      'quick-return',
      'half-way-back',
    ];
    // a new ReplicaSet is all that some evidence knows, whatever is new in it
    if (this.#evidence === 'image' || this.#evidence === 'all') all.push('sidecar', 'sidecar');
    if (!this.#hasRevision && (this.#evidence === 'build-info' || this.#evidence === 'all')) all.push('revision');
    if (!this.#hasTargetInfo && this.#evidence === 'all') all.push('target-info');
    return all[Math.floor(this.#random() * all.length)]!;
  }

  *#happen(happening: Happening): Generator<undefined, void> {
    switch (happening) {
      case 'roll-out':
        yield* this.#rollOut(this.#versions++, 'deployment');
        return;
      case 'target-info':
        // the new version tells more of itself
        this.#hasTargetInfo = true;
        yield* this.#rollOut(this.#versions++, 'deployment');
        return;
      case 'canary':
        yield* this.#canary();
        return;
      case 'restart':
        yield* this.#restart();
        return;
      case 'sidecar':
        this.#sidecar++;
        yield* this.#rollThrough(this.#rollSeconds());
        return;
      case 'exporter':
        this.#exporterUpgrades.push(this.#now);
        return;
      case 'revision':
        this.#hasRevision = true;
        yield* this.#rollThrough(this.#rollSeconds());
        return;
      case 'quick-return': {
        const before = this.#version;
        yield* this.#rollOut(this.#versions++, 'deployment');
        yield* this.#wait(this.#between(300, 2700));
        yield* this.#rollOut(before, 'rollback');
        return;
      }
      case 'half-way-back':
        yield* this.#halfWayBack();
        return;
    }
  }

  *#wait(seconds: number): Generator<undefined, void> {
    const untilS = this.#now + seconds;
    while (this.#now < untilS) yield;
  }

  #rollSeconds(): number {
    return this.#between(60, 2400);
  }

  *#grow(fromShare: number, toShare: number, seconds: number): Generator<undefined, void> {
    const fromS = this.#now;
    while (this.#now < fromS + seconds) {
      this.#coming!.share = fromShare + ((toShare - fromShare) * (this.#now - fromS)) / seconds;
      yield;
    }
    this.#coming!.share = toShare;
    yield;
  }

  *#rollOut(version: number, kind: Truth['kind']): Generator<undefined, void> {
    const change: Change = { kind, version, beginS: this.#now, endS: undefined };
    this.#changes.push(change);
    this.#coming = { version, share: 0.001 };
    yield* this.#grow(0.001, 1, this.#rollSeconds());
    change.endS = this.#now;
    this.#version = version;
    this.#coming = undefined;
  }

  *#canary(): Generator<undefined, void> {
    const version = this.#versions++;
    const share = 0.02 + this.#random() * 0.25;
    this.#desired = Math.max(6, this.#desired);
    const beginS = this.#now;
    this.#coming = { version, share };
    yield* this.#wait(this.#between(1200, 5400));
    if (this.#random() < 0.3) yield* this.#restart();
    if (this.#random() < 0.5) {
      const change: Change = { kind: 'deployment', version, beginS, endS: undefined };
      this.#changes.push(change);
      yield* this.#grow(share, 1, this.#rollSeconds());
      change.endS = this.#now;
      this.#version = version;
    } else this.#changes.push({ kind: 'canary', version, beginS, endS: this.#now });
    this.#coming = undefined;
  }

  *#halfWayBack(): Generator<undefined, void> {
    const version = this.#versions++;
    const before = this.#version;
    const change: Change = { kind: 'deployment', version, beginS: this.#now, endS: undefined };
    this.#changes.push(change);
    this.#coming = { version, share: 0.001 };
    const reached = 0.7 + this.#random() * 0.25;
    yield* this.#grow(0.001, reached, Math.max(600, this.#rollSeconds()));
    // a number that changes would move single instances there and back
    this.#isSteady = true;
    yield* this.#wait(this.#between(300, 900));
    this.#isSteady = false;
    this.#changes.push({ kind: 'rollback', version: before, beginS: this.#now, endS: undefined });
    // the first goes at once
    yield* this.#grow(Math.max(0, reached - 1.01 / this.#live.size), 0, this.#between(60, 1200));
    this.#changes.at(-1)!.endS = this.#now;
    this.#coming = undefined;
  }

  /** All at once, back within some minutes. */
  *#restart(): Generator<undefined, void> {
    for (const instance of this.#live) instance.endS = this.#now;
    this.#live.clear();
    this.#ramp = { fromS: this.#now + this.#between(0, 60), lengthS: this.#between(1, 240) };
    yield* this.#wait(360);
    this.#ramp = undefined;
  }

  /** All instances are replaced one after the other, with the same version. */
  *#rollThrough(seconds: number): Generator<undefined, void> {
    const old = [...this.#live];
    const fromS = this.#now;
    let done = 0;
    while (done < old.length) {
      const due = Math.ceil((old.length * (this.#now - fromS)) / seconds);
      for (; done < Math.min(due, old.length); done++) this.#end(old[done]!);
      yield;
    }
  }

  #end(instance: Instance): void {
    if (!this.#live.delete(instance)) return;
    instance.endS = this.#now;
  }

  #kill(count: number): void {
    for (const instance of [...this.#live].sort(() => this.#random() - 0.5).slice(0, count)) this.#end(instance);
  }

  /** Starts and ends instances until there are as many of each version as there should be. */
  #reconcile(): void {
    let total = this.#desired - (this.#now < this.#away.untilS ? this.#away.count : 0);
    if (this.#ramp !== undefined) {
      const done = (this.#now - this.#ramp.fromS) / this.#ramp.lengthS;
      total = Math.floor(total * Math.min(1, Math.max(0, done)));
    }
    total = Math.max(total, this.#ramp === undefined ? 1 : 0);
    const wanted = new Map<number, number>();
    if (this.#isDouble) {
      wanted.set(this.#version, Math.ceil(total / 2));
      // each group scales by itself
      wanted.set(this.#second, Math.max(this.#ramp === undefined ? 1 : 0, Math.floor(this.#desired * 0.45)));
    } else if (this.#coming === undefined) wanted.set(this.#version, total);
    else {
      const { share, version } = this.#coming;
      const fresh = share === 0 ? 0 : Math.min(total, Math.max(1, Math.round(total * share)));
      wanted.set(version, fresh);
      wanted.set(this.#version, total - fresh);
    }
    for (const instance of [...this.#live]) if (!wanted.has(instance.version)) this.#end(instance);
    for (const [version, count] of wanted) {
      const own = [...this.#live].filter((instance) => instance.version === version);
      for (const instance of own.slice(count)) this.#end(instance);
      for (let i = own.length; i < count; i++) this.#start(version);
    }
  }

  #start(version: number): void {
    const taken = new Set([...this.#live].map(({ slot }) => slot));
    let slot = 0;
    while (taken.has(slot)) slot++;
    const instance: Instance = {
      id: this.#nextId++,
      version,
      startS: this.#now,
      endS: DAY_S,
      sidecar: this.#sidecar,
      hasRevision: this.#hasRevision,
      hasTargetInfo: this.#hasTargetInfo,
      slot,
    };
    this.#live.add(instance);
    this.#instances.push(instance);
  }

  truths(): Truth[] {
    // a version that came and went within one gap, nobody has seen
    const isHidden = (from: Change, to: Change | undefined) =>
      to !== undefined && this.#afterGaps(from.beginS) >= this.#afterGaps(to.beginS) - 60;
    const seen = this.#changes.filter(
      (change, i) =>
        !isHidden(change, this.#changes[i + 1]) &&
        !(change.kind === 'rollback' && i > 0 && isHidden(this.#changes[i - 1]!, change)),
    );
    return seen.map(({ kind, version, beginS, endS }) => ({
      service: this.#name,
      kind,
      to: [versionText(version), `${versionText(version)} (${revisionText(version)})`, this.#replicaSet(version)],
      beginMs: START_MS + beginS * 1000,
      seenMs: START_MS + this.#afterGaps(beginS) * 1000,
      endMs: endS === undefined ? undefined : START_MS + this.#afterGaps(endS) * 1000,
    }));
  }

  #afterGaps(atS: number): number {
    const gap = this.#gaps.find(({ fromS, toS }) => atS >= fromS - 150 && atS <= toS);
    return gap === undefined ? atS : this.#afterGaps(gap.toS + 1);
  }

  #replicaSet(version: number): string {
    return `${this.#name}-${hashText(version, 9)}`;
  }

  /** The series that Prometheus would have of it. */
  series(): FleetSeries[] {
    const series: FleetSeries[] = [];
    const gaps = this.#gaps.map(({ fromS, toS }) => [START_MS + fromS * 1000, START_MS + toS * 1000] as const);
    const add = (labels: Readonly<Record<string, string>>, instance: Instance, value: number, id = instance.id) => {
      series.push({
        labels: Labels.of(labels),
        startMs: START_MS + instance.startS * 1000,
        endMs: START_MS + instance.endS * 1000,
        intervalMs: this.#intervalS * 1000,
        offsetMs: ((id * 7919) % this.#intervalS) * 1000,
        marksStale: this.#marksStale,
        gaps,
        value,
      });
    };
    const evidence = this.#evidence;
    for (const instance of this.#instances) {
      const version = versionText(instance.version);
      const pod = `${this.#replicaSet(instance.version)}-${hashText(instance.id, 5)}`;
      const address = this.#isPods
        ? `10.0.${instance.id >> 8}.${instance.id & 255}:8080`
        : `host-${instance.slot}:8080`;
      const scraped = { namespace: 'shop', job: this.#name, instance: address, ...(this.#isPods ? { pod } : {}) };
      add({ __name__: 'up', ...scraped }, instance, 1);
      add({ __name__: 'process_start_time_seconds', ...scraped }, instance, START_MS / 1000 + instance.startS);
      if (evidence === 'target-info' || (evidence === 'all' && instance.hasTargetInfo)) {
        const job = `shop/${this.#name}`;
        add({ __name__: 'target_info', job, instance: `${instance.id}`, service_version: version }, instance, 1);
      }
      if (evidence === 'build-info' || evidence === 'all') {
        const revision: Record<string, string> = instance.hasRevision
          ? { revision: revisionText(instance.version) }
          : {};
        add({ __name__: `${this.#name}_build_info`, ...scraped, version, ...revision }, instance, 1);
        add({ __name__: 'go_build_info', ...scraped, version: '(devel)', path: this.#name }, instance, 1);
        add({ __name__: 'envoy_build_info', ...scraped, version: `1.${30 + instance.sidecar}` }, instance, 1);
      }
      if (evidence === 'image' || evidence === 'all') {
        const container = { __name__: 'kube_pod_container_info', namespace: 'shop', pod, job: 'kube-state-metrics' };
        const image = (name: string, tag: string) => ({
          image: `registry.example/${name}:${tag}`,
          image_id: `sha256:${hashText(instance.id, 9)}`,
        });
        add({ ...container, container: this.#name, ...image(this.#name, version) }, instance, 1, 1);
        add(
          { ...container, container: 'istio-proxy', ...image('proxyv2', `1.${20 + instance.sidecar}`) },
          instance,
          1,
          1,
        );
        const side = { ...container, container: 'log-shipper', ...image('log-shipper', `3.${instance.sidecar}`) };
        add(side, instance, 1, 1);
      }
      if (evidence === 'replica-set' || evidence === 'all') {
        const owner = {
          owner_kind: 'ReplicaSet',
          owner_name: `${this.#replicaSet(instance.version)}${evidence === 'all' && instance.sidecar > 0 ? `${'bcdfghjkl'[instance.sidecar % 9]}` : ''}`,
        };
        add(
          { __name__: 'kube_pod_owner', namespace: 'shop', pod, job: 'kube-state-metrics', ...owner },
          instance,
          1,
          1,
        );
      }
    }
    const ends = [...this.#exporterUpgrades, DAY_S];
    for (const [i, endS] of ends.entries()) {
      const exporter = { startS: i === 0 ? 0 : ends[i - 1]!, endS, id: i } as Instance;
      const labels = { namespace: 'shop', job: this.#name, instance: 'exporter:9121', version: `v1.${i}` };
      add({ __name__: 'redis_exporter_build_info', ...labels }, exporter, 1);
    }
    return series;
  }
}

function versionText(version: number): string {
  return `1.${version}.0`;
}

function revisionText(version: number): string {
  return `c0ffee${version}`;
}

/** A text as Kubernetes makes them. */
function hashText(number: number, length: number): string {
  const random = seededRandom(number + 1);
  return Array.from({ length }, () => 'bcdfghjklmnpqrstvwxz2456789'[Math.floor(random() * 27)]).join('');
}

interface FleetSeries {
  readonly labels: Labels;
  readonly startMs: number;
  readonly endMs: number;
  readonly intervalMs: number;
  readonly offsetMs: number;
  readonly marksStale: boolean;
  readonly gaps: readonly (readonly [fromMs: number, toMs: number])[];
  readonly value: number;
}

/** Makes samples as they are read. */
function queryableOf(all: readonly FleetSeries[]): Queryable {
  // series of machines are one for as long as their labels stay
  const byKey = new Map<string, FleetSeries[]>();
  for (const one of all) byKey.set(one.labels.key, [...(byKey.get(one.labels.key) ?? []), one]);
  const merged = [...byKey.values()].sort((a, b) => Labels.compare(a[0]!.labels, b[0]!.labels));
  const byName = Map.groupBy(merged, ([one]) => one!.labels.get('__name__'));
  return {
    async select({ matchers, startMs, endMs }) {
      const names = [...byName.keys()].filter((name) =>
        matchers.every((matcher) => matcher.name !== '__name__' || matcher.matches(name)),
      );
      const found = names
        .flatMap((name) => byName.get(name)!)
        .filter((parts) => parts.some((part) => part.endMs >= startMs && part.startMs <= endMs))
        .filter(([one]) => matchers.every((matcher) => matcher.matches(one!.labels.get(matcher.name))))
        .sort((a, b) => Labels.compare(a[0]!.labels, b[0]!.labels));
      return {
        series: found.map(([one]) => one!.labels),
        warnings: [],
        read(index, out) {
          out.clear();
          let lastMs = Number.NEGATIVE_INFINITY;
          for (const part of found[index]!) {
            const { intervalMs, offsetMs, gaps } = part;
            const isGap = (timeMs: number) => gaps.some(([fromMs, toMs]) => timeMs >= fromMs && timeMs < toMs);
            const first = Math.ceil((Math.max(part.startMs, startMs) - offsetMs) / intervalMs) * intervalMs + offsetMs;
            let timeMs = first;
            for (; timeMs < part.endMs && timeMs <= endMs; timeMs += intervalMs) {
              if (isGap(timeMs) || timeMs <= lastMs) continue;
              out.pushFloat(timeMs, part.value);
              lastMs = timeMs;
            }
            const isEnd = part.marksStale && timeMs >= part.endMs && timeMs <= endMs && timeMs > lastMs;
            if (isEnd && !isGap(timeMs)) {
              out.pushStale(timeMs);
              lastMs = timeMs;
            }
          }
        },
        close() {},
      };
    },
    labelNames: async () => ({ values: [], warnings: [] }),
    labelValues: async () => ({ values: [], warnings: [] }),
  };
}
