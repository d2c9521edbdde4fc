/** Far more tenants than ask while one query runs. */
const TENANTS_MAX = 10_000;

/** Retention of tenants that have asked, as their limits were when they asked last. Those that asked longest ago are forgotten. */
export class Retentions {
  /** In ms, in the order of their last call. */
  readonly #ofTenants = new Map<string, number>();

  get size(): number {
    return this.#ofTenants.size;
  }

  set(tenant: string, retentionMs: number): void {
    this.#ofTenants.delete(tenant);
    this.#ofTenants.set(tenant, retentionMs);
    if (this.#ofTenants.size <= TENANTS_MAX) return;
    const [oldest] = this.#ofTenants.keys();
    this.#ofTenants.delete(oldest!);
  }

  /** In ms; 0: for ever. */
  of(tenant: string): number {
    return this.#ofTenants.get(tenant) ?? 0;
  }
}
