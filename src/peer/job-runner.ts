import type { JobHead } from '../contract/jobs.ts';
import type {
  InstantRequest,
  LanguageFlags,
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

/** Settings of the front end that hold for whoever evaluates. */
export interface FrontendSettings {
  readonly lookbackMs: number;
  readonly language: LanguageFlags;
}

/** Whoever evaluates in another process, asked by jobs. */
export class JobRunner implements QueryRunner {
  readonly #ask: AskJob;
  readonly #settings: FrontendSettings;

  constructor(ask: AskJob, settings: FrontendSettings) {
    this.#ask = ask;
    this.#settings = settings;
  }

  async instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult> {
    return decodeResult(await this.#run(tenant, { method: 'instant', request: this.#settled(request) }, context));
  }

  async range(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    return decodeResult(await this.#run(tenant, { method: 'range', request: this.#settled(request) }, context));
  }

  async partial(tenant: string, request: PartialRequest, context: QueryRunContext): Promise<PartialResult> {
    return decodePartial(await this.#run(tenant, { method: 'partial', request: this.#settled(request) }, context));
  }

  #settled<Request extends InstantRequest | RangeRequest>(request: Request): Request {
    return { lookbackMs: this.#settings.lookbackMs, ...request };
  }

  async #run(tenant: string, query: AskedQuery, { signal }: QueryRunContext): Promise<Uint8Array> {
    const { language } = this.#settings;
    const payload = encodeRequest({ kind: 'query', ...query, trace: currentTrace(), language });
    const { bytes } = await this.#ask(tenant, payload, signal);
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
