import type { MessagePort } from 'node:worker_threads';
import type { FrameTarget } from '../../contract/ingest.ts';
import { Edge } from '../../distributor/edge.ts';
import { SharedRates } from '../../distributor/shared-rates.ts';
import type { ShardCalls, ShardRole } from '../../ingester/shard/shard-messages.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { Link } from '../../kit/thread/link.ts';
import { systemClock } from '../../lib/clock.ts';
import { processErrors } from '../../model/errors-process.ts';
import type { ShardReplacement } from './shard-connection.ts';

export interface EdgeOfShardsOptions {
  readonly rawBytesMax: number;
  /** That of the shards. */
  readonly seriesSecret: Uint8Array | undefined;
  /** The memory of the `SharedRates` of all edges. */
  readonly rates: SharedArrayBuffer;
}

/** An edge in this thread, and its ways to the shards, which may be replaced. */
export class EdgeOfShards {
  readonly edge: Edge;
  /** In the order of the shards. */
  readonly #links: readonly Link<ShardRole>[];

  constructor({ rates, ...options }: EdgeOfShardsOptions, shards: readonly MessagePort[]) {
    this.#links = shards.map((port) => new Link(new Channel<ShardRole>(port)));
    this.edge = new Edge({
      ...options,
      rates: new SharedRates(rates),
      clock: systemClock,
      targets: this.#links.map(shardTarget),
    });
  }

  /** The way to a shard that was started again. */
  reconnect({ shard, connection: { port } }: ShardReplacement): void {
    const reason = processErrors.workerGone({ worker: `shard-${shard}`, reason: 'it was started again' });
    this.#links[shard]!.replace(new Channel<ShardRole>(port), reason);
  }
}

function shardTarget(shard: ShardCalls): FrameTarget {
  return {
    push: (request) => shard.call('push', request, { transfer: [request.frames] }),
    setMetadata: (request) => shard.call('setMetadata', request),
  };
}
