import { type ServiceId, serviceKey } from '../model/service-id.ts';
import type { DeploymentKind, EvidenceKind, ServiceDeployment } from './deployment.ts';

/** An event as it is kept and shown: a deployment, or whatever else was sent in. Times in Unix ms. */
export interface TenantEvent {
  /** Whoever sends or finds it again finds the same. */
  readonly id: string;
  readonly kind: DeploymentKind | 'annotation';
  readonly evidence: EvidenceKind;
  readonly timeMs: number;
  /** undefined: a moment, or it goes on. */
  readonly endMs?: number;
  /** undefined: of the tenant as a whole. */
  readonly service?: ServiceId;
  readonly from?: string;
  readonly to?: string;
  readonly text?: string;
  readonly tags?: readonly string[];
  /** Who sent it. */
  readonly user?: string;
}

export function eventOf(deployment: ServiceDeployment): TenantEvent {
  const { id, kind, evidence, beginMs, endMs, service, workload, from, to } = deployment;
  return {
    id,
    kind,
    evidence,
    timeMs: beginMs,
    ...(endMs === undefined ? {} : { endMs }),
    service,
    ...(from === '' ? {} : { from }),
    ...(to === '' ? {} : { to }),
    ...(workload === undefined ? {} : { text: `workload ${workload.name}` }),
  };
}

/** The deployment that an event tells of; undefined where it tells of none. */
export function deploymentOf({
  id,
  kind,
  evidence,
  timeMs,
  endMs,
  service,
  from,
  to,
}: TenantEvent): ServiceDeployment | undefined {
  if (kind === 'annotation' || service === undefined) return undefined;
  const end = evidence === 'sent' ? (endMs ?? timeMs) : endMs;
  return { id, kind, evidence, beginMs: timeMs, endMs: end, service, from: from ?? '', to: to ?? '' };
}

export function isOfService({ service }: TenantEvent, id: ServiceId): boolean {
  return service !== undefined && serviceKey(service) === serviceKey(id);
}
