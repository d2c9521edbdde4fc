import type { FrameTarget } from '../../src/contract/ingest.ts';
import { Edge } from '../../src/distributor/edge.ts';
import { DistributorService } from '../../src/distributor/service.ts';
import { ShardsClient } from '../../src/ingester/shard/shard-client.ts';
import { Registry } from '../../src/kit/observe/metrics.ts';
import type { NodePlan } from './cluster.ts';
import { frontOf, LIMITS, makeCompactor, makeIngester, makeQuerier, startShards } from './parts.ts';

const SECRET = new Uint8Array(16).fill(7);

/** All targets in one process, without a ring, as `-target=all` has them. */
export const ALL_IN_ONE: NodePlan = {
  name: 'all',
  keeps: true,
  start({ process, store, disk, broken }) {
    const place = { process, schema: store.of(process) };
    const { clock } = process;
    const shards = startShards(place, {
      disk: disk.of(process),
      seriesSecret: SECRET,
      shards: 2,
      fsync: 'always',
      broken,
    });
    const targets: FrameTarget[] = shards.map(({ channel }) => ({
      push: (request) => channel.call('push', request, { transfer: [request.frames] }),
      setMetadata: (request) => channel.call('setMetadata', request),
    }));
    const ingester = makeIngester(place, shards);
    void ingester.start();
    const compactor = makeCompactor(place);
    void compactor.start();
    const edges = new Edge({ clock, rawBytesMax: 1 << 20, seriesSecret: SECRET, targets });
    const distributor = new DistributorService({ edges, limits: () => LIMITS, registry: new Registry(), clock });
    const queries = makeQuerier(place, new ShardsClient(shards), broken);
    return {
      front: frontOf(place, distributor, queries),
      notReady: () => ingester.notReady(),
      stop: (signal) => ingester.stop({ signal, progress: () => {} }),
    };
  },
};
