import type { Channel } from '../kit/service/channel.ts';
import type {
  HeadExemplarRequest,
  HeadExemplars,
  HeadLabels,
  HeadSelect,
  HeadSlice,
  IngesterClient,
  MetricMetadata,
} from '../storage/ingester-client.ts';
import type { ShardRole } from './shard-contract.ts';

/** The shards of this process as one ingester: a tenant's series may lie on any of them. */
export class ShardsClient implements IngesterClient {
  readonly #shards: readonly Channel<ShardRole>[];

  constructor(shards: readonly Channel<ShardRole>[]) {
    this.#shards = shards;
  }

  async *select(request: HeadSelect, signal: AbortSignal): AsyncIterable<HeadSlice> {
    // all shards match at once, then hand over their slices one after another
    const firsts = this.#shards.map((shard) => shard.call('select', request, { signal }));
    for (const first of firsts) first.catch(() => {}); // its turn to fail comes below
    const open = new Map<Channel<ShardRole>, number>();
    try {
      for (const [i, shard] of this.#shards.entries()) {
        let slice = await firsts[i]!;
        for (;;) {
          if (slice.cursor === 0) open.delete(shard);
          else open.set(shard, slice.cursor);
          // asked for before this one is used, so that shard and reader work side by side
          const next = slice.cursor === 0 ? undefined : shard.call('selectNext', { cursor: slice.cursor }, { signal });
          next?.catch(() => {});
          yield slice;
          if (next === undefined) break;
          slice = await next;
        }
      }
    } finally {
      for (const [shard, cursor] of open) shard.call('selectClose', { cursor }).catch(() => {});
    }
  }

  async labels(request: HeadLabels, signal: AbortSignal): Promise<readonly string[]> {
    const answers = await Promise.all(this.#shards.map((shard) => shard.call('labels', request, { signal })));
    return answers.length === 1 ? answers[0]! : [...new Set(answers.flat())];
  }

  async metadata(tenant: string, signal: AbortSignal): Promise<readonly MetricMetadata[]> {
    const answers = await Promise.all(this.#shards.map((shard) => shard.call('metadata', { tenant }, { signal })));
    return answers.flat();
  }

  /** A series may have lain on another shard before their number changed: whoever asks merges. */
  async exemplars(request: HeadExemplarRequest, signal: AbortSignal): Promise<readonly HeadExemplars[]> {
    const answers = await Promise.all(this.#shards.map((shard) => shard.call('exemplars', request, { signal })));
    return answers.flat();
  }
}
