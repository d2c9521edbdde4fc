import { realDisk } from '../../ingester/log/disk.ts';
import { heldDisk } from '../../ingester/log/held-disk.ts';
import { FolderHold } from '../../kit/folder/hold.ts';
import type { Service } from '../../kit/service/service.ts';
import { type App, part } from '../app.ts';
import { ClusterAdmin } from '../cluster/cluster-admin.ts';
import { ClusterNode } from '../cluster/cluster-node.ts';
import { ClusterSessionKey } from '../cluster/cluster-session-key.ts';
import { handsListener, hasIngester } from '../cluster/clustered.ts';
import { LateKv } from '../cluster/late-kv.ts';
import { openKv } from '../cluster/open-kv.ts';
import { ringRoutes } from '../routes/ring.ts';
import { threadLayout } from '../threads/layout.ts';

/** Exit code of a process that works again when it is started again (EX_TEMPFAIL). */
const RESTART = 75;

/** This process in its cluster: the ring, the listener for other processes, the ways to them. */
export function buildRing(app: App): readonly Service[] {
  const { config, gate, log, registry, clock, http, metricSources, loops } = app;
  const disk = hasIngester(config) ? heldDisk(realDisk, new FolderHold(part(app, 'hold'), clock)) : undefined;
  const kv = new LateKv(() => openKv(config, clock), clock);
  const onRestartNeeded = () => {
    if (process.exitCode === RESTART) return;
    log.error({}, 'ending, to be started again with what the cluster has in common');
    process.exitCode = RESTART;
    process.kill(process.pid, 'SIGTERM');
  };
  const isClosed = () => gate.closed;
  const cluster = new ClusterNode({
    config,
    kv,
    disk,
    handsListener: handsListener(config, threadLayout(config).shards),
    isClosed,
    onRestartNeeded,
    loops,
    log,
    registry,
    clock,
  });
  app.parts.cluster = cluster;
  app.parts.peers = cluster;
  metricSources.push(() => cluster.metrics());
  app.parts.ingester = new ClusterAdmin({ ring: cluster, member: (id) => cluster.members.of(cluster, id) });
  http.add(ringRoutes(cluster));
  const sessions = new ClusterSessionKey({ kv, log, clock });
  app.parts.sessionKey = () => sessions.key;
  return [cluster, sessions];
}
