import type { QueryRunner, ResultSeries } from '../contract/query.ts';
import { getOrMake } from '../lib/map.ts';
import type { Pacer } from '../lib/pacer.ts';
import type { Labels } from '../model/labels.ts';
import {
  areSeveral,
  labelsOfPairs,
  type NameLabels,
  NO_WORKLOADS,
  type PodWorkloads,
  type ServiceId,
  serviceKey,
  serviceLabels,
  serviceOf,
  type Workload,
  workloadOfPodName,
  workloadOfReplicaSet,
} from '../model/service-id.ts';
import { imageName, imageVersion } from './image.ts';
import { isForeignBuildInfo, isNamedAs, isSidecar, programOf } from './known-programs.ts';
import { YOUNG_MS } from './restart-track.ts';
import type { ServiceMinute, VersionEvidence } from './service-track.ts';
import type { Version } from './version-track.ts';

const MINUTE_MS = 60_000;
/** Age up to which a sample says what is: two scrapes at an interval of a minute, and some delay. */
const LOOKBACK_MS = 150_000;

const START_TIMES = 'process_start_time_seconds';

/**
 * One grouped query for all services. Instances are counted once, whatever other labels their series have.
 *
 * @param ids labels that name a service
 */
const queriesBy = (ids: string) => ({
  targetInfo: `count by (${ids}, service_version) (group by (${ids}, instance, service_version) (target_info{service_version!=""}))`,
  buildInfo: `count by (__name__, ${ids}, version, revision, commit) (group by (__name__, ${ids}, instance, version, revision, commit) ({__name__=~".+_build_info", __name__!~".*exporter.*"}))`,
  up: `count by (${ids}) (up)`,
  images:
    'group by (cluster, namespace, pod, container, image, image_spec, image_id) (kube_pod_container_info{container!="POD"})',
  replicaSetPods: 'count by (cluster, namespace, owner_name) (kube_pod_owner{owner_kind="ReplicaSet"})',
  replicaSets: 'group by (cluster, namespace, replicaset, owner_name) (kube_replicaset_owner{owner_kind="Deployment"})',
  generations: 'max by (cluster, namespace, deployment) (kube_deployment_status_observed_generation)',
  replicas: 'max by (cluster, namespace, deployment) (kube_deployment_spec_replicas)',
  starts: `count by (${ids}) (${START_TIMES})`,
  young: `count by (${ids}) (${START_TIMES} > time() - ${YOUNG_MS / 1000})`,
  firstStarts: `min by (${ids}) (${START_TIMES} > time() - ${YOUNG_MS / 1000})`,
});

type QueryName = keyof ReturnType<typeof queriesBy>;
type Rows = Readonly<Record<QueryName, readonly ResultSeries[]>>;

export interface EvidenceOptions {
  readonly runner: QueryRunner;
  /** Kept from one reading to the next. */
  readonly choices: EvidenceChoices;
  readonly workloads?: PodWorkloads | undefined;
  readonly nameLabels?: NameLabels | undefined;
  /** Gives others of the thread their turn; absent: all is read in one go. */
  readonly pacer?: Pacer | undefined;
}

/** A choice is made anew when what was chosen was not seen for this long. */
const CHOICE_MS = 60 * MINUTE_MS;
/** Names beside a choice that are remembered; where there are more, all are taken for known. */
const BESIDE_MAX = 50;
/** Two names that together are on more than this share of instances are on the same ones. */
const BOTH_SHARE = 1.4;

/** Names by the instances that have them, and all instances; both over the minutes that are looked at. */
interface Counted {
  readonly of: ReadonlyMap<string, number>;
  readonly all: number;
}

interface Choice {
  readonly name: string;
  seenMs: number;
  /** Others that its instances have, too. */
  readonly beside: Set<string>;
  /** The name that it took over from, which may come back. */
  readonly before: string | undefined;
}

/** The metric and the container that tell a service's version: going from one to another would look like a new version. */
export class EvidenceChoices {
  /** By service and kind. */
  readonly #chosen = new Map<string, Choice>();

  /**
   * The choice of before as long as it is there. Where it makes room for a name that was never beside it, a new version has another
   * name for the same.
   *
   * @param names that may be chosen now, best first
   */
  choose(key: string, names: readonly string[], counted: Counted, endMs: number): string | undefined {
    const chosen = this.#chosen.get(key);
    if (chosen !== undefined) {
      if (counted.of.has(chosen.name)) chosen.seenMs = endMs;
      noteBeside(chosen, counted);
      const isGood = names.includes(chosen.name);
      const { beside, before } = chosen;
      const isKnown = (name: string) => name !== before && (beside.has(name) || beside.size > BESIDE_MAX);
      const heir = isGood ? undefined : names.find((name) => !isKnown(name));
      if (heir !== undefined) return this.#choose(key, { name: heir, before: chosen.name }, counted, endMs);
      if (endMs - chosen.seenMs <= CHOICE_MS) return chosen.name;
    }
    const [name] = names;
    return name === undefined ? undefined : this.#choose(key, { name, before: undefined }, counted, endMs);
  }

