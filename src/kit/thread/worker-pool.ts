import type { Clock } from '../../lib/clock.ts';
import { IdleTimer } from '../../lib/idle-timer.ts';
import { isHeavy, OWN, Seat, type SeatCall, Seats, type TakenSeat } from '../../lib/seats.ts';
import type { Room } from '../../lib/shared-room.ts';
import { AppError } from '../../model/errors.ts';
import { processErrors } from '../../model/errors-process.ts';
import type { Logger } from '../observe/log.ts';
import type { CallOptions, Channel, RequestOf, ResponseOf, Role } from './channel.ts';

/** The worker, as a pool needs it: a `WorkerThread`, or a role in this thread. */
export interface PooledWorker<R extends Role> {
  readonly channel: Pick<Channel<R>, 'call'>;
  readonly gone: Promise<Error>;
  terminate(): Promise<void>;
  /** Before it resolves, calls go to others where there are any. */
  readonly ready?: Promise<unknown>;
}

export interface WorkerPoolOptions<R extends Role> {
  readonly name: string;
  readonly size: number;
  /**
   * Workers that always run (default: size). One more comes soon after the first call, so that it is there when one takes long,
   * the others when calls do take long; they go when there are no calls.
   */
  readonly sizeMin?: number;
  /** Calls that one worker has under way at once; more only where a role waits for something. */
  readonly callsPerWorkerMax: number;
  /** Calls that wait for a worker; one more is refused with 503. */
  readonly queueMax: number;
  /** Calls of one tenant that a worker has under way while other tenants call, too. Default: no bound but the share of all. */
  readonly callsPerTenantMax?: number;
  /** Places in which calls of pools in several threads wait, where they share them: one more is refused as with `queueMax`. */
  readonly waitingRoom?: Room;
  readonly spawn: (index: number) => PooledWorker<R>;
  readonly log: Logger;
  readonly clock: Clock;
}

/** For whom a call is: tenants have turns, and none has all of the workers while others wait. */
export interface PooledCallOptions extends CallOptions {
  /** Undefined: the process itself, which is never held back. */
  readonly tenant?: string;
  /** Calls of this tenant that may wait (`max_outstanding_requests_per_tenant`); one more is refused with 429. */
  readonly outstandingMax?: number;
  /** Work that it is estimated to be: cheap calls of a tenant come before dear ones, and a worker is kept free for them. */
  readonly costMs?: number;
  /** Higher ones of a tenant come first. Default: 0. */
  readonly priority?: number;
  /** As of `SeatCall`. */
  readonly gathers?: boolean;
  /** Nobody waits for it: it takes a worker that is there. */
  readonly inBackground?: boolean | undefined;
}

/** A call that has been under way for so long makes another worker worth its memory. */
const LONG_CALL_MS = 100;
const SPARE_IDLE_MS = 60_000;
const SPARE_AFTER_MS = 5_000;

/** A worker that dies again and again is replaced ever more slowly. */
const REPLACE_DELAY_MS_MAX = 5_000;

/** Equal workers behind one bounded queue; one that dies is replaced, and only its own calls fail. */
export class WorkerPool<R extends Role> {
  readonly #options: WorkerPoolOptions<R>;
  /** By the number of the worker. */
  readonly #members: Member<R>[] = [];
  readonly #seats: Seats<Member<R>>;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #deaths = 0;
  readonly #sparesUsed: IdleTimer;

  private constructor(options: WorkerPoolOptions<R>) {
    this.#options = options;
    this.#clock = options.clock;
    const { queueMax: waitingMax, callsPerTenantMax: callsPerOwnerMax, clock } = options;
    this.#seats = new Seats({ waitingMax, callsPerOwnerMax, clock });
    this.#sparesUsed = new IdleTimer(this.#clock, SPARE_IDLE_MS, () => this.#endSpares());
  }

