import type { QueryRunner } from '../contract/query.ts';
import { isOwnCounter, nativeOf, RED_FAMILIES, type RedFamily, redQueries } from '../dashboards/red-family.ts';
import type { ServiceDeployment } from '../deployments/deployment.ts';
import { getOrMake } from '../lib/map.ts';
import type { Labels } from '../model/labels.ts';
import {
  labelsOfPairs,
  type NameLabels,
  NO_WORKLOADS,
  type PodWorkloads,
  type ServiceId,
  serviceKey,
  serviceLabels,
  serviceOf,
} from '../model/service-id.ts';
import type { Rows } from './rows.ts';
import { equals, type ServiceSelectors, selectorsOf } from './selectors.ts';
import type { Service } from './service.ts';
import { readWorkloads } from './workloads.ts';

/** Range of the list's rates. */
const RANGE = '5m';
const SERVICES_MAX = 20_000;
/** A service stays in the list for so long after it was last seen. */
const KEPT_MS = 3_600_000;

export interface CatalogOptions {
  readonly tenant: string;
  readonly runner: QueryRunner;
  readonly nameLabels?: NameLabels;
}

type Numbers = Pick<Service, 'rate' | 'errorRatio' | 'durationSeconds' | 'saturation' | 'instances'>;
type MutableNumbers = { -readonly [Name in keyof Numbers]: number | null };

interface Entry {
  readonly id: ServiceId;
  kind: Service['kind'];
  seenMs: number;
  readonly jobs: Set<string>;
  readonly named: Set<string>;
  byPods: boolean;
  numbers: MutableNumbers;
}

/** Jobs whose series belong to whom their labels name. */
const REPORTING_JOB = /(^|[-_/])(kube-state-metrics|kubelet|cadvisor)$/;

/**
 * The services of a tenant, as they were at the last renewal. Renewed by one grouped query for each family of metrics; numbers are
 * filled in as they come, and a family whose query is refused leaves its numbers open.
 */
export class ServiceCatalog {
  readonly #options: CatalogOptions;
  #entries = new Map<string, Entry>();
  /** By job, the services that have series of it. */
  #owners = new Map<string, Set<string>>();
  #workloads: PodWorkloads = NO_WORKLOADS;
  #renewedMs: number | undefined;
  /** Texts of queries that were refused at the last renewal. */
  #refusals: string[] = [];
  readonly #deployments = new Map<string, ServiceDeployment>();

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  /** When the last renewal ended; undefined before the first. */
  get renewedMs(): number | undefined {
    return this.#renewedMs;
  }

  get refusals(): readonly string[] {
    return this.#refusals;
  }

  get workloads(): PodWorkloads {
    return this.#workloads;
  }