  #choose(key: string, { name, before }: Pick<Choice, 'name' | 'before'>, counted: Counted, endMs: number): string {
    const choice = { name, seenMs: endMs, beside: new Set<string>(), before };
    noteBeside(choice, counted);
    this.#chosen.set(key, choice);
    return name;
  }

  /** Forgets services that are gone. */
  keep(isKept: (serviceKey: string) => boolean): void {
    for (const key of this.#chosen.keys()) if (!isKept(key.slice(key.indexOf(' ') + 1))) this.#chosen.delete(key);
  }
}

function pointsBy<T>(byName: ReadonlyMap<string, readonly T[]>, pointsOf: (one: T) => number): Map<string, number> {
  return new Map(Array.from(byName, ([name, all]) => [name, all.reduce((points, one) => points + pointsOf(one), 0)]));
}

function noteBeside({ name, beside }: Choice, { of, all }: Counted): void {
  const own = of.get(name) ?? 0;
  for (const [other, count] of of) {
    if (beside.size > BESIDE_MAX) return;
    if (other !== name && own + count > all * BOTH_SHARE) beside.add(other);
  }
}

/** Evidence of all services of a tenant, minute by minute. */
export interface Evidence {
  readonly startMs: number;
  readonly endMs: number;
  /** By service; those of several workloads also by workload. */
  readonly services: ReadonlyMap<string, ServiceEvidence>;
}

export interface ServiceEvidence {
  readonly service: ServiceId;
  /** One of several of the service, whose evidence this is; undefined: of the service as a whole. */
  readonly workload?: Workload | undefined;
  /** By minute, from the start on; undefined where there is nothing. */
  readonly minutes: readonly (ServiceMinute | undefined)[];
}

/**
 * Asks for the evidence of the minutes from `startMs` to `endMs`, both inclusive and whole minutes: one query after the other, so
 * that the job takes one turn of the tenant's at a time.
 *
 * @throws AppError
 */
export async function readEvidence(
  tenant: string,
  startMs: number,
  endMs: number,
  { runner, choices, workloads = NO_WORKLOADS, nameLabels, pacer }: EvidenceOptions,
  signal: AbortSignal,
): Promise<Evidence> {
  const rows: Partial<Record<QueryName, readonly ResultSeries[]>> = {};
  const queries = queriesBy(serviceLabels(nameLabels).join(', '));
  for (const [name, expr] of Object.entries(queries) as [QueryName, string][]) {
    const request = { expr, startMs, endMs, stepMs: MINUTE_MS, lookbackMs: LOOKBACK_MS };
    const { value } = await runner.range(tenant, request, { signal });
    rows[name] = value.type === 'matrix' ? value.series : [];
  }
  const reading = new Reading(startMs, endMs, choices, workloads, nameLabels);
  return { startMs, endMs, services: await reading.services(rows as Rows, pacer) };
}

interface MutableMinute {
  readonly versions: Partial<Record<VersionEvidence, { version: Version; instances: number }[]>>;
  starts?: { instances: number; young: number; firstStartMs: number };
  generation?: { generation: number; replicas: number };
}

interface Draft {
  readonly service: ServiceId;
  readonly workload: Workload | undefined;
  readonly minutes: (MutableMinute | undefined)[];
  /** By metric, its rows. */
  readonly buildInfos: Map<string, { readonly version: Version; readonly row: ResultSeries }[]>;
  /** Points of `up`. */
  upPoints: number;
  /** By container, its rows: one for each pod and image. */
  readonly containers: Map<string, { readonly version: Version; readonly row: ResultSeries; readonly image: string }[]>;
  readonly pods: Map<string, number>;
}

/** Puts rows together by service and minute. */
class Reading {
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #count: number;
  readonly #choices: EvidenceChoices;
  readonly #workloads: PodWorkloads;
  readonly #nameLabels: NameLabels | undefined;
  readonly #drafts = new Map<string, Draft>();

  constructor(
    startMs: number,
    endMs: number,
    choices: EvidenceChoices,
    workloads: PodWorkloads,
    nameLabels: NameLabels | undefined,
  ) {
    this.#startMs = startMs;
    this.#endMs = endMs;
    this.#choices = choices;
    this.#count = Math.floor((endMs - startMs) / MINUTE_MS) + 1;
    this.#workloads = workloads;
    this.#nameLabels = nameLabels;
  }

