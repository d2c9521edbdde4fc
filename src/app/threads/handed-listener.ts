import { MessageChannel } from 'node:worker_threads';
import type { Logger } from '../../kit/observe/log.ts';
import { decodeValue, encodeValue } from '../../kit/rpc/codec.ts';
import { serve } from '../../kit/thread/channel.ts';
import { movable } from '../../kit/thread/movable.ts';
import type { WorkerThread } from '../../kit/thread/worker.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
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

/**
 * Lets the thread of the only shard listen for other processes, once its log is read. When it dies the main thread listens again, at
 * the same port, until another one has taken its place.
 */
export class HandedListener implements OtherListener {
  readonly #options: HandedListenerOptions;
  readonly #stopping = new AbortController();
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

  /** The main thread listens again, and answers what comes until the process ends. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    this.#unfollow();
    await this.#inTurn(async () => {
      const now = this.#now;
      if (now === undefined) return;
      await this.#takePort();
      // it is told of changes until its last call is answered
      await Promise.race([now.thread.channel.call('stopListening', {}).catch(() => {}), now.thread.gone]);
      this.#now = undefined;
    });
    this.#looks?.cancel();
    this.#unwatch();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const run = this.#turn.then(work).catch((error: Error) => {
      this.#options.log.error({ err: error.message }, 'the listener for other processes stays in the main thread');
    });
    this.#turn = run;
    return run;
  }

  /** Hands the port over when the log is read; not in turn, for the main thread takes it back meanwhile from the thread before. */
  async #await(thread: ShardThread): Promise<void> {
    const { signal } = this.#stopping;
    const ready = thread.channel.call('ready', {}, { signal });
    // one that is gone, or whose log cannot be read, is followed by another one
    const isReady = await ready.then(
      () => true,
      () => false,
    );
    if (isReady) await this.#inTurn(() => this.#hand(thread));
  }

  async #hand(thread: ShardThread): Promise<void> {
    const { cluster } = this.#options;
    let isGone = false;
    void thread.gone.then(() => {
      isGone = true;
    });
    await Promise.resolve();
    if (this.#stopping.signal.aborted || isGone) return;
    const change = new Int32Array(new SharedArrayBuffer(4));
    Atomics.store(change, 0, this.#standing.change);
    const { port1, port2 } = new MessageChannel();
    serve(port1, this.#hostRole());
    // told of each change from now on, also while it begins
    this.#now = { thread, change };
    void thread.gone.then(() => {
      port1.close();
      void this.#inTurn(async () => {
        if (this.#now !== undefined && this.#now.thread !== thread) return;
        this.#now = undefined;
        await this.#takePort();
      });
    });
    try {
      const where = cluster.handedListener();
      const request = { ...where, change: change.buffer as SharedArrayBuffer, calls: port2 };
      await thread.channel.call('listen', request, { transfer: [port2] });
    } catch (error) {
      this.#now = undefined;
      throw error;
    }
    cluster.addMetrics(() => thread.channel.call('metrics', {}), thread.gone);
    if (!isGone) cluster.leavePort();
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