  static start<R extends Role>(options: WorkerPoolOptions<R>): WorkerPool<R> {
    const pool = new WorkerPool(options);
    for (let i = 0; i < (options.sizeMin ?? options.size); i++) pool.#seat(i);
    return pool;
  }

  /** Calls that wait for a worker. */
  get queued(): number {
    return this.#seats.waiting;
  }

  /** The tenant of these that has the fewest calls under way and waiting: whose turn a call of several of them takes. */
  quietest(tenants: readonly string[]): string {
    return this.#seats.quietest(tenants);
  }

  /** Workers that died since the start. */
  get deaths(): number {
    return this.#deaths;
  }

  /**
   * @throws workerQueueFull, tooManyOutstandingRequests, workerGone, workerOutOfMemory, what the role throws, or the signal's reason
   */
  async call<M extends keyof R & string>(
    method: M,
    request: RequestOf<R, M>,
    options: PooledCallOptions = {},
  ): Promise<ResponseOf<R, M>> {
    const { tenant: owner = OWN, costMs } = options;
    this.#seats.note({ owner, costMs });
    const taken = await this.#freeSeat(owner, options);
    try {
      return await taken.seat.who.worker.channel.call(method, request, options);
    } catch (thrown) {
      // before its seat is free for those that wait: they would fail with it
      if (isDeath(thrown)) this.#seats.remove(taken.seat);
      throw thrown;
    } finally {
      this.#seats.free({ owner, costMs }, taken);
    }
  }

