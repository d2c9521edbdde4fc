import { shardHas } from '../../../src/model/series-shard.ts';
import type { Queryable } from '../../../src/storage/queryable.ts';

/** A storage that knows of shards, over one that does not: by any hash of the labels. */
export function sharded(storage: Queryable): Queryable {
  return {
    labelNames: storage.labelNames.bind(storage),
    labelValues: storage.labelValues.bind(storage),
    async select({ shard, ...request }, context) {
      const set = await storage.select(request, context);
      if (shard === undefined) return set;
      const own = [...set.series.keys()].filter((i) => shardHas(shard, hashOf(set.series[i]!.key)));
      return {
        series: own.map((i) => set.series[i]!),
        warnings: set.warnings,
        read: (index, out) => set.read(own[index]!, out),
        close: () => set.close(),
      };
    },
  };
}

function hashOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash ^ (hash >>> 13);
}
