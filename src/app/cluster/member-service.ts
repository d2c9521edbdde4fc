import type { IngesterConfig } from '../../ingester/config.ts';
import { IngesterMember } from '../../ingester/member.ts';
import { Replica } from '../../ingester/replica.ts';
import { RingLife } from '../../ingester/ring-life.ts';
import type { IngesterService } from '../../ingester/service.ts';
import { type ConnectedShard, ShardsClient } from '../../ingester/shard/shard-client.ts';
import type { ShardCalls } from '../../ingester/shard/shard-messages.ts';
import type { Logger } from '../../kit/observe/log.ts';
import type { Service, Stop } from '../../kit/service/service.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { RingMember, Standing } from '../../ring/member.ts';
import type { ClusterNode } from './cluster-node.ts';

export interface MemberServiceOptions {
  readonly cluster: ClusterNode;
  /** The shards of this process, for writing and for reading. */
  readonly shards: { readonly all: readonly ShardCalls[]; readonly reading: readonly ConnectedShard[] };
  readonly ingester: IngesterService;
  readonly config: IngesterConfig;
  /** As of `IngesterMember`. */
  readonly noteLate: (tenant: string, fromMs: number) => Promise<void>;
  readonly log: Logger;
  readonly clock: Clock;
}

const VOUCH_AGAIN_MS = 1000;
const DRAIN_LOOK_MS = 500;

/** The ingester of this process as a member of the ring: answers other processes, tells the ring what it holds, drains before it ends. */
export class MemberService implements Service {
  readonly name = 'ring-member';
  readonly #options: MemberServiceOptions;
  readonly #stopping = new AbortController();
  #life: RingLife | undefined;
  #telling: Timer | undefined;
  #vouching: Promise<void> = Promise.resolve();

  constructor(options: MemberServiceOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { cluster, shards, ingester, config, noteLate, clock, log } = this.#options;
    const ring = cluster.member;
    if (ring === undefined) throw new Error('bug: an ingester whose process is no member of the ring');
    const all = () => shards.all;
    const refusing = (writing: number) => ring.writeGate(writing);
    const target = new IngesterMember({ shards: all, ring, refusing, noteLate });
    const reader = new Replica({
      ring,
      shards: new ShardsClient(shards.reading),
      refusing: () => ring.readGate() ?? ingester.readGate(),
    });
    cluster.serve({ target, reader, admin: ingester });
    const readBack = (signal: AbortSignal) => ingester.readBack(signal);
    const times = lifeTimes(cluster);
    this.#life = new RingLife({ ring, member: target, ingester, readBack, shards: all, clock, log, ...times });
    await this.#life.start();
    this.#telling = clock.every(cluster.heartbeatMs, () => void this.#tellHolds());
    if (config.takeOldLog) this.#vouching = this.#vouch();
  }

  async stop(stop: Stop): Promise<void> {
    const { config, cluster } = this.#options;
    if (config.drainOnShutdown && !cluster.isComingBack) await this.#drain(stop);
    this.#stopping.abort(new Error('stopping'));
    this.#telling?.cancel();
    await this.#vouching;
    await this.#life?.stop();
  }

  /** Tells others what it holds; a shard that does not answer now does the next time. */
  async #tellHolds(): Promise<void> {
    const { cluster, ingester } = this.#options;
    await ingester.holds().then(
      (holds) => cluster.tellHolds(holds),
      () => {},
    );
  }

  /** An operator says that all of the log is to be written. */
  async #vouch(): Promise<void> {
    const { ingester, log, clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted && ingester.notReady() !== undefined) {
      await clock.sleep(VOUCH_AGAIN_MS, signal).catch(() => {});
    }
    if (signal.aborted) return;
    await ingester.vouchDeletions();
    log.warn({}, 'all of the log is taken, as -ingester.take-old-log says');
  }

  /** Leaves the ring: resolves when others own what it had and the store has all that it held. */
  async #drain({ signal, progress }: Stop): Promise<void> {
    const { cluster, clock, log } = this.#options;
    const { member } = cluster;
    if (member === undefined || member.standing !== 'member') return;
    member.drain();
    let said = '';
    for (let standing = standingOf(member); !signal.aborted && standing !== 'out'; standing = standingOf(member)) {
      const text = `draining: ${standing ?? 'no ring'}`;
      if (text !== said) progress(text);
      said = text;
      void this.#life?.look();
      await clock.sleep(DRAIN_LOOK_MS, signal).catch(() => {});
    }
    if (signal.aborted) log.warn({}, 'not drained in time: what it held is in its log, and the wish to drain stays');
  }
}

/** Asked anew each time: it changes while it is waited for. */
function standingOf(member: RingMember): Standing | undefined {
  return member.standing;
}

/** Looks at what is owed come with every third heartbeat, at least each 15 s, and sooner while its place in the ring changes. */
function lifeTimes({ heartbeatMs }: ClusterNode): { readonly intervalMs: number; readonly hurryMs: number } {
  return { intervalMs: Math.min(15_000, 3 * heartbeatMs), hurryMs: Math.min(500, heartbeatMs) };
}
