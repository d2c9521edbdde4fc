import type { JobHead } from '../contract/jobs.ts';
import type {
  InstantRequest,
  LanguageFlags,
  PartialRequest,
  PartialResult,
  QueryExplanation,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  RangeRequest,
} from '../contract/query.ts';
import { currentTrace } from '../kit/observe/trace.ts';
import { encodeRequest } from './job-shapes.ts';
import { type AskedQuery, decodePartial, decodeResult, encodePartial, encodeResult } from './query-wire.ts';

/** A job's whole answer. */
export interface JobReply {
  readonly head: JobHead;
  readonly bytes: Uint8Array;
  /** The querier that worked at it, for explanations. Absent: it is not told. */
  readonly querier?: string;
  /** Time from when it was left until it was answered, for explanations. */
  readonly tookMs?: number;
}

/** Asks for a job's whole answer. */
export type AskJob = (tenant: string, payload: Uint8Array, signal: AbortSignal) => Promise<JobReply>;

/** Settings of the front end that hold for whoever evaluates. */
export interface FrontendSettings {
  readonly lookbackMs: number;
  readonly language: LanguageFlags;
  /** The oldest time that may be read, Unix ms; ANY_TIME_MS: any. */
  readonly oldestMs: number;
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
    const job = await this.#run(tenant, { method: 'instant', request: this.#settled(request) }, context);
    return explained(decodeResult(job.bytes), job);
  }

  async range(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    const job = await this.#run(tenant, { method: 'range', request: this.#settled(request) }, context);
    return explained(decodeResult(job.bytes), job);
  }

  async partial(tenant: string, request: PartialRequest, context: QueryRunContext): Promise<PartialResult> {
    const job = await this.#run(tenant, { method: 'partial', request: this.#settled(request) }, context);
    const answer = decodePartial(job.bytes);
    return answer.type === 'partial' ? explained(answer, job) : answer;
  }

  #settled<Request extends InstantRequest | RangeRequest>(request: Request): Request {
    return { lookbackMs: this.#settings.lookbackMs, ...request };
  }

  #run(tenant: string, query: AskedQuery, { signal }: QueryRunContext): Promise<JobReply> {
    const { language, oldestMs } = this.#settings;
    const payload = encodeRequest({ kind: 'query', ...query, trace: currentTrace(), language, oldestMs });
    return this.#ask(tenant, payload, signal);
  }
}

/** The answer with the queue and the querier around what it explains. */
function explained<Answer extends { readonly explanation: QueryExplanation | undefined }>(
  answer: Answer,
  { head: { workedMs }, bytes, querier, tookMs }: JobReply,
): Answer {
  const { explanation: inner } = answer;
  if (inner === undefined || querier === undefined) return answer;
  const around = (what: string, child: QueryExplanation) => ({ ...child, what, points: 0, children: [child] });
  const worked = around(`querier ${querier}: ${workedMs.toFixed(1)} ms, an answer of ${bytes.length} bytes`, inner);
  const waitedMs = Math.max(0, (tookMs ?? workedMs) - workedMs);
  return { ...answer, explanation: around(`queue: ${waitedMs.toFixed(1)} ms, ways to the querier and back`, worked) };
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
