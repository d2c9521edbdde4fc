import { querierSyntax } from '../../querier/querier.ts';
import { part } from '../app.ts';
import { ruleRoutes } from '../routes/rules.ts';
import { storeSpec } from '../store-spec.ts';
import { RulerThread } from '../threads/ruler-thread.ts';
import type { Module } from './module.ts';

/** Evaluates rules. */
export const rulerModule: Module = {
  needs: ['limits', 'data-folder', 'distributor', 'querier', 'store-peers'],
  target: 'Evaluates recording and alerting rules, and sends alerts.',
  build(app) {
    const { config, limits, log, clock, http, loops, metricSources } = app;
    const limitsOf = (tenant: string) => limits.of(tenant);
    const ruler = new RulerThread({
      data: {
        store: storeSpec(config, app.parts.hold),
        config: config.ruler,
        parser: querierSyntax(config.querier),
        log: config.log,
      },
      externalUrl: () => http.url,
      queries: part(app, 'queries'),
      push: part(app, 'pusher'),
      limits: limitsOf,
      alertmanager: () => app.parts.alertmanager,
      documentTenants: part(app, 'documentTenants'),
      peers: app.parts.peers,
      log,
      clock,
    });
    app.parts.ruler = ruler;
    metricSources.push(() => ruler.metrics());
    loops.addSources(() => [{ name: 'ruler', states: (signal) => ruler.loops(signal) }]);
    http.add(ruleRoutes({ ruler, limits: limitsOf, config: config.server }));
    return [ruler];
  },
};
