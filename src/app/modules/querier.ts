import os from 'node:os';
import { queryFacts } from '../../api/query-facts.ts';
import { periodsOf } from '../../chunkstore/config.ts';
import type { ApiBackend } from '../../contract/api.ts';
import type { TenantHider, TenantPurger } from '../../contract/control.ts';
import type { IngesterAdmin } from '../../contract/ingester.ts';
import type { RuleSettings } from '../../contract/rules.ts';
import { showConfig, showFlags } from '../../kit/config/show.ts';
import type { Service } from '../../kit/service/service.ts';
import { systemRandom } from '../../lib/random.ts';
import { HEAVY_CALLS_MAX } from '../../lib/seats.ts';
import { queriesRole } from '../../peer/queries-role.ts';
import { RemoteAnswers, RemoteJobSource } from '../../peer/remote-scheduler.ts';
import { JobWorker } from '../../querier/job-worker.ts';
import { MetricUseBook, SAVE_INTERVAL_MS } from '../../querier/metric-use.ts';
import { ownQueries, RunningQueries } from '../../querier/running-queries.ts';
import { QuerierService, type QuerierServiceOptions, type QueryWorkers } from '../../querier/service.ts';
import { type App, part } from '../app.ts';
import { cacheAgeMs } from '../cache-age.ts';
import { PeerAddresses } from '../cluster/peer-addresses.ts';
import { type Config, sections } from '../config.ts';
import type { FrontQueriesHost } from '../front/front-threads.ts';
import { LateState } from '../late-state.ts';
import { apiHandlers } from '../plain-routes/api.ts';
import { withAlertConfig } from '../routes/alertmanager.ts';
import { metricUseRoutes } from '../routes/metric-use.ts';
import { purgerRoutes } from '../routes/purger.ts';
import { tenantRoutes } from '../routes/tenant.ts';
import { storeSpec } from '../store-spec.ts';
import { DirectQueries } from '../threads/direct-queries.ts';
import { QueryThreads, type QueryThreadsOptions } from '../threads/query-threads.ts';
import type { Module } from './module.ts';

/** Answers queries. */
export const querierModule: Module = {
  needs: ['limits', 'ingester', 'threads', 'web'],
  clusterNeeds: ['observer', 'limits', 'ring', 'threads', 'web'],
  target: 'Answers queries.',
  build(app) {
    const { cluster } = app.parts;
    const workers = queryThreads(app, cluster === undefined ? { shards: part(app, 'shards') } : { cluster });
    const { config, http } = app;
    const direct = cluster === undefined && isAlone(config) ? directQueries(app, workers) : undefined;
    const { querier, use, services: own } = queryService(app, workers, direct ?? workers);
    const services = direct === undefined ? own : [direct, ...own];
    app.parts.fronts?.answer(frontQueries(app, querier, use));
    http.add(purgerRoutes(config.purger.enableAdminApi ? purger(querier, part(app, 'ingester'), app) : undefined));
    app.parts.moveDays = (tenant, fromMs, toMs) => workers.moveDays(tenant, fromMs, toMs);
    if (isAlone(config)) app.parts.generationReads = workers.generationReads;
    return [...services, ...jobService(app, workers, querier)];
  },
};

/** Threads that evaluate, or that split queries for others who do. */
export function queryThreads(app: App, heads: QueryThreadsOptions['heads']): QueryThreads {
  const { log, clock } = app;
  return new QueryThreads({ data: queryData(app), layout: part(app, 'layout'), heads, log, clock });
}

function queryData(app: App): QueryThreadsOptions['data'] {
  const { config, version, startTimeMs } = app;
  return {
    config: config.querier,
    queryRange: config.queryRange,
    purger: config.purger,
    store: storeSpec(config, app.parts.hold),
    caches: { chunkStore: config.chunkStore, memcached: config.memcached, redis: config.redis },
    windowMs: config.ingester.windowMs,
    keepFlushedMs: config.ingester.keepFlushedMs,
    cacheAgeMs: cacheAgeMs(config),
    status: {
      version,
      startTimeMs,
      flags: showFlags(sections, config),
      configYaml: showConfig(sections, config, 'all'),
    },
  };
}

/** The way of threads that listen to answers, and to those of small queries without the main thread. */
function frontQueries(app: App, querier: QuerierService, use: MetricUseBook): FrontQueriesHost {
  const { config } = app;
  const areSmallOnes = config.querier.directQueries && isAlone(config);
  return {
    backend: withRules(querier, app),
    direct: areSmallOnes ? { data: queryData(app), shards: part(app, 'shards') } : undefined,
    slowFromMs: config.queryRange.logQueriesLongerThanMs,
    ended(queries) {
      for (const { ended, asker, metrics } of queries) {
        querier.book.note(ended);
        if (metrics.length > 0) use.note(ended.tenant, metrics, asker, ended.count);
      }
    },
  };
}

/** Small queries in this thread; undefined: all are evaluated in query threads. */
function directQueries(app: App, workers: QueryWorkers): DirectQueries | undefined {
  const { config, log, registry, clock } = app;
  // threads that listen evaluate those that come to them
  if (!config.querier.directQueries || app.parts.fronts !== undefined) return undefined;
  const { directQueries: atOnceMax } = part(app, 'layout');
  const shards = part(app, 'shards');
  const open = async () => {
    const { DirectQuerier } = await import('../threads/direct-querier.ts');
    return DirectQuerier.open(queryData(app), shards, clock);
  };
  return new DirectQueries({ workers, open, atOnceMax, log, registry, clock });
}

