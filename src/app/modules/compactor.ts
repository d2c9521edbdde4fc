import type { CompactorConfig } from '../../compactor/config.ts';
import { CompactorService } from '../../compactor/service.ts';
import { type App, part } from '../app.ts';
import { compactorRoutes } from '../routes/compactor.ts';
import { storeSpec } from '../store-spec.ts';
import { CompactorThread } from '../threads/compactor-thread.ts';
import type { Module } from './module.ts';

const NEEDS = ['observer', 'limits', 'data-folder'];

/** The compactor works on the store: on its days once they are over, on its deletes and its tables. */
export const compactorModule: Module = {
  needs: NEEDS,
  target: 'Merges days that are over, keeps retention and deletes, makes and drops tables.',
  build(app) {
    const compactor = compactorService(app, app.config.compactor);
    app.parts.compactor = compactor;
    app.http.add(compactorRoutes(compactor, { sweepNow: false }));
    app.admin?.add(compactorRoutes(compactor, { sweepNow: true }));
    return [compactor];
  },
};

export const tableManagerModule: Module = {
  needs: NEEDS,
  target: 'Only makes and drops tables, as the compactor does too.',
  build: (app) => (app.parts.compactor ? [] : [compactorService(app, { ...app.config.compactor, enabled: false })]),
};

function compactorService(app: App, own: CompactorConfig): CompactorService {
  const { config, limits, log, registry, clock } = app;
  const { deleteRequestCancelPeriodMs } = config.purger;
  const loop = app.loops.add(own.enabled ? 'compactor' : 'table-manager', own.intervalMs);
  const thread = new CompactorThread({
    store: storeSpec(config, part(app, 'hold')),
    config: own,
    deleteRequestCancelPeriodMs,
    walAgeMaxMs: config.ingester.walAgeMaxMs,
  });
  return new CompactorService({
    config: own,
    runner: {
      run: (run, signal) =>
        loop.run(async () => {
          const done = await thread.run(run, signal);
          for (const failure of done.report.failures) loop.failed(failure);
          return done;
        }),
    },
    retention() {
      const tenants = [...limits.overrides.keys()].map(
        (tenant) => [tenant, limits.of(tenant).retentionPeriodMs] as const,
      );
      return { defaultMs: limits.others.retentionPeriodMs, tenants: new Map(tenants) };
    },
    deletionsReadMs: async () => (await app.parts.ingester?.deletionsReadMs()) ?? Number.POSITIVE_INFINITY,
    log,
    registry,
    clock,
  });
}
