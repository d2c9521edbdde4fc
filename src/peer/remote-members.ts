import { RpcClient, type RpcClientOptions } from '../kit/rpc/client.ts';
import { meet, type RingPeer } from '../ring/meeting.ts';
import { RemoteMember, SentFrames } from './remote-member.ts';

export type RemoteMembersOptions = Omit<RpcClientOptions, 'address' | 'expects'> & {
  /** Address of a member now, by its id, where it has another than in the ring; absent: none has. */
  readonly addressOf?: (id: string) => string | undefined;
  /** Whether processes go by the ids of members: who listens in the place of one is left alone. */
  readonly byId?: boolean;
};

interface Known {
  readonly address: string;
  readonly client: RpcClient;
  readonly member: RemoteMember;
}

/** Addresses that are kept beyond those of the ring: seeds, and members that have gone. */
const ADDRESSES_MAX = 8_192;

/**
 * The ways from one thread to other processes of a cluster: a connection to each address, and to each member that may listen there, made when it is first needed.
 *
 *     const members = new RemoteMembers({ self, security, clock });
 *     const targets = { source: ring, member: (id) => members.of(ring, id), learn: (_, from) => members.meet(ring, from) };
 *     const ingesters = new ReplicatedIngesters({ ring, member: (id) => members.of(ring, id), meet: (id) => members.meet(ring, id), clock });
 */
export class RemoteMembers {
  readonly #options: RemoteMembersOptions;
  readonly #frames = new SentFrames();
  /** By address and expected name: a member that is away may have been last where another one listens now. */
  readonly #known = new Map<string, Known>();

  constructor(options: RemoteMembersOptions) {
    this.#options = options;
  }

  /** The process that listens at an address. @param expects its name; absent: whoever listens there */
  at(address: string, expects?: string): RemoteMember {
    return this.#knownAt(address, expects).member;
  }

  #knownAt(address: string, expects: string | undefined): Known {
    const key = JSON.stringify([address, expects]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= ADDRESSES_MAX) this.keep([]);
    const client = new RpcClient({ ...this.#options, address, expects });
    const made = { address, client, member: new RemoteMember(client, this.#frames) };
    this.#known.set(key, made);
    return made;
  }

  /** The connections, for metrics. */
  *clients(): Generator<RpcClient> {
    for (const { client } of this.#known.values()) yield client;
  }

  /** A member of the ring, of any version that still matters; undefined: nobody knows its address, or another member has it by now. */
  of(ring: Pick<RingPeer, 'current'>, id: string): RemoteMember | undefined {
    return this.#find(ring, id)?.member;
  }

  /** The way to where a member says that it is; where that failed the one that failed longer ago: the ring's word may be the newer one. */
  #find(ring: Pick<RingPeer, 'current'>, id: string): Known | undefined {
    const told = this.#toldOf(id);
    if (told !== undefined && told.client.failedMs === undefined) return told;
    const inRing = this.#inRing(ring, id);
    if (told === undefined || inRing === undefined) return told ?? inRing;
    return (inRing.client.failedMs ?? Number.NEGATIVE_INFINITY) < told.client.failedMs! ? inRing : told;
  }

  /** Who says where it is now is there: whoever listens there says its name. */
  #toldOf(id: string): Known | undefined {
    const { addressOf, byId = false } = this.#options;
    const address = byId ? addressOf?.(id) : undefined;
    return address === undefined ? undefined : this.#knownAt(address, id);
  }

  #inRing(ring: Pick<RingPeer, 'current'>, id: string): Known | undefined {
    const address = ring.current()?.addressOf(id);
    return address === undefined ? undefined : this.#knownAt(address, this.#options.byId ? id : undefined);
  }

  /** Lets the next request to these try to reach them, however often others could not. */
  tryAgain(ring: Pick<RingPeer, 'current'>, ids: Iterable<string>): void {
    for (const id of ids) {
      for (const known of [this.#toldOf(id), this.#inRing(ring, id)]) known?.client.tryAgain();
    }
  }

  /** Lets this process and a member tell each other the versions of the ring that they know. */
  async meet(ring: RingPeer, id: string): Promise<void> {
    const member = this.of(ring, id);
    if (member !== undefined) await meet(ring, (known) => member.meet(known));
  }

  /** Ends the connections with all but these addresses. */
  keep(addresses: Iterable<string>): void {
    const kept = new Set(addresses);
    for (const [key, { address, client }] of this.#known) {
      if (kept.has(address)) continue;
      client.close();
      this.#known.delete(key);
    }
  }

  close(): void {
    this.keep([]);
  }
}
