import type { MemberTarget } from '../../contract/member.ts';
import type { HeldDays } from '../../distributor/late-samples.ts';
import type { IngesterConfig } from '../../ingester/config.ts';
import { IngesterMember } from '../../ingester/member.ts';
import { Replica } from '../../ingester/replica.ts';
import { RingLife } from '../../ingester/ring-life.ts';
import type { IngesterService } from '../../ingester/service.ts';
import { type ConnectedShard, ShardsClient } from '../../ingester/shard/shard-client.ts';
import type { ShardCalls } from '../../ingester/shard/shard-messages.ts';
import type { Logger } from '../../kit/observe/log.ts';
import type { Service, Stop } from '../../kit/service/service.ts';
import { aborted } from '../../lib/aborted.ts';
import { type Clock, type Timer, timeout } from '../../lib/clock.ts';
import type { RingMember } from '../../ring/member.ts';
import type { ClusterNode } from './cluster-node.ts';

/** Parts of the main thread for a listener in another one. */
export interface HandedParts {
  readonly cluster: ClusterNode;
  readonly member: RingMember;
  /** The ingester in the main thread, for what the other does not answer. */
  readonly target: MemberTarget;
  /** Why reads are refused beside the ring's reasons, and Unix ms until which that holds. */
  readonly reads: () => { readonly refused: string | undefined; readonly untilMs: number };
  readonly noteLate: (tenant: string, fromMs: number) => Promise<HeldDays | undefined>;
}

/** A listener for other processes in another thread. */
export interface OtherListener {
  start(): void;
  /** As of `IngesterMember`, for writes that came there. */
  settled(number: number): Promise<void>;
  /** Resolves at the latest when the signal is aborted. */
  stop(stop: Pick<Stop, 'signal'>): Promise<void>;
}

export interface MemberServiceOptions {
  readonly cluster: ClusterNode;
  /** The shards of this process, for writing and for reading. */
  readonly shards: { readonly all: readonly ShardCalls[]; readonly reading: readonly ConnectedShard[] };
  readonly ingester: IngesterService;
  readonly config: IngesterConfig;
  /** As of `IngesterMember`. */
  readonly noteLate: (tenant: string, fromMs: number) => Promise<void>;
  /** Days of a tenant of which late samples need no note for a while. */
  readonly heldDays: (tenant: string) => HeldDays | undefined;
  /** Makes what listens in another thread for other processes. Absent: the main thread does. */
  readonly listener?: ((parts: HandedParts) => OtherListener) | undefined;
  readonly log: Logger;
  readonly clock: Clock;
}

const VOUCH_AGAIN_MS = 1000;
const DRAIN_LOOK_MS = 500;
/** Time for the ring to hear that a drain is taken back. */
const STAY_TOLD_MS = 5000;
const STAY_LOOK_MS = 50;

/** The ingester of this process as a member of the ring: answers other processes, tells the ring what it holds, drains before it ends. */
export class MemberService implements Service {
  readonly name = 'ring-member';
  readonly #options: MemberServiceOptions;
  readonly #stopping = new AbortController();
  #listener: OtherListener | undefined;
  #life: RingLife | undefined;
  #telling: Timer | undefined;
  #vouching: Promise<void> = Promise.resolve();

  constructor(options: MemberServiceOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { cluster, shards, ingester, config, noteLate, heldDays, listener, clock, log } = this.#options;
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
    if (listener !== undefined) {
      const reads = () => {
        const refused = ingester.readGate();
        return { refused, untilMs: refused === undefined ? ingester.readsUntilMs : Number.POSITIVE_INFINITY };
      };
      const noteHeld = async (tenant: string, fromMs: number) => {
        await noteLate(tenant, fromMs);
        return heldDays(tenant);
      };
      this.#listener = listener({ cluster, member: ring, target, reads, noteLate: noteHeld });
      this.#listener.start();
    }
    const member = {
      settled: async (number: number) => {
        await target.settled(number);
        await this.#listener?.settled(number);
      },
    };
    const readBack = (signal: AbortSignal) => ingester.readBack(signal);
    const times = lifeTimes(cluster);
    this.#life = new RingLife({ ring, member, ingester, readBack, shards: all, clock, log, ...times });
    await this.#life.start();
    this.#telling = clock.every(cluster.heartbeatMs, () => void this.#tellHolds());
    if (config.takeOldLog) this.#vouching = this.#vouch();
  }

  async stop(stop: Stop): Promise<void> {
    const { config, cluster, log } = this.#options;
    if (config.drainOnShutdown && !cluster.isComingBack) {
      await this.#drain(stop).catch((err: unknown) => {
        log.error({ err }, 'not drained: its wish could not be kept, and what it holds is in its log');
      });
    }
    this.#stopping.abort(new Error('stopping'));
    this.#telling?.cancel();
    // each may wait for a shard that does not answer
    await Promise.race([Promise.all([this.#vouching, this.#life?.stop()]), aborted(stop.signal)]);
    await this.#listener?.stop(stop);
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

  /**
   * Leaves the ring: resolves when others own what it had and the store has all that it held, when nobody could take over what it has, and
   * after `drainTimeoutMs`.
   */
  async #drain({ signal, progress }: Stop): Promise<void> {
    const { cluster, config, clock, log } = this.#options;
    const { member } = cluster;
    // who is out may hold what the store lacks, too
    if (member?.standing === undefined || member.hasLeft) return;
    const isAsked = member.wants !== 'drain' && member.wants !== 'leave';
    const takesBack = isAsked && member.drainRefused === undefined;
    if (takesBack) member.drain();
    const limit = timeout(clock, config.drainTimeoutMs);
    const either = AbortSignal.any([signal, limit.signal]);
    let said = '';
    while (!either.aborted && !member.hasLeft) {
      const { drainRefused: reason } = member;
      if (reason !== undefined) {
        // those that drained at the same time have left too few others: it comes back as it was
        if (takesBack) await this.#stay(member, signal);
        log.warn({ reason }, 'not drained: what it holds is in its log');
        limit.cancel();
        return;
      }
      const text = `draining: ${member.standing ?? 'no ring'}`;
      if (text !== said) progress(text);
      said = text;
      void this.#life?.look();
      await clock.sleep(DRAIN_LOOK_MS, either).catch(() => {});
    }
    limit.cancel();
    if (either.aborted) log.warn({}, 'not drained in time: what it held is in its log, and the wish to drain stays');
  }

  /** Takes back the wish to drain, and waits until the store has that: by a row that asks for it, others drain it while it is down. */
  async #stay(member: RingMember, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const limit = timeout(clock, STAY_TOLD_MS);
    const either = AbortSignal.any([signal, limit.signal]);
    // asked again: a version that others made meanwhile makes draining its own wish
    for (member.join(); member.toldWants !== 'join' && !either.aborted; member.join()) {
      await clock.sleep(STAY_LOOK_MS, either).catch(() => {});
    }
    limit.cancel();
    if (either.aborted) log.warn({}, 'the ring may not have heard that it does not drain: others may drain it');
  }
}

/** Looks at what is owed come with every third heartbeat, at least each 15 s, and sooner while its place in the ring changes. */
function lifeTimes({ heartbeatMs }: ClusterNode): { readonly intervalMs: number; readonly hurryMs: number } {
  return { intervalMs: Math.min(15_000, 3 * heartbeatMs), hurryMs: Math.min(500, heartbeatMs) };
}
