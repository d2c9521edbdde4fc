import { labelText, type ServiceId, type Workload } from '../model/service-id.ts';
import type { ServiceSources } from './service.ts';

/** Matchers that select series of a service, to be put between braces. */
export interface ServiceSelectors {
  /** Its own series. */
  readonly own: string;
  /** Series of its pods, as cAdvisor, kubelet and kube-state-metrics have them. */
  readonly pods: string;
  /** Series of its workload, as kube-state-metrics has them: by the label `deployment`. */
  readonly workload: string;
  /** Requests to it, as the mesh has them: by the label `destination_workload`. */
  readonly mesh: string;
}

/** @param isShared whether other services have series of the job, too */
export function selectorsOf(
  id: ServiceId,
  { jobs, named, workloads }: ServiceSources,
  isShared: (job: string) => boolean,
): ServiceSelectors {
  const place = [...(id.cluster === '' ? [] : [equals('cluster', id.cluster)])];
  const inNamespace = [...place, ...(id.namespace === '' ? [] : [equals('namespace', id.namespace)])];
  const own = [...jobs];
  const isOwn = own.length > 0 && !own.some(isShared);
  // a job `ns/name` says the namespace by itself
  const byJob = [...place, own.length === 1 ? equals('job', own[0]!) : matches('job', own.map(escaped).join('|'))];
  const byName = named.size === 0 ? [equals('job', id.name)] : [[...named].sort()[0]!];
  return {
    own: (isOwn ? byJob : [...inNamespace, ...byName]).join(','),
    ...workloadSelectors(workloads.length === 0 ? [id] : workloads),
  };
}

/** @param workloads at least one */
function workloadSelectors(workloads: readonly Workload[]): Omit<ServiceSelectors, 'own'> {
  const place = (label: string, part: 'cluster' | 'namespace') => {
    const values = [...new Set(workloads.map((workload) => workload[part]))].filter((value) => value !== '');
    return values.length === 0 ? [] : [oneOf(label, values)];
  };
  const names = [...new Set(workloads.map(({ name }) => name))];
  const cluster = place('cluster', 'cluster');
  const inNamespace = [...cluster, ...place('namespace', 'namespace')];
  const mesh = [oneOf('destination_workload', names), ...place('destination_workload_namespace', 'namespace')];
  return {
    pods: [...inNamespace, podMatcher(...names)].join(','),
    workload: [...inNamespace, oneOf('deployment', names)].join(','),
    mesh: [...mesh, ...cluster].join(','),
  };
}

/** Characters of the random parts of names that Kubernetes makes. */
const RANDOM = '[bcdfghjklmnpqrstvwxz2456789]';

/** Pods of workloads, by their names. */
export function podMatcher(...workloads: readonly string[]): string {
  const names = workloads.map(escaped);
  return matches(
    'pod',
    `${names.length === 1 ? names[0] : `(${names.join('|')})`}(-${RANDOM}{6,10}|-[0-9]{8,10})?(-${RANDOM}{5}|-[0-9]+)?`,
  );
}

export function equals(label: string, value: string): string {
  return `${labelText(label)}=${quoted(value)}`;
}

/** One of some values, at least one. */
export function oneOf(label: string, values: readonly string[]): string {
  if (values.length === 1) return equals(label, values[0]!);
  return matches(label, values.map(escaped).join('|'));
}

function matches(label: string, pattern: string): string {
  return `${label}=~${quoted(pattern)}`;
}

/** A text as a PromQL string, whatever it holds. */
function quoted(text: string): string {
  return JSON.stringify(text.toWellFormed());
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
