import type {
  InstantRequest,
  PartialRequest,
  PartialResult,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  RangeRequest,
} from '../contract/query.ts';
import { Semaphore } from '../lib/semaphore.ts';

/** Asks for some parts of a query at a time, whichever stages they come from: parts by time may have shards, each of them. The rest wait in line. */
export class BoundedRunner implements QueryRunner {
  readonly #runner: QueryRunner;
  readonly #places: Semaphore;

  /** @param partsMax at least 1 */
  constructor(runner: QueryRunner, partsMax: number) {
    this.#runner = runner;
    this.#places = new Semaphore(partsMax);
  }

  instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult> {
    return this.#places.run(() => this.#runner.instant(tenant, request, context), context.signal);
  }

  range(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    return this.#places.run(() => this.#runner.range(tenant, request, context), context.signal);
  }

  partial(tenant: string, request: PartialRequest, context: QueryRunContext): Promise<PartialResult> {
    return this.#places.run(() => this.#runner.partial(tenant, request, context), context.signal);
  }
}
