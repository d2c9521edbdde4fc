import type { ServiceRow } from '../contract/services.ts';
import type { ServiceDeployment } from '../deployments/deployment.ts';
import type { ServiceId, Workload } from '../model/service-id.ts';

/** A line of the list. */
export interface Service extends Omit<ServiceRow, 'key' | 'id' | 'lastDeployment'> {
  readonly id: ServiceId;
  readonly lastDeployment: ServiceDeployment | null;
}

/** The label sets by which a service's own series are known. */
export interface ServiceSources {
  readonly jobs: ReadonlySet<string>;
  /** Matchers of the label that named it, e.g. `service_name="cart"`. */
  readonly named: ReadonlySet<string>;
  /** Its pods name it, on series without another name. */
  readonly byPods: boolean;
  /** Workloads of Kubernetes that it runs as; none: one of its own name. */
  readonly workloads: readonly Workload[];
}
