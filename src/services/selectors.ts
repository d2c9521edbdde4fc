import type { ServiceId } from '../model/service-id.ts';
import type { ServiceSources } from './service.ts';

/** Matchers that select series of a service, to be put between braces. */
export interface ServiceSelectors {
  /** Its own series. */
  readonly own: string;
  /** Series of its pods, as cAdvisor, kubelet and kube-state-metrics have them. */
  readonly pods: string;
  /** Series of its workload, as kube-state-metrics has them: by the label `deployment`. */
  readonly workload: string;
}

/** @param isShared whether other services have series of the job, too */
export function selectorsOf(
  id: ServiceId,
  { jobs, named }: ServiceSources,
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
    pods: [...inNamespace, podMatcher(id.name)].join(','),
    workload: [...inNamespace, equals('deployment', id.name)].join(','),
  };
}

/** Characters of the random parts of names that Kubernetes makes. */
const RANDOM = '[bcdfghjklmnpqrstvwxz2456789]';

/** Pods of a workload, by their names. */
export function podMatcher(workload: string): string {
  return matches('pod', `${escaped(workload)}(-${RANDOM}{6,10}|-[0-9]{8,10})?(-${RANDOM}{5}|-[0-9]+)?`);
}

export function equals(label: string, value: string): string {
  return `${label}=${quoted(value)}`;
}

/** One of some values. */
export function oneOf(label: string, values: readonly string[]): string {
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
