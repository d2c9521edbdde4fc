import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { JobDesk } from '../../frontend/job-desk.ts';
import { withTrace } from '../../kit/observe/trace.ts';
import type { JoinedLimits } from '../../limits/query-limits.ts';
import { encodeRequest } from '../../peer/job-shapes.ts';
import type { QueryTurn, QueryWorkers, Worked } from '../../querier/service.ts';
import { HandedOn } from './handed-on.ts';
import type { QueryThreads } from './query-threads.ts';

/** Requests that read series by themselves: a querier answers them as they are. */
const ELSEWHERE = [
  '/api/v1/query_exemplars',
  '/api/v1/metadata',
  '/api/v1/rule_preview',
  '/api/v1/rule_test',
  '/api/v1/status/tsdb',
  '/api/v1/search/',
  '/api/v1/cardinality/',
  '/api/v1/admin/',
  '/api/v1/read',
  '/federate',
];

/** A front end's workers: queries, and look-ups of series and labels, go in parts through threads of its own; other requests as they are to a querier. */
export class FrontendThreads extends HandedOn implements QueryWorkers {
  readonly #threads: QueryThreads;
  readonly #desk: JobDesk;

  constructor(threads: QueryThreads, desk: JobDesk) {
    super(threads);
    this.#threads = threads;
    this.#desk = desk;
  }

  async handle(
    request: ApiRequest,
    limits: JoinedLimits,
    signal: AbortSignal,
    turn?: QueryTurn,
  ): Promise<Worked<ApiResponse>> {
    if (!ELSEWHERE.some((path) => request.path.startsWith(path))) {
      return this.#threads.handle(request, limits, signal, turn);
    }
    const { costMs = 0, priority = 0 } = turn ?? {};
    const payload = encodeRequest({ kind: 'api', request });
    const job = { tenant: request.tenant, query: this.#desk.nameQuery(), costMs, priority, payload };
    if (request.takesParts === true) {
      const { head, parts } = await withTrace(request.trace, () => this.#desk.askInParts(job, signal));
      return { answer: { ...answerOf(head.api), body: new Uint8Array(0), parts }, cache: undefined };
    }
    const { head, bytes } = await withTrace(request.trace, () => this.#desk.ask(job, signal));
    return { answer: { ...answerOf(head.api), body: bytes }, cache: undefined, workedMs: head.workedMs };
  }
}

type Api = { readonly status: number; readonly contentType: string; readonly headers?: ApiResponse['headers'] };

export function answerOf(api: Partial<Api> | undefined): Omit<ApiResponse, 'body'> {
  const { status = 500, contentType = 'text/plain', headers } = api ?? {};
  return { status, contentType, ...(headers && { headers }) };
}
