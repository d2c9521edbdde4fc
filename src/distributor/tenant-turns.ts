/** Lets one work run at a time. Tenants that wait take turns, whatever number of works each of them has waiting. */
export class TenantTurns {
  /** By tenant, in the order of their turns. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #busy = false;

  async run<T>(tenant: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy) await this.#turn(tenant);
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  #turn(tenant: string): Promise<void> {
    return new Promise((resolve) => {
      const own = this.#waiting.get(tenant);
      if (own === undefined) this.#waiting.set(tenant, [resolve]);
      else own.push(resolve);
    });
  }

  /** Hands the turn over without giving it up: nobody who comes now gets in between. */
  #next(): void {
    const first = this.#waiting.entries().next().value;
    if (first === undefined) {
      this.#busy = false;
      return;
    }
    const [tenant, own] = first;
    const resume = own.shift()!;
    this.#waiting.delete(tenant);
    if (own.length > 0) this.#waiting.set(tenant, own);
    resume();
  }
}
