import type { Clock } from '../../lib/clock.ts';
import { FairQueue } from '../../lib/fair-queue.ts';
import { IdleTimer } from '../../lib/idle-timer.ts';
import { leastOf } from '../../lib/least.ts';
import { fitsShare } from '../../lib/shared-room.ts';
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
}

/** The owner of calls of the process itself. */
const OWN = '';

/** A call that has been under way for so long makes another worker worth its memory. */
const LONG_CALL_MS = 100;
const SPARE_IDLE_MS = 60_000;
const SPARE_AFTER_MS = 5_000;

/** A call of more work than this is heavy. */
const HEAVY_MS = 300;
/** Heavy calls of a worker at once: more would only take longer. */
const HEAVY_CALLS_MAX = 4;
/** The weight of a heavy call, in calls, for a light one that looks for a worker. */
const HEAVY_LOAD = 4;
/** A call waits for cheaper ones of its kind that come up to so much later. */
const COST_MS_MAX = 30_000;
/** Beyond all times and costs: heavy calls come after light ones, which cannot take their places, and before both goes priority. */
const HEAVY_RANK = 2 ** 40;
const PRIORITY_RANK = 2 ** 42;

interface Caller {
  readonly tenant: string;
  readonly atMs: number;
}

const NOBODY: Caller = { tenant: OWN, atMs: Number.NEGATIVE_INFINITY };

/** A tenant that called within this time is one that others make room for. */
const OTHERS_MS = 5_000;

/** With fewer seats than this a share of them would be none. */
const SHARED_SEATS_MIN = 4;

/** A worker that has calls and has not answered any for so long is held up, or has long ones only. */
const SILENT_MS = 50;
/** As many calls more it seems to have. */
const SILENT_CALLS = 4;

/** A worker that dies again and again is replaced ever more slowly. */
const REPLACE_DELAY_MS_MAX = 5_000;

/** Equal workers behind one bounded queue; one that dies is replaced, and only its own calls fail. */
export class WorkerPool<R extends Role> {
  readonly #options: WorkerPoolOptions<R>;
  readonly #seats: Seat<R>[] = [];
  readonly #queue: FairQueue<Waiting>;
  /** The tenant that called last, and the last other one. */
  readonly #callers: [last: Caller, other: Caller] = [NOBODY, NOBODY];
  /** Calls under way, by tenant. */
  readonly #running = new Map<string, number>();
  /** Those of them that are heavy. */
  readonly #runningHeavy = new Map<string, number>();
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  /** When the last light call of a tenant came. */
  #lightMs = Number.NEGATIVE_INFINITY;
  #deaths = 0;
  readonly #sparesUsed: IdleTimer;

  private constructor(options: WorkerPoolOptions<R>) {
    this.#options = options;
    this.#queue = new FairQueue({ capacity: options.queueMax });
    this.#clock = options.clock;
    this.#sparesUsed = new IdleTimer(this.#clock, SPARE_IDLE_MS, () => this.#endSpares());
  }

  static start<R extends Role>(options: WorkerPoolOptions<R>): WorkerPool<R> {
    const pool = new WorkerPool(options);
    for (let i = 0; i < (options.sizeMin ?? options.size); i++) pool.#seat(i);
    return pool;
  }

  /** Calls that wait for a worker. */
  get queued(): number {
    return this.#queue.size;
  }