  /** All services, by cluster, namespace and name. */
  list(): Service[] {
    return [...this.#entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { id, kind, numbers }]) => ({
        id,
        kind,
        ...numbers,
        lastDeployment: this.#deployments.get(key) ?? null,
      }));
  }

  /** The selectors of a service that is in the list; of another one, those that its name suggests. */
  selectors(id: ServiceId): ServiceSelectors {
    const entry = this.#entries.get(serviceKey(id));
    const { jobs, named, byPods } = entry ?? { jobs: new Set<string>(), named: new Set<string>(), byPods: false };
    const isShared = (job: string) => (this.#owners.get(job)?.size ?? 0) > 1;
    return selectorsOf(id, { jobs, named, byPods, workloads: this.#workloads.workloadsOf(id) }, isShared);
  }

  kindOf(id: ServiceId): Service['kind'] | undefined {
    return this.#entries.get(serviceKey(id))?.kind;
  }

  /** A deployment that was found or sent in: the list shows the last one. */
  deployed(deployment: ServiceDeployment): void {
    if (deployment.kind === 'restart') return;
    const key = serviceKey(deployment.service);
    const known = this.#deployments.get(key);
    if (known !== undefined && known.beginMs > deployment.beginMs) return;
    this.#deployments.set(key, deployment);
  }

  /** @throws AppError where not even the list of services can be had */
  async renew(nowMs: number, signal: AbortSignal): Promise<void> {
    const refusals: string[] = [];
    const ask = async (expr: string): Promise<Rows> => {
      try {
        return await this.#ask(expr, nowMs, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        refusals.push(thrown instanceof Error ? thrown.message : String(thrown));
        return { rows: [], refused: true };
      }
    };
    this.#workloads = await readWorkloads(ask, this.#options.nameLabels);
    const next = new Renewal(this.#entries, this.#workloads, this.#options.nameLabels, nowMs);
    const ids = serviceLabels(this.#options.nameLabels).join(', ');
    next.instances(await this.#ask(`count by (${ids}) (up)`, nowMs, signal));
    // those that push have no `up`
    next.instances(await ask(`count by (${ids}) (group by (${ids}, instance) (target_info))`), true);
    next.machines(await ask(MACHINES));
    this.#take(next);
    for (const family of RED_FAMILIES) {
      const native = nativeOf(family);
      const isBeside = native !== undefined && isOwnCounter(family);
      await this.#renewRed(next, family, ask, isBeside ? native : undefined);
      if (native !== undefined && !isBeside) await this.#renewRed(next, native, ask, undefined);
    }
    for (const expr of saturationQueries(ids)) next.saturation(await ask(expr));
    this.#take(next);
    this.#refusals = refusals;
    this.#renewedMs = nowMs;
  }

  /** @param beside durations of the same requests, as native histograms */
  async #renewRed(
    next: Renewal,
    family: RedFamily,
    ask: (expr: string) => Promise<Rows>,
    beside: RedFamily | undefined,
  ): Promise<void> {
    const labels = family.owner === undefined ? serviceLabels(this.#options.nameLabels) : ownerLabels(family.owner);
    const queries = redQueries(family, labels, '', RANGE);
    const rate = await ask(queries.rate);
    if (rate.rows.length === 0) return;
    const quantiles = [queries, ...(beside === undefined ? [] : [redQueries(beside, labels, '', RANGE)])];
    const rows: Rows[] = [];
    for (const { quantile } of quantiles) {
      const expr = quantile(0.99);
      if (expr !== undefined) rows.push(await ask(expr));
    }
    next.red(family, {
      rate,
      errors: await ask(queries.errors),
      quantile: { rows: rows.flatMap((one) => one.rows), refused: rows.some(({ refused }) => refused) },
      mean: queries.mean === undefined ? NONE : await ask(queries.mean),
    });
    this.#take(next);
  }

  #take({ entries, owners }: Renewal): void {
    this.#entries = entries;
    this.#owners = owners;
  }

  async #ask(expr: string, timeMs: number, signal: AbortSignal): Promise<Rows> {
    const { tenant, runner } = this.#options;
    const { value } = await runner.instant(tenant, { expr, timeMs }, { signal });
    if (value.type !== 'vector') return { rows: [], refused: false };
    return {
      rows: value.pairs.map((pairs, i) => ({ labels: labelsOfPairs(pairs), value: value.values[i]! })),
      refused: false,
    };
  }
}

const NONE: Rows = { rows: [], refused: false };

const MACHINES = 'group by (cluster, job, instance) (node_boot_time_seconds or windows_os_info)';

/** Shares of what a service may use, by its labels or its pods. @param ids labels that name a service */
const saturationQueries = (ids: string): readonly string[] => [
  `sum by (cluster, namespace, pod) (rate(container_cpu_usage_seconds_total{container!="",image!=""}[${RANGE}])) / sum by (cluster, namespace, pod) (kube_pod_container_resource_limits{resource="cpu"})`,
  'sum by (cluster, namespace, pod) (container_memory_working_set_bytes{container!="",image!=""}) / sum by (cluster, namespace, pod) (kube_pod_container_resource_limits{resource="memory"})',
  `max by (${ids}) (process_open_fds / process_max_fds)`,
  `max by (${ids}) (sum by (${ids}, instance) (jvm_memory_used_bytes{area="heap"}) / sum by (${ids}, instance) (jvm_memory_max_bytes{area="heap"} > 0))`,
  `1 - avg by (cluster, job, instance) (rate(node_cpu_seconds_total{mode="idle"}[${RANGE}]))`,
];

function ownerLabels({ namespace, name }: NonNullable<RedFamily['owner']>): readonly string[] {
  return ['cluster', namespace, name];
}

/** A renewal under way: the list as it is becoming. */
class Renewal {
  readonly entries = new Map<string, Entry>();
  readonly owners = new Map<string, Set<string>>();
  readonly #workloads: PodWorkloads;
  readonly #nameLabels: NameLabels | undefined;
  readonly #nowMs: number;
  /** Jobs of node exporters: their instances are machines. */
  readonly #machineJobs = new Set<string>();
  /** Services whose face is found: other families add nothing. */
  readonly #faces = new Map<string, string>();

  constructor(
    before: ReadonlyMap<string, Entry>,
    workloads: PodWorkloads,
    nameLabels: NameLabels | undefined,
    nowMs: number,
  ) {
    this.#workloads = workloads;
    this.#nameLabels = nameLabels;
    this.#nowMs = nowMs;
    for (const [key, entry] of before) {
      if (nowMs - entry.seenMs <= KEPT_MS) this.entries.set(key, { ...entry, numbers: unknown() });
    }
  }

  instances({ rows }: Rows, isPushed = false): void {
    for (const { labels, value } of rows) {
      const entry = this.#entryOf(labels);
      // of one service, both: the scraped ones count
      if (entry === undefined || (isPushed && entry.numbers.instances !== null)) continue;
      entry.numbers.instances = (entry.numbers.instances ?? 0) + value;
    }
  }

  machines({ rows }: Rows): void {
    for (const { labels } of rows) {
      this.#machineJobs.add(labels.get('job'));
      const instance = labels.get('instance');
      const entry = this.#entry({ cluster: labels.get('cluster'), namespace: '', name: instance });
      if (entry === undefined) continue;
      entry.kind = 'infrastructure';
      entry.numbers.instances = 1;
      entry.named.add(equals('instance', instance));
    }
    for (const [key, { id, jobs }] of this.entries) {
      const isExporter = jobs.size > 0 && [...jobs].every((job) => this.#machineJobs.has(job));
      if (isExporter && this.entries.get(key)?.kind === 'service' && id.name !== '') this.entries.delete(key);
    }
  }

  red(
    family: RedFamily,
    { rate, errors, quantile, mean }: { rate: Rows; errors: Rows; quantile: Rows; mean: Rows },
  ): void {
    const entryOf = (labels: Labels) => this.#ownerOf(family, labels);
    const sums = new Map<Entry, { rate: number; errors: number }>();
    for (const { labels, value } of rate.rows) {
      const entry = entryOf(labels);
      if (entry === undefined || Number.isNaN(value)) continue;
      const face = getOrMake(this.#faces, serviceKey(entry.id), () => family.id);
      if (face !== family.id) continue;
      getOrMake(sums, entry, () => ({ rate: 0, errors: 0 })).rate += value;
    }
    for (const { labels, value } of errors.rows) {
      const sum = sums.get(entryOf(labels)!);
      if (sum !== undefined && !Number.isNaN(value)) sum.errors += value;
    }
    for (const [{ numbers }, sum] of sums) {
      numbers.rate = sum.rate;
      if (!errors.refused && sum.rate > 0) numbers.errorRatio = sum.errors / sum.rate;
    }
    // the slowest of several parts; quantiles have the word before means
    for (const { rows } of [mean, quantile]) {
      const worst = new Map<Entry, number>();
      for (const { labels, value } of rows) {
        const entry = entryOf(labels);
        if (entry === undefined || !sums.has(entry) || !Number.isFinite(value)) continue;
        worst.set(entry, Math.max(worst.get(entry) ?? 0, value));
      }
      for (const [{ numbers }, value] of worst) numbers.durationSeconds = value;
    }
  }

  saturation({ rows }: Rows): void {
    for (const { labels, value } of rows) {
      if (!Number.isFinite(value)) continue;
      const entry = this.#known(labels);
      if (entry !== undefined) entry.numbers.saturation = Math.max(entry.numbers.saturation ?? 0, value);
    }
  }

  /** An entry that is there already, by the labels of the service, its pods, or a machine. */
  #known(labels: Labels): Entry | undefined {
    if (labels.get('instance') !== '') {
      return this.entries.get(
        serviceKey({ cluster: labels.get('cluster'), namespace: '', name: labels.get('instance') }),
      );
    }
    const id = serviceOf(labels, this.#workloads, this.#nameLabels);
    return id === undefined ? undefined : this.entries.get(serviceKey(id));
  }

  #ownerOf({ owner }: RedFamily, labels: Labels): Entry | undefined {
    if (owner === undefined) return this.#entryOf(labels);
    const name = labels.get(owner.name);
    if (name === '' || name === 'unknown') return undefined;
    const workload = { cluster: labels.get('cluster'), namespace: labels.get(owner.namespace), name };
    return this.#entry(this.#workloads.serviceOf(workload) ?? workload);
  }

  #entryOf(labels: Labels): Entry | undefined {
    const job = labels.get('job');
    const id = REPORTING_JOB.test(job) ? reporterOf(labels) : serviceOf(labels, this.#workloads, this.#nameLabels);
    if (id === undefined) return undefined;
    const entry = this.#entry(id);
    if (entry === undefined) return undefined;
    if (job !== '') {
      entry.jobs.add(job);
      getOrMake(this.owners, job, () => new Set<string>()).add(serviceKey(id));
    }
    const label = namingLabel(labels, id.name, this.#nameLabels);
    if (label !== undefined) entry.named.add(label);
    else if (labels.get('pod') !== '') entry.byPods = true;
    return entry;
  }

  #entry(id: ServiceId): Entry | undefined {
    const key = serviceKey(id);
    const known = this.entries.get(key);
    if (known !== undefined) {
      known.seenMs = this.#nowMs;
      return known;
    }
    if (this.entries.size >= SERVICES_MAX) return undefined;
    const entry: Entry = {
      id,
      kind: 'service',
      seenMs: this.#nowMs,
      jobs: new Set(),
      named: new Set(),
      byPods: false,
      numbers: unknown(),
    };
    this.entries.set(key, entry);
    return entry;
  }
}

/** The reporter itself: its own `up` is of it, whatever pods its series name. */
function reporterOf(labels: Labels): ServiceId {
  const job = labels.get('job');
  return { cluster: labels.get('cluster'), namespace: '', name: job.slice(job.lastIndexOf('/') + 1) };
}

function unknown(): MutableNumbers {
  return { rate: null, errorRatio: null, durationSeconds: null, saturation: null, instances: null };
}

/** The matcher by which a series tells its service; undefined where only its pod, or nothing, does. */
function namingLabel(labels: Labels, name: string, nameLabels: NameLabels = []): string | undefined {
  for (const label of [...nameLabels, 'service_name']) if (labels.get(label) === name) return equals(label, name);
  if (labels.get('pod') !== '') return undefined;
  for (const label of ['app_kubernetes_io_name', 'app', 'job'])
    if (labels.get(label) === name) return equals(label, name);
  return labels.get('job') === '' ? undefined : equals('job', labels.get('job'));
}
