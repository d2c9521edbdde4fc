import type { ApiRequest } from '../contract/api.ts';
import { traceIdOf } from '../kit/observe/trace.ts';
import type { Clock } from '../lib/clock.ts';

/** A finished query, as the top-queries list keeps it; or some with the same text. */
export interface EndedQuery {
  readonly tenant: string;
  readonly query: string;
  /** From start to end; 0 for an instant query. */
  readonly rangeSeconds: number;
  readonly endedMs: number;
  /** Time of all of them together. */
  readonly durationMs: number;
  /** Queries that it stands for. */
  readonly count: number;
}

export interface ActiveQuery {
  readonly id: number;
  readonly tenant: string;
  readonly query: string;
  readonly path: string;
  /** As they were asked for; empty where not. */
  readonly start: string;
  readonly end: string;
  readonly step: string;
  readonly startedMs: number;
  /** The id of the caller's trace; absent: there is none. */
  readonly traceId?: string;
}

export interface TopQuery {
  readonly query: string;
  readonly timeRangeSeconds: number;
  readonly count: number;
  readonly sumDurationSeconds: number;
}

const ENDED_MAX = 4096;
const QUERY_CHARS_MAX = 2048;
const TIME_CHARS_MAX = 64;

type Times = [start: string, end: string, step: string];

/** Queries that run, and the newest of those that did. */
export class QueryBook {
  readonly #clock: Clock;
  readonly #active = new Map<number, ActiveQuery>();
  readonly #cancels = new Map<number, () => void>();
  /** A ring: the oldest are written over. */
  readonly #ended: EndedQuery[] = [];
  #endedCount = 0;
  #lastId = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes a request; what is no query is passed by. Call what is returned when it ends: `atEnd` is told of it then. @param cancel ends it */
  begin(
    { tenant, path, params, trace }: ApiRequest,
    atEnd?: (query: ActiveQuery) => void,
    cancel?: () => void,
  ): () => void {
    const get = (name: string) => params.find(([key]) => key === name)?.[1] ?? '';
    const query = shortened(get('query'), QUERY_CHARS_MAX);
    if (!/\/query(_range)?$/.test(path) || query === '') return () => {};
    const id = ++this.#lastId;
    const startedMs = this.#clock.nowMs();
    const [start, end, step] = ['start', 'end', 'step'].map((name) => shortened(get(name), TIME_CHARS_MAX)) as Times;
    const traced = trace === undefined ? {} : { traceId: traceIdOf(trace) };
    const active = { id, tenant, query, path, start, end, step, startedMs, ...traced };
    this.#active.set(id, active);
    if (cancel !== undefined) this.#cancels.set(id, cancel);
    return () => {
      atEnd?.(active);
      this.#active.delete(id);
      this.#cancels.delete(id);
      const endedMs = this.#clock.nowMs();
      const seconds = Number(end) - Number(start);
      const rangeSeconds = path.endsWith('_range') && seconds > 0 ? Math.round(seconds) : 0;
      this.note({ tenant, query, rangeSeconds, endedMs, durationMs: endedMs - startedMs, count: 1 });
    };
  }

  /** Notes queries that ended in another thread. */
  note(ended: EndedQuery): void {
    this.#ended[this.#endedCount++ % ENDED_MAX] = ended;
  }

  /** Ends a query of the tenant. @returns whether there is one with this id */
  cancel(tenant: string, id: number): boolean {
    const cancel = this.#active.get(id)?.tenant === tenant ? this.#cancels.get(id) : undefined;
    cancel?.();
    return cancel !== undefined;
  }

  /** @param tenant undefined: those of all */
  active(tenant: string | undefined): ActiveQuery[] {
    return [...this.#active.values()].filter((each) => tenant === undefined || each.tenant === tenant);
  }

  /** The queries of a tenant that ended within `withinMs`, equal ones added up, in no order. */
  ended(tenant: string, withinMs: number): TopQuery[] {
    const fromMs = this.#clock.nowMs() - withinMs;
    const sums = new Map<string, TopQuery>();
    for (const each of this.#ended) {
      if (each.tenant !== tenant || each.endedMs < fromMs) continue;
      const key = `${each.rangeSeconds} ${each.query}`;
      const known = sums.get(key);
      sums.set(key, {
        query: each.query,
        timeRangeSeconds: each.rangeSeconds,
        count: (known?.count ?? 0) + each.count,
        sumDurationSeconds: (known?.sumDurationSeconds ?? 0) + each.durationMs / 1e3,
      });
    }
    return [...sums.values()];
  }
}

/** The beginning of a text, as a copy: a slice would hold all of it in memory. */
function shortened(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : Buffer.from(text.slice(0, charsMax)).toString();
}
