import { Registry, readMetrics } from '../../kit/observe/metrics.ts';
import { PeerCredentials, type PeerFiles } from '../../kit/rpc/credentials.ts';
import type { PeerSelf } from '../../kit/rpc/handshake.ts';
import { peerMetrics } from '../../kit/rpc/metrics.ts';
import { systemClock } from '../../lib/clock.ts';
import { RemoteMembers } from '../../peer/remote-members.ts';
import { type RingPorts, ThreadRing } from './thread-ring.ts';

const REFRESH_MS = 30_000;

/** Settings and names with which a worker thread asks members by itself, as they are handed over. */
export interface ThreadPeers {
  readonly self: PeerSelf;
  readonly files: PeerFiles;
}

/** The ring in this thread, and connections of its own to the members. */
export function peersOfThread({ self, files }: ThreadPeers, ports: RingPorts) {
  const registry = new Registry();
  const ring = new ThreadRing(ports, systemClock, () => readMetrics(registry, []));
  const credentials = PeerCredentials.read(files);
  systemClock.every(REFRESH_MS, () => {
    try {
      credentials.refresh();
    } catch {
      // the main thread says so
    }
  });
  const members = new RemoteMembers({
    self,
    security: () => credentials.current,
    clock: systemClock,
    metrics: peerMetrics(registry),
    addressOf: (id) => ring.addressOf(id),
    byId: true,
  });
  ring.onChange(() => members.keep(ring.addresses));
  const seek = async (ids: readonly string[]) => {
    await ring.seek(ids);
    members.tryAgain(ring, ids);
  };
  return { ring, member: (id: string) => members.of(ring, id), seek };
}
