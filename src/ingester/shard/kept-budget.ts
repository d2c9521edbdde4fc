/** Bytes of what is kept, of one tenant and of all. */
const TENANT_BYTES_MAX = 2 * 1024 * 1024;
const BYTES_MAX = 4 * TENANT_BYTES_MAX;

/** Something that is kept while there is room for it. */
export interface Kept {
  readonly tenant: string;
  readonly bytes: number;
  /** Forgets it for lack of room. */
  evict(): void;
}

/** Room for what a thread keeps of all shards. What was used last stays longest; a tenant that has its share gives up its own. */
export class KeptBudget {
  /** The one that was used last is last, here and of each tenant. */
  readonly #all = new Set<Kept>();
  readonly #tenants = new Map<string, { bytes: number; readonly all: Set<Kept> }>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  bytesOf(tenant: string): number {
    return this.#tenants.get(tenant)?.bytes ?? 0;
  }

  add(kept: Kept): void {
    const { tenant, bytes } = kept;
    let own = this.#tenants.get(tenant);
    if (own === undefined) {
      own = { bytes: 0, all: new Set() };
      this.#tenants.set(tenant, own);
    }
    this.#all.add(kept);
    own.all.add(kept);
    this.#bytes += bytes;
    own.bytes += bytes;
    while (own.bytes > TENANT_BYTES_MAX) this.#evict(own.all);
    while (this.#bytes > BYTES_MAX) this.#evict(this.#all);
  }

  #evict(from: ReadonlySet<Kept>): void {
    const [oldest] = from;
    this.remove(oldest!);
    oldest!.evict();
  }

  used(kept: Kept): void {
    if (!this.#all.delete(kept)) return;
    this.#all.add(kept);
    const { all } = this.#tenants.get(kept.tenant)!;
    all.delete(kept);
    all.add(kept);
  }

  remove(kept: Kept): void {
    if (!this.#all.delete(kept)) return;
    this.#bytes -= kept.bytes;
    const own = this.#tenants.get(kept.tenant)!;
    own.bytes -= kept.bytes;
    own.all.delete(kept);
    if (own.all.size === 0) this.#tenants.delete(kept.tenant);
  }
}
