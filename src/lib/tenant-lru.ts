interface Entry<Value> {
  readonly tenant: string;
  readonly value: Value;
  readonly bytes: number;
}

/**
 * The values that were used last, as many as fit. A tenant may have what others leave free; beyond a quarter of all it gives up its own first.
 * Keys are the caller's, and name the tenant where others must not find it.
 */
export class TenantLru<Value> {
  readonly #bytesMax: number;
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #tenantBytes = new Map<string, number>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Value | undefined {
    const known = this.#entries.get(key);
    if (known === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, known);
    return known.value;
  }

  /** A value of more than a quarter of all bytes is not kept. */
  set(tenant: string, key: string, value: Value, bytes: number): void {
    this.#delete(key);
    if (bytes > this.#bytesMax / 4) return;
    this.#entries.set(key, { tenant, value, bytes });
    this.#add(tenant, bytes);
    this.#makeRoom();
  }

  clear(): void {
    this.#entries.clear();
    this.#tenantBytes.clear();
    this.#bytes = 0;
  }

  #delete(key: string): void {
    const known = this.#entries.get(key);
    if (known === undefined) return;
    this.#entries.delete(key);
    this.#add(known.tenant, -known.bytes);
  }

  #add(tenant: string, bytes: number): void {
    this.#bytes += bytes;
    const own = (this.#tenantBytes.get(tenant) ?? 0) + bytes;
    if (own > 0) this.#tenantBytes.set(tenant, own);
    else this.#tenantBytes.delete(tenant);
  }

  /** With more than there may be in all some tenant has more than a quarter, or there are many of them. */
  #makeRoom(): void {
    for (const beyond of [this.#bytesMax / 4, 0]) {
      for (const [key, { tenant }] of this.#entries) {
        if (this.#bytes <= this.#bytesMax) return;
        if (this.#tenantBytes.get(tenant)! > beyond) this.#delete(key);
      }
    }
  }
}
