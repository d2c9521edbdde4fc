import { type ServiceId, serviceKey, type Workload } from '../model/service-id.ts';

/** How a deployment is known, best first. */
export type EvidenceKind =
  | 'sent'
  | 'target-info'
  | 'build-info'
  | 'image'
  | 'replica-set'
  | 'generation'
  | 'start-times';

/**
 * A canary is a new version that half of the instances never had; it becomes a deployment when they do.
 * Restarts are no new version at all: another kind, which is drawn faintly, and only where it is asked for.
 */
export type DeploymentKind = 'deployment' | 'canary' | 'rollback' | 'restart';

/** A change of a service's version, or of its instances. Times in Unix ms. */
export interface Deployment {
  readonly kind: DeploymentKind;
  readonly evidence: EvidenceKind;
  /** The version that most instances had before; empty where it is not known. */
  readonly from: string;
  readonly to: string;
  /** The first minute with the new version. */
  readonly beginMs: number;
  /** The first minute with less than a tenth of the old one, or that a canary was gone; undefined while it goes on. */
  readonly endMs: number | undefined;
}

export interface ServiceDeployment extends Deployment {
  /** By service, version, begin, and workload of several: whoever finds it again finds the same id. */
  readonly id: string;
  readonly service: ServiceId;
  /** The one that was deployed, of several of the service. */
  readonly workload?: Workload | undefined;
}

export function deploymentId(
  service: ServiceId,
  { to, beginMs, kind }: Pick<Deployment, 'to' | 'beginMs' | 'kind'>,
  workload?: Workload,
): string {
  const version = kind === 'restart' ? 'restart' : encodeURIComponent(to.toWellFormed());
  const id = `${serviceKey(service)}/${version}/${beginMs}`;
  return workload === undefined ? id : `${id}/${serviceKey(workload)}`;
}