  /** The same call to every worker: for metrics and settings. What fails is left out. */
  async callAll<M extends keyof R & string>(method: M, request: RequestOf<R, M>): Promise<ResponseOf<R, M>[]> {
    const answers = await Promise.allSettled(this.#members.map(({ worker }) => worker.channel.call(method, request)));
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  /** Ends all workers; calls under way fail. */
  async close(): Promise<void> {
    this.#closing.abort(processErrors.workerGone({ worker: this.#options.name, reason: 'shutting down' }));
    for (let left = this.#seats.shift(); left !== undefined; left = this.#seats.shift()) {
      (left as Waiting<R>).reject(this.#closing.signal.reason);
    }
    await Promise.all(this.#members.map(({ worker }) => worker.terminate()));
  }

  #seat(index: number): void {
    const { spawn, log, name } = this.#options;
    const worker = spawn(index);
    const member: Member<R> = { worker, retired: false };
    const seat = new Seat({ who: member, callsMax: this.#options.callsPerWorkerMax });
    seat.ready = worker.ready === undefined;
    worker.ready?.then(
      () => {
        seat.ready = true;
        this.#seats.fill();
      },
      () => {}, // then it is gone, too
    );
    member.seat = seat;
    this.#members[index] = member;
    this.#seats.add(seat);
    const startMs = this.#clock.monotonicMs();
    void worker.gone.then(async (reason) => {
      this.#seats.remove(seat);
      if (member.retired) return;
      if (this.#closing.signal.aborted) return;
      this.#deaths++;
      log.error({ pool: name, worker: index, err: reason }, 'worker died and is replaced');
      const livedMs = this.#clock.monotonicMs() - startMs;
      if (livedMs < REPLACE_DELAY_MS_MAX) {
        const slept = this.#clock.sleep(
          Math.min(REPLACE_DELAY_MS_MAX, 100 * 2 ** Math.min(this.#deaths, 10)),
          this.#closing.signal,
        );
        if (
          !(await slept.then(
            () => true,
            () => false,
          ))
        )
          return;
      }
      this.#seat(index);
      this.#seats.fill();
    });
  }

  /** The least busy worker that has room; waits in the queue where none has. */
  #freeSeat(
    owner: string,
    {
      signal,
      outstandingMax = Number.POSITIVE_INFINITY,
      costMs,
      priority,
      gathers,
      inBackground = false,
    }: PooledCallOptions,
  ): Promise<TakenSeat<Member<R>>> {
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const call = { owner, costMs, priority, gathers, seated: () => {} };
    const taken = this.#seats.take(call);
    if (!inBackground) {
      // the process asks now and then, and can wait
      if (owner !== OWN) this.#keepSpares();
      this.#growIfSlow(taken?.seat);
    }
    if (taken !== undefined) return Promise.resolve(taken);
    if (this.#seats.waitingOf(owner) >= outstandingMax) {
      return Promise.reject(processErrors.tooManyOutstandingRequests({ limit: outstandingMax }));
    }
    return new Promise((resolve, reject) => {
      const { waitingRoom, name: pool, queueMax: limit } = this.#options;
      const leave = () => {
        this.#seats.leave(waiting);
        waitingRoom?.give(owner, 1);
        reject(signal?.reason);
      };
      const waiting: Waiting<R> = {
        ...call,
        seated: (found) => {
          signal?.removeEventListener('abort', leave);
          waitingRoom?.give(owner, 1);
          resolve(found);
        },
        reject: (reason) => {
          signal?.removeEventListener('abort', leave);
          waitingRoom?.give(owner, 1);
          reject(reason);
        },
      };
      if (waitingRoom !== undefined && !takePlace(waitingRoom, owner)) {
        return reject(processErrors.workerQueueFull({ pool, limit }));
      }
      if (!this.#seats.wait(waiting)) {
        waitingRoom?.give(owner, 1);
        return reject(processErrors.workerQueueFull({ pool, limit }));
      }
      signal?.addEventListener('abort', leave, { once: true });
      // a light one passes heavy ones that find no worker
      if (!isHeavy(waiting)) this.#seats.fill();
    });
  }

  /** Another worker where the least busy one has been at something for long: whoever comes next finds it free. */
  #growIfSlow(seat: Seat<Member<R>> | undefined): void {
    if (seat === undefined || this.#clock.monotonicMs() - seat.calls[0]! >= LONG_CALL_MS) this.#grow();
  }

  #grow(): void {
    for (let i = 0; i < this.#options.size; i++) {
      const there = this.#members[i];
      if (there !== undefined && !there.retired) {
        if (!there.seat!.ready) return; // one is on its way
        continue;
      }
      this.#seat(i);
      // whoever it came for may be the last to ask
      this.#sparesUsed.used();
      return;
    }
  }

  /** While there are calls. */
  #keepSpares(): void {
    const sizeMin = this.#options.sizeMin ?? this.#options.size;
    if (sizeMin === this.#options.size) return;
    if (!this.#sparesUsed.running) {
      this.#clock.sleep(SPARE_AFTER_MS, this.#closing.signal).then(
        () => {
          if (this.#members.filter(({ retired }) => !retired).length === sizeMin) this.#grow();
        },
        () => {}, // closing
      );
    }
    this.#sparesUsed.used();
  }

  #endSpares(): void {
    const spares = this.#members.slice(this.#options.sizeMin);
    if (spares.some(({ seat }) => seat!.calls.length > 0)) {
      this.#sparesUsed.used();
      return;
    }
    for (const member of spares) {
      member.retired = true;
      this.#seats.remove(member.seat!);
      void member.worker.terminate();
    }
  }
}

interface Member<R extends Role> {
  readonly worker: PooledWorker<R>;
  seat?: Seat<Member<R>>;
  /** It was ended because there was nothing to do. */
  retired: boolean;
}

interface Waiting<R extends Role> extends SeatCall<Member<R>> {
  reject(reason: unknown): void;
}

/** A place to wait; of few places a share is nothing, and the first call of each owner is let in as long as there is any. */
function takePlace(room: Room, owner: string): boolean {
  if (room.held >= room.size || room.heldBy(owner) > 0) return room.take(owner, 1);
  room.force(owner, 1);
  return true;
}

function isDeath(thrown: unknown): boolean {
  return (
    thrown instanceof AppError && (thrown.facts.id === 'worker-gone' || thrown.facts.id === 'worker-out-of-memory')
  );
}