  async services(rows: Rows, pacer: Pacer | undefined): Promise<Map<string, ServiceEvidence>> {
    await this.#versions(rows, pacer);
    await this.#pods(rows, pacer);
    await this.#starts(rows, pacer);
    await this.#generations(rows, pacer);
    const services = new Map<string, ServiceEvidence>();
    for (const [key, draft] of this.#drafts) {
      if (pacer?.due) await pacer.pause();
      this.#takeBuildInfo(key, draft);
      this.#takeImage(key, draft);
      services.set(key, { service: draft.service, workload: draft.workload, minutes: draft.minutes });
    }
    return services;
  }

  async #versions(rows: Rows, pacer: Pacer | undefined): Promise<void> {
    for (const row of rows.targetInfo) {
      if (pacer?.due) await pacer.pause();
      const labels = labelsOfPairs(row.pairs);
      const draft = this.#draftOf(labels);
      const version = { version: labels.get('service_version'), revision: '' };
      if (draft !== undefined) this.#addRow(draft, 'target-info', version, row);
    }
    for (const row of rows.up) {
      if (pacer?.due) await pacer.pause();
      const draft = this.#draftOf(labelsOfPairs(row.pairs));
      if (draft !== undefined) draft.upPoints += sum(row.values);
    }
    for (const row of rows.buildInfo) {
      if (pacer?.due) await pacer.pause();
      const labels = labelsOfPairs(row.pairs);
      const version = { version: labels.get('version'), revision: labels.get('revision') || labels.get('commit') };
      if (version.version === '' && version.revision === '') continue;
      const metric = labels.get('__name__');
      const draft = this.#draftOf(labels);
      if (draft === undefined || isForeignBuildInfo(metric, draft.service.name)) continue;
      getOrMake(draft.buildInfos, metric, () => []).push({ version, row });
    }
  }

  async #pods(rows: Rows, pacer: Pacer | undefined): Promise<void> {
    for (const row of rows.images) {
      if (pacer?.due) await pacer.pause();
      const labels = labelsOfPairs(row.pairs);
      const [cluster, namespace, pod] = [labels.get('cluster'), labels.get('namespace'), labels.get('pod')];
      const name = this.#workloads.workloadOf(cluster, namespace, pod) ?? workloadOfPodName(pod);
      if (name === '') continue;
      const draft = this.#draftOfWorkload({ cluster, namespace, name });
      const image = imageName(labels.get('image_spec') || labels.get('image'));
      const container = labels.get('container');
      draft.pods.set(pod, Math.max(draft.pods.get(pod) ?? 0, row.times.length));
      if (isSidecar(container, image.name, name)) continue;
      const version = { version: imageVersion(image, labels.get('image_id')), revision: '' };
      if (version.version === '') continue;
      getOrMake(draft.containers, container, () => []).push({ version, row, image: image.name });
    }
    const owners = new Map<string, string>();
    const replicaSetKey = (labels: Labels, name: string) =>
      `${labels.get('cluster')}\0${labels.get('namespace')}\0${name}`;
    for (const row of rows.replicaSets) {
      if (pacer?.due) await pacer.pause();
      const labels = labelsOfPairs(row.pairs);
      owners.set(replicaSetKey(labels, labels.get('replicaset')), labels.get('owner_name'));
    }
    for (const row of rows.replicaSetPods) {
      if (pacer?.due) await pacer.pause();
      const labels = labelsOfPairs(row.pairs);
      const replicaSet = labels.get('owner_name');
      const name = owners.get(replicaSetKey(labels, replicaSet)) ?? workloadOfReplicaSet(replicaSet);
      if (name === '') continue;
      const workload = { cluster: labels.get('cluster'), namespace: labels.get('namespace'), name };
      const draft = this.#draftOfWorkload(workload);
      this.#addRow(draft, 'replica-set', { version: replicaSet, revision: '' }, row);
    }
  }

  async #starts(rows: Rows, pacer: Pacer | undefined): Promise<void> {
    const each = async (
      list: readonly ResultSeries[],
      take: (of: { instances: number; young: number; firstStartMs: number }, value: number) => void,
    ) => {
      for (const row of list) {
        if (pacer?.due) await pacer.pause();
        const draft = this.#draftOf(labelsOfPairs(row.pairs));
        if (draft === undefined) continue;
        this.#eachPoint(row, (i, value) => {
          const minute = this.#minute(draft, i);
          minute.starts ??= { instances: 0, young: 0, firstStartMs: Number.NaN };
          take(minute.starts, value);
        });
      }
    };
    await each(rows.starts, (starts, value) => {
      starts.instances += value;
    });
    await each(rows.young, (starts, value) => {
      starts.young += value;
    });
    await each(rows.firstStarts, (starts, value) => {
      starts.firstStartMs = Math.min(
        Number.isNaN(starts.firstStartMs) ? value * 1000 : starts.firstStartMs,
        value * 1000,
      );
    });
  }

  async #generations(rows: Rows, pacer: Pacer | undefined): Promise<void> {
    const take = async (list: readonly ResultSeries[], field: 'generation' | 'replicas') => {
      for (const row of list) {
        if (pacer?.due) await pacer.pause();
        const labels = labelsOfPairs(row.pairs);
        const name = labels.get('deployment');
        if (name === '') continue;
        const draft = this.#draftOfWorkload({
          cluster: labels.get('cluster'),
          namespace: labels.get('namespace'),
          name,
        });
        this.#eachPoint(row, (i, value) => {
          const minute = this.#minute(draft, i);
          minute.generation ??= { generation: Number.NaN, replicas: Number.NaN };
          minute.generation[field] = value;
        });
      }
    };
    await take(rows.generations, 'generation');
    await take(rows.replicas, 'replicas');
  }

  /** The `*_build_info` of the service itself: one that half of its instances expose, named as the service where there are several. */
  #takeBuildInfo(key: string, draft: Draft): void {
    const of = pointsBy(draft.buildInfos, ({ row }) => sum(row.values));
    const points = (metric: string) => of.get(metric)!;
    const all = Math.max(draft.upPoints, ...of.values());
    const own = [...of.keys()]
      .filter((metric) => points(metric) * 2 >= all)
      .sort(
        (a, b) =>
          compareNamed(draft.service.name, programOf(a), programOf(b)) || points(b) - points(a) || (a < b ? -1 : 1),
      );
    const chosen = this.#choices.choose(`metric ${key}`, own, { of, all }, this.#endMs) ?? '';
    for (const { version, row } of draft.buildInfos.get(chosen) ?? []) this.#addRow(draft, 'build-info', version, row);
  }

  /** The image of the container that all pods have. */
  #takeImage(key: string, draft: Draft): void {
    let all = 0;
    for (const points of draft.pods.values()) all += points;
    const of = pointsBy(draft.containers, ({ row }) => row.times.length);
    const { name } = draft.workload ?? draft.service;
    const own = [...of.keys()]
      .filter((container) => of.get(container)! >= all * 0.9)
      .sort(
        (a, b) =>
          compareNamed(name, a, b) ||
          compareNamed(name, this.#image(draft, a), this.#image(draft, b)) ||
          (a < b ? -1 : 1),
      );
    const chosen = this.#choices.choose(`container ${key}`, own, { of, all }, this.#endMs) ?? '';
    for (const { version, row } of draft.containers.get(chosen) ?? []) this.#addRow(draft, 'image', version, row);
  }

  #image(draft: Draft, container: string): string {
    return draft.containers.get(container)?.[0]?.image ?? '';
  }

  #draftOf(labels: Labels): Draft | undefined {
    const service = serviceOf(labels, this.#workloads, this.#nameLabels);
    return service === undefined ? undefined : this.#draft(service);
  }

  /** Several workloads of one service have versions of their own. */
  #draftOfWorkload(workload: Workload): Draft {
    const service = this.#workloads.serviceOf(workload);
    if (service === undefined) return this.#draft(workload);
    return this.#draft(service, areSeveral(this.#workloads.workloadsOf(service)) ? workload : undefined);
  }

  #draft(service: ServiceId, workload?: Workload): Draft {
    const key = serviceKey(service);
    return getOrMake(this.#drafts, workload === undefined ? key : `${key} ${serviceKey(workload)}`, () => ({
      service,
      workload,
      minutes: new Array<MutableMinute | undefined>(this.#count).fill(undefined),
      buildInfos: new Map(),
      upPoints: 0,
      containers: new Map(),
      pods: new Map(),
    }));
  }

  #minute(draft: Draft, i: number): MutableMinute {
    draft.minutes[i] ??= { versions: {} };
    return draft.minutes[i];
  }

  #addRow(draft: Draft, evidence: VersionEvidence, version: Version, row: ResultSeries): void {
    this.#eachPoint(row, (i, instances) => {
      const minute = this.#minute(draft, i);
      minute.versions[evidence] ??= [];
      minute.versions[evidence].push({ version, instances });
    });
  }

  #eachPoint({ times, values }: ResultSeries, take: (minute: number, value: number) => void): void {
    for (let i = 0; i < times.length; i++) take(Math.round((times[i]! - this.#startMs) / MINUTE_MS), values[i]!);
  }
}

/** Names of the service itself come first. */
function compareNamed(service: string, a: string, b: string): number {
  return Number(isNamedAs(service, b)) - Number(isNamedAs(service, a));
}

function sum(values: Float64Array): number {
  let all = 0;
  for (const value of values) all += value;
  return all;
}
