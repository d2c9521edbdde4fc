import { MessageChannel } from 'node:worker_threads';
import type { Logger } from '../../kit/observe/log.ts';
import { decodeValue, encodeValue } from '../../kit/rpc/codec.ts';
import type { Stop } from '../../kit/service/service.ts';
import { serve } from '../../kit/thread/channel.ts';
import { movable } from '../../kit/thread/movable.ts';
import type { WorkerThread } from '../../kit/thread/worker.ts';
import { aborted } from '../../lib/aborted.ts';
import { type Backoff, backoffMs } from '../../lib/backoff.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { type Random, systemRandom } from '../../lib/random.ts';
import type { RingMember } from '../../ring/member.ts';
import type { ClusterNode } from '../cluster/cluster-node.ts';
import type { ListenerHostRole, MemberStanding } from '../cluster/listener-roles.ts';
import type { HandedParts, OtherListener } from '../cluster/member-service.ts';
import type { ShardThreadRole } from './shard-thread-role.ts';

export interface HandedListenerOptions extends Omit<HandedParts, 'cluster' | 'member'> {
  readonly cluster: Pick<
    ClusterNode,
    'current' | 'onChange' | 'handedListener' | 'answerHanded' | 'addMetrics' | 'leavePort' | 'takePort'
  >;
  readonly member: Pick<RingMember, 'writeGate' | 'readGate'>;
  /** Calls with the thread of the only shard, and with each that takes its place. Returns how to stop. */
  readonly follow: (begun: (thread: ShardThread) => void) => () => void;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random?: Random;
}

export type ShardThread = Pick<WorkerThread<ShardThreadRole>, 'channel' | 'gone'>;

/** A thread that listens. */
interface Listening {
  readonly thread: ShardThread;
  readonly change: Int32Array;
}

const FOREVER = Number.POSITIVE_INFINITY;
/** How often its standing is looked at where no other version of the ring came. */
const LOOK_MS = 250;
const AGAIN_MS = 500;
/** Waits before a thread that could not listen is asked again. */
const LISTEN_AGAIN: Backoff = { minMs: 500, maxMs: 30_000, triesMax: Number.POSITIVE_INFINITY };

/**
 * Lets the thread of the only shard listen for other processes, once its log is read. When it dies the main thread listens again, at
 * the same port, until another one has taken its place.
 */
export class HandedListener implements OtherListener {
  readonly #options: HandedListenerOptions;
  readonly #stopping = new AbortController();
  /** Until the thread is gone: as long as it may ask where the member stands. */
  #now: Listening | undefined;
  #standing: MemberStanding;
  #unfollow = () => {};
  #unwatch = () => {};
  #looks: Timer | undefined;
  /** Steps one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: HandedListenerOptions) {
    this.#options = options;
    this.#standing = { change: 1, ...this.#look() };
  }

  start(): void {
    const { cluster, follow, clock } = this.#options;
    this.#unwatch = cluster.onChange(() => this.#tell());
    this.#looks = clock.every(LOOK_MS, () => this.#tell());
    this.#unfollow = follow((thread) => void this.#await(thread));
  }

  /** As `settled` of `IngesterMember`, for writes that came to the shard's thread. */
  async settled(number: number): Promise<void> {
    this.#tell();
    const now = this.#now;
    if (now === undefined) return;
    const settling = now.thread.channel.call('settleWrites', { number });
    // one that is gone has nothing on its way; one that fails to say so may have until then
    await settling.catch(() => now.thread.gone);
  }

