import { workerData } from 'node:worker_threads';
import { PromApi } from '../../api/backend.ts';
import type { ApiSources, DeleteSource } from '../../api/sources.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { openStore } from '../../chunkstore/open.ts';
import { ChunkStoreReader } from '../../chunkstore/reader.ts';
import type { Tombstone } from '../../chunkstore/tombstone-row.ts';
import { Tombstones, tombstonesOfQuery } from '../../chunkstore/tombstones.ts';
import type { TenantDeletion } from '../../contract/control.ts';
import type { IngesterClient } from '../../contract/ingester.ts';
import { HeldRange } from '../../ingester/held-range.ts';
import { ShardsClient } from '../../ingester/shard-client.ts';
import type { ShardRole } from '../../ingester/shard-messages.ts';
import { Channel, Transferred } from '../../kit/thread/channel.ts';
import { IdleCollector } from '../../kit/thread/idle-collector.ts';
import { threadPriority } from '../../kit/thread/thread-priority.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { Engine } from '../../promql/engine.ts';
import { recentExemplars } from '../../querier/exemplars.ts';
import { HeadSource } from '../../querier/head-source.ts';
import { recentMetadata } from '../../querier/metadata.ts';
import { KernelRows } from '../../querier/row-kernel.ts';
import { StoreSource } from '../../querier/store-source.ts';
import { QueryTurns } from '../../querier/turns.ts';
import { UndeletedSource } from '../../querier/undeleted-source.ts';
import { mergedQueryable } from '../../storage/merge.ts';
import { openBlockCache } from './caches.ts';
import type { QueryRole, QueryWorkerData } from './query-role.ts';
import { warmUp } from './warm-up.ts';

// Evaluates queries in a thread of its own: PromQL over the shards of this process and the store.

const { config, purger, store, caches, windowMs, keepFlushedMs, status } = workerData as QueryWorkerData;
const syntax = {
  experimentalFunctions: config.enablePromqlExperimentalFunctions,
  extendedRangeSelectors: config.enablePromqlExtendedRangeSelectors,
  binopFillModifiers: config.enablePromqlBinopFillModifiers,
  unquotedUtf8Names: config.enablePromqlUnquotedUtf8Names,
};
const engine = new Engine({
  samplesMax: config.maxSamples,
  labelValueCharsMax: config.maxLabelValueLength,
  timeoutMs: config.timeoutMs,
  lookbackMs: config.lookbackDeltaMs,
  delayedNameRemoval: config.enablePromqlDelayedNameRemoval,
  startTimestamps: config.enablePromqlStartTimestamps,
  typeAndUnitLabels: config.enableTypeAndUnitLabels,
  parser: syntax,
  rowKernel: new KernelRows(),
});
const opened = openStore(store);
const cache = openBlockCache(caches);
const WARM_UP_MS = 400;

async function sourcesFor(ingester: IngesterClient): Promise<Omit<ApiSources, 'limits'>> {
  const { schema } = await opened;
  const head = new UndeletedSource(new HeadSource(ingester, Kernel.create()), (tenant, signal) =>
    tombstonesOfQuery(schema, tenant, signal),
  );
  const tombstones = await openTombstones();
  const flushed = new StoreSource(
    new ChunkStoreReader(schema, Kernel.create(), systemClock, {
      windowMs,
      // Windows leave the head when the store has had them for so long: what does not know of them yet must be gone by then.
      // A third is left for the head's answer, see `overlapMs` below.
      rowCacheTtlMs: (keepFlushedMs * 2) / 3,
      rowCacheBytesMax: caches.chunkStore.rowCacheSize,
      blockCache: (await cache)?.blocks,
      retentionMs: (tenant) => retention.get(tenant) ?? 0,
    }),
  );
  return {
    engine,
    syntax,
    queryable: (tenant) => mergedQueryable(tenant, { recent: head, stored: flushed, overlapMs: keepFlushedMs / 3 }),
    metadata: recentMetadata(ingester),
    exemplars: recentExemplars(ingester),
    status: { ...status, headStats: (tenant, limit, signal) => ingester.headStats(tenant, limit, signal) },
    deletes: purger.enableAdminApi ? deletesIn(tombstones) : undefined,
    clock: systemClock,
    turns: new QueryTurns(threadPriority()),
    timeoutMs: config.timeoutMs,
    lookbackMs: config.lookbackDeltaMs,
    perStepStats: config.enablePromqlPerStepStats,
    searchEnabled: config.enableSearchApi,
  };
}

async function openTombstones(): Promise<Tombstones> {
  const { schema } = await opened;
  return new Tombstones(schema, systemClock, Math.random, purger.deleteRequestCancelPeriodMs);
}

function deletionOf({ endMs, state }: Tombstone): TenantDeletion {
  return { endMs, processed: state === 'processed' };
}

function deletesIn(tombstones: Tombstones): DeleteSource {
  return {
    create: (tenant, { matchers, startMs, endMs }, signal) =>
      tombstones.create(tenant, matchers, startMs, endMs, signal),
    list: (tenant, signal) => tombstones.list(tenant, signal),
    cancel: (tenant, id, signal) => tombstones.cancel(tenant, id, signal),
  };
}

const garbage = new IdleCollector();
/** Of the tenants that have asked, as their limits were then. */
const retention = new Map<string, number>();
let sources: Promise<Omit<ApiSources, 'limits'>> | undefined;

const role: QueryRole = {
  async connect({ shards }) {
    sources = sourcesFor(
      new ShardsClient(
        shards.map(({ port, held }) => ({ channel: new Channel<ShardRole>(port), held: new HeldRange(held) })),
      ),
    );
    // slower at first is all that comes of it when this fails
    await warmUp(await sources, WARM_UP_MS).catch((error: Error) => process.stderr.write(`${error.message}\n`));
  },
  async handle({ request, limits }, { signal }) {
    if (sources === undefined) throw new Error('bug: a query before connect');
    retention.set(request.tenant, limits.retentionPeriodMs);
    garbage.begin();
    try {
      const response = await new PromApi({ ...(await sources), limits: () => limits }).handle(request, signal);
      const { body } = response;
      // what is a view on something larger cannot move
      const whole = body.byteLength === body.buffer.byteLength ? body : body.slice();
      const answer = { response: { ...response, body: whole }, cache: (await cache)?.takeStats() };
      return Transferred.of(answer, [whole.buffer as ArrayBuffer]);
    } finally {
      garbage.end();
    }
  },
  async deleteTenant({ tenant }, { signal }) {
    return deletionOf(await (await openTombstones()).deleteTenant(tenant, signal));
  },
  async tenantDeletion({ tenant }, { signal }) {
    const found = await (await openTombstones()).tenantDeletion(tenant, signal);
    return found && deletionOf(found);
  },
};
serveWorker(role);
