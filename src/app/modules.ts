import path from 'node:path';
import type { CompactorConfig } from '../compactor/config.ts';
import type { TenantPurger } from '../contract/control.ts';
import { ConfigError, nearest } from '../kit/config/problem.ts';
import { showConfig, showFlags } from '../kit/config/show.ts';
import { processObserver } from '../kit/observe/process.ts';
import type { Service } from '../kit/service/service.ts';
import { type App, part } from './app.ts';
import { CompactorService } from './compactor.ts';
import { sections } from './config.ts';
import { DataFolder } from './data-folder.ts';
import { DistributorService } from './distributor.ts';
import { IngesterService } from './ingester.ts';
import { QuerierService } from './querier.ts';
import { apiHandlers } from './routes/api.ts';
import { compactorRoutes } from './routes/compactor.ts';
import { debugRoutes } from './routes/debug.ts';
import { ingesterRoutes } from './routes/ingester.ts';
import { purgerRoutes } from './routes/purger.ts';
import { pushRoutes } from './routes/push.ts';
import { statusRoutes } from './routes/status.ts';
import { allStatsRoutes, tenantRoutes, type UserStats } from './routes/tenant.ts';
import { storeSpec } from './store-spec.ts';
import type { TenantRates } from './tenant-rates.ts';

/** A part of a process that can be switched on. */
export interface Module {
  /** Modules that are built, and started, before it. */
  readonly needs: readonly string[];
  /** May be named by `-target`; what it is. Undefined: only there for others. */
  readonly target?: string;
  /** Makes its services and leaves in `app.parts` what others use. Started later, in the order of building. */
  build(app: App): Promise<readonly Service[]> | readonly Service[];
}

/**
 * All modules. The data path plugs in here: `distributor` sets `app.parts.push`, `ingester` sets `app.parts.ingester`,
 * `querier` sets `app.parts.api`. Whatever parts a process has, `server` puts on HTTP: it starts last and stops first.
 */
export const modules: Readonly<Record<string, Module>> = {
  observer: { needs: [], build: (app) => [processObserver(app.registry, app.version)] },
  limits: { needs: [], build: (app) => [app.limits] },
  'data-folder': { needs: [], build: (app) => [DataFolder.of(app.config.data.dir, app.version, app.clock)] },
  server: {
    needs: ['observer', 'limits'],
    build(app) {
      const { parts, http, admin } = app;
      if (parts.push !== undefined) http.add(pushRoutes(parts.push, app.config.server));
      if (parts.api !== undefined) {
        http.add(apiHandlers(parts.api, app.config.server));
        http.add(purgerRoutes(parts.purger));
      }
      if (parts.ingester !== undefined) http.add(ingesterRoutes(parts.ingester));
      const { ingester, rates, queries } = parts;
      if (ingester !== undefined && rates !== undefined && queries !== undefined) {
        const stats = tenantStats(ingester, rates);
        http.add(
          tenantRoutes({ stats: stats.of, limits: (tenant) => app.limits.of(tenant), book: queries, clock: app.clock }),
        );
        admin?.add(allStatsRoutes(stats.all));
      }
      if (parts.compactor !== undefined) {
        http.add(compactorRoutes(parts.compactor, { sweepNow: false }));
        admin?.add(compactorRoutes(parts.compactor, { sweepNow: true }));
      }
      http.add(statusRoutes(app));
      admin?.add(debugRoutes());
      return admin === undefined ? [http] : [admin, http];
    },
  },
  ingester: {
    needs: ['observer', 'data-folder'],
    build(app) {
      const { config, log, registry, clock } = app;
      const ingester = new IngesterService({
        config: config.ingester,
        dir: path.join(config.data.dir, 'ingester'),
        store: storeSpec(config),
        log,
        registry,
        clock,
      });
      app.parts.ingester = ingester;
      return [ingester];
    },
  },
  distributor: {
    needs: ['limits', 'ingester'],
    build(app) {
      const { config, limits, log, registry, clock } = app;
      const ingester = part(app, 'ingester');
      const distributor = new DistributorService({
        config: config.distributor,
        ingester,
        limits: (tenant) => limits.of(tenant),
        log,
        registry,
        clock,
      });
      app.parts.push = distributor;
      app.parts.rates = distributor.rates;
      return [distributor];
    },
  },
  querier: {
    needs: ['limits', 'ingester'],
    build(app) {
      const { config, limits, log, registry, version, startTimeMs, clock } = app;
      const querier = new QuerierService({
        data: {
          config: config.querier,
          purger: config.purger,
          store: storeSpec(config),
          caches: { chunkStore: config.chunkStore, memcached: config.memcached, redis: config.redis },
          windowMs: config.ingester.windowMs,
          keepFlushedMs: config.ingester.keepFlushedMs,
          status: {
            version,
            startTimeMs,
            flags: showFlags(sections, config),
            configYaml: showConfig(sections, config, 'all'),
          },
        },
        ingester: part(app, 'ingester'),
        limits: (tenant) => limits.of(tenant),
        log,
        registry,
        clock,
      });
      app.parts.api = querier;
      app.parts.queries = querier.book;
      if (config.purger.enableAdminApi) app.parts.purger = purger(querier, part(app, 'ingester'));
      return [querier];
    },
  },
  compactor: {
    needs: ['observer', 'limits', 'data-folder'],
    target: 'Merges days that are over, keeps retention and deletes, makes and drops tables.',
    build(app) {
      const compactor = compactorService(app, app.config.compactor);
      app.parts.compactor = compactor;
      return [compactor];
    },
  },
  'table-manager': {
    needs: ['observer', 'limits', 'data-folder'],
    target: 'Only makes and drops tables, as the compactor does too.',
    build: (app) => (app.parts.compactor ? [] : [compactorService(app, { ...app.config.compactor, enabled: false })]),
  },
  all: {
    needs: ['data-folder', 'ingester', 'distributor', 'querier', 'compactor', 'server'],
    target: 'Everything, in one process.',
    build: () => [],
  },
};

