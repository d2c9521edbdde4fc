import type { Clock } from '../../lib/clock.ts';
import { systemClock } from '../../lib/clock.ts';
import { errors } from '../../model/errors.ts';
import type { Logger } from '../observe/log.ts';
import type { CallOptions, Channel, RequestOf, ResponseOf, Role } from './channel.ts';

/** What a pool needs of a worker: a `WorkerThread`, or a role in this thread. */
export interface PooledWorker<R extends Role> {
  readonly channel: Pick<Channel<R>, 'call'>;
  readonly gone: Promise<Error>;
  terminate(): Promise<void>;
}

export interface WorkerPoolOptions<R extends Role> {
  readonly name: string;
  readonly size: number;
  /** Calls that one worker has under way at once; more only where a role waits for something. */
  readonly callsPerWorkerMax: number;
  /** Calls that wait for a worker; one more is refused with 503. */
  readonly queueMax: number;
  readonly spawn: (index: number) => PooledWorker<R>;
  readonly log: Logger;
  readonly clock?: Clock;
}

/** A worker that dies again and again is replaced ever more slowly. */
const REPLACE_DELAY_MS_MAX = 5_000;

/** Equal workers behind one bounded queue; one that dies is replaced, and only its own calls fail. */
export class WorkerPool<R extends Role> {
  readonly #options: WorkerPoolOptions<R>;
  readonly #seats: Seat<R>[] = [];
  readonly #queue: Waiting[] = [];
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #deaths = 0;

  private constructor(options: WorkerPoolOptions<R>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  static start<R extends Role>(options: WorkerPoolOptions<R>): WorkerPool<R> {
    const pool = new WorkerPool(options);
    for (let i = 0; i < options.size; i++) pool.#seat(i);
    return pool;
  }

  /** Calls that wait for a worker. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Workers that died since the start. */
  get deaths(): number {
    return this.#deaths;
  }

  /** @throws workerQueueFull, workerGone, what the role throws, or the signal's reason */
  async call<M extends keyof R & string>(
    method: M,
    request: RequestOf<R, M>,
    options: CallOptions = {},
  ): Promise<ResponseOf<R, M>> {
    const seat = await this.#freeSeat(options.signal);
    try {
      return await seat.worker.channel.call(method, request, options);
    } finally {
      this.#release(seat);
    }
  }

  /** The same call to every worker: for metrics and settings. What fails is left out. */
  async callAll<M extends keyof R & string>(method: M, request: RequestOf<R, M>): Promise<ResponseOf<R, M>[]> {
    const answers = await Promise.allSettled(this.#seats.map(({ worker }) => worker.channel.call(method, request)));
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  /** Ends all workers; calls under way fail. */
  async close(): Promise<void> {
    this.#closing.abort(errors.workerGone({ worker: this.#options.name, reason: 'shutting down' }));
    for (const { reject } of this.#queue.splice(0)) reject(this.#closing.signal.reason);
    await Promise.all(this.#seats.map(({ worker }) => worker.terminate()));
  }

  #seat(index: number): void {
    const { spawn, log, name } = this.#options;
    const worker = spawn(index);
    const seat: Seat<R> = { worker, calls: 0, dead: false };
    this.#seats[index] = seat;
    const startMs = this.#clock.nowMs();
    void worker.gone.then(async (reason) => {
      seat.dead = true;
      if (this.#closing.signal.aborted) return;
      this.#deaths++;
      log.error({ pool: name, worker: index, err: reason }, 'worker died and is replaced');
      const livedMs = this.#clock.nowMs() - startMs;
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
  #freeSeat(signal: AbortSignal | undefined): Promise<Seat<R>> {
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const seat = this.#queue.length === 0 ? this.#leastBusy() : undefined;
    if (seat !== undefined) {
      seat.calls++;
      return Promise.resolve(seat);
    }
    if (this.#queue.length >= this.#options.queueMax) {
      return Promise.reject(errors.workerQueueFull({ pool: this.#options.name, limit: this.#options.queueMax }));
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1);
        reject(signal?.reason);
      };
      const waiting: Waiting = {
        resolve: (free) => {
          signal?.removeEventListener('abort', leave);
          resolve(free as Seat<R>);
        },
        reject: (reason) => {
          signal?.removeEventListener('abort', leave);
          reject(reason);
        },
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#queue.push(waiting);
    });
  }

  #leastBusy(): Seat<R> | undefined {
    let best: Seat<R> | undefined;
    for (const seat of this.#seats) {
      if (seat.dead || seat.calls >= this.#options.callsPerWorkerMax) continue;
      if (best === undefined || seat.calls < best.calls) best = seat;
    }
    return best;
  }

  #release(seat: Seat<R>): void {
    seat.calls--;
    this.#fill();
  }

  #fill(): void {
    while (this.#queue.length > 0) {
      const seat = this.#leastBusy();
      if (seat === undefined) return;
      seat.calls++;
      this.#queue.shift()!.resolve(seat);
    }
  }
}

interface Seat<R extends Role> {
  readonly worker: PooledWorker<R>;
  calls: number;
  dead: boolean;
}

interface Waiting {
  resolve(seat: unknown): void;
  reject(reason: unknown): void;
}
