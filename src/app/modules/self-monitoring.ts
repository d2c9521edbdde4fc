import { readMetrics } from '../../kit/observe/metrics.ts';
import { type App, part } from '../app.ts';
import { SelfMonitoring } from '../self-monitoring.ts';
import type { Module } from './module.ts';

/** The process' own metrics, as series of a tenant. */
export const selfMonitoringModule: Module = {
  needs: ['distributor'],
  build(app: App) {
    const { config, registry, metricSources, clock, log, http } = app;
    const { enabled, tenant } = config.selfMonitoring;
    if (!enabled) return [];
    app.parts.selfMonitoringTenant = tenant;
    return [
      new SelfMonitoring({
        tenant,
        instance: () => new URL(http.url).host,
        read: () => readMetrics(registry, metricSources),
        backend: part(app, 'pusher'),
        clock,
        log,
      }),
    ];
  },
};
