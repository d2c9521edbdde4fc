import type { QueryRunner } from '../../contract/query.ts';
import { DashboardBook } from '../../dashboards/dashboard-book.ts';
import { EventBook } from '../../deployments/event-book.ts';
import { systemBytes } from '../../lib/random.ts';
import { DeploymentWatch } from '../../services/deployment-watch.ts';
import { ServiceDirectory } from '../../services/directory.ts';
import { TenantLeases } from '../../services/tenant-lease.ts';
import { part } from '../app.ts';
import { dashboardRoutes } from '../routes/dashboards.ts';
import { serviceRoutes } from '../routes/services.ts';
import type { Module } from './module.ts';

/** Lists services, makes their dashboards, finds their deployments; keeps dashboards. */
export const servicesModule: Module = {
  needs: ['limits', 'data-folder', 'ingester', 'querier'],
  clusterNeeds: ['limits', 'ring', 'querier'],
  build(app) {
    const { config, limits, clock, log, http } = app;
    const queries = part(app, 'queries');
    const ingester = part(app, 'ingester');
    const rows = part(app, 'state');
    const nameLabels = (tenant: string) => limits.of(tenant).serviceNameLabels;
    const events = new EventBook(rows, clock);
    const directory = new ServiceDirectory({ runner: queries, api: queries, events, nameLabels, clock });
    const leases = new TenantLeases(rows, Buffer.from(systemBytes(16)).toString('hex'), clock);
    const watch = new DeploymentWatch({
      runner: inBackground(queries),
      events,
      leases,
      tenants: async () =>
        config.deployments.enabled ? (await ingester.tenantSeries()).map(({ tenant }) => tenant) : [],
      nameLabels,
      historyMs: config.deployments.historyMs,
      loop: app.loops.add('deployments', 60_000),
      onMinute: () => directory.renewAll(),
      log,
      clock,
    });
    http.add(dashboardRoutes(new DashboardBook(rows.documents, systemBytes)));
    http.add(serviceRoutes({ directory, events, clock, onSent: (tenant, event) => watch.sent(tenant, event) }));
    return [{ name: 'services', stop: async () => directory.stop() }, watch];
  },
};

/** Queries that nobody waits for. */
function inBackground(queries: QueryRunner): QueryRunner {
  return {
    instant: (tenant, request, context) => queries.instant(tenant, request, { ...context, inBackground: true }),
    range: (tenant, request, context) => queries.range(tenant, request, { ...context, inBackground: true }),
    partial: (tenant, request, context) => queries.partial(tenant, request, context),
  };
}
