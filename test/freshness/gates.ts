import type { ShardCalls } from '../../src/ingester/shard/shard-messages.ts';
import type { TableClient, TableStore } from '../../src/table/client.ts';
import type { TableChanges } from '../../src/table/table-changes.ts';

/** Who is held up at a gate. */
export type Actor = 'query' | 'change';

/** Calls to the store and to shards that wait, while the gates are shut, until a test lets them through one by one. */
export class Gates {
  readonly #waiting: Record<Actor, (() => void)[]> = { query: [], change: [] };
  #isShut = false;

  shut(): void {
    this.#isShut = true;
  }

  /** Lets all through, now and from now on. */
  open(): void {
    this.#isShut = false;
    for (const waiting of Object.values(this.#waiting)) for (const pass of waiting.splice(0)) pass();
  }

  pass(actor: Actor): Promise<void> | undefined {
    if (!this.#isShut) return undefined;
    return new Promise((resolve) => this.#waiting[actor].push(resolve));
  }

  isWaiting(actor: Actor): boolean {
    return this.#waiting[actor].length > 0;
  }

  /** Lets one call through: the one that came first, or last. */
  release(actor: Actor, which: 'first' | 'last'): void {
    const waiting = this.#waiting[actor];
    (which === 'first' ? waiting.shift() : waiting.pop())?.();
  }

  /** @param changes counts what is changed, as threads of one process do; absent: nobody knows */
  tables(actor: Actor, { client, admin, limits }: TableStore, changes?: TableChanges): TableStore {
    const pass = () => this.pass(actor);
    const change = async <T>(table: string, make: () => Promise<T>): Promise<T> => {
      changes?.begin(table);
      await pass();
      const done = await make();
      if (changes === undefined) return done;
      // what is made may be seen before whoever made it is told
      await pass();
      changes.end(table);
      return done;
    };
    const gated: TableClient = {
      write: (...args) => change(args[0], () => client.write(...args)),
      async *query(...args) {
        await pass();
        yield* client.query(...args);
      },
      delete: (...args) => change(args[0], () => client.delete(...args)),
      compareAndSet: (...args) => change(args[0], () => client.compareAndSet(...args)),
      ...(changes && { changes: (table: string) => changes.of(table) }),
      close: () => client.close(),
    };
    return { client: gated, admin, limits };
  }

  shard(actor: Actor, calls: ShardCalls): ShardCalls {
    const call: ShardCalls['call'] = async (...args) => {
      await this.pass(actor);
      return calls.call(...args);
    };
    return { call };
  }
}
