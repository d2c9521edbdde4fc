import type { PeerSelf } from '../../kit/rpc/handshake.ts';
import { systemClock } from '../../lib/clock.ts';
import { RemoteMembers } from '../../peer/remote-members.ts';
import type { PeerConfig } from './config.ts';
import { peerSecurity } from './peer-security.ts';
import { type RingPorts, ThreadRing } from './thread-ring.ts';

/** What a worker thread needs to ask members by itself, as it is handed over. */
export interface ThreadPeers {
  readonly self: PeerSelf;
  readonly peer: PeerConfig;
}

/** The ring in this thread, and connections of its own to the members. */
export function peersOfThread({ self, peer }: ThreadPeers, ports: RingPorts) {
  const ring = new ThreadRing(ports, systemClock);
  const members = new RemoteMembers({ self, security: peerSecurity(peer), clock: systemClock });
  ring.onChange(({ chain }) => members.keep(chain.flatMap((version) => version.members.map(({ address }) => address))));
  return { ring, member: (id: string) => members.of(ring, id) };
}
