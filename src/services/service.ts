import type { ServiceDeployment } from '../deployments/deployment.ts';
import type { ServiceId } from '../model/service-id.ts';

/** A line of the list. Numbers are null where nothing is known, or the query was refused. */
export interface Service {
  readonly id: ServiceId;
  /** A service, or a machine that services run on. */
  readonly kind: 'service' | 'infrastructure';
  /** Requests per second. */
  readonly rate: number | null;
  /** Share of requests that failed. */
  readonly errorRatio: number | null;
  /** The 99th percentile; where only sums are known, the mean. */
  readonly durationSeconds: number | null;
  /** The fullest of what it may use of processor, memory or files, as a share. */
  readonly saturation: number | null;
  readonly instances: number | null;
  readonly lastDeployment: ServiceDeployment | null;
}

/** The label sets by which a service's own series are known. */
export interface ServiceSources {
  readonly jobs: ReadonlySet<string>;
  /** Matchers of the label that named it, e.g. `service_name="cart"`. */
  readonly named: ReadonlySet<string>;
}