  /** The tenant of these that has the fewest calls under way and waiting: whose turn a call of several of them takes. */
  quietest(tenants: readonly string[]): string {
    return leastOf(tenants, (tenant) => (this.#running.get(tenant) ?? 0) + this.#queue.sizeOf(tenant));
  }

  /** Workers that died since the start. */
  get deaths(): number {
    return this.#deaths;
  }

  /** @throws workerQueueFull, tooManyOutstandingRequests, workerGone, what the role throws, or the signal's reason */
  async call<M extends keyof R & string>(
    method: M,
    request: RequestOf<R, M>,
    options: PooledCallOptions = {},
  ): Promise<ResponseOf<R, M>> {
    const tenant = options.tenant ?? OWN;
    if (tenant !== OWN) this.#noteCaller(tenant);
    const isHeavy = (options.costMs ?? 0) >= HEAVY_MS;
    if (!isHeavy && tenant !== OWN) this.#lightMs = this.#clock.monotonicMs();
    const { seat, sinceMs } = await this.#freeSeat(tenant, isHeavy, options);
    try {
      return await seat.worker.channel.call(method, request, options);
    } finally {
      this.#release(tenant, seat, sinceMs, isHeavy);
    }
  }

  /** The same call to every worker: for metrics and settings. What fails is left out. */
  async callAll<M extends keyof R & string>(method: M, request: RequestOf<R, M>): Promise<ResponseOf<R, M>[]> {
    const answers = await Promise.allSettled(this.#seats.map(({ worker }) => worker.channel.call(method, request)));
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  /** Ends all workers; calls under way fail. */
  async close(): Promise<void> {
    this.#closing.abort(processErrors.workerGone({ worker: this.#options.name, reason: 'shutting down' }));
    for (let left = this.#queue.shift(); left !== undefined; left = this.#queue.shift()) {
      left.reject(this.#closing.signal.reason);
    }
    await Promise.all(this.#seats.map(({ worker }) => worker.terminate()));
  }

  #seat(index: number): void {
    const { spawn, log, name } = this.#options;
    const worker = spawn(index);
    const seat: Seat<R> = {
      worker,
      calls: [],
      heavy: 0,
      answeredMs: 0,
      ready: worker.ready === undefined,
      dead: false,
      retired: false,
    };
    worker.ready?.then(
      () => {
        seat.ready = true;
        this.#fill();
      },
      () => {}, // then it is gone, too
    );
    this.#seats[index] = seat;
    const startMs = this.#clock.monotonicMs();
    void worker.gone.then(async (reason) => {
      seat.dead = true;
      if (seat.retired) return;
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
      this.#fill();
    });
  }

  /** The least busy worker that has room; waits in the queue where none has. */
  #freeSeat(
    tenant: string,
    isHeavy: boolean,
    { signal, outstandingMax = Number.POSITIVE_INFINITY, costMs = 0, priority = 0 }: PooledCallOptions,
  ): Promise<Taken<R>> {
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    if (signal?.aborted) return Promise.reject(signal.reason);
    // whoever waits already may have no turn now; those of others are not in its way
    const seat =
      this.#queue.sizeOf(tenant) === 0 && this.#mayRun(tenant, isHeavy) ? this.#leastBusy(isHeavy) : undefined;
    // the process asks now and then, and can wait
    if (tenant !== OWN) this.#keepSpares();
    this.#growIfSlow(seat);
    if (seat !== undefined) {
      return Promise.resolve(this.#take(tenant, seat, isHeavy));
    }
    if (this.#queue.sizeOf(tenant) >= outstandingMax) {
      return Promise.reject(processErrors.tooManyOutstandingRequests({ limit: outstandingMax }));
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#queue.remove(tenant, waiting);
        reject(signal?.reason);
      };
      const waiting: Waiting = {
        tenant,
        isHeavy,
        resolve: (taken) => {
          signal?.removeEventListener('abort', leave);
          resolve(taken as Taken<R>);
        },
        reject: (reason) => {
          signal?.removeEventListener('abort', leave);
          reject(reason);
        },
      };
      const kind = (isHeavy ? HEAVY_RANK : 0) - priority * PRIORITY_RANK;
      const rank = this.#clock.monotonicMs() + Math.min(costMs, COST_MS_MAX) + kind;
      if (!this.#queue.push(tenant, waiting, rank)) {
        return reject(processErrors.workerQueueFull({ pool: this.#options.name, limit: this.#options.queueMax }));
      }
      signal?.addEventListener('abort', leave, { once: true });
      // a light one passes heavy ones that find no worker
      if (!isHeavy) this.#fill();
    });
  }

  /** Whether a tenant may have one more call under way: those that have none yet always find a worker that has room. */
  #mayRun(tenant: string, isHeavy: boolean): boolean {
    const all = this.#running.get(tenant) ?? 0;
    // heavy ones have places of their own
    const own = isHeavy ? all : all - (this.#runningHeavy.get(tenant) ?? 0);
    if (tenant === OWN || own === 0) return true;
    const { callsPerWorkerMax, callsPerTenantMax } = this.#options;
    let seats = 0;
    let taken = 0;
    let workers = 0;
    for (const { dead, calls } of this.#seats) {
      if (dead) continue;
      workers++;
      seats += callsPerWorkerMax;
      taken += calls.length;
    }
    if (callsPerTenantMax !== undefined && own >= workers * callsPerTenantMax && this.#anyOther(tenant)) return false;
    return seats < SHARED_SEATS_MIN || fitsShare(own, 1, seats - taken);
  }

  #noteCaller(tenant: string): void {
    const [last] = this.#callers;
    if (last.tenant !== tenant) this.#callers[1] = last;
    this.#callers[0] = { tenant, atMs: this.#clock.monotonicMs() };
  }

  /** Whether another tenant has called lately. */
  #anyOther(tenant: string): boolean {
    const [last, other] = this.#callers;
    return this.#clock.monotonicMs() - (last.tenant === tenant ? other : last).atMs < OTHERS_MS;
  }

  #leastBusy(isHeavy: boolean): Seat<R> | undefined {
    const open = this.#seats.filter(({ dead, calls }) => !dead && calls.length < this.#options.callsPerWorkerMax);
    const ready = open.filter((seat) => seat.ready);
    const some = ready.length > 0 ? ready : open;
    let best: Seat<R> | undefined;
    for (const seat of isHeavy ? this.#openToHeavy(some) : some) {
      if (best === undefined || this.#load(seat, isHeavy) < this.#load(best, isHeavy)) best = seat;
    }
    return best;
  }

  /** Workers that a heavy call may have: while light ones come, one has none of the heavy ones, where there are several. */
  #openToHeavy(open: readonly Seat<R>[]): readonly Seat<R>[] {
    const some = open.filter(({ heavy }) => heavy < HEAVY_CALLS_MAX);
    if (this.#options.size === 1 || this.#clock.monotonicMs() - this.#lightMs >= OTHERS_MS) return some;
    const live = this.#seats.filter(({ dead }) => !dead);
    if (live.every(({ heavy }) => heavy === 0)) return some;
    const untouched = live.filter(({ heavy }) => heavy === 0).length;
    return untouched > 1 ? some : some.filter(({ heavy }) => heavy > 0);
  }

  /** Calls under way; one that has not answered for a while may be held up by one of them, and counts as if it had more. */
  #load({ calls, heavy, answeredMs }: Seat<R>, isHeavy: boolean): number {
    const [oldestMs] = calls;
    if (oldestMs === undefined) return 0;
    const silentMs = this.#clock.monotonicMs() - Math.max(oldestMs, answeredMs);
    return calls.length + (silentMs >= SILENT_MS ? SILENT_CALLS : 0) + (isHeavy ? 0 : heavy * HEAVY_LOAD);
  }

  /** Another worker where the least busy one has been at something for long: whoever comes next finds it free. */
  #growIfSlow(seat: Seat<R> | undefined): void {
    if (seat === undefined || this.#clock.monotonicMs() - seat.calls[0]! >= LONG_CALL_MS) this.#grow();
  }

  #grow(): void {
    for (let i = 0; i < this.#options.size; i++) {
      const there = this.#seats[i];
      if (there !== undefined && !there.retired) {
        if (!there.ready) return; // one is on its way
        continue;
      }
      this.#seat(i);
      return;
    }
  }

  #take(tenant: string, seat: Seat<R>, isHeavy: boolean): Taken<R> {
    if (isHeavy) {
      seat.heavy++;
      this.#runningHeavy.set(tenant, (this.#runningHeavy.get(tenant) ?? 0) + 1);
    }
    this.#running.set(tenant, (this.#running.get(tenant) ?? 0) + 1);
    const sinceMs = this.#clock.monotonicMs();
    seat.calls.push(sinceMs);
    return { seat, sinceMs };
  }

  #release(tenant: string, seat: Seat<R>, sinceMs: number, isHeavy: boolean): void {
    if (isHeavy) {
      seat.heavy--;
      const heavy = this.#runningHeavy.get(tenant)! - 1;
      if (heavy > 0) this.#runningHeavy.set(tenant, heavy);
      else this.#runningHeavy.delete(tenant);
    }
    const left = this.#running.get(tenant)! - 1;
    if (left > 0) this.#running.set(tenant, left);
    else this.#running.delete(tenant);
    seat.calls.splice(seat.calls.indexOf(sinceMs), 1);
    seat.answeredMs = this.#clock.monotonicMs();
    this.#fill();
  }

  /** While there are calls. */
  #keepSpares(): void {
    const sizeMin = this.#options.sizeMin ?? this.#options.size;
    if (sizeMin === this.#options.size) return;
    if (!this.#sparesUsed.running) {
      this.#clock.sleep(SPARE_AFTER_MS, this.#closing.signal).then(
        () => {
          if (this.#seats.filter(({ retired }) => !retired).length === sizeMin) this.#grow();
        },
        () => {}, // closing
      );
    }
    this.#sparesUsed.used();
  }

  #endSpares(): void {
    const spares = this.#seats.slice(this.#options.sizeMin);
    if (spares.some(({ calls }) => calls.length > 0)) {
      this.#sparesUsed.used();
      return;
    }
    for (const seat of spares) {
      seat.retired = true;
      seat.dead = true;
      void seat.worker.terminate();
    }
  }

  #fill(): void {
    while (this.#queue.size > 0) {
      const light = this.#leastBusy(false);
      if (light === undefined) return;
      const heavy = this.#leastBusy(true);
      const next = this.#queue.shift(
        () => true,
        ({ tenant, isHeavy }) => (!isHeavy || heavy !== undefined) && this.#mayRun(tenant, isHeavy),
      );
      if (next === undefined) return;
      next.resolve(this.#take(next.tenant, next.isHeavy ? heavy! : light, next.isHeavy));
    }
  }
}

interface Seat<R extends Role> {
  readonly worker: PooledWorker<R>;
  /** When each call under way began, the oldest first. */
  readonly calls: number[];
  /** Those of them that are heavy. */
  heavy: number;
  /** When it last answered one. */
  answeredMs: number;
  ready: boolean;
  dead: boolean;
  /** It was ended because there was nothing to do. */
  retired: boolean;
}

interface Taken<R extends Role> {
  readonly seat: Seat<R>;
  readonly sinceMs: number;
}

interface Waiting {
  readonly tenant: string;
  readonly isHeavy: boolean;
  resolve(taken: unknown): void;
  reject(reason: unknown): void;
}
