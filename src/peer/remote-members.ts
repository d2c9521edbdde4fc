import { RpcClient, type RpcClientOptions } from '../kit/rpc/client.ts';
import { meet, type RingPeer } from '../ring/meeting.ts';
import { RemoteMember, SentFrames } from './remote-member.ts';

export type RemoteMembersOptions = Omit<RpcClientOptions, 'address'>;

interface Known {
  readonly client: RpcClient;
  readonly member: RemoteMember;
}

/** Addresses that are kept beyond those of the ring: seeds, and members that have gone. */
const ADDRESSES_MAX = 8_192;

/**
 * The ways from one thread to other processes of a cluster: a connection to each address, made when it is first needed.
 *
 *     const members = new RemoteMembers({ self, security, clock });
 *     const targets = { source: ring, member: (id) => members.of(ring, id), learn: (_, from) => members.meet(ring, from) };
 *     const ingesters = new ReplicatedIngesters({ ring, member: (id) => members.of(ring, id), meet: (id) => members.meet(ring, id), clock });
 */
export class RemoteMembers {
  readonly #options: RemoteMembersOptions;
  readonly #frames = new SentFrames();
  readonly #byAddress = new Map<string, Known>();

  constructor(options: RemoteMembersOptions) {
    this.#options = options;
  }

  /** The process that listens at an address. */
  at(address: string): RemoteMember {
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known.member;
    if (this.#byAddress.size >= ADDRESSES_MAX) this.keep([]);
    const client = new RpcClient({ ...this.#options, address });
    const member = new RemoteMember(client, this.#frames);
    this.#byAddress.set(address, { client, member });
    return member;
  }

  /** The connections, for metrics. */
  *clients(): Generator<RpcClient> {
    for (const { client } of this.#byAddress.values()) yield client;
  }

  /** A member of the ring, of any version that still matters; undefined: nobody knows its address, or another member has it by now. */
  of(ring: Pick<RingPeer, 'current'>, id: string): RemoteMember | undefined {
    const address = ring.current()?.addressOf(id);
    return address === undefined ? undefined : this.at(address);
  }

  /** Lets this process and a member tell each other the versions of the ring that they know. */
  async meet(ring: RingPeer, id: string): Promise<void> {
    const member = this.of(ring, id);
    if (member !== undefined) await meet(ring, (known) => member.meet(known));
  }

  /** Ends the connections with all but these addresses. */
  keep(addresses: Iterable<string>): void {
    const kept = new Set(addresses);
    for (const [address, { client }] of this.#byAddress) {
      if (kept.has(address)) continue;
      client.close();
      this.#byAddress.delete(address);
    }
  }

  close(): void {
    this.keep([]);
  }
}