/** The service of queries over its workers, with all that HTTP serves of it. */
export function queryService(app: App, threads: QueryThreads, workers: QueryWorkers) {
  const { config, limits, log, registry, clock, http } = app;
  const limitsOf = (tenant: string) => limits.of(tenant);
  const state = new LateState(() => storeSpec(config, app.parts.hold), clock);
  app.parts.state = state;
  const use = new MetricUseBook({
    rows: state,
    clock,
    loop: app.loops.add('metric-use', SAVE_INTERVAL_MS),
    onFailure: (error) => log.warn({ error: error.message }, 'counts of metrics asked for were not written'),
  });
  const { cacheBackend } = config.chunkStore;
  const querier = new QuerierService({
    workers,
    cacheBackend,
    limits: limitsOf,
    factsOf: queryFacts,
    tellsSmall: app.parts.fronts !== undefined,
    registry,
    clock,
    ...slowQueries(app),
    use,
  });
  app.parts.queries = querier;
  app.parts.documentTenants = (kind, signal) => threads.documentTenants(kind, signal);
  const handlers = apiHandlers(withRules(querier, app), config.server);
  http.add(
    handlers.map((route) =>
      route.path === '/api/v1/alerts' ? withAlertConfig(route, () => app.parts.alertmanager) : route,
    ),
  );
  const own = ownQueries(querier.book, clock);
  app.parts.peers?.answer(queriesRole(own));
  const running = new RunningQueries(own, () => app.parts.cluster?.queriesElsewhere(), clock);
  http.add(tenantRoutes({ limits: limitsOf, book: querier.book, running }));
  http.add(metricUseRoutes({ book: use, api: querier }));
  const useService = { name: 'metric-use', start: async () => use.start(), stop: () => use.stop() };
  return { querier, use, services: [state, threads, querier, useService] };
}

/** Work for front ends elsewhere, where some are named. */
function jobService(app: App, threads: QueryThreads, querier: QuerierService): Service[] {
  const { config, log, clock } = app;
  const { frontendAddress, schedulerAddress, dnsLookupDurationMs, id } = config.frontendWorker;
  const names = [...frontendAddress, ...schedulerAddress];
  if (names.length === 0) return [];
  const peers = part(app, 'peers');
  const { queryThreads: count } = part(app, 'layout');
  const worker = new JobWorker({
    id: id || os.hostname(),
    places: count * config.querier.maxConcurrent,
    heavyPlaces: count * HEAVY_CALLS_MAX,
    run: (job, signal) => querier.work(job.tenant, (limits) => threads.job(job, limits, signal)),
    answers: (address) => new RemoteAnswers(peers.caller(address)),
    log,
    clock,
    random: systemRandom,
  });
  const addresses = new PeerAddresses({
    names,
    periodMs: dnsLookupDurationMs,
    added: (address) => worker.add(address, new RemoteJobSource(peers.caller(address))),
    removed: (address) => {
      worker.remove(address);
      peers.forget(address);
    },
    loops: app.loops,
    log,
    clock,
  });
  return [
    {
      name: 'query-jobs',
      start: async () => addresses.start(),
      async stop({ signal }) {
        await addresses.stop();
        await worker.stop(signal);
      },
      notReady: () =>
        worker.seated.length > 0 ? undefined : `none of ${names.join(', ')} gives this querier work: none is reached`,
    },
  ];
}

/** Whether nobody but this process reads its store. */
function isAlone({ schema }: Config): boolean {
  return periodsOf(schema).every(({ store }) => store === 'embedded');
}

/** Requests for rules and alerts go to the ruler, where this process has one; rules that are tried have the tenant's settings. */
function withRules(querier: ApiBackend, app: App): ApiBackend {
  return {
    handle(request, signal) {
      if (request.path === '/api/v1/rule_preview' || request.path === '/api/v1/rule_test') {
        return querier.handle({ ...request, rules: ruleSettings(request.tenant, app) }, signal);
      }
      const isAboutRules = request.path === '/api/v1/rules' || request.path === '/api/v1/alerts';
      return ((isAboutRules ? app.parts.ruler : undefined) ?? querier).handle(request, signal);
    },
  };
}

function ruleSettings(tenant: string, { config, limits, http }: App): RuleSettings {
  const own = limits.of(tenant);
  return {
    evaluationIntervalMs: config.ruler.evaluationIntervalMs,
    intervalMsMin: own.rulerMinRuleEvaluationIntervalMs,
    queryOffsetMs: own.rulerQueryOffsetMs,
    externalLabels: own.rulerExternalLabels,
    externalUrl: own.rulerExternalUrl || config.ruler.externalUrl || http.url,
    rulesMax: own.rulerMaxRulesPerRuleGroup,
  };
}

function purger(querier: TenantHider, ingester: Pick<IngesterAdmin, 'deleteTenant'>, app: App): TenantPurger {
  return {
    async delete(tenant, signal) {
      // hidden before it is forgotten: what a flush under way has read of it still comes to the store
      await querier.deleteTenant(tenant, signal);
      await app.parts.ruler?.changed(tenant);
      await ingester.deleteTenant(tenant);
    },
    deletion: (tenant, signal) => querier.tenantDeletion(tenant, signal),
  };
}

function slowQueries({ config, log }: App): Pick<QuerierServiceOptions, 'slow'> {
  const fromMs = config.queryRange.logQueriesLongerThanMs;
  if (fromMs === 0) return {};
  return { slow: { fromMs, log: ({ id: _, startedMs: __, ...query }) => log.info(query, 'a query took long') } };
}
