import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type HoldDays, LateSamples } from '../../distributor/late-samples.ts';
import type { FlushRing } from '../../ingester/flush-scheduler.ts';
import { IngesterService } from '../../ingester/service.ts';
import type { Service } from '../../kit/service/service.ts';
import { systemBytes } from '../../lib/random.ts';
import { type App, part } from '../app.ts';
import { lateAfterMs } from '../cache-age.ts';
import type { ClusterNode } from '../cluster/cluster-node.ts';
import { handsListener } from '../cluster/clustered.ts';
import { MemberService } from '../cluster/member-service.ts';
import { LateGenerations } from '../late-generations.ts';
import { ingesterRoutes } from '../routes/ingester.ts';
import { memberRoutes } from '../routes/member.ts';
import { storeSpec } from '../store-spec.ts';
import { FlushThread } from '../threads/flush-thread.ts';
import { HandedListener } from '../threads/handed-listener.ts';
import { ShardThreads, type StartShard } from '../threads/shard-threads.ts';
import type { Module } from './module.ts';

/** Recent samples: shards in threads, a thread that flushes them. */
export const ingesterModule: Module = {
  needs: ['observer', 'data-folder', 'threads'],
  clusterNeeds: ['observer', 'data-folder', 'ring', 'threads'],
  target: 'Holds recent samples, and writes them to the store.',
  build: (app) => buildIngester(app),
};

/** @param start starts a shard's thread, where that is not for `ShardThreads` */
export function buildIngester(app: App, start?: StartShard): readonly Service[] {
  const { config, log, registry, clock } = app;
  const { cluster } = app.parts;
  const hold = part(app, 'hold');
  const dir = path.join(config.data.dir, 'ingester');
  const shards = new ShardThreads({
    config: config.ingester,
    layout: part(app, 'layout'),
    dir,
    hold,
    log,
    clock,
    randomBytes: systemBytes,
    registry,
    lateAfterMs: lateAfterMs(config),
    ...(cluster && { seriesKey: () => cluster.seriesKey, machineRun: machineRun() }),
    start,
  });
  const { deleteRequestCancelPeriodMs } = config.purger;
  const store = storeSpec(config, hold);
  const flusher = new FlushThread({ config: config.ingester, store, deleteRequestCancelPeriodMs, shards, clock });
  const ingester = new IngesterService({
    config: config.ingester,
    shards: () => shards.all,
    flusher,
    ...(cluster && { ring: flushRing(cluster), flushLosses: true }),
    loop: app.loops.add('flush', config.ingester.flushCheckIntervalMs),
    log,
    registry,
    clock,
  });
  app.loops.addSources(() => shards.loopSources());
  app.parts.shards = shards;
  app.http.add(ingesterRoutes(ingester));
  if (cluster === undefined) {
    app.parts.ingester = ingester;
    return [shards, flusher, ingester];
  }
  const generations = new LateGenerations(() => storeSpec(config, hold), clock);
  const holdDays: HoldDays = (tenant, fromMs, toMs, settledMs) =>
    generations.hold(tenant, fromMs, toMs, settledMs, cluster.member?.id ?? '');
  const late = new LateSamples(generations.move.bind(generations), lateAfterMs(config) ?? 0, clock, { hold: holdDays });
  const noteLate = (tenant: string, fromMs: number) => late.note(tenant, fromMs);
  const member = new MemberService({
    cluster,
    shards,
    ingester,
    config: config.ingester,
    noteLate,
    heldDays: (tenant) => late.held(tenant),
    ...(handsListener(config, part(app, 'layout').shards) && {
      listener: (parts) => new HandedListener({ ...parts, follow: (begun) => shards.follow(begun), log, clock }),
    }),
    log,
    clock,
  });
  app.http.add(memberRoutes({ cluster, ingester }));
  return [generations, shards, flusher, ingester, member];
}

function flushRing(cluster: ClusterNode): FlushRing {
  return {
    source: cluster,
    get member() {
      return cluster.member?.id ?? '';
    },
  };
}

/** The machine's name for its run; undefined where it has none. */
function machineRun(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}