function compactorService({ config, limits, log, registry, clock }: App, own: CompactorConfig): CompactorService {
  return new CompactorService({
    config: own,
    deleteRequestCancelPeriodMs: config.purger.deleteRequestCancelPeriodMs,
    store: storeSpec(config),
    retention() {
      const tenants = [...limits.overrides.keys()].map(
        (tenant) => [tenant, limits.of(tenant).retentionPeriodMs] as const,
      );
      return { defaultMs: config.limits.retentionPeriodMs, tenants: new Map(tenants) };
    },
    log,
    registry,
    clock,
  });
}

function purger(querier: QuerierService, ingester: IngesterService): TenantPurger {
  return {
    async delete(tenant, signal) {
      // hidden before it is forgotten: what a flush under way has read of it still comes to the store
      await querier.deleteTenant(tenant, signal);
      await ingester.deleteTenant(tenant);
    },
    deletion: (tenant, signal) => querier.tenantDeletion(tenant, signal),
  };
}

function tenantStats(ingester: IngesterService, rates: TenantRates) {
  return {
    async of(tenant: string): Promise<UserStats> {
      const series = await ingester.seriesOfTenants();
      return { ingestionRate: rates.of(tenant), numSeries: series.get(tenant) ?? 0 };
    },
    async all() {
      const series = await ingester.seriesOfTenants();
      const tenants = [...new Set([...series.keys(), ...rates.tenants])].sort();
      return tenants.map((userID) => ({
        userID,
        ingestionRate: rates.of(userID),
        numSeries: series.get(userID) ?? 0,
      }));
    },
  };
}

/**
 * The modules that targets need, each after what it needs; `server` last.
 * @throws ConfigError for a name that is no target
 */
export function resolveTargets(targets: readonly string[], from = modules): string[] {
  const known = Object.keys(from).filter((name) => from[name]!.target !== undefined);
  const problems = targets
    .filter((name) => !known.includes(name))
    .map((name) => `-target: ${name} is none of ${known.join(', ')}${nearest(name, known)}`);
  if (targets.length === 0) problems.push(`-target: name at least one of ${known.join(', ')}`);
  if (problems.length > 0) throw new ConfigError(problems);

  const order: string[] = [];
  const add = (name: string, path: readonly string[]) => {
    if (path.includes(name)) throw new Error(`bug: modules need each other: ${[...path, name].join(' → ')}`);
    if (order.includes(name) || name === 'server') return;
    for (const needed of from[name]!.needs) add(needed, [...path, name]);
    order.push(name);
  };
  for (const name of [...targets, ...(from.server?.needs ?? [])]) add(name, []);
  return [...order, 'server'];
}
