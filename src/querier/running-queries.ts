import type { QueriesOfProcess, RunningQuery } from '../contract/running-queries.ts';
import { type Clock, timeout } from '../lib/clock.ts';
import { forEachAtOnce } from '../lib/semaphore.ts';
import type { QueryBook } from './query-book.ts';

/** The other processes of the cluster, as they are at a moment. */
export interface OtherQueries {
  /** Name of this process among them. */
  readonly self: string;
  readonly others: ReadonlyMap<string, QueriesOfProcess>;
}

/** A query under way in any process: its id says in which. */
export type ShownQuery = Omit<RunningQuery, 'id'> & { readonly id: string; readonly process: string };

export interface ShownQueries {
  readonly queries: readonly ShownQuery[];
  /** Processes that did not tell theirs, each with its reason. */
  readonly warnings: readonly string[];
}

/** How long another process may take. */
const ASKED_MS_MAX = 2_000;
const ASKED_AT_ONCE = 16;
/** Queries of an answer, those that have run longest. */
const SHOWN_MAX = 10_000;

/** The queries under way in this process, as others are told of them. */
export function ownQueries(book: QueryBook, clock: Clock): QueriesOfProcess {
  return {
    async running(tenant) {
      return book.active(tenant).map(({ id, tenant: of, query, start, end, step, startedMs }) => {
        return { id, tenant: of, query, start, end, step, forMs: clock.nowMs() - startedMs };
      });
    },
    cancel: async (tenant, id) => book.cancel(tenant, id),
  };
}

/** Queries under way in all processes of a cluster. */
export class RunningQueries {
  readonly #own: QueriesOfProcess;
  readonly #elsewhere: () => OtherQueries | undefined;
  readonly #clock: Clock;

  /** @param elsewhere undefined: this process is alone */
  constructor(own: QueriesOfProcess, elsewhere: () => OtherQueries | undefined, clock: Clock) {
    this.#own = own;
    this.#elsewhere = elsewhere;
    this.#clock = clock;
  }

  /** @param tenant undefined: those of all */
  async running(tenant: string | undefined, signal: AbortSignal): Promise<ShownQueries> {
    const { self, others } = this.#elsewhere() ?? { self: '', others: new Map<string, QueriesOfProcess>() };
    const queries: ShownQuery[] = [];
    const warnings: string[] = [];
    const take = (process: string, running: readonly RunningQuery[]) => {
      for (const each of running) queries.push({ ...each, id: idOf(each.id, process), process });
    };
    take(self, await this.#own.running(tenant, signal));
    await this.#within(signal, (limited) =>
      forEachAtOnce([...others], ASKED_AT_ONCE, async ([name, other]) => {
        try {
          take(name, await other.running(tenant, limited));
        } catch (thrown) {
          warnings.push(`${name} does not tell its queries: ${(thrown as Error).message}`);
        }
      }),
    );
    signal.throwIfAborted();
    queries.sort((a, b) => b.forMs - a.forMs);
    return { queries: queries.slice(0, SHOWN_MAX), warnings: warnings.sort() };
  }

  /** Ends a query of the tenant, wherever it runs. @returns whether there is one with this id */
  async cancel(tenant: string, shownId: string, signal: AbortSignal): Promise<boolean> {
    const [, id, process] = /^(\d{1,15})(?:@(.{1,1000}))?$/.exec(shownId) ?? [];
    if (id === undefined) return false;
    const elsewhere = process === undefined ? undefined : this.#elsewhere();
    if (process === undefined || process === elsewhere?.self) return this.#own.cancel(tenant, Number(id), signal);
    const other = elsewhere?.others.get(process);
    if (other === undefined) return false;
    return this.#within(signal, (limited) => other.cancel(tenant, Number(id), limited));
  }

  async #within<T>(signal: AbortSignal, work: (limited: AbortSignal) => Promise<T>): Promise<T> {
    const limit = timeout(this.#clock, ASKED_MS_MAX);
    try {
      return await work(AbortSignal.any([signal, limit.signal]));
    } finally {
      limit.cancel();
    }
  }
}

/** An id that says where the query runs: whoever cancels it may come to another process than who listed it. */
function idOf(id: number, process: string): string {
  return process === '' ? String(id) : `${id}@${process}`;
}
