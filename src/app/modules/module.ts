import type { Service } from '../../kit/service/service.ts';
import type { App } from '../app.ts';

/** A part of a process that can be switched on. */
export interface Module {
  /** Modules that are built, and started, before it. */
  readonly needs: readonly string[];
  /** The same where this process is one of a cluster, and they differ. */
  readonly clusterNeeds?: readonly string[];
  /** May be named by `-target`; what it is. Undefined: only there for others. */
  readonly target?: string;
  /**
   * Makes its services, adds its routes to the listeners, and leaves in `app.parts` what others use. Started later, in the order of
   * building.
   */
  build(app: App): Promise<readonly Service[]> | readonly Service[];
}
