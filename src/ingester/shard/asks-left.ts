/** Selects of which it is known how often they are to be asked. */
const KEYS_MAX = 1024;

/** How often selects are to be asked of the shard before they are kept. Where there are too many, a tenant that has its share gives up its own. */
export class AsksLeft {
  /** The one that was set last is last. */
  readonly #tenants = new Map<string, Map<string, number>>();
  #size = 0;

  get(tenant: string, key: string): number | undefined {
    return this.#tenants.get(tenant)?.get(key);
  }

  set(tenant: string, key: string, asks: number): void {
    let own = this.#tenants.get(tenant);
    if (own === undefined) {
      own = new Map();
      this.#tenants.set(tenant, own);
    }
    if (!own.delete(key)) this.#size++;
    own.set(key, asks);
    if (this.#size > KEYS_MAX) this.#drop(tenant, own);
  }

  #drop(tenant: string, own: Map<string, number>): void {
    let [from, keys] = [tenant, own];
    if (own.size * this.#tenants.size <= KEYS_MAX)
      for (const [other, all] of this.#tenants) if (all.size > keys.size) [from, keys] = [other, all];
    const [oldest] = keys.keys();
    keys.delete(oldest!);
    this.#size--;
    if (keys.size === 0) this.#tenants.delete(from);
  }
}
