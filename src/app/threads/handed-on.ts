import type { QueryWorkers } from '../../querier/service.ts';

/** Hands all but requests of the API on to other workers as it is. */
export abstract class HandedOn implements Omit<QueryWorkers, 'handle'> {
  readonly instant: QueryWorkers['instant'];
  readonly range: QueryWorkers['range'];
  readonly partial: QueryWorkers['partial'];
  readonly instants: QueryWorkers['instants'];
  readonly deleteTenant: QueryWorkers['deleteTenant'];
  readonly tenantDeletion: QueryWorkers['tenantDeletion'];

  constructor(workers: QueryWorkers) {
    this.instant = workers.instant.bind(workers);
    this.range = workers.range.bind(workers);
    this.partial = workers.partial.bind(workers);
    this.instants = workers.instants.bind(workers);
    this.deleteTenant = workers.deleteTenant.bind(workers);
    this.tenantDeletion = workers.tenantDeletion.bind(workers);
  }
}
