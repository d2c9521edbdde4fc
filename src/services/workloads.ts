import { getOrMake } from '../lib/map.ts';
import type { Labels } from '../model/labels.ts';
import {
  labelText,
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
import type { Rows } from './rows.ts';

/** Pods of one tenant; of more, names say the workload. */
const PODS_MAX = 200_000;

/** Attributes by which OpenTelemetry tells the workload of what it describes. */
const WORKLOAD_ATTRIBUTES = ['k8s_deployment_name', 'k8s_statefulset_name', 'k8s_daemonset_name'];

/** Programs whose series are of others: what names a service on them does not name the program's own pods. */
const SPEAKER =
  /(^|[-_])(\w*exporter|blackbox|smokeping|prob(e|er|es|ing)|push-?gateway|\w*collector|otel-?col\w*|agent|\w*agent|alloy|prometheus|kube-state-metrics|cadvisor|telegraf|statsd)([-_]|$)/;
/** Series beside `up` of targets that somebody else asks in their place. */
const PROBES = '{__name__=~"probe_success|snmp_scrape_pdus_returned"}';

/**
 * Asks kube-state-metrics which workload each pod belongs to, and the series of services which pods they come from; what is not known
 * of a pod its name says.
 *
 * @throws what `ask` throws
 */
export async function readWorkloads(
  ask: (expr: string) => Promise<Rows>,
  nameLabels: NameLabels = [],
): Promise<PodWorkloads> {
  const workloads = await askedWorkloads(ask);
  return withServices(workloads, await ask(namedPods(nameLabels)), nameLabels);
}

const keyOf = ({ cluster, namespace, name }: Workload) => `${cluster}\0${namespace}\0${name}`;

async function askedWorkloads(ask: (expr: string) => Promise<Rows>): Promise<PodWorkloads> {
  const pods = await ask(
    'group by (cluster, namespace, pod, owner_kind, owner_name) (kube_pod_owner{owner_kind!~"Node|<none>|"})',
  );
  const replicaSets = await ask(
    'group by (cluster, namespace, replicaset, owner_name) (kube_replicaset_owner{owner_kind="Deployment"})',
  );
  const place = (labels: Labels, name: string) =>
    keyOf({ cluster: labels.get('cluster'), namespace: labels.get('namespace'), name });
  const deployments = new Map<string, string>();
  for (const { labels } of replicaSets.rows.slice(0, PODS_MAX)) {
    deployments.set(place(labels, labels.get('replicaset')), labels.get('owner_name'));
  }
  const workloads = new Map<string, string>();
  for (const { labels } of pods.rows.slice(0, PODS_MAX)) {
    const owner = labels.get('owner_name');
    const isReplicaSet = labels.get('owner_kind') === 'ReplicaSet';
    const workload = isReplicaSet ? (deployments.get(place(labels, owner)) ?? workloadOfReplicaSet(owner)) : owner;
    workloads.set(place(labels, labels.get('pod')), workload);
  }
  const workloadOf = (cluster: string, namespace: string, pod: string) =>
    workloads.get(keyOf({ cluster, namespace, name: pod }));
  return { ...NO_WORKLOADS, workloadOf };
}

/** Series that name their service and their pod, or its workload. */
function namedPods(nameLabels: NameLabels): string {
  const attributes = ['k8s_cluster_name', 'k8s_namespace_name', 'k8s_pod_name', ...WORKLOAD_ATTRIBUTES, 'exported_job'];
  const pushed = ['k8s_pod_name', ...WORKLOAD_ATTRIBUTES].map((label) => `target_info{${label}!=""}`);
  const scraped = ['service_name', ...nameLabels].flatMap((label) =>
    ['up', 'target_info'].map((metric) => `${metric}{${labelText(label)}!="",pod!="",instance!~".+://.+"}`),
  );
  const own = `((${scraped.join(' or ')}) unless on (cluster, job, instance) ${PROBES})`;
  return `group by (${[...new Set([...serviceLabels(nameLabels), ...attributes])].join(', ')}) (${[...pushed, own].join(' or ')})`;
}

/**
 * A workload is of a service where only that one says so, and for itself: what is scraped from an agent or an exporter names pods of
 * others, or others beside its own pod. Where it is in doubt they stay two.
 */
function withServices(workloads: PodWorkloads, { rows }: Rows, nameLabels: NameLabels): PodWorkloads {
  const byWorkload = new Map<string, { readonly workload: Workload; readonly services: Map<string, ServiceId> }>();
  /** By service that only its job names, the names of workloads that it says it comes from. */
  const ofJobs = new Map<string, Set<string>>();
  for (const { labels } of rows.slice(0, PODS_MAX)) {
    if (isOfAnother(labels)) continue;
    const service = serviceOf(labels, workloads, nameLabels);
    if (service === undefined) continue;
    const isNamed = ['service_name', ...nameLabels].some((label) => labels.get(label) !== '');
    // `pod` and `app` have the word before a job: it is no name there
    if (!isNamed && ['pod', 'app_kubernetes_io_name', 'app'].some((label) => labels.get(label) !== '')) continue;
    for (const workload of workloadsOfRow(labels, workloads)) {
      if (SPEAKER.test(workload.name)) continue;
      if (!isNamed) getOrMake(ofJobs, serviceKey(service), () => new Set<string>()).add(workload.name);
      const { services } = getOrMake(byWorkload, keyOf(workload), () => ({ workload, services: new Map() }));
      services.set(serviceKey(service), service);
    }
  }
  const services = new Map<string, ServiceId>();
  const ofService = new Map<string, Workload[]>();
  for (const [key, { workload, services: own }] of byWorkload) {
    const [service] = own.values();
    if (own.size !== 1 || service === undefined || serviceKey(service) === serviceKey(workload)) continue;
    // a job over several workloads may be one that scrapes them
    if ((ofJobs.get(serviceKey(service))?.size ?? 0) > 1) continue;
    services.set(key, service);
    getOrMake(ofService, serviceKey(service), (): Workload[] => []).push(workload);
  }
  return {
    workloadOf: workloads.workloadOf,
    serviceOf: (workload) => services.get(keyOf(workload)),
    workloadsOf: (service) => ofService.get(serviceKey(service)) ?? [],
  };
}

/** Attributes of a pod that is not the one that was scraped, or of a job that was renamed for the scraper's. */
function isOfAnother(labels: Labels): boolean {
  if (labels.get('exported_job') !== '') return true;
  const isPushed = ['k8s_pod_name', ...WORKLOAD_ATTRIBUTES].some((label) => labels.get(label) !== '');
  return isPushed && labels.get('pod') !== '' && labels.get('pod') !== labels.get('k8s_pod_name');
}

/** The workload that a row names; of a cluster that only OpenTelemetry names, with and without it, as others may not have it. */
function workloadsOfRow(labels: Labels, workloads: PodWorkloads): Workload[] {
  const namespace = labels.get('k8s_namespace_name') || labels.get('namespace');
  const pod = labels.get('k8s_pod_name') || labels.get('pod');
  const clusters = new Set([labels.get('cluster'), labels.get('cluster') || labels.get('k8s_cluster_name')]);
  return Array.from(clusters, (cluster) => {
    const told = WORKLOAD_ATTRIBUTES.map((label) => labels.get(label)).find((name) => name !== '');
    const name = told ?? workloads.workloadOf(cluster, namespace, pod) ?? workloadOfPodName(pod);
    return { cluster, namespace, name };
  });
}
