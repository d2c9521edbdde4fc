import type { AnswerPart, AnswerTaker, Job, JobFailures, JobHead, JobScheduler } from '../contract/jobs.ts';
import type { Logger } from '../kit/observe/log.ts';
import { counter, gauge, metricTable, type Registry } from '../kit/observe/metrics.ts';
import { after, type Clock, timeout } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import type { Random } from '../lib/random.ts';
import { Semaphore } from '../lib/semaphore.ts';
import { fitsShare, SharedRoom } from '../lib/shared-room.ts';
import { within } from '../lib/within.ts';
import { AppError } from '../model/errors.ts';
import { processErrors } from '../model/errors-process.ts';
import { queryErrors } from '../model/errors-query.ts';
import { isTriedLong, pauseAfter } from './retry.ts';

export interface JobDeskOptions {
  /** Name of this front end, which no other has. */
  readonly name: string;
  /** Address at which queriers answer. */
  readonly address: () => string;
  /** Times that a job is asked for again. */
  readonly retriesMax: number;
  /** Time for a job's answer, or its beginning where it comes in parts: waiting and all tries together. */
  readonly timeoutMs: number;
  /** Bytes of answers that come, of all jobs: those that are told how long they are wait until there is room for all of them. */
  readonly answerBytesMax: number;
  /** Bytes of answers that are held, those of queries under way among them, beyond which large ones wait. Default: 128 MiB. */
  readonly heldBytesMax?: number;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
}

/** A job, as whoever wants its answer asks. */
export type WantedJob = Pick<Job, 'tenant' | 'query' | 'costMs' | 'priority' | 'isOfRules' | 'payload'> & {
  /** Queriers that did it badly before. */
  readonly avoid?: readonly string[];
};

export interface JobAnswer {
  readonly head: JobHead;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface AnsweredJob extends JobAnswer {
  /** The querier that did it. */
  readonly querier: string;
}

export interface JobAnswerInParts {
  readonly head: JobHead;
  /** To be taken to its end or left by `return`. */
  readonly parts: AsyncIterableIterator<Uint8Array, undefined>;
}

const deskMetrics = metricTable({
  jobs: counter('query_frontend_jobs_total', 'Parts of queries, and other requests, that queriers were asked for.'),
  retries: counter(
    'query_frontend_retries_total',
    'Times that one of them was asked for again, as a querier failed it.',
  ),
  waiting: gauge('query_frontend_waiting_answers', 'Answers that wait at queriers for room in the front end.'),
});

/** How long a query waits for a scheduler that can be reached. */
const SCHEDULER_MS_MAX = 10_000;
/** Bytes of an answer in one piece. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
/** Bytes of answers that are held, beyond which large ones wait. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;
/** Answers of at least this share of it are large. */
const LARGE_SHARE = 1 / 128;
/** Whoever holds nothing has so much of it at any time, up to twice the whole. */
const OWN_SHARE = 1 / 4;
/** Parts that wait to be taken, before the querier waits. */
const PARTS_AHEAD = 4;

interface Pending {
  readonly job: Job;
  readonly scheduler: JobScheduler;
  readonly onPart: (part: AnswerPart) => Promise<void> | undefined;
  readonly fail: (error: unknown, querier?: string) => void;
}

/** An answer that waits for room, told how long it is. */
interface WaitingAnswer {
  readonly wanted: WantedJob;
  readonly bytes: number;
  readonly add: () => void;
  readonly end: () => void;
}

/** A job that is under way, as whoever collects its answer has it. */
interface LeftJob<T> {
  resolve(answer: T): void;
  fail(error: unknown): void;
  /** All of the answer is here. */
  through(): void;
  /** Nobody waits for the rest. */
  leave(): void;
}

/** A job that failed at a querier, and may do better at another. */
class JobFailure extends Error {
  readonly error: unknown;
  readonly querier: string | undefined;

  constructor(error: unknown, querier: string | undefined) {
    super('a job failed');
    this.error = error;
    this.querier = querier;
  }
}

/** Time in which a suspect runs with no other beside it. */
const ALONE_MS_MAX = 10_000;

/** The jobs that a front end waits for: leaves them with schedulers, takes their answers, and asks again where a querier fails. */
export class JobDesk implements AnswerTaker, JobFailures {
  readonly #options: JobDeskOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #schedulers = new Set<JobScheduler>();
  readonly #metrics: ReturnType<typeof deskMetrics>;
  /** Bytes of answers that are not whole yet, by tenant. */
  readonly #room: SharedRoom;
  /** Queries that hold their answers until they end. */
  readonly #open = new Set<string>();
  /** Bytes of answers that are whole, by the queries that hold them. */
  readonly #kept = new Map<string, { readonly tenant: string; bytes: number; largeBytes: number }>();
  /** All of them, by tenant. */
  readonly #keptRoom = new SharedRoom(Number.POSITIVE_INFINITY);
  /** Bytes of large answers, come or coming. */
  #largeBytes = 0;
  /** Answers that wait for room, in the order in which they began to. */
  readonly #waiting = new Set<WaitingAnswer>();
  /** Jobs whose thread had no memory left are asked for again one at a time: the one that took it all does not take the others with it twice. */
  readonly #suspects = new Semaphore(1);
  #number = 0;
  #turn = 0;
  /** Those that wait for a scheduler. */
  #wake = Promise.withResolvers<void>();

