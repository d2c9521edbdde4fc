import { getOrMake } from '../lib/map.ts';
import { labelText, type ServiceId, serviceKey, type Workload } from '../model/service-id.ts';
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
  { jobs, named, byPods, workloads }: ServiceSources,
  isShared: (job: string) => boolean,
): ServiceSelectors {
  const place = [...(id.cluster === '' ? [] : [equals('cluster', id.cluster)])];
  const inNamespace = [...place, ...(id.namespace === '' ? [] : [equals('namespace', id.namespace)])];
  const own = [...jobs];
  const isOwn = own.length > 0 && !own.some(isShared);
  // a job `ns/name` says the namespace by itself
  const byJob = [...place, own.length === 1 ? equals('job', own[0]!) : matches('job', own.map(escaped).join('|'))];
  const ofWorkloads = workloadSelectors(workloads.length === 0 ? [id] : workloads);
  const labels = [...named].sort();
  const label = labels.find((matcher) => !matcher.startsWith('job=')) ?? (byPods ? undefined : labels[0]);
  const byName = [...inNamespace, label ?? equals('job', id.name)].join(',');
  const isByPods = byPods && label === undefined;
  return { own: isOwn ? byJob.join(',') : isByPods ? ofWorkloads.pods : byName, ...ofWorkloads };
}

/** @param all at least one */
function workloadSelectors(all: readonly Workload[]): Omit<ServiceSelectors, 'own'> {
  const workloads = rectangleOf(all);
  const place = (label: string, part: 'cluster' | 'namespace') => {
    const values = [...new Set(workloads.map((workload) => workload[part]))];
    // series may lack what one of them lacks
    return values.includes('') ? [] : [oneOf(label, values)];
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

/**
 * Workloads that matchers of cluster, namespace and name select without selecting others: all of them, or, where a name is only in one
 * of several places, those of the place that has most.
 */
function rectangleOf(workloads: readonly Workload[]): readonly Workload[] {
  const countOf = (part: keyof Workload) => new Set(workloads.map((workload) => workload[part])).size;
  if (countOf('cluster') * countOf('namespace') * countOf('name') === workloads.length) return workloads;
  const places = new Map<string, Workload[]>();
  for (const workload of workloads) {
    getOrMake(places, serviceKey({ ...workload, name: '' }), (): Workload[] => []).push(workload);
  }
  return [...places].sort(([a, one], [b, other]) => other.length - one.length || (a < b ? -1 : 1))[0]![1];
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
