import { Documents } from '../chunkstore/documents/documents.ts';
import { StateRows } from '../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import { openStore, type StoreSpec } from '../chunkstore/open.ts';
import type { DashboardDocuments } from '../dashboards/dashboard-book.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import { systemBytes } from '../lib/random.ts';

type Rows = Pick<StateRows, 'get' | 'list' | 'compareAndSet' | 'remove'>;

interface Opened {
  readonly rows: Rows;
  readonly documents: Documents;
  close(): Promise<void>;
}

/** The tables of state and configuration, with a handle of their own that is opened when it is first needed. */
export class LateState implements Rows, Service {
  readonly name = 'state';
  readonly #open: () => Promise<Opened>;
  #opened: Promise<Opened> | undefined;

  constructor(spec: () => StoreSpec, clock: Clock) {
    this.#open = async () => {
      const opened = await openStore(spec(), clock);
      const tables = await TenantTables.open(opened.schema);
      return {
        rows: new StateRows(tables, systemBytes),
        documents: new Documents(tables, clock, systemBytes),
        close: () => opened.close(),
      };
    };
  }

  #tables(): Promise<Opened> {
    this.#opened ??= this.#open().catch((thrown) => {
      this.#opened = undefined;
      throw thrown;
    });
    return this.#opened;
  }

  async stop(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.close();
  }

  get documents(): DashboardDocuments {
    const documents = async () => (await this.#tables()).documents;
    return {
      get: async (...given) => (await documents()).get(...given),
      heads: async (...given) => (await documents()).heads(...given),
      versions: async (...given) => (await documents()).versions(...given),
      contentOf: async (...given) => (await documents()).contentOf(...given),
      put: async (...given) => (await documents()).put(...given),
      delete: async (...given) => (await documents()).delete(...given),
    };
  }

  async get(...given: Parameters<Rows['get']>) {
    return (await this.#tables()).rows.get(...given);
  }

  async *list(...given: Parameters<Rows['list']>): ReturnType<Rows['list']> {
    yield* (await this.#tables()).rows.list(...given);
  }

  async compareAndSet(...given: Parameters<Rows['compareAndSet']>) {
    return (await this.#tables()).rows.compareAndSet(...given);
  }

  async remove(...given: Parameters<Rows['remove']>) {
    return (await this.#tables()).rows.remove(...given);
  }
}
