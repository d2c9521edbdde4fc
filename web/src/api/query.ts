import { apiUrl } from '../base.ts';
import { markAnswer } from '../chart/timing.ts';
import type { Answer, Grid } from './columns.ts';
import { type ApiCall, loginNeeded } from './http.ts';
import { problemOf } from './problem.ts';
import type { AnswerMessage, QueryMessage } from './query-messages.ts';

export interface Query {
  readonly expr: string;
  readonly tenant: string;
  /** Steps of a range; absent: one moment. */
  readonly grid?: Grid;
  readonly timeMs?: number;
  readonly seriesMax: number;
  /** A dashboard asks; else whoever is at the page. */
  readonly isDashboard?: boolean;
}

let worker: Worker | undefined;
let nextId = 0;
const waiting = new Map<number, (message: AnswerMessage) => void>();

function theWorker(): Worker {
  if (worker !== undefined) return worker;
  worker = new Worker(new URL('./query-worker.ts', import.meta.url), { type: 'module', name: 'queries' });
  worker.onmessage = ({ data }: MessageEvent<AnswerMessage>) => {
    waiting.get(data.id)?.(data);
    waiting.delete(data.id);
  };
  return worker;
}

/** Has the worker load while the page does. */
export function warmQueries(): void {
  theWorker();
}

/** @throws ApiProblem; the signal's reason when it is aborted */
export function runQuery(query: Query, signal: AbortSignal): Promise<Answer> {
  const { path, params, tenant } = callOf(query);
  const id = nextId++;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  signal.throwIfAborted();
  signal.addEventListener('abort', () => {
    waiting.delete(id);
    theWorker().postMessage({ cancel: id });
    reject(signal.reason);
  });
  waiting.set(id, (message) => {
    if ('answer' in message) {
      markAnswer();
      return resolve(message.answer);
    }
    if (message.status === 401) loginNeeded.dispatchEvent(new Event('needed'));
    reject(problemOf(message.status, message.body));
  });
  const message: QueryMessage = {
    id,
    url: apiUrl(path),
    form: params.toString(),
    tenant,
    grid: query.grid,
    seriesMax: query.seriesMax,
    isDashboard: query.isDashboard === true,
  };
  theWorker().postMessage(message);
  return promise;
}

/** The call of the API that a query is. */
export function callOf({ expr, tenant, grid, timeMs }: Query): ApiCall & { readonly params: URLSearchParams } {
  const seconds = (ms: number) => String(ms / 1000);
  if (grid === undefined) {
    const params = new URLSearchParams({ query: expr, time: seconds(timeMs ?? Date.now()), stats: 'all' });
    return { path: '/api/v1/query', params, tenant };
  }
  const { startMs, endMs, stepMs } = grid;
  const params = new URLSearchParams({
    query: expr,
    start: seconds(startMs),
    end: seconds(endMs),
    step: seconds(stepMs),
    stats: 'true',
  });
  return { path: '/api/v1/query_range', params, tenant };
}
