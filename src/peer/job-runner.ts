import type { JobHead } from '../contract/jobs.ts';
import type {
  InstantRequest,
  PartialRequest,
  PartialResult,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  RangeRequest,
} from '../contract/query.ts';
import { currentTrace } from '../kit/observe/trace.ts';
import { encodeRequest } from './job-shapes.ts';
import { type AskedQuery, decodePartial, decodeResult, encodePartial, encodeResult } from './query-wire.ts';

/** Asks for a job's whole answer. */
export type AskJob = (
  tenant: string,
  payload: Uint8Array,
  signal: AbortSignal,
) => Promise<{ readonly head: JobHead; readonly bytes: Uint8Array }>;

/** Whoever evaluates in another process, asked by jobs. */
export class JobRunner implements QueryRunner {
  readonly #ask: AskJob;

  constructor(ask: AskJob) {
    this.#ask = ask;
  }

  async instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult> {
    return decodeResult(await this.#run(tenant, { method: 'instant', request }, context));
  }

  async range(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    return decodeResult(await this.#run(tenant, { method: 'range', request }, context));
  }

  async partial(tenant: string, request: PartialRequest, context: QueryRunContext): Promise<PartialResult> {
    return decodePartial(await this.#run(tenant, { method: 'partial', request }, context));
  }

  async #run(tenant: string, query: AskedQuery, { signal }: QueryRunContext): Promise<Uint8Array> {
    const { bytes } = await this.#ask(
      tenant,
      encodeRequest({ kind: 'query', ...query, trace: currentTrace() }),
      signal,
    );
    return bytes;
  }
}

/** The other end: the answer's bytes. */
export async function runQuery(
  runner: QueryRunner,
  tenant: string,
  query: AskedQuery,
  context: QueryRunContext,
): Promise<Uint8Array<ArrayBuffer>> {
  switch (query.method) {
    case 'instant':
      return encodeResult(await runner.instant(tenant, query.request, context));
    case 'range':
      return encodeResult(await runner.range(tenant, query.request, context));
    case 'partial':
      return encodePartial(await runner.partial(tenant, query.request, context));
  }
}
