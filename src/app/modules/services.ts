import { Documents } from '../../chunkstore/documents/documents.ts';
import { StateRows } from '../../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../../chunkstore/documents/tables.ts';
import { openStore } from '../../chunkstore/open.ts';
import { DashboardBook, type DashboardDocuments } from '../../dashboards/dashboard-book.ts';
import { EventBook, type EventHead, type EventRows } from '../../deployments/event-book.ts';
import type { Service } from '../../kit/service/service.ts';
import { systemBytes } from '../../lib/random.ts';
import { DeploymentWatch } from '../../services/deployment-watch.ts';
import { ServiceDirectory } from '../../services/directory.ts';
import { TenantLeases } from '../../services/tenant-lease.ts';
import { part } from '../app.ts';
import { dashboardRoutes } from '../routes/dashboards.ts';
import { serviceRoutes } from '../routes/services.ts';
import { storeSpec } from '../store-spec.ts';
import type { Module } from './module.ts';

/** Lists services, makes their dashboards, finds their deployments; keeps dashboards. */
export const servicesModule: Module = {
  needs: ['limits', 'data-folder', 'ingester', 'querier'],
  build(app) {
    const { config, clock, log, http } = app;
    const queries = part(app, 'queries');
    const ingester = part(app, 'ingester');
    const rows = new LateRows(async () => {
      const opened = await openStore(storeSpec(config, part(app, 'hold')), clock);
      const tables = await TenantTables.open(opened.schema);
      return {
        rows: new StateRows(tables, systemBytes),
        documents: new Documents(tables, clock, systemBytes),
        close: () => opened.close(),
      };
    });
    const events = new EventBook(rows, clock);
    const directory = new ServiceDirectory({ runner: queries, api: queries, events, clock });
    const leases = new TenantLeases(rows, Buffer.from(systemBytes(16)).toString('hex'), clock);
    const watch = new DeploymentWatch({
      runner: queries,
      events,
      leases,
      tenants: async () =>
        config.deployments.enabled ? (await ingester.tenantSeries()).map(({ tenant }) => tenant) : [],
      historyMs: config.deployments.historyMs,
      onMinute: () => directory.renewAll(),
      log,
      clock,
    });
    http.add(dashboardRoutes(new DashboardBook(rows.documents, systemBytes)));
    http.add(serviceRoutes({ directory, events, clock, onSent: (tenant, event) => watch.sent(tenant, event) }));
    return [rows, { name: 'services', stop: async () => directory.stop() }, watch];
  },
};

interface OpenedRows {
  readonly rows: StateRows;
  readonly documents: Documents;
  close(): Promise<void>;
}

/** The tables of state and configuration, with a handle of their own that is opened when it is first needed. */
class LateRows implements EventRows, Service {
  readonly name = 'events';
  readonly #open: () => Promise<OpenedRows>;
  #opened: Promise<OpenedRows> | undefined;

  constructor(open: () => Promise<OpenedRows>) {
    this.#open = open;
  }

  open(): Promise<OpenedRows> {
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
    const documents = async () => (await this.open()).documents;
    return {
      get: async (...given) => (await documents()).get(...given),
      heads: async (...given) => (await documents()).heads(...given),
      versions: async (...given) => (await documents()).versions(...given),
      contentOf: async (...given) => (await documents()).contentOf(...given),
      put: async (...given) => (await documents()).put(...given),
      delete: async (...given) => (await documents()).delete(...given),
    };
  }

  async get(...given: Parameters<EventRows['get']>) {
    return (await this.open()).rows.get(...given);
  }

  async *list(...given: Parameters<EventRows['list']>): AsyncGenerator<EventHead> {
    yield* (await this.open()).rows.list(...given);
  }

  async compareAndSet(...given: Parameters<EventRows['compareAndSet']>) {
    return (await this.open()).rows.compareAndSet(...given);
  }

  async remove(...given: Parameters<EventRows['remove']>) {
    return (await this.open()).rows.remove(...given);
  }
}
