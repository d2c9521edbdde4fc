import type { ShardCalls } from '../../src/ingester/shard/shard-messages.ts';
import type { TableClient, TableStore } from '../../src/table/client.ts';

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

  tables(actor: Actor, { client, admin, limits }: TableStore): TableStore {
    const pass = () => this.pass(actor);
    const gated: TableClient = {
      async write(...args) {
        await pass();
        return client.write(...args);
      },
      async *query(...args) {
        await pass();
        yield* client.query(...args);
      },
      async delete(...args) {
        await pass();
        return client.delete(...args);
      },
      async compareAndSet(...args) {
        await pass();
        return client.compareAndSet(...args);
      },
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
