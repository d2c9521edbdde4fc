import os from 'node:os';
import type { DistributorConfig } from '../../distributor/config.ts';
import type { IngesterConfig } from '../../ingester/config.ts';
import type { QuerierConfig } from '../../querier/config.ts';

/** How many threads a process has for what, and which share one. */
export interface ThreadLayout {
  /** Shards that take writes; others only hold what an earlier run with more of them left. */
  readonly shards: number;
  readonly edges: number;
  /** The only edge is in the thread of the only shard: nothing has to move between the two. */
  readonly edgeWithinShard: boolean;
  readonly queryThreads: number;
  /** Query threads that are always there. */
  readonly queryThreadsMin: number;
  /** Small queries that the main thread is at, at once. */
  readonly directQueries: number;
}

/** With so few a thread for each step of a write costs more in messages than it gains. */
const WITHIN_SHARD_PROCESSORS_MAX = 2;
/** Nursery of an edge and of a shard in a cluster, MB: each write leaves more behind there, and a collection costs what lives. */
export const MEMBER_NURSERY_MB = 12;
/** Where query threads find processors of their own, few are kept from them: to hand one over takes less of the main thread. */
const DIRECT_QUERIES = 32;
const DIRECT_QUERIES_BESIDE_OTHERS = 4;
const SHARDS_MAX = 8;
const EDGES_MAX = 4;

interface LayoutConfig {
  readonly ingester: Pick<IngesterConfig, 'shards'>;
  readonly distributor: Pick<DistributorConfig, 'edgeWorkers'>;
  readonly querier: Pick<QuerierConfig, 'workers'>;
}

/** As configured; what is 0 by the processors. */
export function threadLayout(config: LayoutConfig, processors = os.availableParallelism()): ThreadLayout {
  const { workers } = config.querier;
  const { edgeWorkers } = config.distributor;
  const shards = config.ingester.shards || Math.max(1, Math.min(SHARDS_MAX, processors - 1));
  return {
    shards,
    edges: edgeWorkers || Math.max(1, Math.min(EDGES_MAX, processors >> 1)),
    edgeWithinShard: edgeWorkers === 0 && shards === 1 && processors <= WITHIN_SHARD_PROCESSORS_MAX,
    // short queries find one that no long one holds up, also on two processors
    queryThreads: workers || Math.max(2, processors >> 1),
    queryThreadsMin: workers || 1,
    directQueries: processors <= WITHIN_SHARD_PROCESSORS_MAX ? DIRECT_QUERIES : DIRECT_QUERIES_BESIDE_OTHERS,
  };
}
