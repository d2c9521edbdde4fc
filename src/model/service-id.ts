import { Labels } from './labels.ts';

/** A service: what people deploy and ask about as one thing. Parts that data does not name are empty. */
export interface ServiceId {
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
}

/** The id as one text, the same for equal ids: parts are escaped, so that no two ids share one. */
export function serviceKey({ cluster, namespace, name }: ServiceId): string {
  return [cluster, namespace, name].map((part) => encodeURIComponent(part.toWellFormed())).join('/');
}

/** The id that `serviceKey` wrote; undefined where it wrote none such. */
export function serviceOfKey(key: string): ServiceId | undefined {
  const parts = key.split('/');
  if (parts.length !== 3) return undefined;
  try {
    const [cluster, namespace, name] = parts.map(decodeURIComponent);
    return name === '' ? undefined : { cluster: cluster!, namespace: namespace!, name: name! };
  } catch {
    return undefined;
  }
}

/** Labels that an id is made of. */
const SERVICE_LABELS = [
  'cluster',
  'namespace',
  'service_namespace',
  'service_name',
  'pod',
  'app_kubernetes_io_name',
  'app',
  'job',
];

/** Labels that queries keep which are to answer for services, as PromQL writes them. */
export function serviceLabels(nameLabels: NameLabels = []): readonly string[] {
  return [...new Set([...SERVICE_LABELS, ...nameLabels])].map(labelText);
}

/** A label name as it stands in PromQL. */
export function labelText(name: string): string {
  return /^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name.toWellFormed());
}

/** A workload of Kubernetes: a Deployment, a StatefulSet and the like. */
export interface Workload {
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
}

/** Pods, their workloads and services, as the data tells. */
export interface PodWorkloads {
  /** The workload that a pod belongs to, as kube-state-metrics tells; undefined: nothing is known of the pod. */
  workloadOf(cluster: string, namespace: string, pod: string): string | undefined;
  /** The service whose own series say that they come from pods of the workload; undefined: it is one by its own name. */
  serviceOf(workload: Workload): ServiceId | undefined;
  /** Workloads of a service that are not named as it is; none: nothing is known. */
  workloadsOf(service: ServiceId): readonly Workload[];
}

/** Several workloads, or one: one is known with and without its cluster where only OpenTelemetry names that. */
export function areSeveral(workloads: readonly Workload[]): boolean {
  const named = workloads.filter(({ cluster }) => cluster !== '');
  const keys = new Set(named.map(serviceKey));
  const places = new Set(named.map((workload) => serviceKey({ ...workload, cluster: '' })));
  for (const workload of workloads) {
    const key = serviceKey(workload);
    if (workload.cluster === '' && !places.has(key)) keys.add(key);
  }
  return keys.size > 1;
}

export const NO_WORKLOADS: PodWorkloads = {
  workloadOf: () => undefined,
  serviceOf: () => undefined,
  workloadsOf: () => [],
};

/** Labels that name a service, the first that a series has; set per tenant in place of the rules below. */
export type NameLabels = readonly string[];

/**
 * The service that a series belongs to, by the first label there is: `service_name`, the pod's workload,
 * `app_kubernetes_io_name`, `app`, `job`. A job `ns/name`, as OpenTelemetry writes it, is split. Undefined where no label
 * names one.
 *
 * @param nameLabels tried first, in this order
 */
export function serviceOf(
  labels: Labels,
  workloads: PodWorkloads = NO_WORKLOADS,
  nameLabels: NameLabels = [],
): ServiceId | undefined {
  const cluster = labels.get('cluster');
  const job = labels.get('job');
  const slash = job.indexOf('/');
  const ofJob =
    slash > 0 ? { namespace: job.slice(0, slash), name: job.slice(slash + 1) } : { namespace: '', name: job };
  const namespace = labels.get('namespace') || labels.get('service_namespace') || ofJob.namespace;
  for (const label of nameLabels) {
    const name = labels.get(label);
    if (name !== '') return { cluster, namespace, name };
  }
  const own = labels.get('service_name');
  if (own !== '') return { cluster, namespace, name: own };
  const pod = labels.get('pod');
  if (pod !== '') return serviceOfPod(cluster, namespace, pod, workloads);
  const name = labels.get('app_kubernetes_io_name') || labels.get('app') || ofJob.name;
  return name === '' ? undefined : { cluster, namespace, name };
}

/** The service of a pod: that of its workload, else the workload itself. */
export function serviceOfPod(cluster: string, namespace: string, pod: string, workloads: PodWorkloads): ServiceId {
  const name = workloads.workloadOf(cluster, namespace, pod) ?? workloadOfPodName(pod);
  return workloads.serviceOf({ cluster, namespace, name }) ?? { cluster, namespace, name };
}

/** Random parts of names that Kubernetes makes: it leaves out vowels and what looks alike. */
const POD_SUFFIX = /-[bcdfghjklmnpqrstvwxz2456789]{5}$/;
const TEMPLATE_HASH = /-[bcdfghjklmnpqrstvwxz2456789]{6,10}$/;
const ORDINAL = /-\d{1,5}$/;

/** The workload by a pod's name, less the hashes of Deployments and DaemonSets and the ordinals of StatefulSets. */
export function workloadOfPodName(pod: string): string {
  const random = POD_SUFFIX.exec(pod);
  if (random !== null && random.index > 0) {
    const rest = pod.slice(0, random.index);
    // jobs that a CronJob makes carry the minute of their time
    const hash = TEMPLATE_HASH.exec(rest) ?? /-\d{8,10}$/.exec(rest);
    return hash === null || hash.index === 0 ? rest : rest.slice(0, hash.index);
  }
  const ordinal = ORDINAL.exec(pod);
  return ordinal === null || ordinal.index === 0 ? pod : pod.slice(0, ordinal.index);
}

/** The workload by the name of a ReplicaSet, less its template's hash. */
export function workloadOfReplicaSet(name: string): string {
  const hash = TEMPLATE_HASH.exec(name);
  return hash === null || hash.index === 0 ? name : name.slice(0, hash.index);
}

/** The labels of a row of a result. */
export function labelsOfPairs(pairs: readonly string[]): Labels {
  return Labels.fromSortedPairs(pairs);
}