  constructor(options: JobDeskOptions) {
    this.#options = options;
    this.#metrics = deskMetrics(options.registry);
    this.#room = new SharedRoom(options.answerBytesMax);
  }

  /** Jobs that are not answered. */
  get size(): number {
    return this.#pending.size;
  }

  /** Answers that wait for room. */
  get waiting(): number {
    return this.#waiting.size;
  }

  get schedulers(): number {
    return this.#schedulers.size;
  }

  /** A scheduler that can be reached. */
  add(scheduler: JobScheduler): void {
    this.#schedulers.add(scheduler);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  /** A scheduler that cannot be reached any more: what it has is asked of another. */
  remove(scheduler: JobScheduler, error: AppError): void {
    this.#schedulers.delete(scheduler);
    for (const [id, pending] of [...this.#pending])
      if (pending.scheduler === scheduler) this.failed(id, error, undefined);
  }

  /** A scheduler that takes no more jobs: those that it has are answered. */
  retire(scheduler: JobScheduler): void {
    this.#schedulers.delete(scheduler);
  }

  /** A name for a query, whose jobs count as one that waits. */
  nameQuery(): string {
    return `${this.#options.name}/${++this.#number}`;
  }

  /** The whole answer. @throws what the querier threw; an AppError where it cannot be had */
  ask(wanted: WantedJob, signal: AbortSignal): Promise<AnsweredJob> {
    const run = (ends: AbortSignal) => (avoid: readonly string[]) => this.#once(wanted, avoid, ends);
    return this.#inTime(signal, (ends) => this.#withRetries(ends, run(ends), wanted.avoid));
  }

  /** The answer as soon as it begins. A querier that fails later fails it. */
  askInParts(wanted: WantedJob, signal: AbortSignal): Promise<JobAnswerInParts> {
    return this.#inTime(signal, (ends) => this.#withRetries(ends, (avoid) => this.#onceInParts(wanted, avoid, ends)));
  }

  async answer(part: AnswerPart): Promise<void> {
    const pending = this.#pending.get(part.job);
    if (pending === undefined) throw processErrors.callCancelled({});
    await pending.onPart(part);
  }

  failed(id: string, error: AppError, querier: string | undefined): void {
    this.#pending.get(id)?.fail(error, querier);
  }

  /** Ends with the signal, and when the time is up before there is an answer. */
  async #inTime<T>(signal: AbortSignal, run: (ends: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs: limitMs, clock } = this.#options;
    const timeUp = new AbortController();
    const timer = after(clock, limitMs, () => timeUp.abort(queryErrors.queryTimedOut({ limitMs })));
    try {
      return await run(AbortSignal.any([signal, timeUp.signal]));
    } finally {
      timer.cancel();
    }
  }

  /** Runs while no other suspect does; one that takes long, or waits for its turn or for room, holds the others up for no longer than a while. */
  async #alone<T>(run: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock } = this.#options;
    const time = { clock, timeoutMs: ALONE_MS_MAX, signal };
    let running: Promise<T> | undefined;
    await this.#suspects.run(() => within(time, () => (running = run())), signal);
    if (running === undefined) throw signal.reason;
    return running;
  }

  async #withRetries<T>(
    signal: AbortSignal,
    run: (avoid: readonly string[]) => Promise<T>,
    before: readonly string[] = [],
  ): Promise<T> {
    const { retriesMax, log, clock } = this.#options;
    const avoid = [...before];
    let isSuspect = false;
    this.#metrics.jobs.inc();
    const startedMs = clock.monotonicMs();
    for (let tries = 0; ; tries++) {
      try {
        return await (isSuspect ? this.#alone(() => run(avoid), signal) : run(avoid));
      } catch (thrown) {
        if (!(thrown instanceof JobFailure)) throw thrown;
        if (signal.aborted) throw signal.reason;
        if (tries >= retriesMax || !isRetried(thrown)) throw thrown.error;
        if (isTriedLong(thrown.error, clock.monotonicMs() - startedMs)) throw thrown.error;
        if (isOutOfMemory(thrown)) {
          if (isSuspect) throw thrown.error;
          isSuspect = true;
        }
        if (thrown.querier !== undefined) avoid.push(thrown.querier);
        this.#metrics.retries.inc();
        log.debug({ querier: thrown.querier, err: (thrown.error as Error).message }, 'a job is asked for again');
        await pauseAfter(thrown.error, tries + 1, this.#options, signal);
      }
    }
  }

  async #once(wanted: WantedJob, avoid: readonly string[], signal: AbortSignal): Promise<AnsweredJob> {
    const { tenant } = wanted;
    const answer = new WholeAnswer();
    let taken = 0;
    let waiting: WaitingAnswer | undefined;
    let head: JobHead | undefined;
    let bytesAll: number | undefined;
    try {
      return await this.#leave<AnsweredJob>(wanted, false, avoid, signal, ({ resolve, fail, through }) => (part) => {
        if (part.head !== undefined) ({ answerBytes: bytesAll, ...head } = part.head);
        const bytes = Math.max(answer.bytes + part.bytes.length, bytesAll ?? 0);
        const add = () => {
          const before = taken;
          taken = Math.max(taken, bytes);
          this.#largeBytes += this.#largeOf(taken) - this.#largeOf(before);
          answer.add(part.bytes, bytesAll);
          if (!part.isLast) return;
          through();
          resolve({ head: head ?? { workedMs: 0 }, querier: part.querier, bytes: answer.whole() });
        };
        const wait = () => {
          const come = Promise.withResolvers<void>();
          waiting = { wanted, bytes, add, end: come.resolve };
          this.#waiting.add(waiting);
          this.#metrics.waiting.set(this.#waiting.size);
          return come.promise;
        };
        if (bytes > ANSWER_BYTES_MAX) fail(queryErrors.answerTooLarge({ bytes, limit: ANSWER_BYTES_MAX }));
        else if (bytes <= taken) add();
        else if ((taken > 0 || this.#mayPass(wanted, bytes)) && this.#room.take(tenant, bytes - taken)) add();
        // one that holds nothing yet waits: queries that hold something go on without it
        else if (this.#canWait(wanted, taken, bytes, bytesAll)) return wait();
        else {
          const [heldBytes, ownBytes, limitBytes] = [this.#room.held, this.#room.heldBy(tenant), this.#room.size];
          fail(processErrors.tooManyAnswers({ heldBytes, ownBytes, limitBytes }));
        }
        return undefined;
      });
    } finally {
      if (waiting !== undefined) this.#waiting.delete(waiting);
      waiting?.end();
      if (!answer.isTaken || !this.#keep(wanted, taken)) this.#largeBytes -= this.#largeOf(taken);
      if (taken > 0) this.#room.give(tenant, taken);
      this.#free();
    }
  }

  /** A name for a query that holds its answers until `end`. */
  begin(): string {
    const query = this.nameQuery();
    this.#open.add(query);
    return query;
  }

  /** A query is over, and what it held of answers. */
  end(query: string): void {
    this.#open.delete(query);
    const kept = this.#kept.get(query);
    if (kept === undefined) return;
    this.#kept.delete(query);
    this.#keptRoom.give(kept.tenant, kept.bytes);
    this.#largeBytes -= kept.largeBytes;
    this.#free();
  }

  /** Lets those come for whom there is room now, in turn. */
  #free(): void {
    let isBlocked = false;
    for (const waiting of this.#waiting) {
      const { wanted, bytes, add, end } = waiting;
      const isInLine = this.#isInLine(wanted, bytes);
      if (isInLine && isBlocked) continue;
      const room = this.#roomFor(wanted, bytes);
      if (room === 'free' && this.#room.take(wanted.tenant, bytes)) {
        this.#waiting.delete(waiting);
        add();
        end();
      } else isBlocked ||= isInLine && room !== 'own';
    }
    this.#metrics.waiting.set(this.#waiting.size);
  }

  /** Notes that a query holds an answer until it ends. @returns whether it does */
  #keep({ tenant, query }: WantedJob, bytes: number): boolean {
    if (!this.#open.has(query)) return false;
    this.#keptRoom.force(tenant, bytes);
    const kept = getOrMake(this.#kept, query, () => ({ tenant, bytes: 0, largeBytes: 0 }));
    kept.bytes += bytes;
    kept.largeBytes += this.#largeOf(bytes);
    return true;
  }

  /** The bytes of a large answer; 0: it is a small one. */
  #largeOf(bytes: number): number {
    return bytes < (this.#options.heldBytesMax ?? HELD_BYTES_MAX) * LARGE_SHARE ? 0 : bytes;
  }

  /** Whether an answer comes in its turn: a large one does, but for queries that hold one, and give all back together. */
  #isInLine({ query }: WantedJob, bytes: number): boolean {
    return this.#largeOf(bytes) > 0 && (this.#kept.get(query)?.largeBytes ?? 0) === 0;
  }

  /** Whether an answer that comes now need not wait: a large one passes only those that wait for their own tenant. */
  #mayPass(wanted: WantedJob, bytes: number): boolean {
    if (this.#roomFor(wanted, bytes) !== 'free') return false;
    if (!this.#isInLine(wanted, bytes)) return true;
    for (const waiting of this.#waiting) {
      if (this.#isInLine(waiting.wanted, waiting.bytes) && this.#roomFor(waiting.wanted, waiting.bytes) !== 'own')
        return false;
    }
    return true;
  }

  /**
   * Whether there is room for a large answer beside those that are held; where not, who has it: other large ones, or its own tenant. A
   * tenant's oldest query always goes on, its others up to its share, and one that holds nothing finds a part of its own. Small ones never end where there is always work, so that a large one does not wait for them.
   */
  #roomFor(wanted: WantedJob, bytes: number): 'free' | 'held' | 'own' {
    const { heldBytesMax = HELD_BYTES_MAX } = this.#options;
    const { tenant } = wanted;
    if (this.#largeBytes === 0 || this.#largeOf(bytes) === 0) return 'free';
    const held = this.#room.held + this.#keptRoom.held;
    const own = this.#room.heldBy(tenant) + this.#keptRoom.heldBy(tenant);
    const fits = own === 0 || fitsShare(own, bytes, heldBytesMax - held);
    // those that hold some go on by turns, for they give it back together
    if (!this.#isInLine(wanted, bytes)) return fits || this.#isOldest(wanted) ? 'free' : 'own';
    if (own === 0 && bytes <= heldBytesMax * OWN_SHARE && held + bytes <= 2 * heldBytesMax) return 'free';
    if (held + bytes > heldBytesMax) return 'held';
    return fits ? 'free' : 'own';
  }

  /** Whether a query is the first of its tenant's that hold a large answer. */
  #isOldest({ tenant, query }: WantedJob): boolean {
    for (const [name, kept] of this.#kept) if (kept.tenant === tenant && kept.largeBytes > 0) return name === query;
    return true;
  }

  #canWait(wanted: WantedJob, taken: number, bytes: number, bytesAll: number | undefined): boolean {
    if (taken > 0 || bytesAll === undefined) return false;
    const holdsSome = (this.#kept.get(wanted.query)?.largeBytes ?? 0) > 0;
    if (holdsSome && this.#roomFor(wanted, bytes) === 'free') return false;
    return fitsShare(0, bytes, this.#room.size);
  }

  async #onceInParts(wanted: WantedJob, avoid: readonly string[], signal: AbortSignal): Promise<JobAnswerInParts> {
    const parts: Uint8Array[] = [];
    let changed = Promise.withResolvers<void>();
    let taken = Promise.withResolvers<void>();
    let isEnded = false;
    let failure: { readonly error: unknown } | undefined;
    const change = () => {
      changed.resolve();
      changed = Promise.withResolvers();
    };
    const take = () => {
      taken.resolve();
      taken = Promise.withResolvers();
    };
    let cancel = () => {};
    const own: AsyncIterableIterator<Uint8Array, undefined> = {
      [Symbol.asyncIterator]: () => own,
      async next() {
        for (;;) {
          const part = parts.shift();
          take();
          if (part !== undefined) return { done: false, value: part };
          if (failure !== undefined) throw failure.error;
          if (isEnded) return { done: true, value: undefined };
          await changed.promise;
        }
      },
      async return() {
        isEnded = true;
        cancel();
        take();
        return { done: true, value: undefined };
      },
    };
    return this.#leave<JobAnswerInParts>(
      wanted,
      true,
      avoid,
      signal,
      ({ resolve, through, leave }) => {
        cancel = leave;
        return async ({ head, bytes, isLast }) => {
          if (bytes.length > 0) parts.push(bytes);
          isEnded ||= isLast;
          change();
          if (head !== undefined) resolve({ head, parts: own });
          if (isLast) through();
          while (parts.length > PARTS_AHEAD && !isEnded && failure === undefined) await taken.promise;
        };
      },
      (error) => {
        failure = { error };
        change();
        take();
      },
    );
  }

  /**
   * Leaves a job with a scheduler, and resolves with what `begin` makes of its parts.
   *
   * @param later hears of a failure after it was resolved
   */
  async #leave<T>(
    wanted: WantedJob,
    inParts: boolean,
    avoid: readonly string[],
    signal: AbortSignal,
    begin: (left: LeftJob<T>) => Pending['onPart'],
    later: (error: unknown) => void = () => {},
  ): Promise<T> {
    const scheduler = await this.#reached(signal);
    signal.throwIfAborted();
    const { name, address } = this.#options;
    const job: Job = { ...wanted, inParts, id: `${name}-${++this.#number}`, avoid, answersTo: address() };
    return new Promise<T>((resolve, reject) => {
      let isResolved = false;
      const through = () => {
        this.#pending.delete(job.id);
        signal.removeEventListener('abort', aborted);
      };
      const leave = () => {
        if (!this.#pending.has(job.id)) return;
        through();
        scheduler.cancel(job.id);
      };
      const aborted = () => {
        leave();
        if (isResolved) later(signal.reason);
        else reject(signal.reason);
      };
      const fail = (error: unknown, querier?: string) => {
        through();
        if (isResolved) later(error);
        else reject(new JobFailure(error, querier));
      };
      const onPart = begin({
        resolve: (answer) => {
          isResolved = true;
          resolve(answer);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
        through,
        leave,
      });
      this.#pending.set(job.id, { job, scheduler, onPart, fail });
      signal.addEventListener('abort', aborted, { once: true });
      scheduler.enqueue(job).catch((error: unknown) => {
        if (!this.#pending.has(job.id)) return;
        // it may have come all the same
        scheduler.cancel(job.id);
        fail(error);
      });
    });
  }

  /** One of the schedulers in turns. @throws schedulerAway where none can be reached for a while */
  async #reached(signal: AbortSignal): Promise<JobScheduler> {
    signal.throwIfAborted();
    if (this.#schedulers.size === 0) await this.#schedulerComes(signal);
    const all = [...this.#schedulers];
    return all[this.#turn++ % all.length]!;
  }

  async #schedulerComes(signal: AbortSignal): Promise<void> {
    const limit = timeout(this.#options.clock, SCHEDULER_MS_MAX);
    const ends = AbortSignal.any([signal, limit.signal]);
    const ended = Promise.withResolvers<void>();
    ends.addEventListener('abort', () => ended.resolve(), { once: true });
    try {
      while (this.#schedulers.size === 0) {
        await Promise.race([this.#wake.promise, ended.promise]);
        signal.throwIfAborted();
        if (this.#schedulers.size === 0 && limit.signal.aborted) {
          throw processErrors.schedulerAway({ waitedMs: SCHEDULER_MS_MAX });
        }
      }
    } finally {
      limit.cancel();
    }
  }
}

/** Whether the job's thread had no memory left: it may have been this job that took it, or one beside it. */
function isOutOfMemory({ error }: JobFailure): boolean {
  return error instanceof AppError && error.facts.id === 'worker-out-of-memory';
}

/** A full queue is not helped by being asked again, and time that is up is up at others, too. */
function isRetried({ error, querier }: JobFailure): boolean {
  if (!(error instanceof AppError)) return false;
  const { http, promType, id } = error.facts;
  if (querier === undefined && id === 'worker-queue-full') return false;
  return http >= 500 && promType !== 'timeout' && promType !== 'canceled';
}

/** An answer that comes in pieces: each is put in its place at once where it is known how many bytes there will be. */
class WholeAnswer {
  #all: Uint8Array<ArrayBuffer> | undefined;
  readonly #parts: Uint8Array[] = [];
  #isTaken = false;
  bytes = 0;

  /** @param bytesAll of the answer; undefined: they are not known */
  add(part: Uint8Array, bytesAll: number | undefined): void {
    if (bytesAll !== undefined && this.bytes === 0) this.#all = new Uint8Array(bytesAll);
    if (this.#all !== undefined && this.bytes + part.length <= this.#all.length) this.#all.set(part, this.bytes);
    else {
      // more than was said
      if (this.#all !== undefined) this.#parts.push(this.#all.subarray(0, this.bytes));
      this.#all = undefined;
      this.#parts.push(part);
    }
    this.bytes += part.length;
  }

  /** It is whole, and somebody has it. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  whole(): Uint8Array<ArrayBuffer> {
    this.#isTaken = true;
    if (this.#all?.length === this.bytes) return this.#all;
    const parts = this.#all === undefined ? this.#parts : [this.#all.subarray(0, this.bytes)];
    const all = new Uint8Array(this.bytes);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
