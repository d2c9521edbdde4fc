import { readMetrics } from '../../kit/observe/metrics.ts';
import type { Service } from '../../kit/service/service.ts';
import { type App, part } from '../app.ts';
import { INTERVAL_MS, SelfMonitoring } from '../self-monitoring.ts';
import { TenantMonitoring } from '../tenant-monitoring.ts';
import type { Module } from './module.ts';

/** The process' own metrics, as series of a tenant; and what goes wrong for tenants, as series of theirs. */
export const selfMonitoringModule: Module = {
  needs: ['distributor'],
  build(app: App) {
    const { config, registry, metricSources, clock, log, http } = app;
    const { enabled, tenant, tenantSeries } = config.selfMonitoring;
    const instance = () => new URL(http.url).host;
    const backend = part(app, 'pusher');
    const services: Service[] = [];
    if (enabled) {
      app.parts.selfMonitoringTenant = tenant;
      const read = () => readMetrics(registry, metricSources);
      const loop = app.loops.add('self-monitoring', INTERVAL_MS);
      services.push(new SelfMonitoring({ tenant, instance, read, backend, clock, log, loop }));
    }
    if (tenantSeries) {
      const read = async () => {
        const { ruler, alertmanager } = app.parts;
        return (await Promise.all([ruler?.metrics() ?? [], alertmanager?.metrics() ?? []])).flat();
      };
      services.push(new TenantMonitoring({ instance, read, backend, clock, log }));
    }
    return services;
  },
};
