import type { EventHead, EventKey, EventRows } from './event-book.ts';

/** Rows in memory. */
export class MemoryRows implements EventRows {
  readonly #heads = new Map<string, { readonly key: EventKey; readonly head: EventHead }>();
  #count = 0;
  writes = 0;

  async get({ tenant, kind, name }: EventKey) {
    return this.#heads.get(`${tenant} ${kind} ${name}`)?.head;
  }

  async *list(tenant: string, kind: string) {
    for (const { key, head } of this.#heads.values()) if (key.tenant === tenant && key.kind === kind) yield head;
  }

  async compareAndSet(key: EventKey, expected: EventHead | undefined, next: Pick<EventHead, 'pages' | 'body'>) {
    const known = await this.get(key);
    if (known !== expected) return undefined;
    this.writes++;
    const head = { name: key.name, ...next, value: Uint8Array.of(++this.#count, ...next.body) };
    this.#heads.set(`${key.tenant} ${key.kind} ${key.name}`, { key, head });
    return head;
  }

  async remove({ tenant, kind, name }: EventKey) {
    this.#heads.delete(`${tenant} ${kind} ${name}`);
  }
}
