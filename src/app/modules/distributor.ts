import path from 'node:path';
import type { IngesterAdmin } from '../../contract/ingester.ts';
import { LateSamples, type MoveDays } from '../../distributor/late-samples.ts';
import { LocalSlotSizes } from '../../distributor/local-slots.ts';
import { type DistributorOptions, DistributorService } from '../../distributor/service.ts';
import type { TenantRates } from '../../distributor/tenant-rates.ts';
import { realDisk } from '../../ingester/log/disk.ts';
import { heldDisk } from '../../ingester/log/held-disk.ts';
import { FolderHold } from '../../kit/folder/hold.ts';
import { type App, part } from '../app.ts';
import { lateAfterMs } from '../cache-age.ts';
import { EdgesOfFronts } from '../front/edges-of-fronts.ts';
import type { FrontThreads } from '../front/front-threads.ts';
import { pushRoutes } from '../plain-routes/push.ts';
import { tenantUseRoutes } from '../routes/operating.ts';
import { allStatsRoutes, statsRoutes, type UserStats } from '../routes/stats.ts';
import { slotsFile } from '../slots-file.ts';
import { EdgeThreads } from '../threads/edge-threads.ts';
import type { Module } from './module.ts';

/** Takes writes. */
export const distributorModule: Module = {
  needs: ['limits', 'ingester', 'threads'],
  clusterNeeds: ['observer', 'limits', 'ring', 'threads'],
  target: 'Takes writes, and sends them to ingesters.',
  build(app) {
    const { config, limits, registry, clock, http, admin } = app;
    const slotsVersion = new SharedArrayBuffer(4);
    const shared: Pick<DistributorOptions, 'slots' | 'noteLate'> = {
      ...localSlots(app, slotsVersion),
      ...lateSamples(app),
    };
    const edges =
      app.parts.fronts === undefined ? edgeThreads(app) : frontEdges(app, app.parts.fronts, shared, slotsVersion);
    const distributor = new DistributorService({
      edges,
      limits: (tenant) => limits.of(tenant),
      ...shared,
      registry,
      clock,
    });
    if (edges instanceof EdgesOfFronts) edges.distributor = distributor;
    app.parts.pusher = distributor;
    const stats = tenantStats(part(app, 'ingester'), distributor.rates);
    http.add(pushRoutes(distributor, config.server));
    http.add(statsRoutes(stats.of));
    http.add(tenantUseRoutes(app, distributor.rates));
    admin?.add(allStatsRoutes(stats.all));
    return [edges, distributor];
  },
};

/** Edges in threads of their own, or the one in the thread of the only shard. */
function edgeThreads(app: App): EdgeThreads {
  const { config, log, clock } = app;
  return new EdgeThreads({
    config: config.distributor,
    layout: part(app, 'layout'),
    to: app.parts.cluster === undefined ? { shards: part(app, 'shards') } : { cluster: app.parts.cluster },
    log,
    clock,
  });
}

/** Edges in the threads that listen. */
function frontEdges(
  app: App,
  fronts: FrontThreads,
  { slots, noteLate }: Pick<DistributorOptions, 'slots' | 'noteLate'>,
  slotsVersion: SharedArrayBuffer,
): EdgesOfFronts {
  return new EdgesOfFronts({
    fronts,
    config: app.config.distributor,
    layout: part(app, 'layout'),
    shards: part(app, 'shards'),
    slots,
    slotsVersion,
    noteLate,
  });
}

/** Where answers are cached: writes with late samples wait until their days are marked. */
function lateSamples(app: App): Pick<DistributorOptions, 'noteLate'> {
  const afterMs = lateAfterMs(app.config);
  // in a cluster each ingester marks them itself, before it answers
  if (afterMs === undefined || app.parts.cluster !== undefined) return {};
  const move: MoveDays = (tenant, fromMs, toMs) => part(app, 'moveDays')(tenant, fromMs, toMs);
  const reads = { unread: (tenant: string) => app.parts.generationReads?.unread(tenant) };
  const late = new LateSamples(move, afterMs, app.clock, { reads });
  return { noteLate: (tenant, fromMs) => late.note(tenant, fromMs) };
}

/**
 * How tenants are spread over shards, where there are several.
 * @param version an i32 that goes up with each change
 */
function localSlots(app: App, version: SharedArrayBuffer): { readonly slots?: LocalSlotSizes } {
  const { shards } = part(app, 'layout');
  if (shards === 1 || app.parts.cluster !== undefined) return {};
  const { config, clock, log } = app;
  const disk = heldDisk(realDisk, new FolderHold(part(app, 'hold'), clock));
  const file = slotsFile(disk, path.join(config.data.dir, 'ingester', 'slots.json'), log);
  const onChange = () => void Atomics.add(new Int32Array(version), 0, 1);
  return { slots: new LocalSlotSizes({ shards, file, clock, onChange }) };
}

function tenantStats(ingester: IngesterAdmin, rates: TenantRates) {
  const seriesOf = async () =>
    new Map((await ingester.tenantSeries()).map(({ tenant, series }) => [tenant, series] as const));
  return {
    async of(tenant: string): Promise<UserStats> {
      return { ingestionRate: rates.of(tenant), numSeries: await ingester.seriesOf(tenant) };
    },
    async all() {
      const series = await seriesOf();
      const tenants = [...new Set([...series.keys(), ...rates.tenants])].sort();
      return tenants.map((userID) => ({
        userID,
        ingestionRate: rates.of(userID),
        numSeries: series.get(userID) ?? 0,
      }));
    },
  };
}
