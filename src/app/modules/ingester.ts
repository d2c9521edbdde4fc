import path from 'node:path';
import { IngesterService } from '../../ingester/service.ts';
import type { Service } from '../../kit/service/service.ts';
import { systemBytes } from '../../lib/random.ts';
import { type App, part } from '../app.ts';
import { lateAfterMs } from '../cache-age.ts';
import { ingesterRoutes } from '../routes/ingester.ts';
import { storeSpec } from '../store-spec.ts';
import { FlushThread } from '../threads/flush-thread.ts';
import { ShardThreads, type StartShard } from '../threads/shard-threads.ts';
import type { Module } from './module.ts';

/** Recent samples: shards in threads, a thread that flushes them. */
export const ingesterModule: Module = {
  needs: ['observer', 'data-folder', 'threads'],
  build: (app) => buildIngester(app),
};

/** @param start starts a shard's thread, where that is not for `ShardThreads` */
export function buildIngester(app: App, start?: StartShard): readonly Service[] {
  const { config, log, registry, clock } = app;
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
    start,
  });
  const { deleteRequestCancelPeriodMs } = config.purger;
  const store = storeSpec(config, hold);
  const flusher = new FlushThread({ config: config.ingester, store, deleteRequestCancelPeriodMs, shards, clock });
  const ingester = new IngesterService({
    config: config.ingester,
    shards: () => shards.all,
    flusher,
    log,
    registry,
    clock,
  });
  app.parts.shards = shards;
  app.parts.ingester = ingester;
  app.http.add(ingesterRoutes(ingester));
  return [shards, flusher, ingester];
}
