import type { BatchRunner } from '../../contract/query.ts';
import type { Service } from '../../kit/service/service.ts';
import { type AskBatch, JobBatches } from '../../peer/job-batches.ts';
import { querierSyntax } from '../../querier/syntax.ts';
import { type App, part } from '../app.ts';
import { SchedulerLinks } from '../cluster/scheduler-links.ts';
import { ruleRoutes } from '../routes/rules.ts';
import { storeSpec } from '../store-spec.ts';
import { RulerThread } from '../threads/ruler-thread.ts';
import { jobDeskIn } from './job-desk.ts';
import type { Module } from './module.ts';

/** Evaluates rules. */
export const rulerModule: Module = {
  needs: ['limits', 'data-folder', 'distributor', 'querier', 'store-peers'],
  target: 'Evaluates recording and alerting rules, and sends alerts.',
  build(app) {
    const { config, limits, log, clock, http, loops, metricSources } = app;
    const limitsOf = (tenant: string) => limits.of(tenant);
    const elsewhere = rulesElsewhere(app);
    const queries = part(app, 'queries');
    const ruler = new RulerThread({
      data: {
        store: storeSpec(config, app.parts.hold),
        config: config.ruler,
        parser: querierSyntax(config.querier),
        log: config.log,
      },
      externalUrl: () => http.url,
      queries: queries.handle.bind(queries),
      batches: elsewhere?.batches ?? queries,
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
    return [...(elsewhere === undefined ? [] : [elsewhere.links]), ruler];
  },
};

/** Queriers of front ends that evaluate the rules, where some are named. */
function rulesElsewhere(app: App): { readonly batches: BatchRunner; readonly links: Service } | undefined {
  const { config, log, clock } = app;
  const { frontendAddress: names } = config.ruler;
  if (names.length === 0) return undefined;
  const desk = jobDeskIn(app);
  const ask: AskBatch = (tenant, payload, avoid, signal) => {
    // light: rules are due, and wait for no place among heavy queries
    const job = { tenant, query: desk.nameQuery(), costMs: 0, priority: 0, isOfRules: true, payload, avoid };
    return desk.ask(job, signal);
  };
  const batches = new JobBatches({ ask, timeoutMs: config.querier.timeoutMs, clock });
  const { schedulerDnsLookupPeriodMs: periodMs } = config.frontend;
  return {
    batches,
    links: new SchedulerLinks({ names, periodMs, desk, peers: part(app, 'peers'), loops: app.loops, log, clock }),
  };
}
