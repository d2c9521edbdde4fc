import type { DistributorConfig } from '../../distributor/config.ts';
import type { EdgeAnswer, EdgePush, Edges } from '../../distributor/edge-push.ts';
import { RatePlaces, SharedRates } from '../../distributor/shared-rates.ts';
import type { Logger } from '../../kit/observe/log.ts';
import type { Service } from '../../kit/service/service.ts';
import { movable } from '../../kit/thread/movable.ts';
import { WorkerThread, workerUrl } from '../../kit/thread/worker.ts';
import { WorkerPool } from '../../kit/thread/worker-pool.ts';
import type { Clock } from '../../lib/clock.ts';
import type { ClusterNode } from '../cluster/cluster-node.ts';
import { ringPorts } from '../cluster/thread-ring.ts';
import type { EdgeRole } from './edge-role.ts';
import type { EdgeData } from './edge-worker.ts';
import { MEMBER_NURSERY_MB, type ThreadLayout } from './layout.ts';
import type { ShardHost } from './shard-thread-role.ts';

export interface EdgeThreadsOptions {
  readonly config: DistributorConfig;
  readonly layout: ThreadLayout;
  /** Where frames go: to the shards of this process, or to the owners on the ring. */
  readonly to: { readonly shards: ShardHost } | { readonly cluster: ClusterNode };
  readonly log: Logger;
  readonly clock: Clock;
}

/** Edges in threads of their own, or the one in the thread of the only shard. */
export class EdgeThreads implements Service, Edges {
  readonly name = 'edge-threads';
  readonly #options: EdgeThreadsOptions;
  readonly #rates = new SharedRates();
  readonly #places = new RatePlaces(this.#rates);
  #pool: WorkerPool<EdgeRole> | undefined;

  constructor(options: EdgeThreadsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { config, layout, to, log, clock } = this.#options;
    const data: EdgeData = {
      rawBytesMax: config.maxRecvMsgSize,
      seriesSecret: 'shards' in to ? to.shards.seriesSecret : to.cluster.seriesKey,
      rates: this.#rates.buffer,
      ...('cluster' in to && { peers: to.cluster.threadPeers() }),
    };
    this.#pool = WorkerPool.start<EdgeRole>({
      name: 'edge',
      size: layout.edges,
      callsPerWorkerMax: config.inflightPushes,
      queueMax: config.queuedPushes,
      log,
      clock,
      spawn: (i) => {
        if (layout.edgeWithinShard && 'shards' in to) return to.shards.edgeWithin(config.maxRecvMsgSize);
        const worker = WorkerThread.start<EdgeRole>({
          name: `edge-${i}`,
          url: workerUrl('./edge-worker', import.meta.url),
          data,
          ...('cluster' in to && { resourceLimits: { maxYoungGenerationSizeMb: MEMBER_NURSERY_MB } }),
        });
        if ('cluster' in to) {
          const { own, other, moved } = ringPorts();
          to.cluster.connect(own, worker.gone);
          worker.channel.call('connectRing', { ports: other }, { transfer: moved }).catch(() => {});
          return worker;
        }
        const connections = to.shards.connect((shard, connection) => {
          if (shard >= layout.shards) return connection.port.close();
          worker.channel.call('reconnect', { shard, connection }, { transfer: [connection.port] }).catch(() => {});
        }, worker.gone);
        const ports = connections.slice(0, layout.shards).map(({ port }) => port);
        for (const { port } of connections.slice(layout.shards)) port.close();
        worker.channel.call('connect', { shards: ports }, { transfer: ports }).catch(() => {});
        return worker;
      },
    });
  }

  async push(request: EdgePush): Promise<EdgeAnswer> {
    const body = movable(request.body);
    // of a tenant without a rate none is counted
    const place = request.limits.ingestionRate > 0 ? { ratePlace: this.#places.of(request.tenant) } : {};
    return this.#pool!.call(
      'push',
      { ...request, ...place, body },
      { transfer: [body.buffer], tenant: request.tenant },
    );
  }

  async stop(): Promise<void> {
    await this.#pool?.close();
  }
}