  /** The main thread listens again, and answers what comes until the process ends. A thread that does not answer is left to itself then. */
  async stop({ signal }: Pick<Stop, 'signal'>): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    this.#unfollow();
    const stopped = this.#inTurn(async () => {
      const now = this.#now;
      if (now === undefined) {
        this.#endLooks();
        return;
      }
      await this.#takePort();
      await Promise.race([now.thread.channel.call('stopListening', {}).catch(() => {}), now.thread.gone]);
    });
    await Promise.race([stopped, aborted(signal)]);
  }

  #endLooks(): void {
    this.#looks?.cancel();
    this.#unwatch();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const run = this.#turn.then(work);
    this.#turn = run.catch(() => {});
    return run;
  }

  /** Hands the port over when the log is read; not in turn, for the main thread takes it back meanwhile from the thread before. */
  async #await(thread: ShardThread): Promise<void> {
    const { log, clock, random = systemRandom } = this.#options;
    const ended = new AbortController();
    void thread.gone.then((error) => {
      ended.abort(error);
      void this.#inTurn(() => this.#lose(thread));
    });
    const signal = AbortSignal.any([this.#stopping.signal, ended.signal]);
    const ready = thread.channel.call('ready', {}, { signal });
    // one that is gone, or whose log cannot be read, is followed by another one
    const isReady = await ready.then(
      () => true,
      () => false,
    );
    if (!isReady) return;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        await this.#inTurn(() => this.#hand(thread, signal));
        return;
      } catch (error) {
        if (signal.aborted) return;
        const delayMs = Math.round(backoffMs(LISTEN_AGAIN, failures, random));
        const { message: err } = error as Error;
        log.error({ err, delayMs }, 'the listener for other processes stays in the main thread until the next try');
        await clock.sleep(delayMs, signal).catch(() => {});
      }
    }
  }

  /** The main thread listens in place of a thread that is gone, if that one did. */
  async #lose(thread: ShardThread): Promise<void> {
    if (this.#now?.thread === thread) {
      this.#now = undefined;
      await this.#takePort();
    }
    if (this.#stopping.signal.aborted) this.#endLooks();
  }

  /** @param ended aborted when the thread is gone, or nothing is handed over any more */
  async #hand(thread: ShardThread, ended: AbortSignal): Promise<void> {
    const { cluster } = this.#options;
    if (ended.aborted) return;
    const change = new Int32Array(new SharedArrayBuffer(4));
    Atomics.store(change, 0, this.#standing.change);
    const { port1, port2 } = new MessageChannel();
    serve(port1, this.#hostRole());
    // told of each change from now on, also while it begins
    this.#now = { thread, change };
    void thread.gone.then(() => port1.close());
    try {
      const where = cluster.handedListener();
      const request = { ...where, change: change.buffer as SharedArrayBuffer, calls: port2 };
      await thread.channel.call('listen', request, { transfer: [port2] });
    } catch (error) {
      // it answered that it does not listen, or is gone
      port1.close();
      this.#now = undefined;
      throw error;
    }
    cluster.addMetrics(() => thread.channel.call('metrics', {}), thread.gone);
    if (!ended.aborted) cluster.leavePort();
  }

  async #takePort(): Promise<void> {
    const { cluster, clock, log } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      try {
        return await cluster.takePort();
      } catch (error) {
        if (signal.aborted) return;
        log.error({ err: (error as Error).message }, 'the port for other processes cannot be had again yet');
        await clock.sleep(AGAIN_MS, signal).catch(() => {});
      }
    }
  }

  #look(): Omit<MemberStanding, 'change'> {
    const { cluster, member, reads } = this.#options;
    const view = cluster.current();
    if (view === undefined)
      return { number: 0, hash: '', writing: 0, refused: member.readGate(), readsUntilMs: FOREVER };
    const { confirmed, newest, hash } = view;
    const takesWrites = confirmed > 0 && member.writeGate(confirmed) === undefined;
    const { refused, untilMs } = reads();
    return {
      number: newest.number,
      hash,
      writing: takesWrites ? confirmed : 0,
      refused: member.readGate() ?? refused,
      readsUntilMs: untilMs,
    };
  }

  /** Tells the thread where the member stands, if that is another place: what it knew before holds no more from this moment on. */
  #tell(): void {
    const now = this.#now;
    const { change, ...before } = this.#standing;
    const found = this.#look();
    if (JSON.stringify(found) === JSON.stringify(before)) return;
    this.#standing = { change: change + 1, ...found };
    if (now === undefined) return;
    Atomics.store(now.change, 0, change + 1);
    now.thread.channel.call('standing', this.#standing).catch(() => {});
  }

  #hostRole(): ListenerHostRole {
    const { cluster, target, noteLate } = this.#options;
    return {
      standing: () => {
        this.#tell();
        return this.#standing;
      },
      push: (request) => target.push(request),
      setMetadata: (request) => target.setMetadata(request),
      noteLate: ({ tenant, fromMs }) => noteLate(tenant, fromMs),
      call: async ({ method, head, body, peer }, { signal }) => {
        const answer = await cluster.answerHanded(method, { head: decodeValue(head), body }, { signal, peer });
        return { head: movable(encodeValue(answer.head)), body: answer.body ?? new Uint8Array(0) };
      },
    };
  }
}
