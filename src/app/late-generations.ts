import { Generations } from '../chunkstore/generations.ts';
import { type OpenedStore, openStore, type StoreSpec } from '../chunkstore/open.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import { systemBytes } from '../lib/random.ts';

/** Rows of tenants' days, with a handle on the store of their own that is opened when the first sample is late. */
export class LateGenerations implements Service {
  readonly name = 'generations';
  readonly #spec: () => StoreSpec;
  readonly #clock: Clock;
  #opened: Promise<{ readonly store: OpenedStore; readonly generations: Generations }> | undefined;

  constructor(spec: () => StoreSpec, clock: Clock) {
    this.#spec = spec;
    this.#clock = clock;
  }

  /** As `Generations.move`. */
  async move(tenant: string, fromMs: number, toMs: number): Promise<void> {
    await (await this.#ready()).generations.move(tenant, fromMs, toMs);
  }

  /** As `Generations.hold`. */
  async hold(tenant: string, fromMs: number, toMs: number, settledMs: number, holder: string): Promise<void> {
    await (await this.#ready()).generations.hold(tenant, fromMs, toMs, settledMs, holder);
  }

  #ready() {
    this.#opened ??= this.#open().catch((thrown) => {
      this.#opened = undefined;
      throw thrown;
    });
    return this.#opened;
  }

  async stop(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.store.close();
  }

  async #open() {
    const store = await openStore(this.#spec(), this.#clock);
    return { store, generations: new Generations(store.schema, this.#clock, systemBytes) };
  }
}
